"""Running a target on inputs, and counting the differences of one pair of substrates over all pieces of the inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bl_neuro.access import response_classes
from bl_neuro.arrays import BoolArray, FloatArray, IntArray
from bl_neuro.backends.declaration import Start
from bl_neuro.backends.target import Target
from bl_neuro.deploy.loihi_limits import state_bound
from bl_neuro.deploy.loihi_states import leaves_24_bits
from bl_neuro.deploy.parity.report import PairParity, StimulusParity
from bl_neuro.deploy.parity.tally import LayerTally
from bl_neuro.deploy.quantize import FixedPointNetwork
from bl_neuro.errors import NotRevealed, SubstrateError
from bl_neuro.layers import SPIKING
from bl_neuro.network import Network


class PairTally:
    """Accumulates the comparison of one network on the two substrates `names`, piece by piece."""

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
        """Counts samples of one stimulus. offset: number of its samples counted before."""
        samples = left.layers[0].shape[1]
        bins = sum(layer.size for layer in left.layers)
        differing = 0
        for tally, left_spikes, right_spikes in zip(self._layers, left.layers, right.layers):
            differing += tally.add(left_spikes, right_spikes, stimulus, offset)
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

    def _note_stimulus(self, part: StimulusParity) -> None:
        previous = self._stimuli.get(part.name, StimulusParity(part.name, 0, 0, 0, 0))
        answers_differ = None if None in (previous.answers_differ, part.answers_differ) else 0
        if previous.answers_differ is not None and part.answers_differ is not None:
            answers_differ = previous.answers_differ + part.answers_differ
        self._stimuli[part.name] = StimulusParity(
            part.name,
            previous.samples + part.samples,
            previous.bins + part.bins,
            previous.identical + part.identical,
            answers_differ,
        )

    @property
    def exact(self) -> bool:
        """Whether no bin differs."""
        return self._differing == 0

    @property
    def fraction(self) -> float:
        """Fraction of the bins that agree."""
        return 1 - self._differing / self._bins

    def result(self, promised: bool, causes: tuple[str, ...]) -> PairParity:
        """The accumulated comparison."""
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
    """Spikes of each spiking layer (T, B, ...), answers (B,) and output membrane; the last two None if not revealed.

    For a sigma-delta network, graded messages (integers) and output values.
    """

    layers: tuple[BoolArray | IntArray, ...]
    answers: IntArray | None
    membrane: FloatArray | None

    def part(self, samples: slice) -> Recorded:
        """The recording of some of the samples."""
        return Recorded(
            tuple(layer[:, samples] for layer in self.layers),
            None if self.answers is None else self.answers[samples],
            None if self.membrane is None else self.membrane[:, samples],
        )


def record(target: Target, values: Any, start: Start) -> Recorded:
    """Runs `values` (T, B, *input_shape) on an opened network."""
    response = target.run(torch.from_numpy(np.ascontiguousarray(values)), layers=True, start=start)
    if response.layers is None:
        raise SubstrateError(f"substrate '{target.substrate}': its backend does not return the spikes of all layers")
    answers = None
    if len(target.network.output_shape) == 1:
        try:
            answers = response_classes(response, target.network.readout).cpu().numpy()
        except NotRevealed:  # the readout needs the membrane potential, which this substrate does not reveal
            answers = None
    membrane = None if response.membrane is None else response.membrane.detach().cpu().numpy()
    return Recorded(tuple(_recorded(target.network, layer) for layer in response.layers), answers, membrane)


def _recorded(network: Network, layer: Tensor) -> BoolArray | IntArray:
    values: FloatArray = layer.cpu().numpy()
    return values.astype(np.int64) if network.is_sigma_delta else values != 0


def layers_beyond_24_bits(
    fixed: FixedPointNetwork, values: Any, recorded: Recorded, start: Start, known: set[int]
) -> set[int]:
    """Indices of layers, except those `known`, whose state exceeded 24 bits, or could have after a cold start."""
    exceeded: set[int] = set()
    if fixed.network.is_sigma_delta:  # whose states are not bounded by 24 bits
        return exceeded
    shapes = (fixed.network.input_shape, *fixed.network.shapes)
    incoming = values
    for depth, (layer, spikes) in enumerate(zip(fixed.layers, recorded.layers)):
        if layer.index not in known:
            layer_input = incoming.reshape(*incoming.shape[:2], *shapes[layer.index])
            extended = any(getattr(layer.source, name, None) is not None for name in ("delay", "recurrent"))
            if extended or start == "cold":
                exceeds = not state_bound(layer, len(values) + depth + 1).fits
            else:
                exceeds = leaves_24_bits(layer, layer_input)
            exceeded |= {layer.index} if exceeds else set()
        incoming = spikes
    return exceeded
