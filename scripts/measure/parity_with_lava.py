"""Compares the emulator `loihi` with real Lava, bin by bin and state by state, on networks made to be hard.

    python scripts/measure/parity_with_lava.py --networks 300 --sigma-delta 200 [--out results/parity-with-lava.json]

Random networks (a third convolutional; extreme weights, decays, thresholds, biases, delays), spiking and sigma-delta,
every network that the lava-dl package ships, and the .net files given as arguments, each with three or more inputs, in
aligned and cold start: the spikes or graded messages of all layers at every step, the output values, and all states of
every neuron at the end. Dense networks run twice on Lava: sample by sample, and two samples at once. Prints counts;
exits 1 if anything differs. What is done is kept in --out, and a rerun goes on from there.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import files
from pathlib import Path
from typing import Any, get_args

import numpy as np

import bl_neuro as bl
from bl_neuro.backends import Response
from bl_neuro.backends.declaration import Start
from bl_neuro.backends.lava.replicas import can_replicate
from bl_neuro.deploy.quantize import quantize
from bl_neuro.experiment.provenance import machine, now, versions
from bl_neuro.files import write_text
from bl_neuro.testing.fixed_point import random_fixed_point
from bl_neuro.testing.random_sigma_delta import random_real_inputs, random_sigma_delta

SHIPPED = {
    "pilotnet_lif/network.net": None,
    "pilotnet_sdnn/network.net": None,
    "pilotnet_sdnn/square_network.net": None,
    "tiny.net": None,
    "mnist.net": None,
    "ntidigits/ntidigits.net": 5,
}
"""Networks in the lava-dl wheel, and how many of their blocks can be held (None: all)."""
REPLICAS = 2
"""Samples that Lava processes at once in the second run of a dense network; the third input is a round of its own."""
DENSITIES = (0.02, 0.3, 1.0)
Counts = dict[str, int]


def inputs(network: bl.Network, seed: int, steps: int) -> Any:
    """Three samples of different density (T, 3, ...), or of real values that are held or change."""
    if network.is_sigma_delta:
        return random_real_inputs(network, seed, steps)
    rng = np.random.default_rng(seed)
    shape = (steps, *network.input_shape)
    if network.input_kind == "current":
        held = rng.uniform(-1, 1, (2, 1, *network.input_shape)).repeat(steps, 1)
        return np.stack([held[0], 4 * held[1], rng.uniform(-1, 1, shape)], 1)
    return np.stack([rng.random(shape) < density for density in DENSITIES], 1).astype(np.uint8)


def compare(network: bl.Network, seed: int, steps: int) -> Counts:
    """Bins and states compared, and how many of them differ."""
    counts = {"networks": 1, "convolutional": int(any(isinstance(layer, bl.Conv) for layer in network.layers))}
    counts |= {"inputs": 0, "bins": 0, "spikes": 0, "states": 0, "different_bins": 0, "different_states": 0}
    x = inputs(network, seed, steps)
    together = [REPLICAS] if can_replicate(quantize(network)) else []
    counts["several_samples_at_once"] = len(together)
    with bl.open_target(network, "loihi") as ours:
        for replicas in [1, *together]:
            with bl.open_target(network, "lava", replicas=replicas, runtimes=1) as lava:
                for start in get_args(Start):
                    count_differences(
                        counts, lava.run_with_states(x, start=start), ours.run_with_states(x, start=start)
                    )
    return counts


def count_differences(counts: Counts, expected: Response, actual: Response) -> None:
    """Adds the bins and states of two responses, and how many of them differ, to `counts`."""
    assert expected.layers is not None
    assert actual.layers is not None
    assert expected.states is not None
    assert actual.states is not None
    counts["inputs"] += expected.spikes.shape[1]
    for one, other in zip(expected.layers, actual.layers, strict=True):
        counts["bins"] += one.numel()
        counts["spikes"] += int((one != 0).sum())
        counts["different_bins"] += int((one != other).sum())
    if expected.membrane is not None:
        assert actual.membrane is not None
        counts["different_bins"] += int((expected.membrane != actual.membrane).sum())
    for pair, mine in zip(expected.states, actual.states, strict=True):
        for one, other in zip(pair, mine, strict=True):
            counts["states"] += one.numel()
            counts["different_states"] += int((one != other).sum())


def shipped() -> Iterator[tuple[str, bl.Network]]:
    """The networks of the lava-dl wheel."""
    for file in files("lava-dl") or []:
        for name, blocks in SHIPPED.items():
            if str(file).endswith(f"netx/{name}") or str(file).endswith(f"netx/gts/{name}"):
                yield name, bl.load(str(file.locate()), layers=blocks)


def jobs(networks: int, sigma_delta: int, first: int, paths: list[Path]) -> Iterator[tuple[str, Any, int, int]]:
    """Name, network or a function of a seed that makes it, seed of its inputs, steps."""
    for seed in range(first, first + networks):
        yield f"random {seed}", random_fixed_point, seed, 70  # longer than the longest delay
    for seed in range(first, first + sigma_delta):
        yield f"random sigma-delta {seed}", random_sigma_delta_of_both, seed, 70 if seed % 4 == 0 else 20
    for name, network in shipped():
        yield f"shipped {name}", network, 0, 12 if "pilotnet" in name else 40
    for path in paths:
        yield f"file {path.name}", bl.load(path), 0, 12


def random_sigma_delta_of_both(seed: int) -> bl.Network:
    """Every second network also has neurons without ReLU; those with few time steps have short delays or none."""
    return random_sigma_delta(seed, unit=seed % 2 == 1, delays=seed % 4 in (0, 1))


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="*", help=".net files to compare as well")
    parser.add_argument("--networks", type=int, default=300, help="random spiking networks")
    parser.add_argument("--sigma-delta", type=int, default=200, help="random sigma-delta networks")
    parser.add_argument("--seed", type=int, default=0, help="of the first random network")
    parser.add_argument("--out", type=Path, help="keep the counts here, and go on from what is there")
    parser.add_argument("--jobs", type=int, default=2, help="networks compared side by side")
    arguments = parser.parse_args()
    done: dict[str, Counts] = {}
    if arguments.out and arguments.out.exists():
        done = json.loads(arguments.out.read_text())["networks"]
    began = time.monotonic()

    def one(job: tuple[str, Any, int, int]) -> None:
        name, network, seed, steps = job
        if name in done:
            return
        done[name] = compare(network(seed) if callable(network) else network, seed, steps)
        wrong = done[name]["different_bins"] + done[name]["different_states"]
        print(
            f"{time.monotonic() - began:6.0f} s  {name}: {'identical' if not wrong else f'{wrong} DIFFER'}", flush=True
        )
        if arguments.out:
            keep(arguments.out, done)

    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(one, jobs(arguments.networks, arguments.sigma_delta, arguments.seed, arguments.files)))
    total = summed(done)
    print(json.dumps(total, indent=2))
    return 1 if total["different_bins"] + total["different_states"] else 0


def summed(done: dict[str, Counts]) -> Counts:
    """The counts of all networks together."""
    return {key: sum(counts[key] for counts in done.values()) for key in next(iter(done.values()))}


def keep(path: Path, done: dict[str, Counts]) -> None:
    """Writes what is done, whole."""
    ordered = {name: done[name] for name in sorted(done.copy())}
    made = {"at": now(), "versions": versions(), "machine": machine()}
    result = {"total": summed(ordered), "made": made, "networks": ordered}
    write_text(path, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
