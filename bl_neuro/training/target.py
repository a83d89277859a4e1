"""Trains a target, first as a rate proxy and then through time."""

from __future__ import annotations

from functools import partial

import numpy as np

from bl_neuro.access import response_classes
from bl_neuro.backends.target import Target
from bl_neuro.data.encoders import Encoder
from bl_neuro.data.samples import Samples
from bl_neuro.isolation import isolated
from bl_neuro.network import Network
from bl_neuro.seeding import stream
from bl_neuro.training.bptt import spiking_forward
from bl_neuro.training.checkpoint import Checkpoint
from bl_neuro.training.fit import Progress, find_device
from bl_neuro.training.plans import TargetPlan, plan_for
from bl_neuro.training.stack import Stack
from bl_neuro.training.stack_training import train_stack

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
    plan = plan or plan_for(data)
    stack = Stack(data.input_shape, data.classes, plan, stream(seed, PURPOSE, 0)).to(find_device(device))
    forward = partial(spiking_forward, stack)
    train_stack(stack, plan, forward, data, seed=seed, purpose=PURPOSE, progress=progress, checkpoint=checkpoint)
    return stack.network()


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
