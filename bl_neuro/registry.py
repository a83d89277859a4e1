"""Finding the parts that a name stands for: ours, and those that installed packages add.

Backends, attacks, evaluators, mitigations and datasets are each found through a `Registry`. A package adds its own
through an entry-point group, in its pyproject.toml:

    [project.entry-points."bl_neuro.attacks"]
    my_attack = "my_package.my_attack:MyAttack"
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from bl_neuro.errors import BlNeuroError, InputError, PluginError

Part = TypeVar("Part")


class Registry(Generic[Part]):
    """Classes of one kind, by name. A class is imported when it is looked up, not before.

    noun: what a part is called in errors, such as "substrate". group: the entry-point group that other packages add
    parts through. base: the class that every part derives from, as "module:Class". ours: our own parts by name, as
    "module:Class". unknown: the error for a name that stands for nothing.
    """

    def __init__(
        self,
        noun: str,
        group: str,
        base: str,
        ours: Mapping[str, str],
        unknown: type[BlNeuroError] = InputError,
    ) -> None:
        self.noun, self.group, self.ours = noun, group, dict(ours)
        self._base, self._unknown = base, unknown

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that a part has, ours first; no part is imported."""
        return (*self.ours, *self._added)

    def __contains__(self, name: object) -> bool:
        return name in self.ours or name in self._added

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def find(self, name: str) -> type[Part]:
        """The class called `name`.

        Raises:
            InputError: no part has that name (a class of its own for substrates, `UnknownSubstrate`).
            PluginError: the part of another package does not load, or is not what the group promises.
        """
        if name in self.ours:
            return self._imported(self.ours[name])
        if name in self._added:
            return self._loaded(self._added[name])
        close = difflib.get_close_matches(str(name), self.names, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise self._unknown(f"{self.noun}: expected one of {', '.join(self.names)}, found {name!r}{hint}")

    def broken(self) -> dict[str, str]:
        """The parts of other packages that cannot be used, by name, each with the reason."""
        reasons = {}
        for name, point in self._added.items():
            try:
                self._loaded(point)
            except PluginError as error:
                reasons[name] = str(error)
        return reasons

    @cached_property
    def _added(self) -> dict[str, EntryPoint]:
        points = sorted(entry_points(group=self.group), key=lambda point: point.name)
        return {point.name: point for point in points if point.name not in self.ours}

    def _loaded(self, point: EntryPoint) -> type[Part]:
        base = self._imported(self._base)
        try:
            part = point.load()
        except Exception as error:  # another package's code may raise anything
            raise PluginError(f"{self.noun} '{point.name}': {point.value} does not load: {error}") from error
        if not (isinstance(part, type) and issubclass(part, base)):
            raise PluginError(f"{self.noun} '{point.name}': expected a subclass of {self._base}, found {point.value}")
        return part

    @staticmethod
    def _imported(path: str) -> type[Part]:
        module, _, attribute = path.partition(":")
        part: type[Part] = getattr(importlib.import_module(module), attribute)
        return part
