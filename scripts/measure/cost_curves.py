"""Time and peak memory of each substrate against batch, time steps, width, depth and density, with fitted exponents.

    python scripts/measure/cost_curves.py [--substrates loihi snntorch norse slayer lava] [--out results/cost-curves]

One axis varies at a time from a common point: a batch of 64, 25 steps, one hidden layer of 256 neurons, density 0.1.
Every point runs in a process of its own, on one core with one thread, warm. The time of a point is the median of its
repetitions. The peak memory is what opening and running adds to the resident memory, as Linux counts it. An exponent is
the slope of a straight line through the logarithms of the upper half of an axis, where constant costs matter least.

Writes OUT.json, OUT.md and OUT.png, after each substrate; what OUT.json holds already is not measured again. With
--audit, small audits with 1 to 8 targets are measured too, without the cache that runs share; their memory is that of
the largest of their processes.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bl_neuro.experiment.provenance import machine, now, versions
from bl_neuro.files import write_text

SUBSTRATES = ("loihi", "snntorch", "norse", "slayer", "lava")
INPUTS = 784
FACTOR = 100
"""By how much larger a run is for which the curves say what it would need."""
MAX_S = 60.0
"""A run that takes longer is not repeated."""


class Point(NamedTuple):
    """The size of a run. width: of each hidden layer; depth: number of hidden layers; density: of input spikes."""

    batch: int = 64
    steps: int = 25
    width: int = 256
    depth: int = 1
    density: float = 0.1


AXES: dict[str, tuple[float, ...]] = {
    "batch": (8, 16, 32, 64, 128, 256, 512, 1024),
    "steps": (6, 12, 25, 50, 100, 200),
    "width": (64, 128, 256, 512, 1024, 2048),
    "depth": (1, 2, 4, 8),
    "density": (0.01, 0.03, 0.1, 0.3, 0.5),
}
TARGETS = (1, 2, 4, 8)
"""Numbers of targets of an audit."""
AUDIT = """
name = "small"
seeds = {targets}
restarts = 2
steps = 10
substrates = ["snntorch", "loihi"]
[dataset]
name = "digits"
[target]
hidden = [64]
proxy_epochs = 10
spiking_epochs = 2
[[evaluators]]
kind = "conv"
epochs = 2
[[attacks]]
attack = "v1"
settings = {{ iterations = 20 }}
[[attacks]]
attack = "v2"
reveals = ["counts"]
settings = {{ queries = 160, window = 3.0 }}
"""


def points(axis: str) -> list[Point]:
    """The points of an axis."""
    changes: list[Any] = [{axis: value} for value in AXES[axis]]
    return [Point(**change) for change in changes]


def network_of(point: Point) -> Any:
    """Random weights in Loihi's arithmetic; thresholds at which about a tenth of the neurons of each layer spike."""
    import bl_neuro as bl

    rng = np.random.default_rng(0)
    sizes = [INPUTS, *[point.width] * point.depth, 10]
    layers = []
    for inputs, outputs in pairwise(sizes):
        weight = (2 * np.round(rng.normal(0, 12, (outputs, inputs)))).clip(-254, 254)
        layers.append(bl.Dense(weight, bl.CubaLIF(round(24 * (inputs * 0.1) ** 0.5 * 1.3), 1.0, 0.25)))
    return bl.Network((INPUTS,), layers, arithmetic="loihi")


