"""The evaluator: an independent, convolutional, non-spiking classifier of images that judges inversions.

It learns from images the target never saw, seen as an inversion is seen: averaged over the noise of a rate code, each
image normalised to mean 0 and standard deviation 1, because an inversion has no calibrated brightness.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bl_neuro.arrays import FloatArray
from bl_neuro.data.dataset import Dataset
from bl_neuro.errors import InputError, ModelFileError
from bl_neuro.files import atomic_path
from bl_neuro.seeding import derived_seed, stream

Progress = Callable[[int, int], None]
MAX_SIDE = 512
MAX_CLASSES = 10_000


class ConvEvaluator(nn.Module):
    """Two 3x3 convolutions with ReLU and 2x2 pooling, one hidden layer. Takes images (B, C, H, W)."""

    architecture = "conv 16c3 - 32c3 - pool2 - 64 - classes, ReLU, not spiking"

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        self.shape, self.classes = shape, classes
        self.first = nn.Conv2d(channels, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 32, 3, padding=1)
        self.hidden = nn.Linear(32 * (height // 2) * (width // 2), 64)
        self.last = nn.Linear(64, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, C, H, W)."""
        flat = images.flatten(1)
        spread = flat.std(dim=1, keepdim=True).clamp(min=1e-6)
        values = ((flat - flat.mean(dim=1, keepdim=True)) / spread).reshape(images.shape)
        values = F.max_pool2d(F.relu(self.second(F.relu(self.first(values)))), 2)
        logits: Tensor = self.last(F.dropout(F.relu(self.hidden(values.flatten(1))), 0.3, self.training))
        return logits

    def probabilities(self, images: npt.ArrayLike) -> FloatArray:
        """Class probabilities (B, classes) of images (B, C, H, W), values in 0..1."""
        batch = torch.as_tensor(np.asarray(images), dtype=torch.float32)
        if tuple(batch.shape[1:]) != self.shape:
            raise InputError(f"evaluator: expected images of shape {self.shape}, found {tuple(batch.shape[1:])}")
        self.eval()
        with torch.no_grad():
            return np.asarray(torch.softmax(self(batch), dim=1).double())

    def accuracy(self, data: Dataset) -> float:
        """Fraction of `data` classified as labelled."""
        return float((self.probabilities(data.images).argmax(axis=1) == data.labels).mean())

    def save(self, path: str | Path) -> None:
        """Writes the evaluator to a .safetensors file, atomically."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        facts = {
            "format": "bl-neuro/evaluator/1",
            "shape": ",".join(map(str, self.shape)),
            "classes": str(self.classes),
        }
        try:
            with atomic_path(path) as temporary:
                save_file({k: v.contiguous() for k, v in self.state_dict().items()}, temporary, metadata=facts)
        except (OSError, SafetensorError) as error:
            raise ModelFileError(f"{path}: could not be written ({error})") from error


def load_evaluator(path: str | Path) -> ConvEvaluator:
    """Reads an evaluator that `ConvEvaluator.save` wrote. ModelFileError where it is anything else."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            facts = file.metadata() or {}
            if facts.get("format") != "bl-neuro/evaluator/1":
                raise ModelFileError(f"{path}: expected an evaluator, found {str(facts.get('format'))[:80]!r}")
            shape = tuple(int(size) for size in facts["shape"].split(","))
            classes = int(facts["classes"])
            if len(shape) != 3 or not all(1 <= size <= MAX_SIDE for size in shape) or not 1 <= classes <= MAX_CLASSES:
                raise ModelFileError(f"{path}: an evaluator of impossible size {shape}, {classes} classes")
            with torch.device("meta"):  # holds no memory until the file has shown that it has as many values
                evaluator = ConvEvaluator((shape[0], shape[1], shape[2]), classes)
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            evaluator.load_state_dict(weights, assign=True)
        for name, weight in weights.items():
            if weight.dtype != torch.float32 or not bool(torch.isfinite(weight).all()):
                raise ModelFileError(f"{path}: {name}: expected finite float32 values")
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise ModelFileError(f"{path}: not a readable evaluator ({error})") from error
    return evaluator.eval()


def train_evaluator(
    data: Dataset,
    *,
    steps: int = 25,
    epochs: int = 40,
    batch: int = 64,
    seed: int = 0,
    progress: Progress | None = None,
) -> ConvEvaluator:
    """Trains an evaluator on `data`; all chance comes from `seed`. steps: T of the rate code whose noise it sees.

    Each image is shifted by up to one pixel, thinned or thickened in brightness, and sampled as a rate code is.
    """
    rng = stream(seed, "train evaluator")
    shape = data.images.shape[1:]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(seed, "train evaluator"))
        evaluator = ConvEvaluator((shape[0], shape[1], shape[2]), data.classes)
        optimiser = torch.optim.Adam(evaluator.parameters(), lr=2e-3, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
        for epoch in range(epochs):
            evaluator.train()
            order = rng.permutation(len(data.labels))
            for start in range(0, len(order), batch):
                index = order[start : start + batch]
                images = torch.from_numpy(_seen_as_inversions(data.images[index], steps, rng)).float()
                optimiser.zero_grad()
                F.cross_entropy(evaluator(images), torch.from_numpy(data.labels[index])).backward()
                optimiser.step()
            schedule.step()
            if progress is not None:
                progress(epoch + 1, epochs)
    return evaluator.eval()


def _seen_as_inversions(images: FloatArray, steps: int, rng: np.random.Generator) -> FloatArray:
    rows, columns = rng.integers(-1, 2, size=2)
    moved = np.zeros_like(images)
    height, width = images.shape[2:]
    moved[:, :, max(rows, 0) : height + min(rows, 0), max(columns, 0) : width + min(columns, 0)] = images[
        :, :, max(-rows, 0) : height + min(-rows, 0), max(-columns, 0) : width + min(-columns, 0)
    ]
    ceiling = rng.uniform(0.6, 1.0, size=(len(images), 1, 1, 1))
    floor = rng.uniform(0.0, 0.2, size=(len(images), 1, 1, 1))
    return np.asarray(rng.binomial(steps, floor + (ceiling - floor) * moved) / steps)
