"""What the kernels of `loihi` cost: a row of weights, a listed spike, a neuron, and their compilation.

    python scripts/measure/kernel_costs.py

One core, 784 inputs, 25 steps, batch 256. The cost of rows is that of a layer at one density less that at density 0 and
less that of the lists. Prints medians of 15 repetitions. Compilation is that of a first answer in a process without a
cache, less that of a second process.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import bl_neuro as bl

INPUTS, STEPS, BATCH = 784, 25, 256
WIDTHS = (128, 512, 3072)
DENSITIES = (0.1, 0.3)
FIRST_ANSWER = """
import time, torch, bl_neuro as bl, numpy as np
cell = bl.CubaLIF(9, 1.0, 0.5)
layers = [bl.Conv(np.full((2, 1, 3, 3), 2), cell), bl.Flatten(), bl.Dense(np.full((2, 72), 2), cell)]
network = bl.Network((1, 8, 8), layers, arithmetic="loihi")
began = time.perf_counter()
bl.open_target(network, "loihi").run(torch.ones(2, 1, 1, 8, 8, dtype=torch.uint8))
print(time.perf_counter() - began)
"""


def seconds(run: Callable[[], Any]) -> float:
    """The median of 15 repetitions, after one to warm up."""
    run()
    times = []
    for _ in range(15):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def costs(width: int) -> None:
    """Prints the costs of a dense layer of `width` neurons."""
    from bl_neuro.backends.loihi.kernel_engine import pack
    from bl_neuro.backends.loihi.kernel_layers import Bits, DenseLayer
    from bl_neuro.backends.loihi.program import compile_network
    from bl_neuro.backends.loihi.rows import AT_ONCE, plan_rows

    rng = np.random.default_rng(0)
    weight = (2 * np.round(rng.normal(0, 12, (width, INPUTS)))).clip(-254, 254)
    network = bl.Network((INPUTS,), [bl.Dense(weight, bl.CubaLIF(2000, 1.0, 0.25))], arithmetic="loihi")
    bits = Bits.in_order(INPUTS)
    layer = DenseLayer(compile_network(network)[0], bits)
    mask, block = bits.mask(), 13
    starts, modes = np.empty((block, STEPS, 3), np.int64), np.empty((block, STEPS), np.int8)
    lists = np.empty(block * STEPS * (INPUTS // 2 + 1) + AT_ONCE, np.int32)

    def frames(density: float) -> Any:
        import torch

        generator = torch.Generator().manual_seed(1)
        return pack((torch.rand(STEPS, BATCH, INPUTS, generator=generator) < density).to(torch.uint8))[0]

    def listed(words: Any) -> None:
        for low in range(0, BATCH, block):
            plan_rows(words, mask, INPUTS, low, min(BATCH, low + block), starts, modes, lists)

    silent = frames(0.0)
    idle = seconds(lambda: layer.run(silent, 0, False))
    parts = [f"{width} neurons: {1e9 * idle / (STEPS * BATCH * width):.3f} ns per neuron and step"]
    for density in DENSITIES:
        spiking = frames(density)
        spikes = int(np.unpackbits(spiking.words.view(np.uint8)).sum())
        lists_s = seconds(lambda words=spiking.words: listed(words))  # type: ignore[misc]
        whole = seconds(lambda one=spiking: layer.run(one, 0, False))  # type: ignore[misc]
        row = 1e9 * (whole - idle - lists_s) / (spikes * width / 32)
        parts.append(
            f"density {density}: {1e9 * lists_s / spikes:.2f} ns per listed spike, {row:.2f} ns per 32 weights"
        )
    print("; ".join(parts), flush=True)


def compilation() -> float:
    """Seconds of a first answer without a cache, beyond those of a second process."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        command = [sys.executable, "-c", FIRST_ANSWER]
        times = [float(subprocess.check_output(command, env=environment, text=True)) for _ in range(2)]
    return times[0] - times[1]


def main() -> None:
    """See the module."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for width in WIDTHS:
        costs(width)
    print(f"compilation: {compilation():.1f} s")


if __name__ == "__main__":
    main()