def resident(field: str) -> int:
    """Bytes of VmRSS (now) or VmHWM (at most since the last reset)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return 1024 * int(line.split()[1])
    raise SystemExit(f"expected {field} in /proc/self/status: memory is measured on Linux only")


def measure(substrate: str, repetitions: int) -> None:
    """Prints one line of JSON for each point: axis, value, seconds, bytes."""
    import torch

    import bl_neuro as bl

    torch.set_num_threads(1)
    if substrate != "lava":  # what is loaded now is not loaded, and not counted, at each point
        with bl.open_target(network_of(Point()), substrate) as target:
            target.run(spikes_of(Point(batch=1)))
    for axis in AXES:
        for value, point in zip(AXES[axis], points(axis), strict=True):
            child = os.fork()
            if not child:
                try:
                    row = measure_point(substrate, point, repetitions)
                    print(json.dumps({"axis": axis, "value": value, **row}), flush=True)
                finally:
                    os._exit(0)
            os.waitpid(child, 0)


def spikes_of(point: Point) -> Any:
    """Random spikes (T, B, inputs)."""
    import torch

    shape = (point.steps, point.batch, INPUTS)
    return (torch.rand(shape, generator=torch.Generator().manual_seed(0)) < point.density).to(torch.uint8)


def measure_point(substrate: str, point: Point, repetitions: int) -> dict[str, float]:
    """Seconds of a run, and the bytes that opening and running add at most."""
    import bl_neuro as bl

    network, spikes = network_of(point), spikes_of(point)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    before = resident("VmRSS")
    seconds = []
    with bl.open_target(network, substrate) as target:
        for _ in range(2 if substrate == "lava" else repetitions + 1):
            began = time.perf_counter()
            target.run(spikes)
            seconds.append(time.perf_counter() - began)
            if seconds[-1] > MAX_S:
                break
    return {"seconds": statistics.median(seconds[1:] or seconds), "bytes": resident("VmHWM") - before}


def measured(substrate: str, repetitions: int) -> list[dict[str, Any]]:
    """The rows of `measure` in a fresh process."""
    command = [sys.executable, "-W", "ignore", __file__, "--measure", substrate, "--repetitions", str(repetitions)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{substrate}: {done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def measured_audit(targets: int) -> dict[str, Any]:
    """Seconds and peak memory of a small audit in processes of its own, with the load of the machine before it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "small.toml").write_text(AUDIT.format(targets=targets))
        command = [sys.executable, "-m", "bl_neuro", "audit", f"{folder}/small.toml", "--jobs", "1", "--no-cache"]
        load, began = os.getloadavg()[0], time.perf_counter()
        process = subprocess.Popen([*command, "--out", f"{folder}/run"], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"the audit of {targets} targets ended with status {status}")
        seconds = time.perf_counter() - began
        cells = len(list(Path(folder, "run", "cells").glob("*.json")))
    busy = usage.ru_utime + usage.ru_stime
    row = {"axis": "cells", "value": cells, "seconds": seconds, "bytes": 1024 * usage.ru_maxrss}
    return {**row, "targets": targets, "processor_seconds": busy, "load": load}


