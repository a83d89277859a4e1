"""What the time of an answer gives away beyond its label: does it tell how much a network spiked within?

    python scripts/measure/timing_of_answers.py [--model FILE] [--inputs 300] [--out results/timing_of_answers.json]

`bl-neuro serve --reveals label` on `loihi`, whose work grows with spikes, and a client that times its queries. Inputs
have the same number of spikes each, so what the client knows of its input tells nothing of the answer's time; each is
asked `repeats` times in a random order and its median time is taken. Spearman's correlation, over inputs, of that time
with spikes of the hidden layers and of the outputs, with 95% bootstrap intervals; and of shuffled times, as a
null. Without --model the digits network is trained first.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from attack_served import digits_network
from scipy.stats import spearmanr
from served_process import served

from bl_neuro.files import write_text

STEPS, DENSITY = 20, 0.3


def inputs(count: int, shape: tuple[int, ...], rng: np.random.Generator) -> torch.Tensor:
    """Spikes (T, count, *shape), each with the same number of them, in places of its own in every step."""
    pixels = int(np.prod(shape))
    spiking = round(DENSITY * pixels)
    ranks = rng.random((count, pixels)).argsort(axis=1)
    frames = torch.from_numpy((ranks < spiking).astype(np.uint8)).reshape(1, count, *shape)
    return frames.expand(STEPS, count, *shape)


def times_ms(url: str, given: torch.Tensor, repeats: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """The median time of each input's answer."""
    import bl_neuro as bl

    seconds = np.zeros((repeats, given.shape[1]))
    with bl.RemoteBlackBox(url) as box:
        for _ in range(50):
            box.query(given[:, :1])
        for repeat in range(repeats):
            for number in rng.permutation(given.shape[1]).tolist():
                began = time.perf_counter()
                box.query(given[:, number : number + 1])
                seconds[repeat, number] = time.perf_counter() - began
    return np.asarray(1000 * np.median(seconds, axis=0))


def correlation(times: np.ndarray[Any, Any], spikes: np.ndarray[Any, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Spearman's, with a bootstrap over inputs."""
    drawn = rng.integers(len(times), size=(2000, len(times)))
    several = [spearmanr(times[indices], spikes[indices]).statistic for indices in drawn]
    low, high = np.nanpercentile(several, [2.5, 97.5])
    return {
        "spearman": round(float(spearmanr(times, spikes).statistic), 3),
        "interval": [round(low, 3), round(high, 3)],
    }


def measure(model: Path, count: int, repeats: int, folder: Path) -> dict[str, Any]:
    import bl_neuro as bl

    rng = np.random.default_rng(0)
    network = bl.load(model)
    given = inputs(count, network.input_shape, rng)
    with bl.open_target(network, "loihi") as target:
        response = target.run(given, layers=True)
    layers = response.layers or []
    within = sum(layer.flatten(2).sum((0, 2)) for layer in layers[:-1])
    shown = response.spikes.flatten(2).sum((0, 2))
    with served(model, "loihi", folder / "log", "--reveals", "label") as server:
        times = times_ms(server.url, given, repeats, rng)
    hidden, outputs = (np.asarray(values, dtype=float) for values in (within, shown))
    return {
        "inputs": count,
        "repeats": repeats,
        "load": round(os.getloadavg()[0], 2),
        "time_ms": {"median": round(float(np.median(times)), 3), "sd": round(float(times.std()), 3)},
        "hidden_spikes": {"mean": float(hidden.mean()), "sd": round(float(hidden.std()), 1)},
        "with_hidden_spikes": correlation(times, hidden, rng),
        "with_output_spikes": correlation(times, outputs, rng),
        "null": correlation(rng.permutation(times), hidden, rng),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--inputs", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        model = arguments.model or digits_network(Path(name) / "trained")
        results = measure(model, arguments.inputs, arguments.repeats, Path(name))
    print(json.dumps(results, indent=2))
    if arguments.out is not None:
        write_text(arguments.out, json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
