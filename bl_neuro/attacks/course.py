"""Records a black-box attack while it runs, and creates its `Inversions`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy.typing as npt
import torch
from torch import Tensor

from bl_neuro.access import BlackBox
from bl_neuro.attacks.inversions import Inversions, Status, Trace


class QueryCourse:
    """Records one attack on `classes` (K) through a black box, starting now.

    course = QueryCourse(box, classes) while course.affords(len(classes)):
        box.query(...)
        course.add(fitness, frames)
    return course.inversions(self.name, seed, Status.COMPLETED, spikes)
    """

    def __init__(self, box: BlackBox, classes: Sequence[int]) -> None:
        self._box, self._before = box, box.spent
        self._classes = torch.as_tensor(classes, dtype=torch.int64)
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
        0..1.
        """
        entry = (self.spent, _copied(objective), _copied(rates))
        self._entries.append(entry)

    def inversions(
        self, attack: str, seed: int, status: Status, spikes: Tensor, rates: Tensor | None = None
    ) -> Inversions:
        """The result of the attack named `attack`. spikes: (T, K, *input_shape), 0 or 1; see `Inversions`."""
        count, shape = len(self._classes), spikes.shape[2:]
        queries, objectives, images = zip(*self._entries) if self._entries else ((), (), ())
        trace = Trace(
            torch.as_tensor(queries, dtype=torch.int64),
            torch.stack(objectives) if objectives else torch.zeros(0, count),
            torch.stack(images) if images else torch.zeros(0, count, *shape),
        )
        return Inversions(spikes.to(torch.uint8), self._classes, rates, self.spent, trace, status, attack, seed)


def _copied(values: npt.ArrayLike) -> Tensor:
    return torch.as_tensor(values).to(torch.float32, copy=True)
