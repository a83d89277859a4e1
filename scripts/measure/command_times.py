"""Measures the time and the peak memory of commands, each in fresh processes, and compares two commits.

    python scripts/measure/command_times.py [--runs 5] [--against COMMIT] [COMMAND ...]

COMMAND: help, inspect, export, doctor, attack-help, attack, attack-net, serve or serve-net; all by default. `attack` is
measured until its first query, `serve` until it is ready, both with a file of bl-neuro and with a `.net` file. Prints
medians: seconds of real time, seconds of processor time, which other processes on the machine disturb less, and the
largest resident memory of one process in MB. --against: measures a worktree of another commit in turn with this one,
and prints before, after and their ratio. A first run of every command is not counted: it compiles.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import NamedTuple

import numpy as np

import bl_neuro as bl

ROOT = Path(__file__).parents[2]
MODULE = [sys.executable, "-m", "bl_neuro"]
FIRST_QUERY = """
import os, sys
from bl_neuro.backends import Target
from bl_neuro.cli import run
Target.run = lambda *arguments, **options: os._exit(0)
sys.exit(run(["attack", *sys.argv[1:]]))
"""
READY = b'"ready"'


class Usage(NamedTuple):
    """What one process used. megabytes: its largest resident memory, or that of one of its children."""

    seconds: float
    cpu_seconds: float
    megabytes: float


def commands(model: Path, out: Path) -> dict[str, list[str]]:
    """The measured commands by name, for the file of a network."""

    def server(log: str) -> list[str]:
        return ["--port", "0", "--log", str(out / log), "--token", f"me:{40 * 'a'}"]

    return {
        "help": [*MODULE, "--help"],
        "inspect": [*MODULE, "inspect", str(model)],
        "export": [*MODULE, "export", str(model), str(out / "copy.net"), "--force"],
        "doctor": [*MODULE, "doctor"],
        "attack-help": [*MODULE, "attack", "--help"],
        "attack": [sys.executable, "-c", FIRST_QUERY, str(model)],
        "attack-net": [sys.executable, "-c", FIRST_QUERY, str(model.with_suffix(".net"))],
        "serve": [*MODULE, "serve", str(model), *server("queries.sqlite")],
        "serve-net": [*MODULE, "serve", str(model.with_suffix(".net")), *server("of-net.sqlite")],
    }


def measured(name: str, command: list[str], tree: Path) -> Usage:
    """One run of a command with the code of `tree`.

    Raises:
        RuntimeError: the command failed.
    """
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    is_server = name.startswith("serve")
    began = perf_counter()
    with subprocess.Popen(
        command, cwd=tree, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if is_server and READY in line:
                seconds = perf_counter() - began
                process.terminate()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if not is_server:
        seconds = perf_counter() - began
    if process.returncode not in ((0, -15, 130, 143) if is_server else (0,)):
        raise RuntimeError(f"{' '.join(command)} in {tree}: exit code {process.returncode}: {b''.join(lines).decode()}")
    return Usage(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def medians(runs: list[Usage]) -> Usage:
    """The median of every figure."""
    return Usage(*(median(values) for values in zip(*runs)))


@contextmanager
def worktree(commit: str) -> Iterator[Path]:
    """A temporary worktree of another commit."""
    with TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "--detach", "--quiet", str(tree), commit], cwd=ROOT, check=True)
        try:
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True)


def network() -> bl.Network:
    """A small convolutional network."""
    rng = np.random.default_rng(0)
    neuron = bl.CubaLIF(voltage_decay=0.3)
    conv, dense = rng.normal(size=(4, 1, 3, 3)), rng.normal(size=(10, 144))
    return bl.Network((1, 8, 8), [bl.Conv(conv, neuron), bl.Flatten(), bl.Dense(dense, neuron)])


def compare(names: list[str], trees: list[Path], runs: int) -> None:
    """Prints a line for each command: the medians of every tree, and the ratios of the last to the first."""
    with TemporaryDirectory() as folder:
        model = Path(folder) / "model.safetensors"
        bl.save(network(), model)
        bl.save(network(), model.with_suffix(".net"))
        for name in names:
            command = commands(model, Path(folder))[name]
            usages: list[list[Usage]] = [[] for _ in trees]
            for run in range(runs + 1):
                for tree, usages_of_tree in zip(trees, usages):
                    usage = measured(name, command, tree)
                    if run:
                        usages_of_tree.append(usage)
            figures = [medians(usages_of_tree) for usages_of_tree in usages]
            texts = [f"{it.seconds:5.2f} s  {it.cpu_seconds:5.2f} s CPU  {it.megabytes:4.0f} MB" for it in figures]
            if len(figures) > 1:
                ratios = (after / before for before, after in zip(figures[0], figures[-1]))
                texts.append("ratios " + " ".join(f"{ratio:.2f}" for ratio in ratios))
            print(f"{name:11} " + "  |  ".join(texts), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = list(commands(Path("model"), Path()))
    parser.add_argument("commands", nargs="*", metavar="COMMAND", default=[])
    parser.add_argument("--runs", type=int, default=5, help="number of counted runs")
    parser.add_argument("--against", metavar="COMMIT", help="another commit, which is measured as well")
    arguments = parser.parse_args()
    unknown = set(arguments.commands) - set(names)
    if unknown or arguments.runs < 1:
        parser.error(f"expected commands among {', '.join(names)}, and at least one run")
    chosen = arguments.commands or names
    if arguments.against is None:
        compare(chosen, [ROOT], arguments.runs)
        return
    with worktree(arguments.against) as before:
        compare(chosen, [before, ROOT], arguments.runs)


if __name__ == "__main__":
    main()
