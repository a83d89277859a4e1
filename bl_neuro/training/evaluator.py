"""Evaluators: independent classifiers of another make than the target, which judge inversions."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.data.samples import Samples
from bl_neuro.errors import InputError
from bl_neuro.seeding import derived_seed
from bl_neuro.training.checkpoint import Checkpoint
from bl_neuro.training.conv_evaluator import ConvEvaluator
from bl_neuro.training.fit import Course, Phase, Progress, epochs_for, find_device, fit
from bl_neuro.training.image_evaluator import FORMAT, ImageEvaluator, shown
from bl_neuro.training.module_file import read_module, stated_image
from bl_neuro.training.samples_digest import samples_digest
from bl_neuro.training.seen_as_inversions import events_seen_as_inversions, seen_as_inversions
from bl_neuro.training.spiking_evaluator import SpikingEvaluator
from bl_neuro.training.two_classes import need_two_classes

KINDS: dict[str, type[ImageEvaluator]] = {"conv": ConvEvaluator, "spiking": SpikingEvaluator}
"""The evaluators there are, by name."""


class Evaluator(Protocol):
    """What judges inversions. Images are (B, C, H, W) in 0..1; spikes (T, B, C, H, W) are taken too."""

    @property
    def name(self) -> str:
        """What kind it is: "conv", "spiking"."""

    @property
    def architecture(self) -> str:
        """Its layers, in one line."""

    @property
    def spiking(self) -> bool:
        """Whether its neurons spike."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of an image."""

    @property
    def classes(self) -> int:
        """How many classes it tells apart."""

    def probabilities(self, images: npt.ArrayLike) -> FloatArray:
        """Class probabilities, (B, classes)."""

    def features(self, images: npt.ArrayLike) -> FloatArray:
        """The penultimate layer's values, (B, D)."""

    def accuracy(self, data: Samples) -> float:
        """Fraction of `data` classified as labelled."""

    def save(self, path: str | Path) -> None:
        """Writes it to a .safetensors file, atomically."""


def load_evaluator(path: str | Path) -> ImageEvaluator:
    """Reads an evaluator of any kind that `save` wrote.

    Raises:
        ModelFileError: it is missing, damaged or anything else.
    """

    def build(facts: dict[str, str]) -> ImageEvaluator:
        shape, classes = stated_image(facts)
        if len(shape) != 3:
            raise ValueError(f"expected images of shape (C, H, W), found {shape}")
        if facts["kind"] not in KINDS:
            raise ValueError(f"expected kind {', '.join(KINDS)}, found {facts['kind'][:80]!r}")
        return KINDS[facts["kind"]]((shape[0], shape[1], shape[2]), classes)

    return read_module(path, "an evaluator", FORMAT, build)


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
