"""A small generative model of an attacker's own images: a variational autoencoder whose decoder draws new ones."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from bl_neuro.arrays import FloatArray
from bl_neuro.seeding import derived_seed

BATCH = 64
RATE = 2e-3
"""Learning rate of Adam; it decreases linearly to 0."""


def trained_decoder(images: FloatArray, latent: int, hidden: int, updates: int, seed: int) -> ImageDecoder:
    """An `ImageDecoder` of images (N, *shape) in 0..1.

    The last two are kept: attacks with one seed on several outputs of a target train the same one.
    """
    content = np.ascontiguousarray(images, dtype=np.float32)
    return _trained(content.tobytes(), content.shape, latent, hidden, updates, derived_seed(seed, "image decoder"))


@lru_cache(maxsize=2)
def _trained(content: bytes, shape: tuple[int, ...], latent: int, hidden: int, updates: int, seed: int) -> ImageDecoder:
    return ImageDecoder(np.frombuffer(content, dtype=np.float32).reshape(shape), latent, hidden, updates, seed)


class ImageDecoder:
    """The decoder of a variational autoencoder that is trained on `images` (N, *shape) in 0..1 when it is made.

    Encoder and decoder have one hidden layer. The loss of an image is the cross-entropy of its pixels plus the
    divergence of its latent distribution from N(0, 1). latent, hidden: numbers of latent values and hidden units.
    updates: steps of Adam, with 64 images each. seed: of all random numbers.

    Source: Kingma and Welling 2014.
    """

    def __init__(self, images: npt.NDArray[np.float32], latent: int, hidden: int, updates: int, seed: int) -> None:
        self.latent, self.shape = latent, images.shape[1:]
        pixels = math.prod(self.shape)
        draws = torch.Generator().manual_seed(seed)
        encoder, self._decoder = (
            _Layers(sizes, draws) for sizes in ((pixels, hidden, 2 * latent), (latent, hidden, pixels))
        )
        rows = torch.from_numpy(images.reshape(len(images), -1).copy())
        optimiser = torch.optim.Adam([*encoder.parameters, *self._decoder.parameters], RATE)
        decay = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, updates)
        for _ in range(updates):
            batch = rows[torch.randint(len(rows), (BATCH,), generator=draws)]
            mean, spread = encoder(batch).chunk(2, dim=1)
            latents = mean + torch.exp(spread / 2) * torch.randn(mean.shape, generator=draws)
            pixel_loss = F.binary_cross_entropy_with_logits(self._decoder(latents), batch, reduction="sum")
            divergence = 0.5 * (mean**2 + spread.exp() - 1 - spread).sum()
            optimiser.zero_grad()
            ((pixel_loss + divergence) / BATCH).backward()
            optimiser.step()
            decay.step()

    def decode(self, latents: FloatArray) -> FloatArray:
        """Images (..., *shape) in 0..1 for latent vectors (..., latent)."""
        with torch.no_grad():
            rows = torch.sigmoid(self._decoder(torch.from_numpy(latents).float()))
        return np.asarray(rows.double().numpy().reshape(*latents.shape[:-1], *self.shape))


class _Layers:
    """A perceptron with rectified hidden layers."""

    def __init__(self, sizes: tuple[int, ...], draws: torch.Generator) -> None:
        self._weights = [
            (torch.randn(inner, outer, generator=draws) * math.sqrt(2 / inner)).requires_grad_()
            for inner, outer in pairwise(sizes)
        ]
        self._offsets = [torch.zeros(outer, requires_grad=True) for outer in sizes[1:]]
        self.parameters: list[Tensor] = [*self._weights, *self._offsets]

    def __call__(self, values: Tensor) -> Tensor:
        for number, (weight, offset) in enumerate(zip(self._weights, self._offsets)):
            values = (values if number == 0 else torch.relu(values)) @ weight + offset
        return values
