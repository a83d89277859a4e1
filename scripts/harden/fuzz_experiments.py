"""Reads thousands of damaged experiment files: each is read, or refused with an error of ours.

    python scripts/harden/fuzz_experiments.py --count 20000 --seed 0

The files are changed in their structure (`experiment_mutations`) and read in a child process. An example fails where
the child crashes, hangs, raises anything but an ExperimentError, takes more than 2 s or 256 MB, or where a value has no
line or an error has no line of the file. Failing examples are kept. Prints counts; exit code 1 where any failed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from experiment_mutations import documents, mutated
from fuzz_model_files import Child, serve

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
    if answer["verdict"] not in ("read", "refused"):
        return f"{answer['verdict']}: {answer['detail']}"
    if answer["verdict"] == "refused" and not answer["detail"].startswith("ExperimentError: "):
        return f"refused with another error: {answer['detail']}"
    if answer["seconds"] > MOST_SECONDS:
        return f"took {answer['seconds']:.2f} s"
    return f"grew by {answer['mb']:.0f} MB" if answer["mb"] > MOST_MB else None


def fuzz(count: int, seed: int, kept: Path) -> dict[str, Any]:
    """Reads `count` mutated experiments; failing ones are kept in `kept`."""
    child, sources = Child([sys.executable, __file__, "--serve"]), documents()
    outcomes: Counter[str] = Counter()
    failed, most_seconds, most_mb = 0, 0.0, 0.0
    try:
        with tempfile.TemporaryDirectory(prefix="bl-neuro-fuzz-") as place:
            path = Path(place) / "experiment.toml"
            for number in range(count):
                path.write_bytes(mutated(np.random.default_rng([seed, number]), sources))
                answer = child.open(path)
                reason = failure(answer)
                outcomes["not TOML" if ": not TOML" in answer["detail"] else answer["verdict"]] += 1
                most_seconds = max(most_seconds, answer["seconds"])
                most_mb = max(most_mb, answer["mb"]) if number else 0.0  # the first one imports the package
                if reason is not None:
                    failed += 1
                    kept.mkdir(parents=True, exist_ok=True)
                    (kept / f"{seed}-{number}.toml").write_bytes(path.read_bytes())
                    print(f"FAILED {kept / f'{seed}-{number}.toml'}: {reason}", flush=True)
    finally:
        child.close()
    return {
        "count": count, "failed": failed, "outcomes": dict(sorted(outcomes.items())),
        "most_seconds": most_seconds, "most_mb": most_mb,
    }  # fmt: skip


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000, help="how many mutated examples (default 20000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kept", type=Path, default=Path("fuzz-failures"), help="where failing examples are kept")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(read)
        return 0
    report = fuzz(options.count, options.seed, options.kept)
    print(json.dumps(report, indent=2))
    return 1 if report["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
