"""Opens and verifies every model file of some folders, and tables what opens, what is verified and why others are not.

    .venv/bin/python scripts/measure/corpus.py FOLDER ... --out results/corpus.md
    .venv/bin/python scripts/measure/corpus.py FOLDER --packages          # and the model files of installed packages

A file is read by `bl_neuro.load` as a user would, and inspected. NIR files of other programs do not determine how their
time is discretized: each is read by every convention, and every reading that opens is a row; one in which a layer
cannot spike only if it is the only one. `verify` then compares all substrates that can run the network, on one sample
of random input, so that networks of any size take minutes at most. A network in real arithmetic is also exported as
`.net`, and its export verified on Loihi's integers.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bl_neuro as bl
from bl_neuro.deploy.parity.inputs import generated
from bl_neuro.errors import BlNeuroError, SilentLayers
from bl_neuro.files import write_text
from bl_neuro.model_file import SUFFIXES

READINGS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "snntorch, zero": {"convention": "snntorch", "reset": "zero"},
    "snntorch, subtract_delayed": {"convention": "snntorch", "reset": "subtract_delayed"},
    "nir, dt 1": {"convention": "nir", "dt": 1.0},
    "nir, dt 1e-4": {"convention": "nir", "dt": 1e-4},
    "norse": {"convention": "norse"},
}
COLUMNS = ("file", "kind", "reading", "opens", "verified", "reason, or what it is")
SILENT = "can spike within"
"""Part of the reason of a reading in which a layer cannot spike."""
LONGEST = 300
"""Largest number of characters of a reason in the table."""


@dataclass(frozen=True)
class Reading:
    """One reading of a file: the network, or the reason why there is none."""

    name: str
    network: bl.Network | None
    reason: str


def main() -> None:
    """Reads the command line and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--packages", action="store_true", help="also the model files of installed packages")
    parser.add_argument("--steps", type=int, default=10, help="time steps of verify")
    parser.add_argument("--deadline", type=float, default=300, help="seconds for all readings of one file")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.one is not None:
        for row in file_rows(options.one, options.steps):
            print(json.dumps(row), flush=True)
        return
    folders = [*options.folders, *([Path(sysconfig.get_paths()["purelib"])] if options.packages else [])]
    text = page(model_files(folders), options.steps, options.deadline)
    if options.out is None:
        print(text, end="")
    else:
        write_text(options.out, text)


def model_files(folders: Sequence[Path]) -> list[Path]:
    """The model files in `folders`, in the order of their names."""
    files = {path for folder in folders for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file()}
    return sorted(files, key=lambda path: (path.name, str(path)))


