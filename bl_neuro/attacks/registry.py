"""Finds an attack by name, built in or added by another package.

A package adds an attack through the entry-point group `bl_neuro.attacks`: name = "package.module:AttackClass".
"""

from __future__ import annotations

from typing import Any

from bl_neuro.attacks.base import Attack
from bl_neuro.errors import InputError, PluginError
from bl_neuro.registries import KINDS
from bl_neuro.registry import Registry

ATTACKS: Registry[Attack[Any]] = Registry(
    noun="attack",
    group=KINDS["attacks"].group,
    base="bl_neuro.attacks.base:Attack",
    ours=KINDS["attacks"].ours,
)


def attack_title(name: str) -> str:
    """The title of the attack `name` in tables; the name itself if no such attack is installed."""
    kind = _installed(name)
    return name if kind is None else kind.title or name


def attack_note(name: str) -> str:
    """The `ladder_note` of the attack `name`; empty if no such attack is installed."""
    kind = _installed(name)
    return "" if kind is None else kind.ladder_note


def _installed(name: str) -> type[Attack[Any]] | None:
    try:
        return ATTACKS.find(name)
    except (InputError, PluginError):
        return None
