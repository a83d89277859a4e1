"""Throughput of training small targets together, against one after another, and whether the networks are the same.

    python scripts/measure/benchmark_populations.py [--networks digits mnist] [--members 8] [--share 0.17]

The networks of the experiments membership-digits and membership-mnist: their plans, and random halves of their pools.
Each repetition runs every way to train the same members, in turn, in this process:

    autograd          one after another by `fit`, PyTorch with one thread; the reference
    alone             one after another by `train_target`, one thread
    together          all of them by `train_targets`, one thread
    together, T       the same, in T threads
    autograd, T       one after another by `fit`, PyTorch with T threads

Prints the seconds, the median and range of the ratio to the reference in wall-clock and in processor time, the largest
difference of a weight, and the mean accuracy on the rest of the pool.

    python scripts/measure/benchmark_populations.py --audit 8

Measures the training of an audit of 8 seeds of a small target on digits instead: its cells one by one, as jobs of one
cell, against the jobs that `jobs_of` makes of them for one worker. Both write all results of the cells, which must be
the same bytes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import bl_neuro as bl
from bl_neuro.data.samples import Samples
from bl_neuro.experiment.jobs import Job, jobs_of
from bl_neuro.experiment.session import Audit
from bl_neuro.experiment.shared_work import SharedWork
from bl_neuro.experiment.store import Store
from bl_neuro.experiment.work import Work
from bl_neuro.isolation import isolated
from bl_neuro.membership.halves import random_half
from bl_neuro.seeding import stream
from bl_neuro.training import Lot, TargetPlan, measure_accuracy, plan_for, train_target, train_targets
from bl_neuro.training.bptt import spiking_forward
from bl_neuro.training.fit import fit
from bl_neuro.training.stack import Stack
from bl_neuro.training.stack_training import stack_training
from bl_neuro.training.target import PURPOSE

REFERENCE = "autograd"
Train = Callable[[], list[bl.Network]]


class Case(NamedTuple):
    """Networks of an experiment: the dataset, the size of the pool or None, and the plan."""

    dataset: str
    pool: int | None
    plan: TargetPlan


def cases() -> dict[str, Case]:
    """The networks of membership-digits, those of its attacker with other settings, and those of membership-mnist."""
    digits = plan_for("digits")
    mnist = replace(plan_for("mnist"), validation=0.0, proxy_epochs=30, spiking_epochs=1)
    return {
        "digits": Case("digits", None, digits),
        "digits-small": Case("digits", None, replace(digits, hidden=(32,))),
        "mnist": Case("mnist", 4000, mnist),
    }


@isolated
def train_by_autograd(data: Samples, plan: TargetPlan, seed: int) -> bl.Network:
    """Trains one target with gradients of autograd, as designs that cannot be stacked are trained."""
    stack = Stack(data.input_shape, data.classes, plan, stream(seed, PURPOSE, 0))
    forward = partial(spiking_forward, stack)
    training = stack_training(stack, plan, forward, data, seed=seed, purpose=PURPOSE, progress=None, checkpoint=None)
    fit(stack, training.phases, training.course)
    return stack.network()


def ways(lots: Sequence[Lot], plan: TargetPlan, threads: int) -> dict[str, Train]:
    """Every way to train the members, by name."""

    def by_autograd(count: int) -> list[bl.Network]:
        torch.set_num_threads(count)
        try:
            return [train_by_autograd(lot.data, plan, lot.seed) for lot in lots]
        finally:
            torch.set_num_threads(1)

    trainers: dict[str, Train] = {
        REFERENCE: lambda: by_autograd(1),
        "alone": lambda: [train_target(lot.data, plan, seed=lot.seed, device="cpu") for lot in lots],
        "together": lambda: train_targets(lots, plan, device="cpu"),
    }
    if threads > 1:
        trainers[f"together, {threads}"] = lambda: train_targets(lots, plan, device="cpu", threads=threads)
        trainers[f"autograd, {threads}"] = lambda: by_autograd(threads)
    return trainers


def measured(lots: Sequence[Lot], rest: Sequence[Samples], plan: TargetPlan, threads: int, repetitions: int) -> None:
    """Measures all ways in turn, and prints the table."""
    trainers = ways(lots, plan, threads)
    wall: dict[str, list[float]] = {name: [] for name in trainers}
    busy: dict[str, list[float]] = {name: [] for name in trainers}
    networks: dict[str, list[bl.Network]] = {}
    for repetition in range(repetitions):
        names = list(trainers)
        for name in names[repetition % len(names) :] + names[: repetition % len(names)]:
            began, began_busy = time.perf_counter(), time.process_time()
            networks[name] = trainers[name]()
            wall[name].append(time.perf_counter() - began)
            busy[name].append(time.process_time() - began_busy)
    for name in trainers:
        print(
            f"  {name:14} {statistics.median(wall[name]):8.2f} s   wall {ratios(wall, name)}   processor "
            f"{ratios(busy, name)}   largest difference {difference(networks[REFERENCE], networks[name]):.1e}   "
            f"accuracy {accuracy(networks[name], rest, plan):.4f}",
            flush=True,
        )


def ratios(seconds: dict[str, list[float]], name: str) -> str:
    """The median and range of the ratio to the reference in the same repetition."""
    values = [reference / own for reference, own in zip(seconds[REFERENCE], seconds[name])]
    return f"{statistics.median(values):5.2f}x ({min(values):.2f}-{max(values):.2f})"


def difference(first: Sequence[bl.Network], second: Sequence[bl.Network]) -> float:
    """The largest difference of a weight between networks in the same place."""
    pairs = [layers for one, other in zip(first, second) for layers in zip(one.layers, other.layers)]
    both = [pair for pair in pairs if isinstance(pair[0], bl.Dense)]
    return max(float(np.abs(one.weight - other.weight).max()) for one, other in both)  # type: ignore[union-attr]


def accuracy(networks: Sequence[bl.Network], rest: Sequence[Samples], plan: TargetPlan) -> float:
    """The mean accuracy of the networks, each on the samples that it was not trained on."""
    values = []
    for network, samples in zip(networks, rest):
        with bl.open_target(network, "loihi" if network.arithmetic == "loihi" else "snntorch") as target:
            values.append(measure_accuracy(target, samples, plan.steps, 0))
    return float(np.mean(values))


def audit_of(seeds: int, share: float, folder: Path) -> Audit:
    """An audit of several seeds of a small target on digits, trained for a share of the default epochs."""
    plan = plan_for("digits")
    epochs = [max(1, round(share * number)) for number in (plan.proxy_epochs, plan.spiking_epochs)]
    target = f"hidden = [64]\nproxy_epochs = {epochs[0]}\nspiking_epochs = {epochs[1]}"
    (folder / "seeds.toml").write_text(
        f'name = "seeds"\nseeds = {seeds}\nclasses = [0]\nsubstrates = ["loihi"]\nbaselines = []\n'
        f'[dataset]\nname = "digits"\n[target]\n{target}\n[[evaluators]]\nkind = "conv"\n[[attacks]]\nattack = "v1"\n'
    )
    return Audit.of(str(folder / "seeds.toml"), folder / "unused")


def finished(audit: Audit, jobs: Sequence[Job], out: Path) -> dict[str, bytes]:
    """Runs jobs as a worker does, in this process. Returns the files of the results."""
    with Work(audit.material, Store(out)) as work:
        shared = SharedWork(work, None, None)
        for job in jobs:
            with shared.together(job):
                for cell in job:
                    shared.do(cell)
    return {path.name: path.read_bytes() for path in (out / "cells").iterdir()}


def measured_audit(seeds: int, share: float, repetitions: int) -> None:
    """Measures the training cells of an audit one by one and in jobs, in turn, and prints the ratio."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        audit = audit_of(seeds, share, folder)
        cells = [cell for cell in audit.cells if cell.kind == "target"]
        ways: dict[str, list[Job]] = {"one by one": [(cell,) for cell in cells], "in jobs": jobs_of(cells, 1)}
        finished(audit, [(cells[0],)], folder / "warm")  # compiles the kernels, loads the data
        wall: dict[str, list[float]] = {name: [] for name in ways}
        busy: dict[str, list[float]] = {name: [] for name in ways}
        results: dict[str, dict[str, bytes]] = {}
        print(f"audit of {seeds} seeds on digits, {cells[0].what}, load {os.getloadavg()[0]:.1f}", flush=True)
        for repetition in range(repetitions):
            for name in list(ways)[:: 1 if repetition % 2 else -1]:
                began, began_busy = time.perf_counter(), time.process_time()
                results[name] = finished(audit, ways[name], folder / f"{name} {repetition}")
                wall[name].append(time.perf_counter() - began)
                busy[name].append(time.process_time() - began_busy)
        for name in ways:
            print(
                f"  {name:14} {statistics.median(wall[name]):8.2f} s   processor {statistics.median(busy[name]):8.2f} s"
            )
        for kind, seconds in (("wall", wall), ("processor", busy)):
            pairs = [before / after for before, after in zip(seconds["one by one"], seconds["in jobs"])]
            print(f"  ratio, {kind:9} {statistics.median(pairs):5.2f}x ({min(pairs):.2f}-{max(pairs):.2f})")
        print(f"  the same bytes: {results['one by one'] == results['in jobs']}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--networks", nargs="+", choices=list(cases()), default=["digits", "digits-small"])
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--share", type=float, default=1 / 6, help="share of the epochs of each phase (default: 1/6)")
    parser.add_argument("--audit", type=int, default=0, metavar="SEEDS", help="the training of an audit instead")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--root", default=None, help="folder of downloaded datasets")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.audit:
        measured_audit(options.audit, options.share, options.repetitions)
        return
    for name in options.networks:
        case = cases()[name]
        plan = replace(
            case.plan,
            proxy_epochs=max(1, round(case.plan.proxy_epochs * options.share)),
            spiking_epochs=max(1, round(case.plan.spiking_epochs * options.share)),
        )
        data: Any = bl.data.load_dataset(case.dataset, options.root)
        pool = data if case.pool is None else data.subset(np.arange(case.pool))
        halves = [random_half(pool.labels, seed) for seed in range(options.members)]
        lots = [Lot(pool.subset(np.flatnonzero(half)), seed) for seed, half in enumerate(halves)]
        rest = [pool.subset(np.flatnonzero(~half)) for half in halves]
        train_targets(lots[:1], replace(plan, proxy_epochs=1, spiking_epochs=1), device="cpu")  # compiles the kernels
        print(
            f"{name}: {options.members} networks {plan.hidden}, {plan.proxy_epochs} + {plan.spiking_epochs} epochs, "
            f"load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        measured(lots, rest, plan, options.threads, options.repetitions)


if __name__ == "__main__":
    main()
