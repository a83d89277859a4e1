"""Training a target: as a proxy of its firing rates first, then as it is, through time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from bl_neuro.arrays import IntArray
from bl_neuro.data.events import EventDataset
from bl_neuro.data.samples import Samples
from bl_neuro.errors import DataError, InputError
from bl_neuro.network import Network
from bl_neuro.seeding import stream
from bl_neuro.training.bptt import LOGITS_OF_RATES, spiking_forward, spiking_loss
from bl_neuro.training.checkpoint import Checkpoint, Score
from bl_neuro.training.device import find_device
from bl_neuro.training.fit import Course, Phase, Progress, fit
from bl_neuro.training.plans import TargetPlan, plan_for
from bl_neuro.training.proxy import proxy_loss
from bl_neuro.training.samples_digest import samples_digest
from bl_neuro.training.seen_as_inversions import shifted
from bl_neuro.training.stack import Stack
from bl_neuro.training.starting_rates import scale_to_rates

PURPOSE = "train target"
VALIDATION_MOST = 1_000
"""Most samples of a validation part: enough to see half a percent, and cheap beside an epoch."""
VALIDATION_BATCH = 250
START = 64
"""Samples by which the weights are scaled at the start where training goes through time alone."""


def train_target(
    data: Samples,
    plan: TargetPlan | None = None,
    *,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> Network:
    """Trains a target on `data`, by `plan` or the one for data of this name (`plan_for`); all chance is from `seed`.

        mnist = bl.data.official_split(bl.data.load_dataset("mnist", root), seed=0)
        network = bl.training.train_target(mnist.target, bl.training.plan_for("mnist"), seed=0)

    Images are rate coded; of events the first `plan.steps` frames are taken as they are. progress is called with
    (epochs done, of). device: "auto", "cpu" or "cuda". checkpoint: where to keep how far it is, and to go on from.

    Raises:
        InputError: the plan does not fit the data, or the checkpoint is of another training. DataError: too few samples
        to keep a part of them for validation.
    """
    plan = plan or plan_for(data)
    if isinstance(data, EventDataset) and plan.proxy_epochs:
        raise InputError("proxy_epochs: expected 0 for events, which are no rates; see plan_for")
    stack = Stack(data.input_shape, data.classes, plan, stream(seed, PURPOSE, 0)).to(find_device(device))
    samples, kept = _parts(data, plan, seed)
    lessons = _Lessons(stack, data)
    if plan.proxy_epochs == 0:
        some = samples[np.linspace(0, len(samples) - 1, START).astype(int)]
        scale_to_rates(stack, lessons.spikes(some, stream(seed, "starting rates"), noisy=False))
    decay = plan.weight_decay
    phases = [
        Phase(plan.proxy_epochs, plan.proxy_rate, decay, lessons.as_proxy),
        Phase(plan.spiking_epochs, plan.spiking_rate, decay, lessons.through_time),
    ]
    course = Course(
        samples=samples,
        batch=plan.batch,
        seed=seed,
        purpose=PURPOSE,
        validate=(lambda: lessons.score(kept, seed)) if len(kept) else None,
        patience=plan.patience,
        progress=progress,
        checkpoint=checkpoint,
        facts={**plan.facts(), "data": samples_digest(data)},
    )
    fit(stack, phases, course)
    return stack.network()


def _parts(data: Samples, plan: TargetPlan, seed: int) -> tuple[IntArray, IntArray]:
    """Which samples it learns from, and which it is validated on."""
    order = stream(seed, "validation part").permutation(len(data.labels))
    count = min(round(plan.validation * len(order)), VALIDATION_MOST)
    if plan.validation and count < data.classes:
        raise DataError(
            f"{data.name}: validation: {plan.validation} of {len(order)} samples are fewer than its {data.classes} "
            "classes; use validation=0"
        )
    return np.sort(order[count:]), np.sort(order[:count])


class _Lessons:
    """What a target is shown, and how it does."""

    def __init__(self, stack: Stack, data: Samples) -> None:
        self.stack, self.data, self.plan = stack, data, stack.plan
        self.device = stack.synapses[0].weight.device

    def as_proxy(self, index: IntArray, rng: np.random.Generator) -> torch.Tensor:
        return proxy_loss(self.stack, self._images(index, rng), self._labels(index), rng)

    def through_time(self, index: IntArray, rng: np.random.Generator) -> torch.Tensor:
        return spiking_loss(self.stack, self.spikes(index, rng, noisy=True), self._labels(index))

    def score(self, index: IntArray, seed: int) -> Score:
        """Accuracy of the spiking network, and its negative loss, always on the same spikes."""
        rng = stream(seed, "validation encoding")
        right = loss = 0.0
        for start in range(0, len(index), VALIDATION_BATCH):
            part = index[start : start + VALIDATION_BATCH]
            with torch.no_grad():
                rates = spiking_forward(self.stack, self.spikes(part, rng, noisy=False))[0].mean(0)
                labels = self._labels(part)
                loss += float(F.cross_entropy(rates * LOGITS_OF_RATES, labels, reduction="sum"))
                right += int(((rates.argmax(1) == labels) & (rates.amax(1) > 0)).sum())
        return right / len(index), -loss / len(index)

    def _labels(self, index: IntArray) -> torch.Tensor:
        return torch.from_numpy(self.data.labels[index]).to(self.device)

    def spikes(self, index: IntArray, rng: np.random.Generator, noisy: bool) -> torch.Tensor:
        """Input spikes (T, B, *input_shape), float32."""
        if isinstance(self.data, EventDataset):
            spikes = self.data.spikes(index, self.plan.steps, rng)
            if noisy and self.plan.shift:
                spikes = shifted(spikes, self.plan.shift, rng)
        else:
            images = self._images(index, rng) if noisy else self.data.images_at(index).astype(np.float32)
            spikes = (rng.random((self.plan.steps, *images.shape), dtype=np.float32) < images).view(np.uint8)
        return torch.from_numpy(spikes).to(self.device).float()

    def _images(self, index: IntArray, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """Images (B, *input_shape), float32, shifted, with uniform noise of an amplitude of its own in each."""
        images = self.data.images_at(index).astype(np.float32)
        if self.plan.shift:
            images = shifted(images, self.plan.shift, rng)
        if not self.plan.noise:
            return images
        amplitude = np.float32(self.plan.noise) * rng.random((len(images), *[1] * (images.ndim - 1)), dtype=np.float32)
        return np.clip(images + amplitude * rng.random(images.shape, dtype=np.float32), 0.0, 1.0)
