"""Finds mitigations by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bl_neuro.errors import BlNeuroError, InputError
from bl_neuro.mitigations.base import Mitigation
from bl_neuro.registries import KINDS
from bl_neuro.registry import Registry
from bl_neuro.settings import with_settings

MITIGATIONS: Registry[Mitigation] = Registry(
    noun="mitigation",
    group=KINDS["mitigations"].group,
    base="bl_neuro.mitigations.base:Mitigation",
    ours=KINDS["mitigations"].ours,
)


def make_mitigation(name: str, settings: Mapping[str, Any]) -> Mitigation:
    """Creates the mitigation `name` with JSON-ready `settings`.

    Raises:
        InputError: there is no such mitigation, or a setting is invalid. PluginError: the mitigation of another package
            does not load.
    """
    kind = MITIGATIONS.find(name)
    try:
        made: Mitigation = with_settings(kind, settings)
    except InputError as error:
        raise InputError(f"mitigation {name}: {error}") from error
    return made


def mitigation_of(definition: Mapping[str, Any] | None) -> Mitigation | None:
    """The mitigation with this `definition`; None for None."""
    if definition is None:
        return None
    settings = {name: value for name, value in definition.items() if name != "kind"}
    return make_mitigation(str(definition["kind"]), settings)


def installed_mitigation(name: str) -> type[Mitigation]:
    """The class of the mitigation `name`, or `Mitigation` itself if its package is not installed.

    For reports on results from other machines.
    """
    try:
        return MITIGATIONS.find(name)
    except BlNeuroError:
        return Mitigation
