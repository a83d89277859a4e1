"""Creates an attack from its name, a preset and settings."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from bl_neuro.attacks import ATTACKS, Attack
from bl_neuro.attacks.settings import changed
from bl_neuro.errors import InputError
from bl_neuro.settings import SettingProblem, setting_names, typed_settings, unknown_setting


def make_attack(name: str, preset: str | None = None, settings: Mapping[str, Any] | None = None) -> Attack[Any]:
    """Creates the attack `name`. Settings are JSON-ready values, with lists for tuples.

    Raises:
        InputError: there is no such attack or preset, or a setting is invalid; all problems are listed.
    """
    problems = attack_problems(name, preset, settings or {})
    if problems:
        raise InputError(f"attack {name}: " + "; ".join(problem.message for problem in problems))
    return _factory(name, preset)(**_typed(ATTACKS.find(name), settings or {})[0])


def attack_problems(name: str, preset: str | None, settings: Mapping[str, Any]) -> list[SettingProblem]:
    """All problems of an attack with this name, preset and settings. Values are checked by the attack itself."""
    if name not in ATTACKS:
        return [SettingProblem(None, f"expected one of {', '.join(ATTACKS)}, found {name!r}")]
    kind = ATTACKS.find(name)
    if preset is not None and preset not in kind.presets():
        known = ", ".join(kind.presets()) or "none"
        return [SettingProblem(None, f"preset: expected one of {name}'s ({known}), found {preset!r}")]
    values, problems = _typed(kind, settings)
    if problems:
        return problems
    try:
        _factory(name, preset)(**values)
    except InputError as error:
        return [SettingProblem(None, str(error))]
    return []


def seeing_images(attack: Attack[Any], input_shape: tuple[int, ...], image: tuple[int, ...]) -> Attack[Any]:
    """`attack` with `image_shape` set to the shape of flat inputs that are an image (C, H, W) of one channel.

    Returned unchanged if the attack has no such setting, or if it is set.
    """
    stated = getattr(attack, "image_shape", ())
    if stated is not None or len(input_shape) > 1 or image[0] != 1:
        return attack
    shaped: Attack[Any] = changed(attack, {"image_shape": (image[1], image[2])})
    return shaped


def setting_paths(attack: Any) -> list[str]:
    """Names of all settings, including those of nested attacks, such as "attack.blur"."""
    paths = []
    for name in setting_names(type(attack)) if is_dataclass(attack) else []:
        value = getattr(attack, name)
        paths += [f"{name}.{inner}" for inner in setting_paths(value)] if is_dataclass(value) else [name]
    return paths


def setting_path(attack: Attack[Any], name: str) -> str | None:
    """The setting `name` of the attack, or else of a nested attack; None if there is none."""
    candidates = [path for path in setting_paths(attack) if path == name or path.endswith(f".{name}")]
    return min(candidates, key=len, default=None)


def setting_from_text(attack: Attack[Any], path: str, text: str) -> Any:
    """Converts the text of a setting to its type: "3", "0.5", "true", "none", "8,8", "membrane".

    Raises:
        InputError: there is no such setting, or the text is not a value of its type.
    """
    owner: Any = attack
    *names, last = path.split(".")
    for name in names:
        owner = getattr(owner, name, None)
    paths = setting_paths(attack)
    if path not in paths:
        raise InputError(f"{path}: {unknown_setting(path, paths)}")
    hint = get_type_hints(type(owner))[last]
    optional = get_origin(hint) in (Union, types.UnionType)
    if optional and text.lower() in ("none", "null"):
        return None
    kinds = [kind for kind in get_args(hint) if kind is not type(None)] if optional else [hint]
    several = get_origin(kinds[0]) in (tuple, list)
    parts: Any = [part.strip() for part in text.lower().replace("x", ",").split(",")] if several else text
    try:
        return TypeAdapter(kinds[0]).validate_python(parts)
    except ValidationError as error:
        also = ", or none" if optional else ""
        raise InputError(f"{path}: expected {_in_words(kinds[0])}{also}, found {text!r}") from error


def _in_words(hint: Any) -> str:
    """The values of a type, in words for an error message."""
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    if get_origin(hint) in (tuple, list):
        hints = get_args(hint)
        return f"{'several' if Ellipsis in hints else len(hints)} values, comma-separated, each {_in_words(hints[0])}"
    words: dict[Any, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    return words.get(hint, f"a value of type {hint}")


def _typed(kind: type[Attack[Any]], settings: Mapping[str, Any]) -> tuple[dict[str, Any], list[SettingProblem]]:
    """`settings` with the types of the attack's fields. Raises an error if the attack has no settings."""
    if is_dataclass(kind):
        return typed_settings(kind, settings)
    return {}, [SettingProblem(name, unknown_setting(name, [])) for name in settings]


def _factory(name: str, preset: str | None) -> Callable[..., Attack[Any]]:
    kind = ATTACKS.find(name)
    return kind if preset is None else kind.presets()[preset].make
