"""How fast the attacks are beside the BrainLeaks authors' way of running them, and how much memory they take.

    python scripts/measure/benchmark_attacks.py [--quick] [--only speed|queries|memory] [--out FILE]

speed: ten classes of v1 and of v2-gradient, each 10 iterations, on 784-3000-10, T=25, against a loop in the authors'
manner: one class after another, snnTorch's own cells stepped in time, float32, `backward()` in every iteration, which
computes the gradients of the weights too (as their notebooks do), and the same loop with the input's gradient alone.
One thread on one core, in turns in one run; ratios are of processor time, seconds of the clock stand beside them.
queries: black-box v2, 640 queries per class, ten classes, `loihi`, 784-1000-10, two threads.
memory: 40 classes of 112x92 pixels, T=25, on 10304-3000-40: the peak of a process that runs one attack.

Weights are random, of a scale at which all layers spike.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STEPS, CLASSES, ITERATIONS = 25, 10, 10
QUERIES, WARM_START = 640, 640
MEMORY = {"v1": "snntorch", "v2_gradient": "snntorch", "v1 on loihi": "loihi", "v2": "loihi"}
Times = tuple[float, float]
"""Seconds of the clock and of the processor."""


def network(sizes: tuple[int, int, int], reset: Any = "zero") -> Any:
    """A network of random weights with one hidden layer."""
    import numpy as np

    import bl_neuro as bl

    rng = np.random.default_rng(0)
    inputs, hidden, classes = sizes
    neuron = bl.CubaLIF(threshold=1.0, current_decay=1.0, voltage_decay=0.3, reset=reset)
    first = rng.normal(0, 1.5 / inputs**0.5, (hidden, inputs))
    second = rng.normal(0, 2.0 / hidden**0.5, (classes, hidden))
    return bl.Network((inputs,), [bl.Dense(first, neuron), bl.Dense(second, neuron)])


def authors_module(of: Any) -> Any:
    """The network as the authors wrote it: Linear and snnTorch's Leaky, stepped in time."""
    import snntorch
    import torch
    from snntorch import surrogate

    class Stepped(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            slope = surrogate.fast_sigmoid(slope=40)
            self.linear = torch.nn.ModuleList(torch.nn.Linear(*layer.weight.shape[::-1]) for layer in of.layers)
            self.cells = torch.nn.ModuleList(snntorch.Leaky(beta=0.7, spike_grad=slope) for _ in of.layers)
            with torch.no_grad():
                for linear, layer in zip(self.linear, of.layers):
                    linear.weight.copy_(torch.tensor(layer.weight))
                    linear.bias.zero_()

        def forward(self, spikes: Any) -> Any:
            states = [torch.zeros(1) for _ in self.cells]
            membranes = []
            for values in spikes:
                for index, (linear, cell) in enumerate(zip(self.linear, self.cells)):
                    values, states[index] = cell(linear(values), states[index])
                membranes.append(states[-1])
            return torch.stack(membranes)

    return Stepped()


def input_gradient(cost: Any, spikes: Any, weights_too: bool) -> Any:
    """The gradient of `cost` in `spikes`, by `backward()` or for the input alone."""
    import torch

    if not weights_too:
        return torch.autograd.grad(cost, spikes)[0]
    cost.backward()
    return spikes.grad


def score(module: Any, spikes: Any, label: int) -> Any:
    """Mean over time of softmax(membrane)[label] of one sample."""
    import torch

    return torch.softmax(module(spikes)[:, 0], dim=1).mean(0)[label]


def sequential_v1(module: Any, label: int, weights_too: bool) -> Any:
    """One class of v1, as the authors run it."""
    import torch

    spikes = torch.zeros(STEPS, 1, module.linear[0].in_features)
    for _ in range(ITERATIONS):
        spikes = spikes.detach().requires_grad_()
        gradient = input_gradient(score(module, spikes, label), spikes, weights_too)
        size = gradient.abs()
        mask = torch.bernoulli((size - size.min()) / (size.max() - size.min()))
        spikes = (spikes.detach() + gradient.sign() * mask > 0).float()
    return spikes


def sequential_v2_gradient(module: Any, label: int, weights_too: bool) -> Any:
    """One class of the authors' v2: 7 samples one after another in each iteration."""
    import torch

    chances = torch.zeros(STEPS, 1, module.linear[0].in_features)
    squares, velocity = torch.zeros_like(chances), torch.zeros_like(chances)
    for _ in range(ITERATIONS):
        costs, gradients = [], []
        for _ in range(7):
            spikes = torch.bernoulli(chances).requires_grad_()
            cost = 1 - score(module, spikes, label) + 0.01 * spikes.sum() / spikes.numel()
            gradients.append(input_gradient(cost, spikes, weights_too))
            costs.append(cost.detach())
        total = sum(cost * gradient for cost, gradient in zip(costs, gradients)) / sum(costs)
        squares += 0.1 * squares + 0.9 * total**2
        velocity = 0.9 * velocity + total
        chances = (chances - velocity / (squares.sqrt() + 1e-10)).clamp(min=0)
        chances = chances / chances.max().clamp(min=1)
    return torch.bernoulli(chances)


def timed(work: Callable[[], Any]) -> tuple[Any, Times]:
    """What `work` gives, and what it took."""
    clock, processor = time.perf_counter(), time.thread_time()
    result = work()
    return result, (time.perf_counter() - clock, time.thread_time() - processor)


def measure_speed(quick: bool) -> list[dict[str, Any]]:
    """v1 and v2-gradient against the two sequential loops, in turns: one class of each loop, then ours, and so on."""
    import torch

    import bl_neuro as bl
    from bl_neuro.attacks import BrainLeaksV1, BrainLeaksV2Gradient

    torch.set_num_threads(1)
    torch.manual_seed(0)
    subject = network((784, 3000, CLASSES), reset="subtract_delayed")  # the authors' neuron, as in their loop
    module = authors_module(subject)
    rows = []
    cases = (("v1", BrainLeaksV1(), sequential_v1), ("v2_gradient", BrainLeaksV2Gradient(), sequential_v2_gradient))
    for name, attack, loop in cases:
        loops: dict[str, list[Times]] = {"backward()": [], "input alone": []}
        ours: dict[str, list[Times]] = {"float32": [], "float64": []}
        scores = []
        done = range(2 if quick else CLASSES)
        for label in done:
            for kind, measured in loops.items():
                result, times = timed(lambda: loop(module, label, kind == "backward()"))  # noqa: B023 - called here
                measured.append(times)
            scores.append(float(score(module, result, label)))
            for precision, measured in ours.items():
                if label % 5 == 0:
                    with bl.open_target(subject, "snntorch", precision=precision) as target:
                        box = bl.WhiteBox(target)
                        result, times = timed(lambda: attack(box, classes=range(CLASSES), steps=STEPS, seed=0))  # noqa: B023
                        membrane = target.run(result.spikes).membrane
                        assert membrane is not None
                        own = bl.access.scores(membrane).diagonal().mean()
                    measured.append(times)
        ten = {
            kind: [sum(column) * CLASSES / len(done) for column in zip(*measured)] for kind, measured in loops.items()
        }
        best = {
            precision: [statistics.median(column) for column in zip(*measured)] for precision, measured in ours.items()
        }
        row: dict[str, Any] = {
            "attack": name,
            "loop_seconds": ten,
            "our_seconds": best,
            "loop_classes_timed": len(done),
        }
        row["faster_by"] = {
            precision: {kind: ten[kind][1] / best[precision][1] for kind in loops} for precision in ours
        }
        row["mean_score"] = {"loop": statistics.mean(scores), "ours": float(own)}
        rows.append(row)
        for precision, ratios in row["faster_by"].items():
            clock, processor = best[precision]
            print(f"{name}, ten classes, {precision}: {clock:.2f} s, {processor:.2f} s of the processor; faster than "
                  f"the authors' loop by {ratios['backward()']:.1f}x ({ratios['input alone']:.1f}x where it computes "
                  "the input's gradient alone)", flush=True)  # fmt: skip
        print(f"{name}: mean score reached {row['mean_score']['ours']:.3f}, by the loop {statistics.mean(scores):.3f}",
              flush=True)  # fmt: skip
    return rows


def measure_queries() -> dict[str, Any]:
    """Black-box v2 on the emulator."""
    import torch

    import bl_neuro as bl
    from bl_neuro.attacks import BrainLeaksV2

    torch.set_num_threads(2)
    attack = BrainLeaksV2(queries=QUERIES, warm_start=WARM_START)
    with bl.open_target(network((784, 1000, CLASSES)), "loihi") as target:
        seconds, spent = [], 0
        for repetition in range(4):  # the first one compiles
            box = bl.BlackBox(target, reveals="counts")
            began = time.perf_counter()
            attack(box, classes=range(CLASSES), steps=STEPS, seed=repetition)
            seconds.append(time.perf_counter() - began)
            spent = box.spent
    median = statistics.median(seconds[1:])
    print(f"v2, {spent} queries through loihi: {median:.2f} s ({spent / median:,.0f} queries per second)", flush=True)
    return {"queries": spent, "seconds": median, "first_seconds": seconds[0]}


def run_for_memory(name: str) -> None:
    """Runs one attack on 40 faces and prints the peak memory of this process, in bytes."""
    import torch

    import bl_neuro as bl
    from bl_neuro.attacks import BrainLeaksV1, BrainLeaksV2, BrainLeaksV2Gradient

    torch.set_num_threads(1)
    faces: dict[str, Any] = {"image_shape": (112, 92), "blur": 1.5}
    attacks: dict[str, Any] = {
        "v1": BrainLeaksV1(**faces),
        "v1 on loihi": BrainLeaksV1(**faces),
        "v2_gradient": BrainLeaksV2Gradient(**faces, iterations=2),  # the others are like the first
        "v2": BrainLeaksV2(**faces, queries=64),
    }
    attack = attacks[name]
    with bl.open_target(network((112 * 92, 3000, 40)), MEMORY[name]) as target:
        box = bl.WhiteBox(target) if attack.access == "white_box" else bl.BlackBox(target, reveals="counts")
        attack(box, classes=range(40), steps=STEPS, seed=0)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def measure_memory() -> dict[str, float]:
    """Peak memory of each attack on faces, in gigabytes, each in a process of its own."""
    peaks = {}
    for name in MEMORY:
        command = [sys.executable, __file__, "--memory-of", name]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        peaks[name] = int(printed.split()[-1]) / 1e9
        print(f"{name}, 40 classes of 112x92: peak memory {peaks[name]:.2f} GB", flush=True)
    return peaks


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two classes of the sequential loops instead of ten")
    parser.add_argument("--only", choices=("speed", "queries", "memory"))
    parser.add_argument("--memory-of", choices=tuple(MEMORY), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.memory_of:
        run_for_memory(arguments.memory_of)
        return
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    from bl_neuro.experiment.provenance import machine, now, versions
    from bl_neuro.files import write_text

    result: dict[str, Any] = {"at": now(), "versions": versions(), "machine": machine()}
    measures: dict[str, Callable[[], Any]] = {
        "queries": measure_queries,
        "memory": measure_memory,
        "speed": lambda: measure_speed(arguments.quick),
    }
    for name, measure in measures.items():
        if arguments.only in (None, name):
            result[name] = measure()
            if arguments.out:
                write_text(arguments.out, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
