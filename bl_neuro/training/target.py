"""Training a target: as a proxy of its firing rates first, then as it is, through time."""

from __future__ import annotations

from functools import partial

import numpy as np

from bl_neuro.access import response_classes
from bl_neuro.backends.base import Target
from bl_neuro.data.encoders import Encoder
from bl_neuro.data.samples import Samples
from bl_neuro.network import Network
from bl_neuro.seeding import stream
from bl_neuro.training.bptt import spiking_forward
from bl_neuro.training.checkpoint import Checkpoint
from bl_neuro.training.fit import Progress, find_device
from bl_neuro.training.plans import TargetPlan, plan_for
from bl_neuro.training.stack import Stack
from bl_neuro.training.stack_training import train_stack

PURPOSE = "train target"


def train_target(
    data: Samples,
    plan: TargetPlan | None = None,
    *,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> Network:
    """Trains a target on `data`, by `plan` or by `plan_for(data)`; all chance comes from `seed`.

        mnist = bl.data.official_split(bl.data.load_dataset("mnist", root), seed=0)
        network = bl.training.train_target(mnist.target, seed=0)

    Images are rate coded; of events the first `plan.steps` frames are taken as they are. progress is called with
    (epochs done, of). device: "auto", "cpu" or "cuda". checkpoint: where to keep how far it is, and to go on from.
    With no epochs of either kind the target comes out untrained, its weights scaled so that its neurons fire.

    Raises:
        InputError: the plan does not fit the data, or the checkpoint is of another training. DataError: samples of one
        class alone, or too few to keep a part of them for validation.
    """
    plan = plan or plan_for(data)
    stack = Stack(data.input_shape, data.classes, plan, stream(seed, PURPOSE, 0)).to(find_device(device))
    forward = partial(spiking_forward, stack)
    train_stack(stack, plan, forward, data, seed=seed, purpose=PURPOSE, progress=progress, checkpoint=checkpoint)
    return stack.network()


BATCH = 256
"""Samples run at a time."""


def measure_accuracy(
    target: Target, data: Samples, steps: int, seed: int, encoder: str | Encoder | None = None
) -> float:
    """Fraction of `data` whose label the target names; silence is wrong.

    Images are rate coded over `steps` steps, or as `encoder` says; of events the first `steps` frames are run.
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
