"""Finds parts by name, built in or added by installed packages.

Backends, attacks, evaluators, mitigations and datasets each have a `Registry`. A package adds a part through an
entry-point group in its pyproject.toml:

    [project.entry-points."bl_neuro.attacks"]
    my_attack = "my_package.my_attack:MyAttack"
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar

from bl_neuro._version import __version__
from bl_neuro.errors import BlNeuroError, InputError, PluginError

Part = TypeVar("Part")


class BrokenPart(NamedTuple):
    """A part that cannot be used: the package that adds it, and the problem."""

    package: str
    reason: str


class Registry(Generic[Part]):
    """Classes of one kind, by name. A class is imported only when it is looked up.

    noun: name of the kind in error messages, such as "substrate". group: the entry-point group for other packages.
    base: the base class of all parts, as "module:Class". ours: the built-in parts by name, as "module:Class". unknown:
    the error class for an unknown name. reserved: names that no part may have, each with what it stands for.
    """

    def __init__(
        self,
        noun: str,
        group: str,
        base: str,
        ours: Mapping[str, str],
        unknown: type[BlNeuroError] = InputError,
        reserved: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.noun, self.group, self.ours = noun, group, dict(ours)
        self.reserved = dict(reserved)
        self._base, self._unknown = base, unknown

    @property
    def names(self) -> tuple[str, ...]:
        """All names, built-in parts first. Does not import any part."""
        return (*self.ours, *(name for name in self._added if name not in self.ours))

    def __contains__(self, name: object) -> bool:
        return name in self.ours or name in self._added

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def find(self, name: str) -> type[Part]:
        """The class named `name`.

        Raises:
            InputError: there is no such part (`UnknownSubstrate` for substrates). PluginError: the part of another
                package does not load, does not derive from the base class, or has the same name as a part of a third
                package.
        """
        if name in self.ours:
            return self._imported(self.ours[name])
        if name in self._added:
            return self._loaded(name, self._added[name])
        close = difflib.get_close_matches(str(name), self.names, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise self._unknown(f"{self.noun}: expected one of {', '.join(self.names)}, found {name!r}{hint}")

    def usable(self) -> dict[str, type[Part]]:
        """All classes by name, without broken parts of other packages (see `broken`)."""
        broken = self.broken()
        return {name: self.find(name) for name in self.names if name in self.ours or name not in broken}

    def broken(self) -> dict[str, BrokenPart]:
        """The parts of other packages that cannot be used, by name, each with the reason."""
        broken = {}
        for name, points in self._added.items():
            package = _packages(points)
            try:
                if name in self.ours:
                    raise PluginError(f"{self.noun} '{name}': {package} adds it, but this name is built into bl-neuro")
                self._loaded(name, points)
            except PluginError as error:
                broken[name] = BrokenPart(package, str(error))
        return broken

    def package(self, name: str) -> str:
        """The package of a part and its version, such as "bl-neuro 1.2"."""
        return f"bl-neuro {__version__}" if name in self.ours else _packages(self._added[name])

    def added_packages(self) -> dict[str, str]:
        """The versions of all other packages that add parts, by name."""
        sources = [point.dist for points in self._added.values() for point in points]
        return {source.metadata["Name"]: source.version for source in sources if source}

    @cached_property
    def _added(self) -> dict[str, tuple[EntryPoint, ...]]:
        """The entry points of other packages by name; several if packages use the same name."""
        added: dict[str, tuple[EntryPoint, ...]] = {}
        for point in sorted(entry_points(group=self.group), key=lambda point: point.name):
            added[point.name] = (*added.get(point.name, ()), point)
        return added

    def _loaded(self, name: str, points: tuple[EntryPoint, ...]) -> type[Part]:
        place = f"{self.noun} '{name}'"
        if name in self.reserved:
            raise PluginError(
                f"{place}: expected another name, since this one stands for {self.reserved[name]}; {_packages(points)} "
                "must rename the part and its entry point"
            )
        if len({point.value for point in points}) > 1:
            raise PluginError(f"{place}: {_packages(points)} add a part of this name; uninstall all but one of them")
        (point, *_), base = points, self._imported(self._base)
        try:
            with contextlib.redirect_stdout(sys.stderr):  # standard output may be JSON
                part = point.load()
        except (Exception, SystemExit) as error:  # another package's code may raise anything, or exit
            raise PluginError(f"{place}: {point.value} cannot be loaded: {type(error).__name__}: {error}") from error
        if not (isinstance(part, type) and issubclass(part, base)):
            raise PluginError(f"{place}: expected a subclass of {self._base}, found {point.value}")
        if undefined := _undefined(part, base):
            raise PluginError(f"{place}: {point.value} does not define {', '.join(undefined)}")
        own_name = getattr(part, "name", name)
        if own_name != name:
            raise PluginError(f"{place}: expected an entry point named '{own_name}', like {point.value}")
        return part

    @staticmethod
    def _imported(path: str) -> type[Part]:
        module, _, attribute = path.partition(":")
        part: type[Part] = getattr(importlib.import_module(module), attribute)
        return part


def _undefined(part: type[Any], base: type[Any]) -> list[str]:
    """Class attributes without a value and abstract methods of `base` that `part` does not define."""
    declared = [
        name
        for ancestor in reversed(base.__mro__)
        for name, annotation in vars(ancestor).get("__annotations__", {}).items()
        if str(annotation).startswith("ClassVar")
    ]
    return [name for name in declared if not hasattr(part, name)] + sorted(getattr(part, "__abstractmethods__", ()))


def _packages(points: Iterable[EntryPoint]) -> str:
    """The packages of entry points, each with its version."""
    sources = (point.dist for point in points)
    names = (f"{it.metadata['Name']} {it.version}" if it else "a package without metadata" for it in sources)
    return " and ".join(dict.fromkeys(names))
