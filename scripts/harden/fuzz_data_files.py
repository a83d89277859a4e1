"""Reads thousands of damaged data files of one format: each is read, or refused with an error of ours.

    python scripts/harden/fuzz_data_files.py images --count 20000 --seed 0

Formats: npz, images (folders of PNG, JPEG, PGM and PPM), idx (MNIST) and events (N-MNIST and gestures, with labels).
The files are changed in their structure, with checksums that are right again (`data_file_mutations`), and read in a
child process. An example fails where the child crashes, hangs, raises anything else, or exceeds the budget of time and
memory in `bl_neuro.strangers.budget`. Failing examples are kept. Prints counts; exit code 1 where any example failed.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from data_file_mutations import FORMATS
from fuzzing import Fuzzer, beyond, options_of, run

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
    """The reason why the outcome of an example with so many bytes is a failure; None if it is allowed."""
    return beyond(answer, MOST_SECONDS, memory_budget(size) / 2**20)


def main() -> int:
    """Runs the command line."""
    parser = options_of(__doc__)
    parser.add_argument("format", choices=FORMATS)
    options = parser.parse_args()

    def make(folder: Path, rng: np.random.Generator) -> None:
        folder.mkdir()
        FORMATS[options.format](folder, rng)

    fuzzer = Fuzzer(make, read, failure=lambda folder: partial(failure, size=bytes_on_disk(folder)))
    return run(fuzzer, options, [__file__, options.format])


if __name__ == "__main__":
    sys.exit(main())
