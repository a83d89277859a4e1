"""A target trained like those of the BrainLeaks authors, for comparison with their results.

The training method affects leakage more than accuracy does; see results/paper-mnist.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bl_neuro.arrays import IntArray
from bl_neuro.data.events import EventDataset
from bl_neuro.data.samples import Samples
from bl_neuro.errors import InputError
from bl_neuro.isolation import isolated
from bl_neuro.network import Network
from bl_neuro.seeding import stream
from bl_neuro.training.bptt import spiking_forward
from bl_neuro.training.checkpoint import Checkpoint
from bl_neuro.training.fit import Course, Phase, Progress, find_device, fit
from bl_neuro.training.lessons import Lessons
from bl_neuro.training.plans import NeuronKind, TargetDesign, epochs_in_words, phases_in_words, shift_in_words
from bl_neuro.training.samples_digest import samples_digest
from bl_neuro.training.stack import Stack
from bl_neuro.training.two_classes import need_two_classes

PURPOSE = "train as authors"


@dataclass(frozen=True)
class AuthorsPlan(TargetDesign):
    """Settings: Adam from PyTorch's initial weights, at a low rate, first on firing rates and then through time.

    The authors take 6,000 steps of Adam at 5e-5, with batches of 100, on the sum over t of -log
    softmax(membrane[t])[label], with gradients clipped to 1, all of them through time (10 epochs of 60,000 images).
    Here, the rate proxy, which is 25 times cheaper, is trained for `epochs` in batches of `batch`; then `through_time`
    images are trained like the authors' do. rate: initial rate of the first phase; the second phase starts at half of
    it. Rates follow a cosine schedule, so that 1e-4 has the same sum as the authors' constant 5e-5. The surrogate
    gradient is the canonical one (theirs is a fast sigmoid of slope 40, of the same form). shift: maximum shift of the
    images of a batch in the first phase, in pixels. No weight decay, no noise.
    """

    trainer: ClassVar[str] = "authors"

    hidden: tuple[int, ...] = (3000,)
    neuron: NeuronKind = "authors"
    epochs: int = 20
    through_time: int = 10_000
    rate: float = 1e-4
    batch: int = 100
    shift: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._need("epochs", 0)
        self._need("through_time", 0)
        self._need("shift", 0)
        self._need("batch", 1)
        self._need_rate("rate")

    def described(self) -> str:
        """See `TargetDesign.described`."""
        phases = [
            *([f"{epochs_in_words(self.epochs)} as an ANN of its firing rates"] if self.epochs else []),
            *([f"{self.through_time:,} samples through time"] if self.through_time else []),
        ]
        shifted = shift_in_words(self.shift)
        how = f", {shifted}" if shifted else ""
        return f" as the BrainLeaks authors train theirs{how}{phases_in_words(phases)}"


@isolated
def train_authors_target(
    data: Samples,
    plan: AuthorsPlan | None = None,
    *,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> Network:
    """Trains a target on `data` like the BrainLeaks authors. `seed` is the seed of all random numbers.

    Options are as in `train_target`. The checkpoint covers the first phase, which takes nearly all of the time. Without
    epochs and images through time, the target is untrained.

    Raises:
        InputError: the plan does not fit the data, or the checkpoint belongs to another training. DataError: all
            samples have the same class.
    """
    need_two_classes(data)
    plan = plan or AuthorsPlan()
    if isinstance(data, EventDataset) and plan.epochs:
        raise InputError("epochs: expected 0 for events, which are trained through time only")
    stack = Stack(data.input_shape, data.classes, plan, stream(seed, PURPOSE, 0)).to(find_device(device))
    _start(stack, stream(seed, PURPOSE, 1))
    lessons = Lessons(stack, data, partial(spiking_forward, stack), shift=plan.shift)

    def through_time(index: IntArray, rng: np.random.Generator) -> Tensor:
        _, membrane = spiking_forward(stack, lessons.spikes(index, rng, noisy=False))
        labels = torch.from_numpy(data.labels[index]).to(membrane.device)
        return F.cross_entropy(membrane.flatten(0, 1), labels.repeat(plan.steps)) * plan.steps

    samples = np.arange(len(data.labels))
    facts = {**plan.facts(), "trainer": plan.trainer, "data": samples_digest(data)}

    def course(name: str, samples: IntArray, checkpoint: Checkpoint | None) -> Course:
        purpose = f"{PURPOSE}, {name}"
        return Course(
            samples=samples,
            batch=plan.batch,
            seed=seed,
            purpose=purpose,
            progress=progress,
            checkpoint=checkpoint,
            facts=facts,
        )

    fit(stack, [Phase(plan.epochs, plan.rate, 0.0, lessons.as_proxy)], course("rates", samples, checkpoint))
    some = stream(seed, PURPOSE, 2).permutation(samples)[: plan.through_time]
    fit(stack, [Phase(1, plan.rate / 2, 0.0, through_time)], course("through time", some, None))
    return stack.network()


def _start(stack: Stack, rng: np.random.Generator) -> None:
    """PyTorch's initial weights and biases: uniform within 1 / sqrt(inputs of a neuron)."""
    with torch.no_grad():
        for synapse in stack.synapses:
            bound = 1.0 / math.sqrt(math.prod(synapse.weight.shape[1:]))
            for parameter in (synapse.weight, synapse.bias):
                if parameter is not None:
                    parameter.copy_(torch.from_numpy(rng.uniform(-bound, bound, tuple(parameter.shape))))
