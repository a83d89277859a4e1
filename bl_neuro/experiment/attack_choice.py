"""An attack named in a file: its name, perhaps one of its ready-made settings, and settings of one's own on top."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, NamedTuple, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from bl_neuro.attacks import Attack, TransferAttack
from bl_neuro.attacks.query_search import QuerySearch
from bl_neuro.attacks.registry import ATTACKS, presets
from bl_neuro.errors import InputError


class Problem(NamedTuple):
    """Something wrong with a setting, or with them together where `setting` is None."""

    setting: str | None
    message: str


def make_attack(name: str, preset: str | None = None, settings: Mapping[str, Any] | None = None) -> Attack[Any]:
    """The attack called `name`; settings are JSON-ready values, lists where the attack has tuples.

    Raises:
        InputError: there is no such attack or preset, or a setting is wrong; every problem is named.
    """
    problems = attack_problems(name, preset, settings or {})
    if problems:
        raise InputError(f"attack {name}: " + "; ".join(problem.message for problem in problems))
    return _factory(name, preset)(**typed_settings(ATTACKS[name], settings or {})[0])


def attack_problems(name: str, preset: str | None, settings: Mapping[str, Any]) -> list[Problem]:
    """Everything that is wrong with such an attack; the attack itself judges settings of the right types."""
    if name not in ATTACKS:
        return [Problem(None, f"expected one of {', '.join(ATTACKS)}, found {name!r}")]
    if preset is not None and preset not in presets(name):
        known = ", ".join(presets(name)) or "none"
        return [Problem(None, f"preset: expected one of {name}'s ({known}), found {preset!r}")]
    values, problems = typed_settings(ATTACKS[name], settings)
    if problems:
        return problems
    try:
        _factory(name, preset)(**values)
    except InputError as error:
        return [Problem(None, str(error))]
    return []


def planned_budget(attack: Attack[Any], classes: int) -> int | None:
    """The queries that the settings of `attack` ask for so many inversions; None where it asks none."""
    if isinstance(attack, QuerySearch):
        return attack.warm_start + attack.queries * classes
    return attack.candidates * classes if isinstance(attack, TransferAttack) else None


def typed_settings(kind: type[Any], settings: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """JSON-ready `settings` as the fields of dataclass `kind` have them, and what is wrong with names or types."""
    hints = get_type_hints(kind)
    known = [field.name for field in fields(kind)]
    values: dict[str, Any] = {}
    problems = []
    for name, value in settings.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            problems.append(Problem(name, f"expected one of {', '.join(known)}, found {name!r}{hint}"))
            continue
        if _ours(hints[name]):
            problems.append(Problem(name, f"{name}: not to be set in a file; take a preset that sets it"))
            continue
        try:
            values[name] = TypeAdapter(hints[name]).validate_json(json.dumps(value, default=str), strict=True)
        except ValidationError as error:
            problems.append(Problem(name, f"{name}: {error.errors()[0]['msg']}, found {value!r}"))
    return values, problems


def _ours(hint: Any) -> bool:
    """Whether values of that type are objects of this package, such as a form of inputs: nothing a file can say."""
    return str(getattr(get_origin(hint) or hint, "__module__", "")).startswith("bl_neuro.")


def seeing_images(attack: Attack[Any], input_shape: tuple[int, ...], image: tuple[int, ...]) -> Attack[Any]:
    """`attack`, told how inputs in a row are an image (C, H, W) of one channel, where it asks and was not told."""
    told = getattr(attack, "image_shape", ())  # attacks without priors do not ask
    if told is not None or len(input_shape) > 1 or image[0] != 1:
        return attack
    shaped: Any = attack  # every attack with priors is a dataclass, which the base does not say
    changed: Attack[Any] = replace(shaped, image_shape=(image[1], image[2]))
    return changed


def within(attack: Attack[Any], budget: int, classes: int) -> Attack[Any]:
    """`attack` as one sets it who knows that a box answers `budget` queries in all: half at most for a search's start.

    A search that asks no more anyway stays as it is, and so does another attack, which then ends where the box does.
    """
    planned = planned_budget(attack, classes)
    if not isinstance(attack, QuerySearch) or planned is None or planned <= budget:
        return attack
    start = min(attack.warm_start, budget // 2)
    return replace(attack, warm_start=start, queries=max(2, (budget - start) // classes // 2 * 2))


def _factory(name: str, preset: str | None) -> Callable[..., Attack[Any]]:
    return ATTACKS[name] if preset is None else getattr(ATTACKS[name], preset)
