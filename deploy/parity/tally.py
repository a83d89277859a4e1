"""Counting where two recordings of one layer differ, piece by piece, so that no recording is kept in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import BoolArray, FloatArray, IntArray

MAP_ROWS = 128
"""Maximum number of rows of a difference map, fewer than its pixels; neighbouring neurons share a row."""
_Counts = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class FirstDifference:
    """The earliest differing bin: time step, stimulus, sample, neuron index, and the substrate that spiked.

    Of two graded messages that differ, the left one if it is not zero.
    """

    step: int
    stimulus: str
    sample: int
    neuron: tuple[int, ...]
    spiked: str


@dataclass(frozen=True, eq=False)
class LayerParity:
    """How two substrates compare on one spiking layer.

    layer, kind: index and description of the layer. bins: T x samples x neurons; identical: how many of them agree.
    spikes: number of spikes on each substrate; active: how many of the `neurons` spiked on each. both, either: size of
    the intersection and of the union of the spikes. first: the earliest difference, or None. steps: fraction of
    differing bins per time step, (T,). map: fraction of differing samples, (T, rows), where a row is the maximum of
    `neurons_per_row` neurons.
    """

    layer: int
    kind: str
    bins: int
    identical: int
    spikes: tuple[int, int]
    neurons: int
    active: tuple[int, int]
    both: int
    either: int
    first: FirstDifference | None
    steps: FloatArray
    map: FloatArray
    neurons_per_row: int

    @property
    def silent(self) -> bool:
        """Whether neither substrate spiked, so that no spikes were compared."""
        return self.either == 0

    @property
    def fraction(self) -> float:
        """Fraction of the bins that agree."""
        return self.identical / self.bins

    @property
    def jaccard(self) -> float:
        """See `jaccard_index`."""
        return jaccard_index([self])

    @property
    def exact(self) -> bool:
        """Whether every bin agrees."""
        return self.identical == self.bins


def jaccard_index(layers: Sequence[LayerParity]) -> float:
    """Jaccard index of the spikes over all layers: intersection / union; 1 if neither substrate spiked."""
    union = sum(layer.either for layer in layers)
    return sum(layer.both for layer in layers) / union if union else 1.0


class LayerTally:
    """Accumulates two recordings of layer `layer`, neurons of `shape`, on the substrates `names`."""

    def __init__(self, layer: int, kind: str, shape: tuple[int, ...], names: tuple[str, str]) -> None:
        self._layer, self._kind, self._shape, self._names = layer, kind, shape, names
        self._bins = self._differing = self._both = self._either = self._samples = 0
        self._spikes = [0, 0]
        self._neurons = int(np.prod(shape))
        self._active = np.zeros((2, self._neurons), bool)
        self._first: FirstDifference | None = None
        self._steps = 0
        self._map: _Counts | None = None  # number of differing samples, (T, neurons); None while none differs

    def add(self, left: BoolArray | IntArray, right: BoolArray | IntArray, stimulus: str, offset: int = 0) -> int:
        """Counts the differing bins of spikes or graded messages (T, B, ...) and returns their number.

        offset: earlier samples.
        """
        differs = (left != right).reshape(*left.shape[:2], -1)
        left_fired, right_fired = (values.reshape(differs.shape) != 0 for values in (left, right))
        count = int(differs.sum())
        self._bins += differs.size
        self._differing += count
        self._both += int((left_fired & right_fired).sum())
        self._either += int((left_fired | right_fired).sum())
        self._spikes = [self._spikes[0] + int(left_fired.sum()), self._spikes[1] + int(right_fired.sum())]
        self._active |= np.stack([spikes.any(axis=(0, 1)) for spikes in (left_fired, right_fired)])
        self._steps, samples = left.shape[:2]
        self._samples += samples
        if count:
            differing_samples = differs.sum(axis=1, dtype=np.uint32)
            self._map = differing_samples if self._map is None else self._map + differing_samples
            self._note_first(differs, left_fired, stimulus, offset)
        return count

    def _note_first(self, differs: BoolArray, left: BoolArray, stimulus: str, offset: int) -> None:
        step = int(differs.any(axis=(1, 2)).argmax())
        if self._first is not None and self._first.step <= step:
            return
        sample, neuron = (int(index) for index in np.argwhere(differs[step])[0])
        place = tuple(int(index) for index in np.unravel_index(neuron, self._shape))
        spiked = self._names[0] if left[step, sample, neuron] else self._names[1]
        self._first = FirstDifference(step, stimulus, offset + sample, place, spiked)

    def result(self) -> LayerParity:
        """The accumulated comparison."""
        counts = np.zeros((self._steps, self._neurons), np.uint32) if self._map is None else self._map
        group = -(-self._neurons // MAP_ROWS)
        return LayerParity(
            layer=self._layer,
            kind=self._kind,
            bins=self._bins,
            identical=self._bins - self._differing,
            spikes=(self._spikes[0], self._spikes[1]),
            neurons=self._neurons,
            active=(int(self._active[0].sum()), int(self._active[1].sum())),
            both=self._both,
            either=self._either,
            first=self._first,
            steps=counts.sum(axis=1) / (self._samples * self._neurons),
            map=_rows(counts, group) / self._samples,
            neurons_per_row=group,
        )


def _rows(counts: _Counts, group: int) -> _Counts:
    """(T, neurons) reduced to (T, rows): the maximum of each `group` of neighbouring neurons."""
    largest: _Counts = np.maximum.reduceat(counts, np.arange(0, counts.shape[1], group), axis=1)
    return largest
