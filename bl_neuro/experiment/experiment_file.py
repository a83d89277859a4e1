"""Reading an experiment from its file: every problem at once, each with its line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bl_neuro.errors import ExperimentError
from bl_neuro.experiment.checks import further_problems
from bl_neuro.experiment.definition import EXPERIMENTS, Experiment
from bl_neuro.experiment.part import SETTING
from bl_neuro.experiment.toml_lines import KeyPath, line_of, value_lines

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST_BYTES, MOST_LINES, MOST_SHOWN = 2**16, 1000, 80


def ready_made() -> list[str]:
    """The names of the experiments in the package."""
    return sorted(path.stem for path in EXPERIMENTS.glob("*.toml"))


def experiment_path(named: str) -> Path:
    """The file of a ready-made experiment's name, or the path that `named` is."""
    return EXPERIMENTS / f"{named}.toml" if named in ready_made() else Path(named).expanduser()


def read_experiment(path: Path) -> Experiment:
    """The experiment in a TOML file.

    Raises:
        ExperimentError: it is missing, no TOML, or says what cannot be; `problems` names all of it, with lines.
    """
    text = _text(path)
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ExperimentError(f"{path}: not TOML: {error}") from error
    problems: list[tuple[KeyPath, str]] = []
    experiment = None
    try:
        experiment = Experiment.model_validate(document)
    except ValidationError as error:
        problems += [(tuple(each["loc"]), _said(dict(each))) for each in error.errors()]
    problems += further_problems(document)
    if experiment is None or problems:
        raise _refused(path, text, problems)
    return experiment


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        text = content.decode()
    except OSError as error:
        known = ", ".join(ready_made())
        raise ExperimentError(
            f"{path}: expected an experiment's TOML file or one of {known} ({error.strerror or error})"
        ) from error
    except (UnicodeDecodeError, ValueError) as error:
        raise ExperimentError(f"{path}: not TOML: expected text in UTF-8 ({error})") from error
    if len(content) > MOST_BYTES or text.count("\n") > MOST_LINES:
        raise ExperimentError(f"{path}: expected at most {MOST_BYTES} bytes and {MOST_LINES} lines")
    return text


def _said(error: dict[str, Any]) -> str:
    if error["type"] == "missing":
        return "expected, and missing"
    if error["type"] == "extra_forbidden":
        return "no such setting"
    if error["type"] == SETTING:
        return str(error["msg"])
    value = repr(error["input"])
    return f"{error['msg']}, found {value if len(value) <= MOST_SHOWN else value[:MOST_SHOWN] + '...'}"


def _refused(path: Path, text: str, problems: list[tuple[KeyPath, str]]) -> ExperimentError:
    lines = value_lines(text)
    placed = sorted((line_of(way, lines), ".".join(map(str, way)), message) for way, message in problems)
    said = list(dict.fromkeys(f"line {line}: {f'{where}: ' if where else ''}{what}" for line, where, what in placed))
    return ExperimentError(f"{path}: " + "; ".join(said), said)
