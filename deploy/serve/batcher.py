"""Requests that come together are answered by one call of the substrate.

A request alone never waits. Once requests come together, a call is held back for a few milliseconds until half of the
crowd has arrived: so one half is read and answered while the substrate runs the other.
Charges go to the disk while the substrate runs, those of one call in one transaction; no answer leaves before they are
there.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import Counter, OrderedDict, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from bl_neuro.access import BlackBox
from bl_neuro.backends.base import is_held
from bl_neuro.deploy.serve.ledger import Charge, Charged, Ledger
from bl_neuro.deploy.serve.metrics import Metrics
from bl_neuro.deploy.serve.problem import Problem, busy
from bl_neuro.deploy.serve.settings import ServeSettings
from bl_neuro.errors import SubstrateError

_QUIET_S = 0.001
"""A call is held back no longer once nothing arrived for so long."""
_ANSWERED = (Charged.NEW, Charged.BEFORE)
LAST_CALL_S = 10.0
"""Seconds that the call in progress has to end in, once all requests are answered or given up."""
_FORGOTTEN = 0.9
"""What one call leaves of the memory of a larger crowd."""


class Batcher:
    """Asks `box`, one call at a time, for whoever waits. together: False asks for each request by itself."""

    def __init__(
        self, box: BlackBox, ledger: Ledger, settings: ServeSettings, metrics: Metrics, together: bool
    ) -> None:
        self._box, self._ledger, self._settings, self._metrics = box, ledger, settings, metrics
        self._together = together
        self._room = WaitingRoom(settings.max_waiting, metrics)
        self._arrived = asyncio.Event()
        self._worker = ThreadPoolExecutor(1, "substrate")
        self._ending = False
        self._crowd = 0.0
        """How many clients ask at once: requests that waited or ran together, forgotten slowly."""
        self._running = 0
        self._lost = LostAnswers()
        self._task = asyncio.get_running_loop().create_task(self._work())

    async def ask(self, charge: Charge, spikes: Tensor) -> Tensor:
        """The answer to `spikes` (T, B, *input_shape), batch on axis 0.

        Who is cancelled before it ran costs nothing. Later the answer is lost: with a key it is kept for whoever asks
        again, without one the charge is given back.

        Raises:
            Problem: the queue is full, the budget is spent, the log cannot be written, or the substrate failed.
        """
        if self._ending:
            raise busy("the server is ending")
        found = self._lost.take(charge)
        if found is not None:
            return found
        waiting = Waiting(charge, spikes, asyncio.get_running_loop().create_future())
        self._room.enter(waiting)
        self._crowd = max(self._crowd, len(self._room) + self._running)
        self._arrived.set()
        return await waiting.answer

    @property
    def ending(self) -> bool:
        """Whether nobody new is answered."""
        return self._ending

    async def close(self) -> None:
        """Answers who waits already, and nobody else; a call that does not end soon is left alone."""
        self._ending = True
        self._arrived.set()
        await asyncio.wait({self._task}, timeout=LAST_CALL_S)
        self._task.cancel()
        self._worker.shutdown(wait=False)

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            if not len(self._room):
                if self._ending:
                    return
                self._arrived.clear()
                continue
            if self._together:
                await self._gather()
            batch = self._room.leave(self._settings.max_batch, self._together)
            if batch:
                self._running = len(batch)
                await self._answer(batch)
                self._running = 0

    async def _gather(self) -> None:
        """Waits while more arrive, for a few milliseconds at most, until half of the crowd is there."""
        self._crowd = max(_FORGOTTEN * self._crowd, len(self._room))
        until = time.monotonic() + self._settings.window_s
        before = 0
        while (
            before < len(self._room) < self._crowd / 2
            and time.monotonic() < until
            and self._room.samples < self._settings.max_batch
        ):
            before = len(self._room)
            await asyncio.sleep(_QUIET_S)

    async def _answer(self, batch: list[Waiting]) -> None:
        loop = asyncio.get_running_loop()
        found: list[Tensor | Exception]
        try:
            found = await loop.run_in_executor(self._worker, self._run, batch)
        except Exception as error:  # noqa: BLE001 - whoever waits is told, and the next call may go well
            found = [error] * len(batch)
        lost = []
        for each, answer in zip(batch, found):
            if each.answer.done():
                if isinstance(answer, Tensor):
                    self._lost.keep(each.charge, answer)
                    lost.append(each.charge)
            elif isinstance(answer, Exception):
                each.answer.set_exception(answer)
            else:
                each.answer.set_result(answer)
        unkeyed = [charge for charge in lost if charge.key is None]
        if unkeyed:
            await loop.run_in_executor(self._worker, self._give_back, unkeyed)

    def _run(self, batch: list[Waiting]) -> list[Tensor | Exception]:
        """In the worker's thread: charges, asks, and answers or refuses each."""
        new: list[Charge] = []
        answer: Tensor | None = None
        try:
            with self._ledger.charging([each.charge for each in batch]) as charged:
                new += [each.charge for each, what in zip(batch, charged) if what is Charged.NEW]
                asked = [each for each, what in zip(batch, charged) if what in _ANSWERED]
                if asked:
                    answer = self._asked(asked)
        except sqlite3.Error as error:
            self._metrics.failures.inc()
            raise busy("the log of queries cannot be written; nothing was charged") from error
        except Exception as error:
            self._give_back(new)
            self._metrics.failures.inc()
            if isinstance(error, SubstrateError):
                raise busy("the substrate failed; nothing was charged") from error
            raise
        for charge in new:
            self._metrics.queries.labels(charge.client).inc(charge.cost)
        parts = iter(() if answer is None else answer.split([each.charge.cost for each in asked]))
        return [
            next(parts) if what in _ANSWERED else self._refusal(each.charge, what) for each, what in zip(batch, charged)
        ]

    def _asked(self, asked: list[Waiting]) -> Tensor:
        """One call of the substrate, batch on axis 0."""
        began = time.monotonic()
        answer = batch_first(self._box.query(_joined([each.spikes for each in asked])), self._box.reveals)
        self._metrics.run_s.observe(time.monotonic() - began)
        self._metrics.batch.observe(len(asked))
        return answer

    def _refusal(self, charge: Charge, what: Charged) -> Problem:
        if what is Charged.ANOTHER:
            return Problem(409, "key_reused", "Idempotency-Key: expected a new one for another query")
        left = self._ledger.remaining(charge.client)
        said = f"this query costs {charge.cost}, and {left} are left of this client's budget"
        return Problem(403, "budget_exceeded", said)

    def _give_back(self, charges: list[Charge]) -> None:
        """What was charged for nothing, where the log can still be written."""
        try:
            self._ledger.void(charges)
        except sqlite3.Error:
            self._metrics.failures.inc()


