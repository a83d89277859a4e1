"""Opens thousands of damaged files: each is read, or refused with an error of ours, within 2 s and 500 MB.

    python scripts/harden/fuzz_model_files.py --files 10000 --seed 0
    python scripts/harden/fuzz_model_files.py --files 20000 --kinds .nir --children 1

Valid models (`.net`, `.nir`, `.safetensors`) and inputs (`.npy`, `.npz`) are mutated
(`bl_neuro.testing.file_mutations`), metadata of HDF5 also with repaired checksums, and opened in child processes, which
stand for the process with the user's work. A file fails where the child crashes, hangs, raises anything else, takes
more than 2 s of processor time or grows by more than 500 MB. Failing files are kept. Prints counts, also of the files
on which HDF5 crashed in the reading room (`bl_neuro.strangers.reading_room`); exit code 1 where any file failed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from fuzzing import Child, beyond, outcome, serve

from bl_neuro.deploy.parity import read_inputs
from bl_neuro.errors import BlNeuroError
from bl_neuro.interop.state_dicts import from_state_dict
from bl_neuro.model_file import load
from bl_neuro.testing.file_mutations import mutate, valid_files

STATE_LAYERS = [{"kind": "dense", "weight": "layers.0.weight", "threshold": "layers.0.threshold", "beta": 0.5}]
LIMIT_S = 2.0
LIMIT_MB = 500


def read_model(path: str) -> None:
    """Reads all that is in a model or in a file of inputs."""
    if path.endswith((".npy", ".npz")):
        read_inputs(path)
        return
    if path.endswith(".safetensors"):
        with suppress(BlNeuroError):
            from_state_dict(path, STATE_LAYERS, [6])
    how: dict[str, Any] = {"convention": "nir", "dt": 1.0} if path.endswith(".nir") else {}
    load(path, **how).fingerprint  # noqa: B018 - computed here: all of the network is there


def failure(answer: dict[str, Any]) -> str | None:
    """The reason why this outcome is a failure; None if it is allowed."""
    if "HDF5 ended" in answer["detail"]:
        return "the reading room ended with an error of its own"
    return beyond(answer, LIMIT_S, LIMIT_MB)


def room_failure(answer: dict[str, Any]) -> str | None:
    """What happened to the process that reads HDF5 files, or None if nothing did."""
    _, failed, reason = answer["detail"].partition("damaged or too demanding: ")
    return reason if failed else None


def fuzz(files: int, seed: int, kept: Path, children: int, kinds: tuple[str, ...] = ()) -> dict[str, Any]:
    """Opens `files` mutated files, of these kinds alone if any; failing ones are kept in `kept`."""
    with tempfile.TemporaryDirectory(prefix="bl-neuro-fuzz-") as name:
        folder = Path(name)
        sources = [source for source in valid_files(folder) if not kinds or source.suffix in kinds]
        if not sources:
            raise SystemExit(f"--kinds: expected suffixes of model files, found {', '.join(kinds)}")
        broken = [str(source) for source in sources if outcome(str(source), read_model)["verdict"] != "read"]
        if broken:
            raise SystemExit(f"valid files do not open: {', '.join(broken)}")

        def work(first: int) -> list[dict[str, Any]]:
            child = Child([sys.executable, __file__, "--serve"])
            try:
                numbers = range(first, files, children)
                return [_one(child, number, seed, sources, folder, kept) for number in numbers]
            finally:
                child.close()

        with ThreadPoolExecutor(children) as pool:
            results = [result for part in pool.map(work, range(children)) for result in part]
    return summary(results, sources)


def _one(child: Child, number: int, seed: int, sources: list[Path], folder: Path, kept: Path) -> dict[str, Any]:
    rng = np.random.default_rng([seed, number])
    suffixes = sorted({source.suffix for source in sources})
    suffix = suffixes[rng.integers(len(suffixes))]  # each format as often
    alike = [source for source in sources if source.suffix == suffix]
    source = alike[rng.integers(len(alike))]
    path = folder / f"{seed}-{number}{source.suffix}"
    mutation = mutate(source, path, rng)
    answer = child.open(path)
    reason = failure(answer)
    if reason is not None:
        kept.mkdir(parents=True, exist_ok=True)
        path.rename(kept / path.name)
        print(f"FAILED {kept / path.name} ({source.name}, {mutation}): {reason}", flush=True)
    path.unlink(missing_ok=True)
    return {**answer, "suffix": source.suffix, "mutation": mutation, "failed": reason is not None}


def summary(results: list[dict[str, Any]], sources: list[Path]) -> dict[str, Any]:
    """Counts of outcomes by kind of file, and the extremes."""
    counts = Counter((result["suffix"], result["verdict"]) for result in results)
    return {
        "files": len(results),
        "failed": sum(result["failed"] for result in results),
        "outcomes": {f"{suffix} {verdict}": count for (suffix, verdict), count in sorted(counts.items())},
        "most_seconds": max(result["seconds"] for result in results),
        "most_wall_s": max(result["wall_s"] for result in results),
        "reading_room": dict(Counter(reason for result in results if (reason := room_failure(result)))),
        "most_mb": max(result["mb"] for result in results),
        "valid_files": [source.name for source in sources],
    }


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000, help="how many mutated files (default 10000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kept", type=Path, default=Path("fuzz-failures"), help="where failing files are kept")
    parser.add_argument("--children", type=int, default=os.cpu_count() or 1, help="child processes side by side")
    parser.add_argument("--kinds", default="", help="only these suffixes, comma-separated, such as .net,.nir")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(read_model)
        return 0
    kinds = tuple(filter(None, options.kinds.split(",")))
    report = fuzz(options.files, options.seed, options.kept, options.children, kinds)
    print(json.dumps(report, indent=2))
    return 1 if report["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
