"""The packages of parts that are not built in, as an entry of the definitions of cells that use them."""

from __future__ import annotations

from typing import Any

from bl_neuro.mitigations import MITIGATIONS, Mitigation
from bl_neuro.registry import Registry


def packages_of(*parts: tuple[Registry[Any], str | None], mitigation: Mitigation | None = None) -> dict[str, list[str]]:
    """The entry of a definition that lists other packages with their versions; empty if all parts are built in.

    It makes results of another version of a package invalid. parts: the registry and name of each part in use. None is
    left out, and so are names that are not in the registry, such as those of endpoints.
    """
    named = [*parts, *([] if mitigation is None else [(MITIGATIONS, mitigation.name)])]
    packages = {
        registry.package(name)
        for registry, name in named
        if name is not None and name in registry and name not in registry.ours
    }
    return {"packages": sorted(packages)} if packages else {}
