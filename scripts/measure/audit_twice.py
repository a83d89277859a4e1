"""Measures how long the first and the second audit of a model file take, with different folders and one new cache.

    python scripts/measure/audit_twice.py model.net digits [options of bl-neuro audit]

The second audit copies its evaluators from the cache. All results of both must be identical, byte by byte.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def audited(out: Path, cache: Path, model: str, dataset: str, options: list[str]) -> tuple[float, Any]:
    """Runs an audit; its seconds and what it prints."""
    command = [sys.executable, "-m", "bl_neuro", "audit", model, "--dataset", dataset, "--out", str(out), "--json"]
    began = time.perf_counter()
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, env={**os.environ, "BL_NEURO_CACHE": str(cache)}
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(done.stderr)
    return seconds, json.loads(done.stdout)


def results(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "cells").iterdir()}


def trained(out: Path) -> float:
    """Seconds of the trainings of evaluators, as recorded in the run folder."""
    total = 0.0
    for path in (out / "cells").glob("*.json"):
        if json.loads(path.read_text())["definition"]["kind"] == "evaluator":
            total += json.loads((out / "times" / path.name).read_text())["seconds"]
    return total


def main() -> None:
    model, dataset, *options = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        runs = [Path(folder) / "first", Path(folder) / "second"]
        for out in runs:
            seconds, findings = audited(out, Path(folder) / "cache", model, dataset, options)
            counts = f"{findings['cells']['done']} of {findings['cells']['planned']} cells"
            print(f"{out.name}: {seconds:.1f} s, {counts}, {findings['copied']} copied", flush=True)
        print(f"trainings of evaluators in the first: {trained(runs[0]):.1f} s")
        print(f"identical results: {results(runs[0]) == results(runs[1])}")


if __name__ == "__main__":
    main()
