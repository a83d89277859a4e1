"""A hundred thousand queries through the emulator: memory stays flat.

    python scripts/harden/loihi_endurance.py [--queries 100000]

Batches of changing size, general and held, dense and convolutional. Peak memory of the process may grow by less than 5%
after the first tenth; exits with 1 where it does not hold.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from itertools import pairwise

import numpy as np
import torch

import bl_neuro as bl
from bl_neuro.testing.fixed_point import random_fixed_point

GROWTH = 0.05
BATCHES = (1, 7, 64, 256)
STEPS = 25


def network() -> bl.Network:
    """784-512-512-10, random."""
    rng = np.random.default_rng(0)
    sizes = (784, 512, 512, 10)
    neuron = bl.CubaLIF(2000, 0.25, 0.03125)
    layers = [bl.Dense(2 * rng.integers(-30, 33, (out, inner)), neuron) for inner, out in pairwise(sizes)]
    return bl.Network(sizes[:1], layers, arithmetic="loihi")


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=100_000)
    queries = parser.parse_args().queries
    targets = [bl.open_target(model, "loihi") for model in (network(), random_fixed_point(0), random_fixed_point(1))]
    peaks: list[tuple[int, int]] = []
    done, began = 0, time.monotonic()
    while done < queries:
        target, batch = targets[len(peaks) % 3], BATCHES[len(peaks) % 4]
        held = torch.rand(1, batch, *target.network.input_shape) < 0.1
        x = held.expand(STEPS, *held.shape[1:]) if len(peaks) % 2 else held.repeat(STEPS, *[1] * (held.dim() - 1))
        target.run(x, layers=len(peaks) % 5 == 0)
        done += batch
        peaks.append((done, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))
    first = next(peak for count, peak in peaks if count >= queries / 10)
    growth = peaks[-1][1] / first - 1
    seconds = time.monotonic() - began
    tenths = [next(peak for count, peak in peaks if count >= part * queries / 10) >> 20 for part in range(1, 11)]
    print(f"{done:,} queries in {seconds:.0f} s; peak memory after each tenth, MiB: {tenths}")
    print(f"growth after the first tenth: {growth:+.1%} (limit {GROWTH:.0%})")
    return int(growth >= GROWTH)


if __name__ == "__main__":
    sys.exit(main())
