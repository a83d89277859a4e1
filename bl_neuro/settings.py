"""Creates a frozen dataclass from the settings in a file and checks their names and types."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, NamedTuple, get_origin, get_type_hints

from bl_neuro.checks import problem_text
from bl_neuro.errors import InputError


class SettingProblem(NamedTuple):
    """The problem of one setting, or of several settings together if `setting` is None."""

    setting: str | None
    message: str


def typed_settings(kind: type[Any], settings: Mapping[str, Any]) -> tuple[dict[str, Any], list[SettingProblem]]:
    """JSON-ready `settings` converted to the field types of dataclass `kind`, and all problems of names and types."""
    from pydantic import TypeAdapter, ValidationError

    hints = get_type_hints(kind)
    known = setting_names(kind)
    values: dict[str, Any] = {}
    problems = []
    for name, value in settings.items():
        if name not in known:
            problems.append(SettingProblem(name, unknown_setting(name, known)))
            continue
        if _is_object_of_ours(hints[name]):
            problems.append(SettingProblem(name, f"{name}: cannot be set in a file; use a preset that sets it"))
            continue
        try:
            values[name] = TypeAdapter(hints[name]).validate_json(json.dumps(value, default=str), strict=True)
        except ValidationError as error:
            problems.append(SettingProblem(name, f"{name}: {problem_text({**error.errors()[0], 'input': value})}"))
    return values, problems


def missing_settings(kind: type[Any], settings: Mapping[str, Any]) -> list[str]:
    """Names of the fields of dataclass `kind` that have no default and are not in `settings`."""
    required = [field for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING]
    return [field.name for field in required if field.name not in settings]


def setting_names(kind: type[Any]) -> list[str]:
    """Names of the settings of dataclass `kind`."""
    return [field.name for field in fields(kind)]


def unknown_setting(name: str, known: list[str]) -> str:
    """The message for a setting that does not exist."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    expected = f"expected one of {', '.join(known)}" if known else "expected no settings"
    return f"{expected}, found {name!r}{hint}"


def setting_problems(kind: type[Any], settings: Mapping[str, Any]) -> list[SettingProblem]:
    """All problems of creating dataclass `kind` from `settings`."""
    values, problems = typed_settings(kind, settings)
    problems += [SettingProblem(name, f"{name}: is required, but missing") for name in missing_settings(kind, settings)]
    if problems:
        return problems
    try:
        kind(**values)
    except InputError as error:
        name, _, _ = str(error).partition(":")
        return [SettingProblem(name if name in values else None, str(error))]
    return []


def with_settings(kind: type[Any], settings: Mapping[str, Any]) -> Any:
    """Creates dataclass `kind` from JSON-ready `settings`.

    Raises:
        InputError: a setting is unknown, missing or invalid; all problems are listed.
    """
    problems = setting_problems(kind, settings)
    if problems:
        raise InputError("; ".join(problem.message for problem in problems))
    return kind(**typed_settings(kind, settings)[0])


def _is_object_of_ours(hint: Any) -> bool:
    """Whether the type is a class of this package, whose instances a file cannot contain."""
    return str(getattr(get_origin(hint) or hint, "__module__", "")).startswith("bl_neuro.")
