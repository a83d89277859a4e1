"""Trains and loads evaluators: classifiers that are independent of the target and judge inversions."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from bl_neuro.arrays import FloatArray
from bl_neuro.data.samples import Samples
from bl_neuro.errors import InputError
from bl_neuro.isolation import isolated
from bl_neuro.settings import with_settings
from bl_neuro.training.checkpoint import Checkpoint
from bl_neuro.training.fit import Progress
from bl_neuro.training.image_evaluator import FORMAT, ImageEvaluator, TrainingRun
from bl_neuro.training.module_file import read_module, stated_image
from bl_neuro.training.registry import EVALUATORS
from bl_neuro.training.two_classes import need_two_classes


class Evaluator(Protocol):
    """Judges inversions. Takes images (B, C, H, W) in 0..1 or spikes (T, B, C, H, W)."""

    @property
    def name(self) -> str:
        """The kind, such as "conv" or "spiking"."""

    @property
    def architecture(self) -> str:
        """The layers in one line."""

    @property
    def spiking(self) -> bool:
        """Whether its neurons spike."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of an image."""

    @property
    def classes(self) -> int:
        """Number of classes."""

    def probabilities(self, images: npt.ArrayLike) -> FloatArray:
        """Class probabilities, (B, classes)."""

    def features(self, images: npt.ArrayLike) -> FloatArray:
        """The penultimate layer's values, (B, D)."""

    def accuracy(self, data: Samples) -> float:
        """Fraction of `data` that is classified correctly."""

    def save(self, path: str | Path) -> None:
        """Writes the evaluator to a .safetensors file, atomically."""


def load_evaluator(path: str | Path) -> ImageEvaluator:
    """Loads an evaluator of any kind from a file of `save`.

    Raises:
        ModelFileError: the file is missing, damaged or not an evaluator. PluginError: the package of its kind does not
            load.
    """

    def build(facts: dict[str, str]) -> ImageEvaluator:
        shape, classes = stated_image(facts)
        if len(shape) != 3:
            raise ValueError(f"expected images of shape (C, H, W), found {shape}")
        if facts["kind"] not in EVALUATORS:
            raise ValueError(f"expected kind {', '.join(EVALUATORS)}, found {facts['kind'][:80]!r}")
        return EVALUATORS.find(facts["kind"]).from_facts((shape[0], shape[1], shape[2]), classes, facts)

    return read_module(path, "an evaluator", FORMAT, build)


@isolated
def train_evaluator(
    data: Samples,
    *,
    kind: str = "conv",
    steps: int = 25,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
    **settings: Any,
) -> ImageEvaluator:
    """Trains an evaluator on `data`. `seed` is the seed of all random numbers.

        mnist = bl.data.official_split(bl.data.load_dataset("mnist", root), seed=0)
        judge = bl.training.train_evaluator(mnist.evaluator, seed=0)

    kind: "conv", "spiking", "authors", "svm", "forest", "neighbours", or one from another package (`EVALUATORS`).
    steps: number of time steps of the rate code for targets. device, progress, checkpoint: as in `train_target`; svm,
    forest and neighbours are fitted in one step and use none. settings: settings of the kind, such as epochs=5; see its
    class.

    Raises:
        InputError: there is no such kind, a setting is invalid, or the data do not fit. DataError: all samples have the
            same class.
    """
    if steps < 1:
        raise InputError(f"steps: expected at least 1, found {steps}")
    evaluator = EVALUATORS.find(kind)
    chosen = with_settings(evaluator.Settings, settings)
    need_two_classes(data)
    run = TrainingRun(steps=steps, seed=seed, device=device, progress=progress, checkpoint=checkpoint)
    return evaluator.trained_on(data, chosen, run)
