"""A target trained as the BrainLeaks authors train theirs, for figures that stand beside theirs.

How a target was trained decides what it gives away, more than its accuracy does: see results/paper-mnist.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import bl_neuro as bl
from bl_neuro.arrays import IntArray
from bl_neuro.seeding import stream
from bl_neuro.training import Checkpoint, TargetPlan
from bl_neuro.training.bptt import spiking_forward
from bl_neuro.training.fit import Course, Phase, fit
from bl_neuro.training.lessons import Lessons
from bl_neuro.training.samples_digest import samples_digest
from bl_neuro.training.stack import Stack

PURPOSE = "train as authors"


@dataclass(frozen=True)
class AuthorsTraining:
    """Adam from PyTorch's own start, at a low rate, on the rates first and then through time.

    The authors take 6,000 steps of Adam at 5e-5, batches of 100, on the sum over t of -log softmax(membrane[t])[label],
    with gradients clipped to 1, through time all along (10 epochs of 60,000 images). Here the library's proxy of firing
    rates, which costs a 25th, is trained for `epochs` in batches of `batch`; `through_time` images are then learned as
    the authors do. rate: at the start of the first phase; half of it in the second. It falls along a cosine, so that
    1e-4 goes as far as their 5e-5 does. The surrogate gradient is the canonical one (theirs: fast sigmoid of slope 40,
    of the same form). No weight decay, no noise.
    """

    epochs: int
    through_time: int
    rate: float = 1e-4
    batch: int = 100

    def train(self, data: Any, plan: TargetPlan, seed: int, checkpoint: Checkpoint | None = None) -> bl.Network:
        """The target of a seed; of `plan` its layers, neuron and steps count."""
        stack = Stack(data.input_shape, data.classes, plan, stream(seed, PURPOSE, 0))
        start(stack, stream(seed, PURPOSE, 1))
        lessons = Lessons(stack, data, partial(spiking_forward, stack))

        def through_time(index: IntArray, rng: np.random.Generator) -> Tensor:
            _, membrane = spiking_forward(stack, lessons.spikes(index, rng, noisy=False))
            labels = torch.from_numpy(data.labels[index])
            return F.cross_entropy(membrane.flatten(0, 1), labels.repeat(plan.steps)) * plan.steps

        samples = np.arange(len(data.labels))
        self._fit("rates", stack, Phase(self.epochs, self.rate, 0.0, lessons.as_proxy), samples, seed, checkpoint, data)
        some = stream(seed, PURPOSE, 2).permutation(samples)[: self.through_time]
        self._fit("through time", stack, Phase(1, self.rate / 2, 0.0, through_time), some, seed, None, data)
        return stack.network()

    def _fit(
        self,
        name: str,
        stack: Stack,
        phase: Phase,
        samples: IntArray,
        seed: int,
        checkpoint: Checkpoint | None,
        data: Any,
    ) -> None:
        facts = {**stack.plan.facts(), **self.facts(), "data": samples_digest(data)}
        settings: dict[str, Any] = {
            "seed": seed,
            "purpose": f"{PURPOSE}, {name}",
            "checkpoint": checkpoint,
            "facts": facts,
        }
        fit(stack, [phase], Course(samples=samples, batch=self.batch, **settings))

    def facts(self) -> dict[str, str]:
        """Its settings as text."""
        return {
            "authors' training": f"{self.epochs} epochs as a rate proxy, {self.through_time} images through time, "
            f"batches of {self.batch}, from {self.rate}"
        }


def start(stack: Stack, rng: np.random.Generator) -> None:
    """Weights and biases as PyTorch's `Linear` has them at first."""
    with torch.no_grad():
        for synapse in stack.synapses:
            bound = 1.0 / math.sqrt(synapse.weight.shape[1])
            for parameter in (synapse.weight, synapse.bias):
                if parameter is not None:
                    parameter.copy_(torch.from_numpy(rng.uniform(-bound, bound, tuple(parameter.shape))))
