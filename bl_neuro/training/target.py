"""Trains a target, first as a rate proxy and then through time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from bl_neuro.access import response_classes
from bl_neuro.backends.target import Target
from bl_neuro.checks import whole_number
from bl_neuro.data.encoders import Encoder
from bl_neuro.data.samples import Samples
from bl_neuro.errors import InputError
from bl_neuro.isolation import isolated
from bl_neuro.network import Network
from bl_neuro.seeding import stream
from bl_neuro.training.bptt import spiking_forward
from bl_neuro.training.checkpoint import Checkpoint
from bl_neuro.training.fit import Progress, Training, find_device, fit
from bl_neuro.training.plans import TargetPlan, plan_for
from bl_neuro.training.population import Member, can_stack, fit_population
from bl_neuro.training.stack import Stack
from bl_neuro.training.stack_training import stack_training

PURPOSE = "train target"


@isolated
def train_target(
    data: Samples,
    plan: TargetPlan | None = None,
    *,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> Network:
    """Trains a target on `data`, with `plan` or `plan_for(data)`. `seed` is the seed of all random numbers.

        mnist = bl.data.official_split(bl.data.load_dataset("mnist", root), seed=0)
        network = bl.training.train_target(mnist.target, seed=0)

    Images are rate coded; for events, the first `plan.steps` frames are used. progress is called with (finished epochs,
    total). device: "auto", "cpu" or "cuda". checkpoint: file to store the state of the training and to continue from.
    Without epochs of either kind, the target is untrained, with weights scaled so that its neurons spike.

    Raises:
        InputError: the plan does not fit the data, or the checkpoint belongs to another training. DataError: all
            samples have the same class, or there are too few for a validation part.
    """
    [network] = train_targets([Lot(data, seed, progress, checkpoint)], plan, device=device)
    return network


class Lot(NamedTuple):
    """The samples of one target, and the seed, progress and checkpoint of its training; see `train_target`."""

    data: Samples
    seed: int = 0
    progress: Progress | None = None
    checkpoint: Checkpoint | None = None


@isolated
def train_targets(
    lots: Sequence[Lot], plan: TargetPlan | None = None, *, device: str = "auto", threads: int = 1
) -> list[Network]:
    """Trains one target per lot with the same plan, together where this is possible.

        first, second = bl.training.train_targets([Lot(mnist.target, seed) for seed in (0, 1)])

    Each network is the one that `train_target` trains. Fully connected targets with the canonical neuron are trained
    together on the CPU, others one after another; see `bl_neuro.training.population`. threads: number of groups of them
    that are trained at the same time; with more than one, PyTorch must be set to one thread.

    Raises:
        InputError: threads is no whole number of at least 1, or PyTorch uses several threads besides.
        InputError, DataError: as in `train_target`.
    """
    _need_threads(threads)
    members: list[Member] = []
    stacks: list[Stack] = []
    place = find_device(device)
    for lot in lots:
        design = plan or plan_for(lot.data)
        stack = Stack(lot.data.input_shape, lot.data.classes, design, stream(lot.seed, PURPOSE, 0)).to(place)
        forward = partial(spiking_forward, stack)
        lessons, phases, course = stack_training(
            stack, design, forward, lot.data,
            seed=lot.seed, purpose=PURPOSE, progress=lot.progress, checkpoint=lot.checkpoint,
        )  # fmt: skip
        if can_stack(stack):
            members.append(Member(stack, lessons, Training(stack, phases, course)))
        else:
            fit(stack, phases, course)
        stacks.append(stack)
    fit_population(members, threads)
    return [stack.network() for stack in stacks]


def _need_threads(threads: int) -> None:
    count = whole_number(threads)
    if count is None or count < 1:
        raise InputError(f"threads: expected a whole number of at least 1, found {threads!r}")
    if count > 1 and torch.get_num_threads() > 1:
        raise InputError(
            f"threads: expected one thread of PyTorch where {count} groups are trained at the same time, found "
            f"{torch.get_num_threads()}; call torch.set_num_threads(1) before"
        )


BATCH = 256
"""Number of samples run at once."""


@isolated
def measure_accuracy(
    target: Target, data: Samples, steps: int, seed: int, encoder: str | Encoder | None = None
) -> float:
    """Fraction of `data` that the target classifies correctly. A sample without output spikes is wrong.

    Images are rate coded over `steps` steps, or encoded with `encoder`; for events, the first `steps` frames are run.
    """
    rng = stream(seed, "test encoding")
    right = 0
    for start in range(0, len(data.labels), BATCH):
        part = np.arange(start, min(start + BATCH, len(data.labels)))
        batch = data.spikes(part, steps, rng, encoder)
        answers = response_classes(
            target.run(batch.reshape(steps, len(part), *target.network.input_shape)), target.network.readout
        )
        right += int((answers.numpy() == data.labels[part]).sum())
    return right / len(data.labels)
