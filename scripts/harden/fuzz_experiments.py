"""Reads thousands of damaged experiment files: each is read, or refused with an error of ours.

    python scripts/harden/fuzz_experiments.py --count 20000 --seed 0

The files are changed in their structure (`experiment_mutations`) and read in a child process. An example fails where
the child crashes, hangs, raises anything but an ExperimentError, takes more than 2 s or 256 MB, or where a value has no
line or an error has no line of the file. Failing examples are kept. Prints counts; exit code 1 where any failed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from experiment_mutations import documents, mutated
from fuzzing import Fuzzer, beyond, options_of, run

from bl_neuro.errors import ExperimentError
from bl_neuro.experiment.experiment_file import read_experiment
from bl_neuro.experiment.toml_lines import KeyPath, value_lines

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST_SECONDS, MOST_MB = 2.0, 256


def read(path: str) -> None:
    """Reads an experiment, and checks the lines that are stated for its values or its problems."""
    file = Path(path)
    try:
        read_experiment(file)
    except ExperimentError as error:
        count = file.read_bytes().count(b"\n") + 1
        for problem in error.problems:
            if not 1 <= int(problem.removeprefix("line ").partition(":")[0]) <= count:
                raise AssertionError(f"no such line: {problem}") from error
        raise
    text = file.read_text("utf-8-sig")
    lines = value_lines(text)
    missing = [place for place in _paths(tomllib.loads(text), ()) if place not in lines]
    if missing:
        raise AssertionError(f"no line for {missing[0]}")


def _paths(value: Any, path: KeyPath) -> list[KeyPath]:
    items = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    return [(*path, key) for key, _ in items] + [place for key, item in items for place in _paths(item, (*path, key))]


def failure(answer: dict[str, Any]) -> str | None:
    """The reason why this outcome is a failure; None if it is allowed."""
    if answer["verdict"] == "refused" and not answer["detail"].startswith("ExperimentError: "):
        return f"refused with another error: {answer['detail']}"
    return beyond(answer, MOST_SECONDS, MOST_MB)


def main() -> int:
    """Runs the command line."""
    sources = documents()
    fuzzer = Fuzzer(
        make=lambda path, rng: _write(path, mutated(rng, sources)),
        read=read,
        failure=lambda path: failure,
        suffix=".toml",
        label=lambda answer: "not TOML" if ": not TOML" in answer["detail"] else answer["verdict"],
    )
    return run(fuzzer, options_of(__doc__).parse_args(), [__file__])


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


if __name__ == "__main__":
    sys.exit(main())
