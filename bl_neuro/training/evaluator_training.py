"""Training an evaluator, on images that the target never saw."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bl_neuro.arrays import IntArray
from bl_neuro.data.samples import Samples
from bl_neuro.errors import InputError
from bl_neuro.seeding import derived_seed
from bl_neuro.training.checkpoint import Checkpoint
from bl_neuro.training.device import find_device
from bl_neuro.training.evaluator import KINDS
from bl_neuro.training.fit import Course, Phase, Progress, epochs_for, fit
from bl_neuro.training.image_evaluator import ImageEvaluator, shown
from bl_neuro.training.samples_digest import samples_digest
from bl_neuro.training.seen_as_inversions import events_seen_as_inversions, seen_as_inversions
from bl_neuro.training.two_classes import need_two_classes

FEWEST, MOST = 5, 100
"""Epochs between which a training takes as many as `epochs_for` says."""
BATCHES = (16, 64)
"""Sizes of a batch between which a sixteenth of the data is taken where it is left open."""


def train_evaluator(
    data: Samples,
    *,
    kind: str = "conv",
    steps: int = 25,
    epochs: int | None = None,
    batch: int | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> ImageEvaluator:
    """Trains an evaluator on `data`; all chance comes from `seed`.

        mnist = bl.data.official_split(bl.data.load_dataset("mnist", root), seed=0)
        judge = bl.training.train_evaluator(mnist.evaluator, seed=0)

    Of events it sees the spikes, shifted, some left out and some put in.

    kind: "conv" or "spiking". steps: T of the rate code whose noise it sees: images are shifted by a few pixels, of
    varied contrast and background, and sampled as a rate code is. epochs: as many as make about 180,000 images, 5 to
    100, where None; batch: a sixteenth of the data, 16 to 64, where None. device, progress,
    checkpoint: as in `train_target`.

    Raises:
        InputError: there is no such kind, or a number is out of range. DataError: samples of one class alone.
    """
    need_two_classes(data)
    if kind not in KINDS:
        raise InputError(f"kind: expected one of {', '.join(KINDS)}, found {kind!r}")
    if steps < 1 or (batch is not None and batch < 1) or (epochs is not None and epochs < 0):
        raise InputError("steps, batch, epochs: expected at least 1, epochs at least 0")
    if batch is None:
        batch = min(BATCHES[1], max(BATCHES[0], len(data.labels) // 16))
    channels, height, width = data.input_shape
    place = find_device(device)
    purpose = f"train evaluator {kind}"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(seed, purpose))
        evaluator = KINDS[kind]((channels, height, width), data.classes).to(place)
    if epochs is None:
        epochs = epochs_for(len(data.labels), FEWEST, MOST)

    def loss(index: IntArray, rng: np.random.Generator) -> Tensor:
        values = shown(data, index)
        if values.ndim == 5:
            seen = torch.from_numpy(events_seen_as_inversions(values, rng)).to(place).float()
        else:
            seen = torch.from_numpy(seen_as_inversions(values, steps, rng)).to(place)
        return F.cross_entropy(evaluator(seen), torch.from_numpy(data.labels[index]).to(place))

    course = Course(
        samples=np.arange(len(data.labels)),
        batch=batch,
        seed=seed,
        purpose=purpose,
        progress=progress,
        checkpoint=checkpoint,
        facts={"steps": str(steps), "epochs": str(epochs), "batch": str(batch), "data": samples_digest(data)},
    )
    fit(evaluator, [Phase(epochs, evaluator.learning_rate, 1e-2, loss)], course)
    return evaluator.cpu().eval()
