"""The running count of one pair of substrates over all pieces of the inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from bl_neuro.access import answered
from bl_neuro.arrays import BoolArray, FloatArray, IntArray
from bl_neuro.backends.base import Start, Target
from bl_neuro.deploy.loihi_limits import leaves_24_bits, state_bound
from bl_neuro.deploy.parity.report import PairParity, StimulusParity
from bl_neuro.deploy.parity.tally import LayerTally
from bl_neuro.deploy.quantize import FixedPointNetwork
from bl_neuro.errors import NotRevealed, SubstrateError
from bl_neuro.layers import SPIKING
from bl_neuro.network import Network


class PairTally:
    """Adds up pieces of what the two substrates of `names` did with one network."""

    def __init__(self, network: Network, names: tuple[str, str]) -> None:
        rows = enumerate(zip(network.layers, network.shapes))
        self.names = names
        self._layers = [
            LayerTally(index, str(layer), shape, names) for index, (layer, shape) in rows if isinstance(layer, SPIKING)
        ]
        self._stimuli: dict[str, StimulusParity] = {}
        self._bins = self._differing = self._samples = 0
        self._answers: int | None = 0
        self._membrane: float | None = 0.0

    def add(self, left: Recorded, right: Recorded, stimulus: str, offset: int) -> None:
        """Counts some samples of one stimulus; `offset`: how many of it were counted before."""
        samples = left.layers[0].shape[1]
        bins = sum(layer.size for layer in left.layers)
        differing = 0
        for tally, one, other in zip(self._layers, left.layers, right.layers):
            differing += tally.add(one, other, stimulus, offset)
        answers = None
        if left.answers is not None and right.answers is not None:
            answers = int((left.answers != right.answers).sum())
        self._answers = None if self._answers is None or answers is None else self._answers + answers
        if left.membrane is None or right.membrane is None:
            self._membrane = None
        elif self._membrane is not None:
            self._membrane = max(self._membrane, float(np.abs(left.membrane - right.membrane).max()))
        self._bins += bins
        self._differing += differing
        self._samples += samples
        self._note_stimulus(StimulusParity(stimulus, samples, bins, bins - differing, answers))

    def _note_stimulus(self, new: StimulusParity) -> None:
        old = self._stimuli.get(new.name, StimulusParity(new.name, 0, 0, 0, 0))
        together = None if None in (old.answers_differ, new.answers_differ) else 0
        if old.answers_differ is not None and new.answers_differ is not None:
            together = old.answers_differ + new.answers_differ
        self._stimuli[new.name] = StimulusParity(
            new.name, old.samples + new.samples, old.bins + new.bins, old.identical + new.identical, together
        )

    @property
    def exact(self) -> bool:
        """Whether no bin differs."""
        return self._differing == 0

    @property
    def fraction(self) -> float:
        """Part of the bins that agree."""
        return 1 - self._differing / self._bins

    def result(self, promised: bool, causes: tuple[str, ...]) -> PairParity:
        """What was counted."""
        return PairParity(
            left=self.names[0],
            right=self.names[1],
            promised=promised,
            layers=tuple(tally.result() for tally in self._layers),
            stimuli=tuple(self._stimuli.values()),
            samples=self._samples,
            answers_differ=self._answers,
            membrane_difference=self._membrane,
            causes=causes,
        )


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
