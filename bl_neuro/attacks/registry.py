"""The attacks on spiking networks by the names that files, tables and command lines call them."""

from __future__ import annotations

import inspect
from typing import Any

from bl_neuro.attacks.base import Attack
from bl_neuro.attacks.brainleaks_v1 import BrainLeaksV1
from bl_neuro.attacks.brainleaks_v2 import BrainLeaksV2
from bl_neuro.attacks.brainleaks_v2_gradient import BrainLeaksV2Gradient
from bl_neuro.attacks.cma_es import CmaEs
from bl_neuro.attacks.one_plus_one import OnePlusOneEs
from bl_neuro.attacks.random_search import RandomSearch
from bl_neuro.attacks.transfer import TransferAttack

ATTACKS: dict[str, type[Attack[Any]]] = {
    kind.name: kind
    for kind in (BrainLeaksV1, BrainLeaksV2Gradient, BrainLeaksV2, CmaEs, OnePlusOneEs, RandomSearch, TransferAttack)
}
"""The attacks on spiking networks, by name."""


def presets(name: str) -> list[str]:
    """The ready-made settings of the attack called `name`, such as "for_mnist": class methods of it."""
    kind = ATTACKS[name]
    return [each for each in dir(kind) if each.startswith("for_") and inspect.ismethod(getattr(kind, each))]


def preset_sides(name: str, preset: str) -> tuple[int, int] | None:
    """Height and width of the images that these ready-made settings are for; None where they are for any."""
    known: dict[str, tuple[int, int]] = getattr(ATTACKS[name], "preset_sides", {})
    return known.get(preset)
