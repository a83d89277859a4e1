"""What an attack of an audit is given: the target, or a box that keeps a digest of all that it answers."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from bl_neuro.access import BlackBox, WhiteBox
from bl_neuro.attacks import TransferAttack, TransferBox
from bl_neuro.backends import Target, open_target
from bl_neuro.errors import InputError
from bl_neuro.experiment.definition.material import Material
from bl_neuro.experiment.definition.mitigation_part import in_box
from bl_neuro.experiment.doing.endpoint_box import open_endpoint
from bl_neuro.experiment.doing.recorded_box import RecordedBox
from bl_neuro.experiment.planning.planned_cell import THREADS, Cell
from bl_neuro.network import Network

OPTIONS: dict[str, dict[str, Any]] = {"loihi": {"threads": THREADS}, "lava": {"runtimes": THREADS}}
"""Options that give a substrate as many threads, or simulations at a time, as a cell has threads."""


def opened(network: Network, substrate: str) -> Target:
    """`network` on a substrate, with a cell's threads."""
    return open_target(network, substrate, **OPTIONS.get(substrate, {}))


def box_for(cell: Cell, target: Target | None, material: Material, kept: ExitStack) -> tuple[Any, RecordedBox | None]:
    """What the attack of `cell` takes, and the black box in it, if there is one.

    target: what is attacked; None where that is behind an endpoint. kept: keeps open what is opened here: the endpoint,
    and the attacker's own copy of the network, where there are such.
    """
    attack, made = cell.what, cell.definition
    if attack.access == "white_box" and target is not None:
        return WhiteBox(target), None
    if target is None:
        inner: BlackBox = kept.enter_context(
            open_endpoint(material, made["substrate"], made["budget"], session=cell.address)
        )
    else:
        inner = BlackBox(target, made["reveals"], made["budget"], in_box(made.get("mitigation")), made["seed"])
    box = RecordedBox(inner)
    if not isinstance(attack, TransferAttack):
        return box, box
    network = target.network if target is not None else material.network
    if network is None:
        raise InputError("transfer: expected a [model] to attack a copy of, found an endpoint alone")
    return TransferBox(WhiteBox(kept.enter_context(opened(network, made["twin"]))), box), box
