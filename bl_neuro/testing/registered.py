"""Temporarily registers parts in tests without installing a package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from bl_neuro.registry import Registry


@contextmanager
def registered(registry: Registry[Any], *parts: type[Any], only: bool = False) -> Iterator[None]:
    """Adds classes to `registry` under their names, like entry points of an installed package.

    only: hides all other parts meanwhile, including built-in ones.
    """
    points = {part.name: (entry_point(part.name, part),) for part in sorted(parts, key=lambda part: str(part.name))}
    ours, added = registry.ours, dict(registry._added)
    registry.ours = {} if only else ours
    vars(registry)["_added"] = points if only else {**added, **points}
    try:
        yield
    finally:
        registry.ours = ours
        vars(registry)["_added"] = added


def entry_point(name: str, loaded: Any, value: str | None = None) -> Any:
    """Replaces an entry point: it returns `loaded`, or raises it if it is an exception."""

    def load() -> Any:
        if isinstance(loaded, Exception):
            raise loaded
        return loaded

    return SimpleNamespace(name=name, value=value or f"package:{name}", load=load, dist=None)
