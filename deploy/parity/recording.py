"""What one substrate did with one piece of the inputs, kept small, and whether its integers left 24 bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from bl_neuro.access import answered
from bl_neuro.arrays import BoolArray, FloatArray, IntArray
from bl_neuro.backends.base import Start, Target
from bl_neuro.deploy.loihi_limits import leaves_24_bits, state_bound
from bl_neuro.deploy.quantize import FixedPointNetwork
from bl_neuro.errors import NotRevealed, SubstrateError


@dataclass(frozen=True, eq=False)
class Recorded:
    """Spikes of each layer with neurons (T, B, ...); answers (B,) and membrane of the output, None where unseen."""

    layers: tuple[BoolArray, ...]
    answers: IntArray | None
    membrane: FloatArray | None

    def part(self, samples: slice) -> Recorded:
        """Some of the samples."""
        return Recorded(
            tuple(layer[:, samples] for layer in self.layers),
            None if self.answers is None else self.answers[samples],
            None if self.membrane is None else self.membrane[:, samples],
        )


def record(target: Target, values: Any, start: Start) -> Recorded:
    """Runs `values` (T, B, *input_shape) on an opened network."""
    response = target.run(torch.from_numpy(np.ascontiguousarray(values)), layers=True, start=start)
    if response.layers is None:
        raise SubstrateError(f"substrate '{target.substrate}' does not show its layers, which its backend should")
    answers = None
    if len(target.network.output_shape) == 1:
        try:
            answers = answered(response, target.network.readout).cpu().numpy()
        except NotRevealed:  # the class is read from a membrane that this substrate does not show
            answers = None
    membrane = None if response.membrane is None else response.membrane.detach().cpu().numpy()
    return Recorded(tuple(layer.cpu().numpy() != 0 for layer in response.layers), answers, membrane)


def layers_beyond_24_bits(
    fixed: FixedPointNetwork, values: Any, recorded: Recorded, start: Start, known: set[int]
) -> set[int]:
    """Indices of layers, but those `known`, where a state left 24 bits, or, started cold, could have."""
    found = set()
    shapes = (fixed.network.input_shape, *fixed.network.shapes)
    incoming = values
    for depth, (layer, spikes) in enumerate(zip(fixed.layers, recorded.layers)):
        if layer.index not in known:
            reaching = incoming.reshape(*incoming.shape[:2], *shapes[layer.index])
            wired = any(getattr(layer.source, name, None) is not None for name in ("delay", "recurrent"))
            if wired or start == "cold":
                beyond = not state_bound(layer, len(values) + depth + 1).fits
            else:
                beyond = leaves_24_bits(layer, reaching)
            found |= {layer.index} if beyond else set()
        incoming = spikes
    return found
