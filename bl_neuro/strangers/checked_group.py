"""A group of an untrusted file, whose values are checked when they are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.strangers.tree_frames import Refused, Tree

MAX_TEXT = 64


@dataclass(frozen=True)
class CheckedGroup:
    """A group of a file whose values are read through checks; failed checks are added to the shared list `problems`.

    place: name of the group in problems, such as "block 3".
    """

    tree: Tree
    place: str
    problems: list[str] = field(default_factory=list)

    def complain(self, problem: str) -> None:
        """Records a problem of this group."""
        self.problems.append(f"{self.place}: {problem}")

    def keys(self) -> list[str]:
        """Names in this group."""
        return sorted(self.tree)

    def group(self, key: str, place: str | None = None) -> CheckedGroup | None:
        """The subgroup `key`, or None with a problem."""
        entry = self._entry(key)
        if entry is None:
            return None
        if not isinstance(entry, dict):
            self.complain(f"{key}: expected a group, found a value")
            return None
        return CheckedGroup(entry, place or f"{self.place}: {key}", self.problems)

    def text(self, key: str) -> str | None:
        """A short ASCII string, or None with a problem."""
        entry = self._value(key)
        while isinstance(entry, list) and len(entry) == 1:
            (entry,) = entry
        if entry is None:
            return None
        if not isinstance(entry, str) or len(entry) > MAX_TEXT:
            self.complain(f"{key}: expected one short string, found {_kind(entry)}")
            return None
        if not entry.isascii():
            self.complain(f"{key}: expected a short ASCII string, found {entry!r}")
            return None
        return entry

    def numbers(self, key: str) -> FloatArray | None:
        """An array of finite numbers, or None with a problem."""
        entry = self._value(key)
        if entry is None:
            return None
        if not isinstance(entry, np.ndarray):
            self.complain(f"{key}: expected integers or floats of at most 8 bytes, found {_kind(entry)}")
            return None
        if not entry.size:
            self.complain(f"{key}: contains no values")
            return None
        with np.errstate(invalid="ignore"):  # a signalling NaN warns as it is converted
            values: FloatArray = entry.astype(np.float64)
        if not np.isfinite(values).all():
            self.complain(f"{key}: expected finite numbers, found NaN or infinity")
            return None
        return values

    def _entry(self, key: str) -> Any:
        entry = self.tree.get(key)
        if isinstance(entry, Refused):
            self.complain(f"{key}: {entry.reason}")
            return None
        if entry is None:
            self.complain(f"{key}: missing")
        return entry

    def _value(self, key: str) -> Any:
        entry = self._entry(key)
        if isinstance(entry, dict):
            self.complain(f"{key}: expected a value, found a group")
            return None
        return entry


def _kind(entry: Any) -> str:
    if isinstance(entry, np.ndarray):
        return f"{entry.dtype} of shape {entry.shape}"
    return f"a string of {len(entry)} characters" if isinstance(entry, str) else "strings"