def page(files: Sequence[Path], steps: int, deadline: float) -> str:
    """The table of all files as Markdown, with a line of totals; files are named without their folders."""
    rows: list[tuple[str, ...]] = []
    opened = verified = exported = 0
    for path in files:
        of_file = rows_in_time(path, steps, deadline)
        rows += of_file
        opened += any(row[3].startswith("yes") for row in of_file)
        as_read = any(row[4].startswith("yes") for row in of_file if "exported" not in row[2])
        verified += as_read
        exported += not as_read and any(row[4].startswith("yes") for row in of_file)
    lines = [
        "# Model files of others",
        "",
        "`scripts/measure/corpus.py` opens and verifies every file, in each reading that its writer may have meant.",
        f"{opened} of {len(files)} files open, some with a warning that they never spike. {verified} are verified as",
        f"read, in at least one reading, and {exported} others only as exported to a `.net` file, which rounds them.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"|{'---|' * len(COLUMNS)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def rows_in_time(path: Path, steps: int, deadline: float) -> list[tuple[str, ...]]:
    """The rows of one file that a process of its own, which is ended at the deadline, has finished by then."""
    command = [sys.executable, __file__, "--one", str(path), "--steps", str(steps)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        printed, _ = child.communicate(timeout=deadline)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        printed, _ = child.communicate()
    rows = [tuple(json.loads(line)) for line in printed.splitlines() if line.startswith("[")]
    if child.returncode:
        ending = f"not finished within {deadline:g} s" if child.returncode < 0 else "ended with an error"
        rows.append((path.name, path.suffix[1:], "further readings" if rows else "as it is", "", "", ending))
    return rows


def file_rows(path: Path, steps: int) -> Iterator[tuple[str, ...]]:
    """The rows of one file: one of every reading that opens, or one with the reason why none does."""
    results = readings(path)
    silent = [reading for reading in results if SILENT in reading.reason]
    kept = [reading for reading in results if reading.network is not None] or silent[:1] or results[:1]
    for reading in kept:
        start = (path.name, path.suffix[1:], reading.name)
        if reading.network is None:
            opens = "yes, but silent" if SILENT in reading.reason else "no"
            yield (*start, opens, "", cell(reading.reason))
            continue
        verdict = verdict_of(reading.network, steps)
        yield (*start, "yes", verdict, cell(summary(reading.network)))
        if reading.network.arithmetic == "real":
            yield from export_rows(start, reading.network, steps)


def readings(path: Path) -> list[Reading]:
    """Every reading of a file; of two that give the same network, the first."""
    results: list[Reading] = []
    for name, options in READINGS.items():
        if options and path.suffix != ".nir":
            continue
        result = read(path, name, options)
        if result.network is None or all(result.network != other.network for other in results):
            results.append(result)
        if not options and result.network is not None:
            break
    return results


def read(path: Path, name: str, options: dict[str, Any]) -> Reading:
    """One reading. One in which a layer cannot spike counts as none: its writer meant another."""
    with warnings.catch_warnings(record=True) as issued:
        warnings.simplefilter("always")
        try:
            network = bl.load(path, **options)
        except BlNeuroError as error:
            return Reading(name, None, str(error).replace(str(path), path.name))
    silent = [warning for warning in issued if issubclass(warning.category, SilentLayers)]
    if silent:
        return Reading(name, None, str(silent[0].message).replace(str(path), path.name))
    return Reading(name, network, "")


def summary(network: bl.Network) -> str:
    """What a network is, in words of `inspect`."""
    facts = bl.inspect(network)
    holders = [name for name, holder in facts.substrates.items() if holder.holds]
    shape = " x ".join(map(str, facts.input_shape))
    kind = "sigma-delta" if network.is_sigma_delta else facts.arithmetic
    return f"{kind}, {shape} -> {' x '.join(map(str, facts.output_shape))}, {facts.neurons} neurons; runs on " + (
        ", ".join(holders) or "none"
    )


def verdict_of(network: bl.Network, steps: int) -> str:
    """Whether all promises of identical spikes or messages are kept, and on which substrates."""
    holders = [name for name, holder in bl.inspect(network).substrates.items() if holder.holds and holder.installed]
    if len(holders) < 2:
        return f"nothing to compare: only {', '.join(holders) or 'no substrate'} runs it"
    try:
        report = bl.verify(network, inputs=generated(network, steps, 1, 0)[:1], progress=False)
    except BlNeuroError as error:
        return cell(str(error))
    identical = [f"{pair.left} = {pair.right}" for pair in report.pairs if pair.exact]
    if report.broken:
        return "no: " + ", ".join(f"{pair.left} differs from {pair.right}" for pair in report.broken)
    return f"yes: {', '.join(identical)}" if identical else "nothing to compare: no two compute alike"


def export_rows(start: tuple[str, str, str], network: bl.Network, steps: int) -> Iterator[tuple[str, ...]]:
    """The row of the network as a `.net` file."""
    place = (*start[:2], f"{start[2]}, exported")
    with tempfile.TemporaryDirectory() as folder:
        try:
            file = bl.export(network, Path(folder) / "model.net").file
            exported = bl.load(file)
        except BlNeuroError as error:
            yield (*place, "no", "", cell(str(error).replace(f"{folder}/", "")))
            return
    yield (*place, "yes", verdict_of(exported, steps), cell(summary(exported)))


def cell(text: str) -> str:
    """A text within one cell of a table."""
    line = " ".join(text.split()).replace("|", "\\|")
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."


if __name__ == "__main__":
    main()
