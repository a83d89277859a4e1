"""Reads and changes settings, and converts them to the types of their fields.

4.0 or NumPy's 4 become 4, and a list becomes a tuple; "4" is an error.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass, replace
from functools import lru_cache
from operator import attrgetter
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from bl_neuro.checks import whole_number


def changed(attack: Any, settings: Mapping[str, Any]) -> Any:
    """`attack` with changed settings. "attack.blur" is the setting blur of its nested attack.

    Raises:
        InputError: there is no such setting, or its value is invalid.
    """
    values: dict[str, Any] = {}
    for path, value in settings.items():
        name, _, rest = path.partition(".")
        inner = values.get(name, getattr(attack, name, None))
        values[name] = changed(inner, {rest: value}) if rest and is_dataclass(inner) else value
    return replace(attack, **values) if values else attack


def setting_value(attack: Any, path: str) -> Any:
    """The value of a setting. "attack.blur" is the setting blur of a nested attack."""
    return attrgetter(path)(attack)


class WrongType(Exception):
    """The expected type, in words."""


def settle_types(settings: Any) -> list[str]:
    """Converts every field of the frozen dataclass `settings` to its type, and returns the problems of other fields.

    Handles integers, floats, booleans, strings, pairs and lists of these, and instances of a class. Other type hints
    are not checked.
    """
    problems = []
    kind: Any = type(settings)
    for name, hint in _hints(kind).items():
        value = getattr(settings, name)
        try:
            object.__setattr__(settings, name, _settled(value, hint))
        except WrongType as expected:
            problems.append(f"{name}: expected {expected}, found {value!r}")
    return problems


@lru_cache(maxsize=64)
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {name: hints[name] for name in kind.__dataclass_fields__ if name in hints}


def _settled(value: Any, hint: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        return _optional(value, [kind for kind in get_args(hint) if kind is not type(None)])
    if get_origin(hint) is tuple:
        return _pair_or_list(value, get_args(hint))
    if hint is int:
        whole = whole_number(value)
        if whole is None:
            raise WrongType("a whole number")
        return whole
    if hint is float:
        return _number(value)
    if hint is bool and not isinstance(value, (bool, np.bool_)):
        raise WrongType("True or False")
    if get_origin(hint) is Literal and not isinstance(value, str):
        raise WrongType(f"one of {', '.join(map(str, get_args(hint)))}")
    if isinstance(hint, type) and hint is not bool and not isinstance(value, hint):
        raise WrongType("a text" if hint is str else f"an object of class {hint.__name__}")
    return bool(value) if hint is bool else value


def _optional(value: Any, hints: list[Any]) -> Any:
    if value is None:
        return None
    try:
        return _settled(value, hints[0])
    except WrongType as expected:
        raise WrongType(f"{expected}, or None") from None


def _number(value: Any) -> float:
    number = value.item() if isinstance(value, np.generic) else value
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise WrongType("a number")
    return float(number)


def _pair_or_list(value: Any, hints: Sequence[Any]) -> tuple[Any, ...]:
    """A tuple of a fixed length or, for (X, ...), of any length."""
    listed = isinstance(value, (tuple, list, np.ndarray))
    kinds = [hints[0]] * len(value) if listed and hints[-1] is Ellipsis else list(hints)
    if not listed or len(value) != len(kinds):
        raise WrongType(f"{'several' if hints[-1] is Ellipsis else len(hints)} values")
    return tuple(_settled(one, hint) for one, hint in zip(value, kinds))
