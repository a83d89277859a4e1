"""Evaluators: independent classifiers of another make than the target, which judge inversions."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy.typing as npt
import torch

from bl_neuro.arrays import FloatArray
from bl_neuro.data.samples import Samples
from bl_neuro.errors import ModelFileError
from bl_neuro.training.conv_evaluator import ConvEvaluator
from bl_neuro.training.image_evaluator import FORMAT, ImageEvaluator
from bl_neuro.training.spiking_evaluator import SpikingEvaluator

KINDS: dict[str, type[ImageEvaluator]] = {"conv": ConvEvaluator, "spiking": SpikingEvaluator}
"""The evaluators there are, by name."""
MAX_SIDE = 512
MAX_CLASSES = 10_000


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
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            facts = file.metadata() or {}
            if facts.get("format") != FORMAT:
                found = str(facts.get("format"))[:80]
                raise ModelFileError(f"{path}: expected an evaluator ({FORMAT}), found {found!r}")
            with torch.device("meta"):  # holds no memory until the file has shown that it has as many values
                evaluator = _described(path, facts)
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            evaluator.load_state_dict(weights, assign=True)
        for name, weight in weights.items():
            if weight.dtype != torch.float32 or not bool(torch.isfinite(weight).all()):
                raise ModelFileError(f"{path}: {name}: expected finite float32 values")
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise ModelFileError(f"{path}: not a readable evaluator ({error})") from error
    return evaluator.eval()


def _described(path: str | Path, facts: dict[str, str]) -> ImageEvaluator:
    """An evaluator of the size that a file states, without weights."""
    shape = tuple(int(size) for size in facts["shape"].split(","))
    classes = int(facts["classes"])
    if len(shape) != 3 or not all(1 <= size <= MAX_SIDE for size in shape) or not 1 <= classes <= MAX_CLASSES:
        raise ModelFileError(f"{path}: an evaluator of impossible size {shape}, {classes} classes")
    if facts["kind"] not in KINDS:
        raise ModelFileError(f"{path}: expected an evaluator of kind {', '.join(KINDS)}, found {facts['kind'][:80]!r}")
    return KINDS[facts["kind"]]((shape[0], shape[1], shape[2]), classes)
