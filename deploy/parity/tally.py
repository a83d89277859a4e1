"""Counting where two recordings of one layer differ, piece by piece, so that nothing is held for long."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import BoolArray, FloatArray

MAP_ROWS = 128
"""Most rows of a map of differences, fewer than a picture has pixels: neighbouring neurons share one."""
_Counts = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class FirstDifference:
    """The earliest bin that differs: its step, the sample and its kind of input, the neuron, and who spiked."""

    step: int
    stimulus: str
    sample: int
    neuron: tuple[int, ...]
    spiked: str


@dataclass(frozen=True, eq=False)
class LayerParity:
    """How two substrates compare on one layer with neurons.

    layer, kind: which one. bins: T x samples x neurons; identical: how many of them agree. spikes: of each of the two;
    active: how many of the `neurons` spiked in each. both, either: spikes that both have, and that one or both have.
    first: the earliest difference, or None. steps: part of the bins of each step that differ, (T,). map: part of the
    samples that differ, (T, rows), where a row stands for `neurons_per_row` neurons (their largest).
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
        """Whether neither spiked, so that no spike was compared."""
        return self.either == 0

    @property
    def fraction(self) -> float:
        """Part of the bins that agree."""
        return self.identical / self.bins

    @property
    def jaccard(self) -> float:
        """Spikes of both / spikes of one or both; 1 where none spiked."""
        return self.both / self.either if self.either else 1.0

    @property
    def exact(self) -> bool:
        """Whether every bin agrees."""
        return self.identical == self.bins


class LayerTally:
    """Adds up pieces of two recordings of layer `layer`, neurons `shape`, for substrates `names`."""

    def __init__(self, layer: int, kind: str, shape: tuple[int, ...], names: tuple[str, str]) -> None:
        self._layer, self._kind, self._shape, self._names = layer, kind, shape, names
        self._bins = self._differing = self._both = self._either = self._samples = 0
        self._spikes = [0, 0]
        self._neurons = int(np.prod(shape))
        self._active = np.zeros((2, self._neurons), bool)
        self._first: FirstDifference | None = None
        self._steps = 0
        self._map: _Counts | None = None  # samples that differ, (T, neurons); None while none does

    def add(self, left: BoolArray, right: BoolArray, stimulus: str, offset: int = 0) -> int:
        """Counts spikes (T, B, ...) of both; `offset`: samples of this stimulus before them. How many bins differ."""
        left, right = (each.reshape(*each.shape[:2], -1) for each in (left, right))
        differs = left != right
        count = int(differs.sum())
        self._bins += differs.size
        self._differing += count
        self._both += int((left & right).sum())
        self._either += int((left | right).sum())
        self._spikes = [self._spikes[0] + int(left.sum()), self._spikes[1] + int(right.sum())]
        self._active |= np.stack([each.any(axis=(0, 1)) for each in (left, right)])
        self._steps, samples = left.shape[:2]
        self._samples += samples
        if count:
            found = differs.sum(axis=1, dtype=np.uint32)
            self._map = found if self._map is None else self._map + found
            self._note_first(differs, left, stimulus, offset)
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
        """What was counted."""
        counts = np.zeros((self._steps, self._neurons), np.uint32) if self._map is None else self._map
        each = -(-self._neurons // MAP_ROWS)
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
            map=_rows(counts, each) / self._samples,
            neurons_per_row=each,
        )


def _rows(counts: _Counts, each: int) -> _Counts:
    """(T, neurons) as (T, rows): the largest of each so many neurons."""
    largest: _Counts = np.maximum.reduceat(counts, np.arange(0, counts.shape[1], each), axis=1)
    return largest
