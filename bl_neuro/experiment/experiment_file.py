"""Reads and checks experiments. Reports all problems at once, with their lines in the file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bl_neuro.errors import DataError, ExperimentError
from bl_neuro.experiment.checks import further_problems
from bl_neuro.experiment.definition import Experiment
from bl_neuro.experiment.part import in_words
from bl_neuro.experiment.ready_made import EXPERIMENTS, ready_made
from bl_neuro.experiment.secrets_checks import secret_problems
from bl_neuro.experiment.toml_lines import KeyPath, line_of, value_lines
from bl_neuro.files import expanded
from bl_neuro.strangers.door import read_bytes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST_BYTES, MOST_LINES = 2**16, 1000
MOST_LEVELS = 16
Problem = tuple[KeyPath, str]
"""Location and message of a problem."""


def experiment_path(name: str) -> Path:
    """The file of the built-in experiment `name`, or `name` as a path."""
    return EXPERIMENTS / f"{name}.toml" if name in ready_made() else expanded(name)


def read_experiment(path: Path) -> Experiment:
    """Reads an experiment from a TOML file.

    Raises:
        ExperimentError: the file is missing, is not TOML, or is not a valid experiment; `problems` lists all problems
            with their lines.
    """
    text = _text(path)
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ExperimentError(f"{path}: not TOML: {error}") from error
    except ValueError as error:  # too many digits for Python
        raise ExperimentError(f"{path}: not TOML: expected integers of at most 64 bits ({error})") from error
    _need_plain_values(f"{path}: ", document)
    experiment, problems = checked(document)
    if experiment is None or problems:
        raise _error_with_lines(path, text, problems)
    return experiment


def experiment_from(document: dict[str, Any]) -> Experiment:
    """Creates an experiment from a `document` with the structure of an experiment file.

    Raises:
        ExperimentError: it is not a valid experiment; `problems` lists all problems.
    """
    _need_plain_values("", document)
    experiment, problems = checked(document)
    if experiment is None or problems:
        lines = [f"{'.'.join(map(str, place))}: {message}" if place else message for place, message in problems]
        raise ExperimentError("; ".join(dict.fromkeys(lines)), list(dict.fromkeys(lines)))
    return experiment


def checked(document: dict[str, Any]) -> tuple[Experiment | None, list[Problem]]:
    """The experiment in `document`, or None if its types are wrong, and all problems."""
    problems: list[Problem] = []
    experiment = None
    try:
        experiment = Experiment.model_validate(document)
    except ValidationError as error:
        wrong = error.errors()
        problems += [(tuple(details["loc"]), in_words(dict(details))) for details in wrong]
        document = _without_containers(document, {tuple(details["loc"]) for details in wrong}, ())
    return experiment, [*problems, *further_problems(document), *secret_problems(document)]


def _without_containers(value: Any, wrong: set[KeyPath], path: KeyPath) -> Any:
    """A copy of the document in which lists and tables at the places `wrong` are None: further checks skip them."""
    if not isinstance(value, (dict, list)):
        return value
    if path in wrong:
        return None
    if isinstance(value, dict):
        return {key: _without_containers(item, wrong, (*path, key)) for key, item in value.items()}
    return [_without_containers(item, wrong, (*path, index)) for index, item in enumerate(value)]


def _need_plain_values(where: str, document: dict[str, Any]) -> None:
    """Raises ExperimentError if tables are nested too deeply, or an integer exceeds 64 bits."""
    values: list[tuple[KeyPath, Any]] = [((), document)]
    while values:
        place, value = values.pop()
        if len(place) > MOST_LEVELS:
            shown = ".".join(map(str, place[:3]))
            raise ExperimentError(f"{where}{shown}...: expected at most {MOST_LEVELS} levels of tables and lists")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ExperimentError(f"{where}{'.'.join(map(str, place))}: expected an integer of at most 64 bits")
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        values += [((*place, key), item) for key, item in items]


def _text(path: Path) -> str:
    try:
        content = read_bytes(path, MOST_BYTES)
        text = content.decode("utf-8-sig")
    except DataError as error:
        known = ", ".join(ready_made())
        raise ExperimentError(f"{error}; experiments are TOML files or one of {known}") from error
    except UnicodeDecodeError as error:
        raise ExperimentError(f"{path}: not TOML: expected text in UTF-8 ({error})") from error
    if text.count("\n") > MOST_LINES:
        raise ExperimentError(f"{path}: expected at most {MOST_LINES} lines")
    return text


def _error_with_lines(path: Path, text: str, problems: list[Problem]) -> ExperimentError:
    lines = value_lines(text)
    placed = sorted((line_of(place, lines), ".".join(map(str, place)), message) for place, message in problems)
    messages = [f"line {line}: {f'{place}: ' if place else ''}{message}" for line, place, message in placed]
    return ExperimentError(f"{path}: " + "; ".join(dict.fromkeys(messages)), list(dict.fromkeys(messages)))
