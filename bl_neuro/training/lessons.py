"""Training samples of a target: images for the rate proxy, spikes, and the validation samples."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from bl_neuro.arrays import IntArray
from bl_neuro.data.events import EventDataset
from bl_neuro.data.samples import Samples
from bl_neuro.seeding import stream
from bl_neuro.training.bptt import LOGITS_OF_RATES, Forward, spiking_loss
from bl_neuro.training.checkpoint import Score
from bl_neuro.training.seen_as_inversions import shifted
from bl_neuro.training.stack import Stack, proxy_inputs, proxy_logits

VALIDATION_BATCH = 250


class Lessons:
    """Provides a target's training samples from `data` and computes loss and score. forward: runs the spiking target.

    shift, noise, membrane_loss: see `TargetPlan`.
    """

    def __init__(
        self,
        stack: Stack,
        data: Samples,
        forward: Forward,
        *,
        shift: int = 0,
        noise: float = 0.0,
        membrane_loss: float = 0.0,
    ) -> None:
        self.stack, self.data, self.plan, self.forward = stack, data, stack.plan, forward
        self.shift, self.noise, self.membrane_loss = shift, noise, membrane_loss
        self.device = stack.synapses[0].weight.device

    def as_proxy(self, index: IntArray, rng: np.random.Generator) -> torch.Tensor:
        """Loss of the rate proxy on the samples at `index`."""
        values = torch.from_numpy(self.proxy_values(index, rng)).to(self.device)
        return F.cross_entropy(proxy_logits(self.stack, values), self.labels(index))

    def proxy_values(self, index: IntArray, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """Inputs (B, *input_shape) of the rate proxy for the samples at `index`."""
        return proxy_inputs(self._images(index, rng), self.plan.steps, rng)

    def through_time(self, index: IntArray, rng: np.random.Generator) -> torch.Tensor:
        """Loss of the spiking target on the samples at `index`."""
        answer = self.forward(self.spikes(index, rng, noisy=True))
        return spiking_loss(*answer, self.labels(index), self.membrane_loss)

    def score(self, index: IntArray, seed: int) -> Score:
        """Accuracy and negative loss of the spiking network, always on the same spikes."""
        rng = stream(seed, "validation encoding")
        right = loss = 0.0
        for start in range(0, len(index), VALIDATION_BATCH):
            part = index[start : start + VALIDATION_BATCH]
            with torch.no_grad():
                rates = self.forward(self.spikes(part, rng, noisy=False))[0].mean(0)
                labels = self.labels(part)
                loss += float(F.cross_entropy(rates * LOGITS_OF_RATES, labels, reduction="sum"))
                right += int(((rates.argmax(1) == labels) & (rates.amax(1) > 0)).sum())
        return right / len(index), -loss / len(index)

    def labels(self, index: IntArray) -> torch.Tensor:
        """The labels of the samples at `index`."""
        return torch.from_numpy(self.data.labels[index]).to(self.device)

    def spikes(self, index: IntArray, rng: np.random.Generator, noisy: bool) -> torch.Tensor:
        """The samples at `index` as input spikes (T, B, *input_shape), float32. noisy: with training noise."""
        if isinstance(self.data, EventDataset):
            spikes = self.data.spikes(index, self.plan.steps, rng)
            if noisy and self.shift:
                spikes = shifted(spikes, self.shift, rng)
        else:
            images = self._images(index, rng) if noisy else self.data.images_at(index).astype(np.float32)
            spikes = (rng.random((self.plan.steps, *images.shape), dtype=np.float32) < images).view(np.uint8)
        return torch.from_numpy(spikes).to(self.device).float()

    def _images(self, index: IntArray, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """Images (B, *input_shape), float32, shifted, with uniform noise of a random amplitude per image."""
        images = self.data.images_at(index).astype(np.float32)
        if self.shift:
            images = shifted(images, self.shift, rng)
        if not self.noise:
            return images
        amplitude = np.float32(self.noise) * rng.random((len(images), *[1] * (images.ndim - 1)), dtype=np.float32)
        return np.clip(images + amplitude * rng.random(images.shape, dtype=np.float32), 0.0, 1.0)
