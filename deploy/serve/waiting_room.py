"""Requests that wait for the substrate, in the order in which they came, and no client's taking all the room."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass

from torch import Tensor

from bl_neuro.deploy.serve.ledger import Charge
from bl_neuro.deploy.serve.metrics import Metrics
from bl_neuro.deploy.serve.problem import busy


@dataclass(frozen=True)
class Waiting:
    """A request, (T, B, *input_shape), and where its answer goes."""

    charge: Charge
    spikes: Tensor
    answer: asyncio.Future[Tensor]


class WaitingRoom:
    """Holds `most` samples, half of them of one client, so that others find room. A request alone always fits."""

    def __init__(self, most: int, metrics: Metrics) -> None:
        self._most, self._metrics = most, metrics
        self._queue: deque[Waiting] = deque()
        self._held: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def samples(self) -> int:
        """Samples that wait."""
        return self._held.total()

    def enter(self, waiting: Waiting) -> None:
        """Takes a place. Problem (503) where there is no room."""
        client, cost = waiting.charge.client, waiting.charge.cost
        if self._held[client] and self._held[client] + cost > self._most // 2:
            raise busy(f"{self._held[client]} samples of this client wait already")
        if self.samples and self.samples + cost > self._most:
            raise busy("too many samples wait already")
        self._queue.append(waiting)
        self._count(client, cost)

    def leave(self, most: int, together: bool) -> list[Waiting]:
        """The first that waits and, where they may share a call, those behind it of its form, of `most` samples."""
        batch: list[Waiting] = []
        kept: deque[Waiting] = deque()
        room = most
        for each in self._queue:
            cost = each.charge.cost
            if each.answer.done():  # whoever asked has gone; nothing was charged
                self._count(each.charge.client, -cost)
            elif not batch or (together and _alike(each, batch[0]) and cost <= room):
                batch.append(each)
                room -= cost
                self._count(each.charge.client, -cost)
            else:
                kept.append(each)
        self._queue = kept
        return batch

    def _count(self, client: str, samples: int) -> None:
        self._held[client] += samples
        if not self._held[client]:
            del self._held[client]
        self._metrics.waiting.set(self.samples)


def _alike(one: Waiting, other: Waiting) -> bool:
    return len(one.spikes) == len(other.spikes) and one.spikes.dtype == other.spikes.dtype