def exponent(rows: list[dict[str, Any]], measure: str) -> float | None:
    """The slope of log(measure) over log(value) in the upper half of an axis; None where it cannot be measured."""
    upper = [row for row in rows[len(rows) // 2 - (len(rows) < 5) :] if row[measure] > 0]
    if len(upper) < 2:
        return None
    slope, _ = np.polyfit(np.log([row["value"] for row in upper]), np.log([row[measure] for row in upper]), 1)
    return float(slope)


def written(result: dict[str, Any], out: Path) -> None:
    """Writes the measured points, a table of exponents, and the curves."""
    write_text(out.with_suffix(".json"), json.dumps(result, indent=1) + "\n")
    lines = [
        "# Cost curves",
        "",
        f"Made by `scripts/measure/cost_curves.py`, {result['at']}: {', '.join(result['machine'].values())}. One axis",
        "varies at a time, from a batch of 64, 25 steps, 784-256-10 and a density of 0.1; one thread. An exponent of 1",
        "means that twice as much costs twice as much. The last columns follow the curve to a point that is",
        f"{FACTOR} times as large as the largest one. The memory of Lava is that of our process alone, without those",
        "that Lava starts.",
        *_note_on_audits(result["curves"].get("audit", [])),
        "",
        f"| substrate | axis | to | seconds | MB | exponent of time | of memory | at {FACTOR} times: hours | GB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for substrate, rows in result["curves"].items():
        for axis in dict.fromkeys(row["axis"] for row in rows):
            lines.append(_line(substrate, axis, [row for row in rows if row["axis"] == axis]))
    write_text(out.with_suffix(".md"), "\n".join([*lines, "", f"![Cost curves]({out.name}.png)", ""]))
    _draw(result, out.with_suffix(".png"))


def _note_on_audits(rows: list[dict[str, Any]]) -> list[str]:
    """What a table with audits needs to say: what was run, and how busy the machine was."""
    if not rows:
        return []
    loads, targets = [row["load"] for row in rows], ", ".join(str(row["targets"]) for row in rows)
    busy = ", ".join(f"{row['processor_seconds']:.0f}" for row in rows)
    slope = exponent([{**row, "seconds": row["processor_seconds"]} for row in rows], "seconds")
    return [
        "",
        f"The audits have {targets} small targets on digits, two substrates, two attacks, one job",
        "and no shared cache. Their memory is that of the largest process, with the libraries.",
        f"The load average before each was {min(loads):.1f} to {max(loads):.1f}: above 1, other programs ran at the",
        f"same time, and the seconds are too long. They took {busy} seconds of processor time, with the exponent",
        f"{'–' if slope is None else f'{slope:.2f}'}.",
    ]


def _line(substrate: str, axis: str, rows: list[dict[str, Any]]) -> str:
    last = rows[-1]
    cells = [substrate, axis, f"{last['value']:g}", f"{last['seconds']:.3g}", f"{last['bytes'] / 1e6:.3g}"]
    slopes = [exponent(rows, measure) for measure in ("seconds", "bytes")]
    cells += ["–" if slope is None else f"{slope:.2f}" for slope in slopes]
    if axis == "density":
        return "| " + " | ".join([*cells, "–", "–"]) + " |"
    for slope, amount in zip(slopes, (last["seconds"] / 3600, last["bytes"] / 1e9), strict=True):
        cells.append("–" if slope is None else f"{amount * FACTOR ** max(slope, 0):.3g}")
    return "| " + " | ".join(cells) + " |"


def _draw(result: dict[str, Any], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import NullFormatter

    axes_names = [*AXES, *(["cells"] if "audit" in result["curves"] else [])]
    figure, grid = plt.subplots(2, len(axes_names), figsize=(3 * len(axes_names), 6), squeeze=False)
    for column, axis in enumerate(axes_names):
        for row, (measure, label) in enumerate((("seconds", "seconds"), ("bytes", "MB"))):
            panel = grid[row][column]
            for marker, (substrate, curve) in zip("osD^vP", result["curves"].items(), strict=False):
                part = [(one["value"], one[measure]) for one in curve if one["axis"] == axis and one[measure] > 0]
                if part:
                    x, y = zip(*part, strict=True)
                    scale = 1 if measure == "seconds" else 1e-6
                    panel.loglog(x, np.array(y) * scale, marker=marker, markersize=3, label=substrate)
            panel.xaxis.set_minor_formatter(NullFormatter())
            if axis in AXES:
                panel.set_xticks(AXES[axis], [f"{value:g}" for value in AXES[axis]], fontsize=7, rotation=45)
            panel.set_xlabel(axis)
            if column == 0:
                panel.set_ylabel(label)
    grid[0][0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--substrates", nargs="+", choices=SUBSTRATES, default=list(SUBSTRATES))
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--audit", action="store_true", help="small audits too (minutes)")
    parser.add_argument("--out", type=Path, default=Path("results/cost-curves"))
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        measure(arguments.measure, arguments.repetitions)
        return
    record = arguments.out.with_suffix(".json")
    fresh = {"at": now(), "versions": versions(), "machine": machine(), "curves": {}}
    result: dict[str, Any] = json.loads(record.read_text()) if record.exists() else fresh
    for substrate in arguments.substrates:
        if substrate not in result["curves"]:
            result["curves"][substrate] = measured(substrate, arguments.repetitions)
            written(result, arguments.out)
    for targets in TARGETS if arguments.audit else ():
        rows = result["curves"].setdefault("audit", [])
        if targets not in [row["targets"] for row in rows]:
            rows.append(measured_audit(targets))
            written(result, arguments.out)
    written(result, arguments.out)


if __name__ == "__main__":
    main()
