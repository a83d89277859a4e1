"""Records a black-box attack while it runs, and creates its `Inversions`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy.typing as npt
import torch
from torch import Tensor

from bl_neuro.access import BlackBox
from bl_neuro.attacks.inversions import Inversions, Status, Trace
from bl_neuro.errors import InputError


class QueryCourse:
    """Records one attack on `classes` (K) through a black box, starting now.

    course = QueryCourse(box, classes) while course.affords(len(classes)):
        box.query(...)
        course.add(fitness, rates)
    return course.inversions(self.name, seed, Status.COMPLETED, spikes)
    """

    def __init__(self, box: BlackBox, classes: Sequence[int]) -> None:
        self._box, self._before = box, box.spent
        self._classes = torch.as_tensor(classes, dtype=torch.int64)
        self._shape = (len(self._classes), *box.input_shape)
        self._entries: list[tuple[int, Tensor, Tensor]] = []

    def __len__(self) -> int:
        """Number of entries in the trace."""
        return len(self._entries)

    @property
    def spent(self) -> int:
        """Number of queries spent since the start of the attack."""
        return self._box.spent - self._before

    def affords(self, queries: int) -> bool:
        """Whether the budget of the box allows this number of queries."""
        return self._box.remaining is None or self._box.remaining >= queries

    def add(self, objective: npt.ArrayLike, rates: npt.ArrayLike) -> None:
        """Adds an entry to the trace, for the queries since the previous entry.

        objective: the value that the attack maximises, (K,). rates: the current reconstructions, (K, *input_shape) in
        0..1: spikes
        a step, so of spikes (T, K, *input_shape) the mean over time. InputError where a shape is another.
        """
        found, images = _copied(objective), _copied(rates)
        _expect("objective", found, self._shape[:1], "one value a class")
        _expect("rates", images, self._shape, "one frame a class: the mean of spikes over time")
        self._entries.append((self.spent, found, images))

    def inversions(
        self, attack: str, seed: int, status: Status, spikes: Tensor, rates: Tensor | None = None
    ) -> Inversions:
        """The result of the attack named `attack`. spikes: (T, K, *input_shape), 0 or 1; see `Inversions`.

        InputError where the spikes are of another shape.
        """
        _expect("spikes", spikes, (*spikes.shape[:1], *self._shape), "time first, then one inversion a class")
        queries, objectives, images = zip(*self._entries) if self._entries else ((), (), ())
        trace = Trace(
            torch.as_tensor(queries, dtype=torch.int64),
            torch.stack(objectives) if objectives else torch.zeros(0, *self._shape[:1]),
            torch.stack(images) if images else torch.zeros(0, *self._shape),
        )
        return Inversions(spikes.to(torch.uint8), self._classes, rates, self.spent, trace, status, attack, seed)


def _expect(name: str, values: Tensor, shape: tuple[int, ...], meaning: str) -> None:
    if tuple(values.shape) != shape:
        raise InputError(f"{name}: expected shape {shape}, {meaning}; found {tuple(values.shape)}")


def _copied(values: npt.ArrayLike) -> Tensor:
    return torch.as_tensor(values).to(torch.float32, copy=True)
