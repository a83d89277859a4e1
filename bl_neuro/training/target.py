"""Training a target: an ANN proxy of the firing rates first, then a short run of backpropagation through time.

The proxy's activation is the firing rate of the neuron under constant drive I, straightened:

    rate(I) = clip((I - dv threshold) / ((1 - dv) threshold), 0, 1) + 0.01 min(z, 0)

(z is the unclipped fraction; the last term only keeps silent units trainable). Its inputs carry the noise of a rate
code, sqrt(x (1-x) / T). Its weights start the spiking network, which is then trained as it is: rate-coded input,
canonical neuron, canonical surrogate, cross-entropy on output membrane and output counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bl_neuro.access import answered
from bl_neuro.arrays import FloatArray
from bl_neuro.backends.base import Target
from bl_neuro.backends.canonical import canonical_states, differentiable
from bl_neuro.checks import MAX_STEPS
from bl_neuro.data.dataset import Dataset
from bl_neuro.data.encoders import rate_encode
from bl_neuro.errors import InputError
from bl_neuro.layers import Dense, Flatten, Layer
from bl_neuro.network import MAX_VALUES, Network
from bl_neuro.neuron import CubaLIF
from bl_neuro.seeding import stream

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class TargetPlan:
    """How to train a fully connected target.

    hidden: neurons of each hidden layer. steps: T of the rate code. noise: most background noise added to a training
    image, 0..1, so that the target is trained off the clean images too. The rest are the optimiser's.
    """

    hidden: tuple[int, ...] = (300,)
    steps: int = 25
    voltage_decay: float = 0.3
    proxy_epochs: int = 150
    spiking_epochs: int = 24
    batch: int = 64
    proxy_rate: float = 3e-3
    spiking_rate: float = 1e-3
    weight_decay: float = 0.3
    noise: float = 0.5

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MAX_STEPS:
            raise InputError(f"steps: expected 1..{MAX_STEPS}, found {self.steps}")
        if min(self.hidden, default=1) < 1:
            raise InputError(f"hidden: expected at least 1 neuron in each layer, found {self.hidden}")
        if self.batch < 1 or min(self.proxy_epochs, self.spiking_epochs) < 0:
            raise InputError(
                "batch, proxy_epochs, spiking_epochs: expected a batch of at least 1, epochs of at least 0"
            )
        if not 0 < self.voltage_decay < 1 or not 0 <= self.noise <= 1:
            raise InputError("voltage_decay, noise: expected between 0 and 1")


def train_target(
    data: Dataset, plan: TargetPlan | None = None, *, seed: int = 0, progress: Progress | None = None
) -> Network:
    """Trains a target on `data`; all chance comes from `seed`. progress is called with (epochs done, of)."""
    plan = plan or TargetPlan()
    rng = stream(seed, "train target")
    features = int(np.prod(data.images.shape[1:]))
    sizes = (features, *plan.hidden, data.classes)
    if sum(inner * out for inner, out in pairwise(sizes)) > MAX_VALUES:
        raise InputError(f"hidden: at most {MAX_VALUES} weights, layers of {sizes} have more")
    weights = [
        torch.from_numpy(rng.normal(size=(out, inner)) / np.sqrt(inner)).float().requires_grad_()
        for inner, out in pairwise(sizes)
    ]
    epochs = plan.proxy_epochs + plan.spiking_epochs
    for phase, rate in ((_proxy_loss, plan.proxy_rate), (_spiking_loss, plan.spiking_rate)):
        spiking = phase is _spiking_loss
        count = plan.spiking_epochs if spiking else plan.proxy_epochs
        optimiser = torch.optim.AdamW(weights, lr=rate, weight_decay=plan.weight_decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(count, 1))
        for epoch in range(count):
            order = rng.permutation(len(data.labels))
            for start in range(0, len(order), plan.batch):
                index = order[start : start + plan.batch]
                images = _noisy(data.images[index].reshape(len(index), features), plan.noise, rng)
                optimiser.zero_grad()
                phase(weights, images, torch.from_numpy(data.labels[index]), plan, rng).backward()
                torch.nn.utils.clip_grad_norm_(weights, 1.0)
                optimiser.step()
            schedule.step()
            if progress is not None:
                progress(epoch + 1 + (plan.proxy_epochs if spiking else 0), epochs)
    return _network(data.images.shape[1:], [weight.detach().double().numpy() for weight in weights], plan)


def measure_accuracy(target: Target, data: Dataset, steps: int, seed: int) -> float:
    """Fraction of `data` whose label the target names, rate coded with `steps` steps: on the substrate itself.

    Silence is wrong.
    """
    spikes = rate_encode(data.images, steps, stream(seed, "test encoding"))
    batch = spikes.reshape(steps, len(data.labels), *target.network.input_shape)
    labels = answered(target.run(batch), target.network.readout)
    return float((labels.numpy() == data.labels).mean())


def _network(shape: tuple[int, ...], weights: list[FloatArray], plan: TargetPlan) -> Network:
    neuron = CubaLIF(threshold=1.0, current_decay=1.0, voltage_decay=plan.voltage_decay)
    layers: list[Layer] = [Flatten(), *(Dense(weight, neuron) for weight in weights)]
    return Network(shape, layers)


def _proxy_loss(
    weights: list[Tensor], images: FloatArray, labels: Tensor, plan: TargetPlan, rng: np.random.Generator
) -> Tensor:
    noise = rng.normal(size=images.shape) * np.sqrt(images * (1 - images) / plan.steps)
    values = torch.from_numpy(images + noise).float()
    for weight in weights[:-1]:
        fraction = (F.linear(values, weight) - plan.voltage_decay) / (1 - plan.voltage_decay)
        values = fraction.clamp(0, 1) + 0.01 * fraction.clamp(max=0)
    return F.cross_entropy(F.linear(values, weights[-1]) / plan.voltage_decay, labels)


def _spiking_loss(
    weights: list[Tensor], images: FloatArray, labels: Tensor, plan: TargetPlan, rng: np.random.Generator
) -> Tensor:
    one, decay, none = torch.ones(()), torch.tensor(plan.voltage_decay), torch.zeros(())
    values = torch.from_numpy(rate_encode(images, plan.steps, rng)).float()
    membrane = values
    for weight in weights:
        drive = F.linear(values, weight)
        states = canonical_states(drive, one, decay, one, none)
        values, membrane = differentiable(drive, *states, one, decay, one, "zero")
    by_membrane = F.cross_entropy(membrane.flatten(0, 1), labels.repeat(plan.steps))
    return by_membrane + F.cross_entropy(values.sum(0) * (10.0 / plan.steps), labels)


def _noisy(images: FloatArray, most: float, rng: np.random.Generator) -> FloatArray:
    """`images` with uniform noise of an amplitude of its own, up to `most`, in each: a little background everywhere."""
    amplitude = rng.uniform(0, most, size=(len(images), 1))
    return np.clip(images + amplitude * rng.random(images.shape), 0.0, 1.0)
