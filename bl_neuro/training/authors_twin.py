"""An ANN twin trained like those of the BrainLeaks authors: Adam without weight decay, fast for millions of weights.

With 31 million weights, as for their faces, a general training loop is limited by memory access. Here the gradients of
the two layers are written into preallocated memory, and Adam takes one pass.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from bl_neuro.data.samples import Samples
from bl_neuro.errors import InputError
from bl_neuro.isolation import isolated
from bl_neuro.seeding import stream
from bl_neuro.training.ann_twin import AnnTwin, new_twin
from bl_neuro.training.checkpoint import Checkpoint, resume, write_checkpoint
from bl_neuro.training.fit import Progress
from bl_neuro.training.samples_digest import samples_digest
from bl_neuro.training.two_classes import need_two_classes

PURPOSE = "train face twin"
FIRST, SECOND = 0.9, 0.999
"""Decay rates of Adam's moments."""


@dataclass(frozen=True)
class AuthorsTwinPlan:
    """Settings: cross-entropy, `epochs` in batches of `batch`, with a cosine schedule from `rate`.

    The sum of the rates is that of the authors' constant 5e-5. With higher rates and fewer steps, sigmoids saturate and
    inversion stalls.
    """

    trainer: ClassVar[str] = "authors"

    epochs: int = 70
    batch: int = 8
    rate: float = 1e-4

    def __post_init__(self) -> None:
        for name, value, least in (("epochs", self.epochs, 0), ("batch", self.batch, 1)):
            if value < least:
                raise InputError(f"{name}: expected at least {least}, found {value}")
        if not 0 < self.rate < 1:
            raise InputError(f"rate: expected between 0 and 1, found {self.rate}")


@isolated
def train_authors_twin(
    data: Samples,
    plan: AuthorsTwinPlan,
    hidden: tuple[int, ...],
    *,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> AnnTwin:
    """Trains a twin in - hidden - classes on `data`, on the CPU. `seed` is the seed of all random numbers.

    Raises:
        InputError: `hidden` is not one layer, another device, or the checkpoint belongs to another training. DataError:
            all samples have the same class.
    """
    need_two_classes(data)
    if len(hidden) != 1:
        raise InputError(f"hidden: expected one hidden layer for the authors' twin, found {hidden}")
    if device not in ("auto", "cpu"):
        raise InputError(f"device: expected auto or cpu, found {device!r}")
    training = _Training(new_twin(data, hidden, seed, PURPOSE), data, plan, seed, checkpoint)
    for epoch in range(training.standing.epoch, plan.epochs):
        training.run_epoch(epoch)
        if progress is not None:
            progress(epoch + 1, plan.epochs)
    training.keep(last=True)
    return training.twin.eval()


class _Training:
    """The weights of a training and Adam's moments."""

    def __init__(
        self, twin: AnnTwin, data: Samples, plan: AuthorsTwinPlan, seed: int, checkpoint: Checkpoint | None
    ) -> None:
        self.twin, self.plan, self.seed, self.checkpoint = twin, plan, seed, checkpoint
        self.images = torch.from_numpy(data.images_at(np.arange(len(data.labels)))).float().flatten(1)
        self.labels = torch.from_numpy(data.labels)
        self.facts = {
            **{name: str(value) for name, value in asdict(plan).items()},
            "hidden": str(twin.hidden),
            "data": samples_digest(data),
            "seed": str(seed),
            "purpose": PURPOSE,
        }
        self.standing, kept = resume(checkpoint, twin, self.facts)
        self.parameters = {name: value.detach() for name, value in twin.named_parameters()}
        self.gradients = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        self.state = kept or {
            name: {"step": torch.zeros(()), "exp_avg": torch.zeros_like(value), "exp_avg_sq": torch.zeros_like(value)}
            for name, value in self.parameters.items()
        }
        self.written = time.monotonic()

    def run_epoch(self, epoch: int) -> None:
        """Trains on all samples once."""
        from bl_neuro.training.adam_pass import adam_pass

        per_epoch = -(-len(self.labels) // self.plan.batch)
        first = epoch * per_epoch
        order = torch.from_numpy(stream(self.seed, PURPOSE, first).permutation(len(self.labels)))
        for step in range(first, first + per_epoch):
            part = order[step - first :: per_epoch]
            gradients(
                list(self.parameters.values()), self.images[part], self.labels[part], list(self.gradients.values())
            )
            through = step / (self.plan.epochs * per_epoch)
            rate = self.plan.rate * 0.5 * (1 + math.cos(math.pi * through)) / (1 - FIRST ** (step + 1))
            for name, value in self.parameters.items():
                state = self.state[name]
                moved = (value, self.gradients[name], state["exp_avg"], state["exp_avg_sq"])
                flat = [tensor.numpy().reshape(-1) for tensor in moved]
                adam_pass(*flat, FIRST, SECOND, rate, math.sqrt(1 - SECOND ** (step + 1)))
        self.standing.epoch = epoch + 1
        self.keep()

    def keep(self, last: bool = False) -> None:
        """Writes the checkpoint if it is due."""
        checkpoint = self.checkpoint
        if checkpoint is None or not (last or time.monotonic() - self.written >= checkpoint.every_s):
            return
        write_checkpoint(checkpoint.path, self.twin, self, self.standing, self.facts)
        self.written = time.monotonic()

    def state_of(self, name: str) -> dict[str, Tensor]:
        """See `OptimiserState`."""
        return self.state[name]


def gradients(parameters: list[Tensor], images: Tensor, labels: Tensor, into: list[Tensor]) -> None:
    """Writes the gradient of the mean cross-entropy of a batch into the given tensors."""
    weight, bias, last, last_bias = parameters
    values = torch.sigmoid(torch.addmm(bias, images, weight.T))
    error = torch.softmax(torch.addmm(last_bias, values, last.T), dim=1)
    error[torch.arange(len(labels)), labels] -= 1.0
    error /= len(labels)
    inner = (error @ last) * values * (1 - values)
    torch.mm(inner.T, images, out=into[0])
    torch.sum(inner, dim=0, out=into[1])
    torch.mm(error.T, values, out=into[2])
    torch.sum(error, dim=0, out=into[3])