def batch_first(answer: Tensor, reveals: str) -> Tensor:
    """What a box answers, with the batch on its axis 0: (B, T, C) of a membrane or of spikes."""
    return answer.transpose(0, 1) if reveals in ("membrane", "spikes") else answer


def _joined(spikes: list[Tensor]) -> Tensor:
    """The batch of several; frames that are held stay one in memory."""
    if len(spikes) == 1:
        return spikes[0]
    if not all(is_held(each) for each in spikes):
        return torch.cat(spikes, dim=1)
    frames = torch.cat([each[:1] for each in spikes], dim=1)
    return frames.expand(len(spikes[0]), *frames.shape[1:])


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


class LostAnswers:
    """The last answers that nobody took, `most` bytes of them; the oldest go first."""

    def __init__(self, most: int = 16 * 2**20) -> None:
        self._most, self._bytes = most, 0
        self._answers: OrderedDict[tuple[str, str, bytes], Tensor] = OrderedDict()

    def keep(self, charge: Charge, answer: Tensor) -> None:
        """Of a charge with a key."""
        if charge.key is None:
            return
        name = (charge.client, charge.key, charge.digest)
        self._drop(name)
        self._answers[name] = answer.clone()  # not a view of its whole batch
        self._bytes += answer.nbytes
        while self._bytes > self._most:
            self._drop(next(iter(self._answers)))

    def take(self, charge: Charge) -> Tensor | None:
        """The answer to this charge, if it was lost and is still here."""
        if charge.key is None:
            return None
        return self._drop((charge.client, charge.key, charge.digest))

    def _drop(self, name: tuple[str, str, bytes]) -> Tensor | None:
        answer = self._answers.pop(name, None)
        if answer is not None:
            self._bytes -= answer.nbytes
        return answer
