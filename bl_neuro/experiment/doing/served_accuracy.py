"""How often a deployment is right, as an honest user sees it: from what a box reveals."""

from __future__ import annotations

import numpy as np

from bl_neuro.access import BlackBox, Reveals, named
from bl_neuro.data.encoders import Encoder
from bl_neuro.data.samples import Samples
from bl_neuro.seeding import stream
from bl_neuro.training.target import BATCH


def served_accuracy(box: BlackBox, data: Samples, steps: int, seed: int, encoder: str | Encoder | None = None) -> float:
    """Fraction of `data` whose label can be read from the box's answers; what shows none is wrong.

    Inputs as in `training.measure_accuracy`. Costs a query a sample.
    """
    rng = stream(seed, "test encoding")
    reveals: Reveals = box.reveals  # type: ignore[assignment]  # the box checked it
    right = 0
    for start in range(0, len(data.labels), BATCH):
        part = np.arange(start, min(start + BATCH, len(data.labels)))
        batch = data.spikes(part, steps, rng, encoder)
        answers = named(box.query(batch.reshape(steps, len(part), *box.input_shape)), reveals)
        right += int((answers.numpy() == data.labels[part]).sum())
    return right / len(data.labels)
