"""Evaluators: independent classifiers of another make than the target, which judge inversions."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy.typing as npt

from bl_neuro.arrays import FloatArray
from bl_neuro.data.samples import Samples
from bl_neuro.training.conv_evaluator import ConvEvaluator
from bl_neuro.training.image_evaluator import FORMAT, ImageEvaluator
from bl_neuro.training.module_file import read_module, stated_image
from bl_neuro.training.spiking_evaluator import SpikingEvaluator

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
