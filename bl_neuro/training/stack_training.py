"""Common code for training targets: the rate proxy, then the spiking network through time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bl_neuro.arrays import IntArray
from bl_neuro.data.events import EventDataset
from bl_neuro.data.samples import Samples
from bl_neuro.errors import DataError, InputError
from bl_neuro.seeding import stream
from bl_neuro.training.bptt import Forward, fire
from bl_neuro.training.checkpoint import Checkpoint
from bl_neuro.training.fit import Course, Phase, Progress
from bl_neuro.training.lessons import Lessons
from bl_neuro.training.plans import TargetPlan
from bl_neuro.training.samples_digest import samples_digest
from bl_neuro.training.stack import Stack
from bl_neuro.training.two_classes import need_two_classes

VALIDATION_MOST = 1_000
"""Maximum number of validation samples: enough to measure half a percent, and cheap compared with an epoch."""
START = 64
"""Number of samples for scaling the initial weights if training goes through time only."""


def stack_training(
    stack: Stack,
    plan: TargetPlan,
    forward: Forward,
    data: Samples,
    *,
    seed: int,
    purpose: str,
    progress: Progress | None,
    checkpoint: Checkpoint | None,
) -> StackTraining:
    """What trains `stack` with the plan that it was created from. forward: runs it as a spiking network.

    Raises:
        InputError: the plan does not fit the data. DataError: all samples have the same class, or there are too few
            for a validation part.
    """
    need_two_classes(data)
    if isinstance(data, EventDataset) and plan.proxy_epochs:
        raise InputError("proxy_epochs: expected 0 for events, which are trained through time only; see plan_for")
    samples, kept = _parts(data, plan, seed)
    lessons = Lessons(stack, data, forward, shift=plan.shift, noise=plan.noise, membrane_loss=plan.membrane_loss)
    if plan.proxy_epochs == 0:
        some = samples[np.linspace(0, len(samples) - 1, START).astype(int)]
        scale_to_rates(stack, lessons.spikes(some, stream(seed, "starting rates"), noisy=False))
    decay = plan.weight_decay
    phases = [
        Phase(plan.proxy_epochs, plan.proxy_rate, decay, lessons.as_proxy),
        Phase(plan.spiking_epochs, plan.spiking_rate, decay, lessons.through_time),
    ]
    course = Course(
        samples=samples,
        batch=plan.batch,
        seed=seed,
        purpose=purpose,
        validate=(lambda: lessons.score(kept, seed)) if len(kept) else None,
        patience=plan.patience,
        progress=progress,
        checkpoint=checkpoint,
        facts={**plan.facts(), "data": samples_digest(data)},
    )
    return StackTraining(lessons, phases, course)


class StackTraining(NamedTuple):
    """The samples, phases and course of a training: as a rate proxy, then through time."""

    lessons: Lessons
    phases: list[Phase]
    course: Course


def _parts(data: Samples, plan: TargetPlan, seed: int) -> tuple[IntArray, IntArray]:
    """Indices of training samples and of validation samples."""
    order = stream(seed, "validation part").permutation(len(data.labels))
    count = min(round(plan.validation * len(order)), VALIDATION_MOST)
    if plan.validation and count < data.classes:
        raise DataError(
            f"{data.name}: validation: {plan.validation} of {len(order)} samples are fewer than the {data.classes} "
            "classes; use validation=0"
        )
    return np.sort(order[count:]), np.sort(order[:count])


RATE = 0.03
"""Mean firing rate in spikes per step that layers are scaled to. Unscaled random weights cause no spikes for events."""
GAINS = (2.0**-5, 2.0**8)
"""Range of the scale."""
HALVINGS = 12


def scale_to_rates(stack: Stack, spikes: Tensor) -> None:
    """Scales the weights of each layer, in order, so that it fires at `RATE` for input `spikes` (T, B, *input_shape).

    The standard deviation of nonzero drives is limited to one threshold, so layers that receive few spikes fire less.
    """
    values = spikes
    with torch.no_grad():
        for number, synapse in enumerate(stack.synapses):
            drive = stack.drive(number, values.flatten(0, 1)).unflatten(0, spikes.shape[:2])
            gain = _gain(stack, drive)
            synapse.weight.mul_(gain)
            values = fire(stack.plan, drive * gain)[0]


def _gain(stack: Stack, drive: Tensor) -> float:
    driven = drive[drive != 0]
    most = 1.0 / max(float(driven.std()), 1e-6) if len(driven) > 1 else 1.0
    low, high = GAINS
    for _ in range(HALVINGS):
        middle = (low * high) ** 0.5
        if float(fire(stack.plan, drive * middle)[0].mean()) < RATE:
            low = middle
        else:
            high = middle
    return min(low, most)
