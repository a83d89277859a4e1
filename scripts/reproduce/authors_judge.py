"""The BrainLeaks authors' judge on MNIST, to see how much of a figure is the judge's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.seeding import derived_seed, stream
from bl_neuro.training import Checkpoint, TargetPlan
from bl_neuro.training.bptt import fire
from bl_neuro.training.fit import Course, Phase, fit
from bl_neuro.training.module_file import read_module, write_module
from bl_neuro.training.samples_digest import samples_digest

PURPOSE = "train authors' judge"
FORMAT = "authors' judge/1"
EPOCHS, RATE, BATCH = 4, 1e-3, 64
"""Theirs learned at 2e-4 for epochs that they do not tell."""


class AuthorsJudge(nn.Module):
    """12c5 - p2 - 24c5 - p2 - classes, a leaky neuron (beta 0.7, delayed subtraction) after each; for 28x28.

    Unlike the library's evaluators it looks at spikes (T, B, 1, 28, 28) as they are, step by step, with no
    normalisation, and it learned from digits alone, never from images made to look like inversions. It answers with the
    mean over time of softmax(membrane).
    """

    plan = TargetPlan(neuron="authors")

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Conv2d(1, 12, 5), nn.Conv2d(12, 24, 5), nn.Linear(24 * 4 * 4, 10)

    def forward(self, spikes: Tensor) -> Tensor:
        """The output's membrane (T, B, 10)."""
        steps = spikes.shape[:2]
        drive = F.max_pool2d(self.first(spikes.flatten(0, 1)), 2).unflatten(0, steps)
        values, _ = fire(self, drive)  # type: ignore[arg-type]  # only its plan is looked at
        drive = F.max_pool2d(self.second(values.flatten(0, 1)), 2).unflatten(0, steps)
        values, _ = fire(self, drive)  # type: ignore[arg-type]
        drive = self.last(values.flatten(0, 1).flatten(1)).unflatten(0, steps)
        membrane: Tensor = fire(self, drive)[1]  # type: ignore[arg-type]
        return membrane

    def probabilities(self, spikes: npt.ArrayLike) -> FloatArray:
        """Class probabilities (B, 10) of spikes (T, B, 1, 28, 28)."""
        with torch.no_grad():
            membrane = self(torch.as_tensor(np.asarray(spikes), dtype=torch.float32))
        return np.asarray(torch.softmax(membrane, dim=2).mean(0).double())

    def accuracy(self, data: Any) -> float:
        """Fraction of `data`, rate coded, classified as labelled."""
        right = 0
        for part, spikes in coded(data, self.plan.steps, 500):
            right += int((self.probabilities(spikes).argmax(axis=1) == data.labels[part]).sum())
        return right / len(data.labels)

    def save(self, path: Any) -> None:
        """Writes it to a .safetensors file."""
        write_module(path, self, {"format": FORMAT})


def coded(data: Any, steps: int, at_once: int) -> Iterator[tuple[IntArray, Any]]:
    """Parts of the samples, and their spikes."""
    rng = stream(0, "authors' judge test")
    for part in np.array_split(np.arange(len(data.labels)), -(-len(data.labels) // at_once)):
        yield part, data.spikes(part, steps, rng)


def load(path: Any) -> AuthorsJudge:
    """Reads what `AuthorsJudge.save` wrote."""
    return read_module(path, "the authors' judge", FORMAT, lambda facts: AuthorsJudge())


def train(data: Any, checkpoint: Checkpoint | None = None) -> AuthorsJudge:
    """The judge, trained on `data` as the authors do: the sum over time of -log softmax(membrane)[label]."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(0, PURPOSE))
        judge = AuthorsJudge()

    def loss(index: IntArray, rng: np.random.Generator) -> Tensor:
        images = data.images_at(index).astype(np.float32)
        spikes = torch.from_numpy(rng.random((judge.plan.steps, *images.shape), dtype=np.float32) < images).float()
        labels = torch.from_numpy(data.labels[index]).repeat(judge.plan.steps)
        return F.cross_entropy(judge(spikes).flatten(0, 1), labels) * judge.plan.steps

    course = Course(
        samples=np.arange(len(data.labels)),
        batch=BATCH,
        seed=0,
        purpose=PURPOSE,
        checkpoint=checkpoint,
        facts={"training": f"{EPOCHS} epochs of {BATCH} at {RATE}", "data": samples_digest(data)},
    )
    fit(judge, [Phase(EPOCHS, RATE, 0.0, loss)], course)
    return judge.eval()
