"""How often a target is right, measured on the substrate itself."""

from __future__ import annotations

import numpy as np

from bl_neuro.access import answered
from bl_neuro.backends.base import Target
from bl_neuro.data.encoders import Encoder
from bl_neuro.data.samples import Samples
from bl_neuro.seeding import stream

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
        answers = answered(
            target.run(batch.reshape(steps, len(part), *target.network.input_shape)), target.network.readout
        )
        right += int((answers.numpy() == data.labels[part]).sum())
    return right / len(data.labels)
