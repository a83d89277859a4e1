"""The ANN twin of a target, which the baseline attack inverts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bl_neuro.arrays import IntArray
from bl_neuro.data.samples import Samples
from bl_neuro.errors import InputError
from bl_neuro.isolation import isolated
from bl_neuro.network import MAX_VALUES
from bl_neuro.seeding import derived_seed
from bl_neuro.training.checkpoint import Checkpoint
from bl_neuro.training.fit import Course, Phase, Progress, epochs_for, find_device, fit
from bl_neuro.training.module_file import image_facts, read_module, stated_image, write_module
from bl_neuro.training.samples_digest import samples_digest
from bl_neuro.training.two_classes import need_two_classes

FORMAT = "bl-neuro/ann-twin/1"
PURPOSE = "train ann twin"
BATCH = 1024
"""Number of images classified at once."""
MAX_HIDDEN = 16
FEWEST, MOST = 15, 200
"""Range for the number of epochs from `epochs_for`."""


class AnnTwin(nn.Module):
    """A multilayer perceptron with sigmoids and the same layer sizes as a target.

    Source: Fredrikson et al. 2015 (a perceptron of 3,000 sigmoid units), the baseline of BrainLeaks (arXiv 2402.00906).

    Raises:
        InputError: it would have more weights than the limit for networks.
    """

    architecture = "multilayer perceptron with sigmoids"

    def __init__(self, input_shape: tuple[int, ...], hidden: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.input_shape, self.hidden, self.classes = tuple(input_shape), tuple(hidden), classes
        sizes = (math.prod(input_shape), *hidden, classes)
        if min(sizes) < 1 or sum(inner * out for inner, out in pairwise(sizes)) > MAX_VALUES:
            raise InputError(
                f"hidden: expected layers of at least 1 neuron and at most {MAX_VALUES} weights in total, found {sizes}"
            )
        self.layers = nn.ModuleList(nn.Linear(inner, out) for inner, out in pairwise(sizes))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, *input_shape) in 0..1."""
        values = images.flatten(1)
        for layer in self.layers[:-1]:
            values = torch.sigmoid(layer(values))
        logits: Tensor = self.layers[-1](values)
        return logits

    @isolated
    def accuracy(self, data: Samples) -> float:
        """Fraction of `data` that is classified correctly; for events, by their mean images."""
        right = 0
        for start in range(0, len(data.labels), BATCH):
            part = np.arange(start, min(start + BATCH, len(data.labels)))
            with torch.no_grad():
                answers = self(torch.from_numpy(data.images_at(part)).float()).argmax(1)
            right += int((answers.numpy() == data.labels[part]).sum())
        return right / len(data.labels)

    def save(self, path: str | Path) -> None:
        """Writes the twin to a .safetensors file, atomically. Raises ModelFileError if that fails."""
        facts = {"format": FORMAT, "hidden": ",".join(map(str, self.hidden))}
        write_module(path, self, {**facts, **image_facts(self.input_shape, self.classes)})


def load_ann_twin(path: str | Path) -> AnnTwin:
    """Loads a twin from a file of `AnnTwin.save`. Raises ModelFileError for any other file."""

    def build(facts: dict[str, str]) -> AnnTwin:
        shape, classes = stated_image(facts)
        hidden = [int(size) for size in facts["hidden"].split(",")] if facts["hidden"] else []
        if len(hidden) > MAX_HIDDEN:
            raise ValueError(f"expected at most {MAX_HIDDEN} hidden layers, found {len(hidden)}")
        return AnnTwin(shape, tuple(hidden), classes)

    return read_module(path, "an ANN twin", FORMAT, build)


@dataclass(frozen=True)
class TwinPlan:
    """Settings of `train_ann_twin`: `epochs` in batches of `batch`, AdamW with a cosine schedule from `rate`.

    epochs: if None, chosen so that about 180,000 images are seen, within 15 to 200.
    """

    trainer: ClassVar[str] = "default"

    epochs: int | None = None
    batch: int = 64
    rate: float = 2e-3

    def __post_init__(self) -> None:
        for name, value, least in (("epochs", self.epochs or 0, 0), ("batch", self.batch, 1)):
            if value < least:
                raise InputError(f"{name}: expected at least {least}, found {value}")
        if not 0 < self.rate < 1:
            raise InputError(f"rate: expected between 0 and 1, found {self.rate}")


def train_ann_twin(
    data: Samples,
    hidden: tuple[int, ...] = (3000,),
    *,
    epochs: int | None = None,
    batch: int = 64,
    rate: float = 2e-3,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> AnnTwin:
    """Trains a twin on `data`, the training samples of the target. `seed` is the seed of all random numbers.

    hidden: number of neurons of each hidden layer, as in the target. epochs, batch, rate: see `TwinPlan`. device,
    progress, checkpoint: as in `train_target`. For events, the twin is trained on the mean images.

    Raises:
        InputError: a number is out of range, or the checkpoint belongs to another training. DataError: all samples have
            the same class.
    """
    plan = TwinPlan(epochs, batch, rate)
    return train_twin(data, plan, hidden, seed=seed, device=device, progress=progress, checkpoint=checkpoint)


@isolated
def train_twin(
    data: Samples,
    plan: TwinPlan,
    hidden: tuple[int, ...],
    *,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> AnnTwin:
    """See `train_ann_twin`."""
    need_two_classes(data)
    epochs = epochs_for(len(data.labels), FEWEST, MOST) if plan.epochs is None else plan.epochs
    place = find_device(device)
    twin = new_twin(data, hidden, seed, PURPOSE).to(place)

    def loss(index: IntArray, rng: np.random.Generator) -> Tensor:
        images = torch.from_numpy(data.images_at(index)).float().to(place)
        return F.cross_entropy(twin(images), torch.from_numpy(data.labels[index]).to(place))

    training = f"{epochs} of {plan.batch} at {plan.rate}"
    course = Course(
        samples=np.arange(len(data.labels)),
        batch=plan.batch,
        seed=seed,
        purpose=PURPOSE,
        progress=progress,
        checkpoint=checkpoint,
        facts={"hidden": str(hidden), "epochs": training, "data": samples_digest(data)},
    )
    fit(twin, [Phase(epochs, plan.rate, 1e-2, loss)], course)
    return twin.cpu().eval()


def new_twin(data: Samples, hidden: tuple[int, ...], seed: int, purpose: str) -> AnnTwin:
    """An untrained twin."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(seed, purpose))
        return AnnTwin(data.input_shape, hidden, data.classes)
