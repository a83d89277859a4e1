"""Reads thousands of damaged data files of one format: each is read, or refused with an error of ours.

    python scripts/harden/fuzz_data_files.py images --count 20000 --seed 0

Formats: npz, images (folders of PNG, JPEG, PGM and PPM), idx (MNIST) and events (N-MNIST and gestures, with labels).
The files are changed in their structure, with checksums that are right again (`data_file_mutations`), and read in a
child process. An example fails where the child crashes, hangs, raises anything else, or exceeds the budget of time and
memory in `bl_neuro.strangers.budget`. Failing examples are kept. Prints counts; exit code 1 where any example failed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from data_file_mutations import FORMATS
from fuzz_model_files import Child, serve

from bl_neuro.data import load_dataset, load_folder, load_npz
from bl_neuro.strangers.budget import MOST_SECONDS, memory_budget


def read(path: str) -> None:
    """Reads the data below this folder, which holds one example."""
    (example,) = Path(path).iterdir()
    if example.suffix == ".npz":
        load_npz(example)
    elif example.suffix == ".images":
        load_folder(example, colour=True)
    elif example.suffix == ".idx":
        load_dataset("mnist", example)
    else:
        load_dataset("nmnist" if (example / "NMNIST").is_dir() else "dvs_gesture", example, cache=example / "cache")


def bytes_on_disk(folder: Path) -> int:
    """The size of all regular files below the folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def failure(answer: dict[str, Any], size: int) -> str | None:
    """The reason why this outcome is a failure; None if it is allowed."""
    if answer["verdict"] not in ("read", "refused"):
        return f"{answer['verdict']}: {answer['detail']}"
    if answer["seconds"] > MOST_SECONDS:
        return f"took {answer['seconds']:.2f} s"
    if answer["mb"] > memory_budget(size) / 2**20:
        return f"grew by {answer['mb']:.0f} MB, for {size} bytes on disk"
    return None


def fuzz(name: str, count: int, seed: int, kept: Path) -> dict[str, Any]:
    """Reads `count` mutated examples of the format; failing ones are kept in `kept`."""
    child = Child([sys.executable, __file__, name, "--serve"])
    outcomes: Counter[str] = Counter()
    failed, most_seconds, most_mb = 0, 0.0, 0.0
    try:
        with tempfile.TemporaryDirectory(prefix="bl-neuro-fuzz-") as place:
            for number in range(count):
                folder = Path(place) / f"{name}-{seed}-{number}"
                folder.mkdir()
                FORMATS[name](folder, np.random.default_rng([seed, number]))
                size = bytes_on_disk(folder)
                answer = child.open(folder)
                reason = failure(answer, size)
                outcomes[answer["verdict"]] += 1
                most_seconds, most_mb = max(most_seconds, answer["seconds"]), max(most_mb, answer["mb"])
                if reason is not None:
                    failed += 1
                    shutil.copytree(folder, kept / folder.name, symlinks=True, ignore=_pipes, dirs_exist_ok=True)
                    print(f"FAILED {kept / folder.name}: {reason}", flush=True)
                shutil.rmtree(folder)
    finally:
        child.close()
    return {
        "format": name, "count": count, "failed": failed, "outcomes": dict(sorted(outcomes.items())),
        "most_seconds": most_seconds, "most_mb": most_mb,
    }  # fmt: skip


def _pipes(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if (Path(folder) / name).is_fifo()]


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("format", choices=FORMATS)
    parser.add_argument("--count", type=int, default=20_000, help="how many mutated examples (default 20000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kept", type=Path, default=Path("fuzz-failures"), help="where failing examples are kept")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(read)
        return 0
    report = fuzz(options.format, options.count, options.seed, options.kept)
    print(json.dumps(report, indent=2))
    return 1 if report["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
