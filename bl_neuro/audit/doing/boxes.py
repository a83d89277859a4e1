"""What an attack of an audit is given: the target, or a box that keeps a digest of all that it answers."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from bl_neuro.access import WhiteBox
from bl_neuro.attacks import Attack, TransferAttack, TransferBox
from bl_neuro.audit.definition.mitigation_part import in_box
from bl_neuro.audit.doing.recorded_box import RecordedBox
from bl_neuro.audit.planning.planned_cell import THREADS
from bl_neuro.backends import Target, open_target
from bl_neuro.network import Network

OPTIONS: dict[str, dict[str, Any]] = {"loihi": {"threads": THREADS}, "lava": {"runtimes": THREADS}}
"""Options that give a substrate as many threads, or simulations at a time, as a cell has threads."""


def opened(network: Network, substrate: str) -> Target:
    """`network` on a substrate, with a cell's threads."""
    return open_target(network, substrate, **OPTIONS.get(substrate, {}))


def box_for(
    attack: Attack[Any], target: Target, made: dict[str, Any], twins: ExitStack
) -> tuple[Any, RecordedBox | None]:
    """What `attack` takes, by the definition `made` of its cell, and the black box in it, if there is one.

    twins: keeps the attacker's own copy of the target open, where it has one.
    """
    if attack.access == "white_box":
        return WhiteBox(target), None
    box = RecordedBox(target, made["reveals"], made["budget"], in_box(made.get("mitigation")), made["seed"])
    if not isinstance(attack, TransferAttack):
        return box, box
    return TransferBox(WhiteBox(twins.enter_context(opened(target.network, made["twin"]))), box), box
