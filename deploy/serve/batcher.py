"""Batching: concurrent requests are answered by one call of the substrate.

A single request never waits. With concurrent clients, a call is delayed by a few milliseconds until half of them have
sent a request: one half of the requests is then parsed and answered while the substrate runs the other half.
Charges are written to disk while the substrate runs, those of one call in one transaction; no answer is sent before
its charge is on disk.
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
from bl_neuro.backends.inputs import is_held
from bl_neuro.deploy.serve.ledger import Charge, Charged, Ledger
from bl_neuro.deploy.serve.metrics import Metrics
from bl_neuro.deploy.serve.problem import Problem, busy, log_damaged
from bl_neuro.deploy.serve.settings import ServeSettings
from bl_neuro.errors import LogDamaged, SubstrateError

_QUIET_S = 0.001
"""A delayed call starts once no request has arrived for this many seconds."""
_ANSWERED = (Charged.NEW, Charged.BEFORE)
LAST_CALL_S = 10.0
"""Seconds that the server waits at shutdown for the waiting requests and the call in progress."""
_DECAY = 0.9
"""Factor by which the estimate of concurrent requests decays with every call."""


class Batcher:
    """Queries `box`, one call at a time, for the waiting requests.

    shared_calls: whether several requests may share one call; otherwise every request is a call of its own.
    """

    def __init__(
        self, box: BlackBox, ledger: Ledger, settings: ServeSettings, metrics: Metrics, shared_calls: bool
    ) -> None:
        self._box, self._ledger, self._settings, self._metrics = box, ledger, settings, metrics
        self._shared_calls = shared_calls
        self._room = WaitingRoom(settings.max_waiting, metrics)
        self._arrived = asyncio.Event()
        self._worker = ThreadPoolExecutor(1, "substrate")
        self._ending = False
        self._concurrency = 0.0
        """Estimated number of concurrent requests: the largest number waiting or running, decaying with every call."""
        self._running = 0
        self._lost_answers = LostAnswers()
        self._task = asyncio.get_running_loop().create_task(self._work())

    async def ask(self, charge: Charge, spikes: Tensor) -> Tensor:
        """The answer to `spikes` (T, B, *input_shape), batch on axis 0.

        A request cancelled before its call starts costs nothing. If it is cancelled later, its answer is kept for a
        retry when it has an idempotency key; otherwise the charge is refunded.

        Raises:
            Problem: the queue is full, the budget is spent, the log cannot be written or is damaged, or the substrate
                failed.
        """
        if self._ending:
            raise busy("the server is shutting down")
        kept_answer = self._lost_answers.take(charge)
        if kept_answer is not None:
            return kept_answer
        waiting = Waiting(charge, spikes, asyncio.get_running_loop().create_future())
        self._room.enter(waiting)
        self._concurrency = max(self._concurrency, len(self._room) + self._running)
        self._arrived.set()
        return await waiting.answer

    @property
    def ending(self) -> bool:
        """Whether new requests are refused."""
        return self._ending

    async def close(self) -> None:
        """Answers the waiting requests and refuses new ones; a call that takes too long is abandoned."""
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
            if self._shared_calls:
                await self._wait_for_more()
            batch = self._room.leave(self._settings.max_batch, self._shared_calls)
            if batch:
                self._running = len(batch)
                await self._answer(batch)
                self._running = 0

    async def _wait_for_more(self) -> None:
        """Waits at most `window_s` until half of the concurrent clients have sent a request."""
        self._concurrency = max(_DECAY * self._concurrency, len(self._room))
        until = time.monotonic() + self._settings.window_s
        previous_count = 0
        while (
            previous_count < len(self._room) < self._concurrency / 2
            and time.monotonic() < until
            and self._room.samples < self._settings.max_batch
        ):
            previous_count = len(self._room)
            await asyncio.sleep(_QUIET_S)

    async def _answer(self, batch: list[Waiting]) -> None:
        loop = asyncio.get_running_loop()
        answers: list[Tensor | Exception]
        try:
            answers = await loop.run_in_executor(self._worker, self._run, batch)
        except Exception as error:  # noqa: BLE001 - every waiting client gets the error; the next call may succeed
            answers = [error] * len(batch)
        abandoned = []
        for request, answer in zip(batch, answers):
            if request.answer.done():
                if isinstance(answer, Tensor):
                    self._lost_answers.keep(request.charge, answer)
                    abandoned.append(request.charge)
            elif isinstance(answer, Exception):
                request.answer.set_exception(answer)
            else:
                request.answer.set_result(answer)
        unkeyed = [charge for charge in abandoned if charge.key is None]
        if unkeyed:
            await loop.run_in_executor(self._worker, self._refund, unkeyed)

    def _run(self, batch: list[Waiting]) -> list[Tensor | Exception]:
        """In the worker thread: charges the requests, queries the box, and answers or refuses each request."""
        newly_charged: list[Charge] = []
        answer: Tensor | None = None
        try:
            with self._ledger.charging([request.charge for request in batch]) as results:
                newly_charged += [request.charge for request, outcome in zip(batch, results) if outcome is Charged.NEW]
                answered = [request for request, outcome in zip(batch, results) if outcome in _ANSWERED]
                if answered:
                    answer = self._query(answered)
        except LogDamaged as error:
            self._metrics.failures.inc()
            raise log_damaged() from error
        except sqlite3.Error as error:
            self._metrics.failures.inc()
            raise busy("the log of queries cannot be written; nothing was charged") from error
        except Exception as error:
            self._refund(newly_charged)
            self._metrics.failures.inc()
            if isinstance(error, SubstrateError):
                raise busy("the substrate failed; nothing was charged") from error
            raise
        for charge in newly_charged:
            self._metrics.queries.labels(charge.client).inc(charge.cost)
        parts = iter(() if answer is None else answer.split([request.charge.cost for request in answered]))
        return [
            next(parts) if outcome in _ANSWERED else self._refusal(request.charge, outcome)
            for request, outcome in zip(batch, results)
        ]

    def _query(self, requests: list[Waiting]) -> Tensor:
        """One call of the substrate, batch on axis 0."""
        start_time = time.monotonic()
        answer = batch_first(self._box.query(_joined([request.spikes for request in requests])), self._box.reveals)
        self._metrics.run_s.observe(time.monotonic() - start_time)
        self._metrics.batch.observe(len(requests))
        return answer

    def _refusal(self, charge: Charge, outcome: Charged) -> Problem:
        if outcome is Charged.ANOTHER:
            return Problem(409, "key_reused", "Idempotency-Key: expected a new one for another query")
        left = self._ledger.remaining(charge.client)
        message = f"this query costs {charge.cost}, and {left} are left of this client's budget"
        return Problem(403, "budget_exceeded", message)

    def _refund(self, charges: list[Charge]) -> None:
        """Refunds charges whose answers were not delivered, if the log can still be written."""
        try:
            self._ledger.void(charges)
        except (sqlite3.Error, LogDamaged):
            self._metrics.failures.inc()


def batch_first(answer: Tensor, reveals: str) -> Tensor:
    """A box's answer with the batch on axis 0: (B, T, C) for membrane potentials and spikes."""
    return answer.transpose(0, 1) if reveals in ("membrane", "spikes") else answer


def _joined(spikes: list[Tensor]) -> Tensor:
    """Concatenates requests along the batch; a constant frame is kept in memory once, not once per time step."""
    if len(spikes) == 1:
        return spikes[0]
    if not all(is_held(sample) for sample in spikes):
        return torch.cat(spikes, dim=1)
    frames = torch.cat([sample[:1] for sample in spikes], dim=1)
    return frames.expand(len(spikes[0]), *frames.shape[1:])


@dataclass(frozen=True)
class Waiting:
    """A request with spikes (T, B, *input_shape), and the future of its answer."""

    charge: Charge
    spikes: Tensor
    answer: asyncio.Future[Tensor]


class WaitingRoom:
    """Queue of at most `limit` samples, at most half of them from one client. A single request always fits."""

    def __init__(self, limit: int, metrics: Metrics) -> None:
        self._limit, self._metrics = limit, metrics
        self._queue: deque[Waiting] = deque()
        self._waiting_samples: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def samples(self) -> int:
        """Number of waiting samples."""
        return self._waiting_samples.total()

    def enter(self, waiting: Waiting) -> None:
        """Adds a request. Problem (503) if there is no room."""
        client, cost = waiting.charge.client, waiting.charge.cost
        if self._waiting_samples[client] and self._waiting_samples[client] + cost > self._limit // 2:
            raise busy(f"{self._waiting_samples[client]} samples of this client are already waiting")
        if self.samples and self.samples + cost > self._limit:
            raise busy("too many samples are already waiting")
        self._queue.append(waiting)
        self._count(client, cost)

    def leave(self, limit: int, shared_calls: bool) -> list[Waiting]:
        """Removes the first request and, if calls are shared, later ones of equal form, up to `limit` samples."""
        batch: list[Waiting] = []
        remaining: deque[Waiting] = deque()
        room = limit
        for request in self._queue:
            cost = request.charge.cost
            if request.answer.done():  # the client disconnected; nothing was charged
                self._count(request.charge.client, -cost)
            elif not batch or (shared_calls and _alike(request, batch[0]) and cost <= room):
                batch.append(request)
                room -= cost
                self._count(request.charge.client, -cost)
            else:
                remaining.append(request)
        self._queue = remaining
        return batch

    def _count(self, client: str, samples: int) -> None:
        self._waiting_samples[client] += samples
        if not self._waiting_samples[client]:
            del self._waiting_samples[client]
        self._metrics.waiting.set(self.samples)


def _alike(first: Waiting, second: Waiting) -> bool:
    return len(first.spikes) == len(second.spikes) and first.spikes.dtype == second.spikes.dtype


class LostAnswers:
    """The most recent undelivered answers, at most `limit` bytes; the oldest are dropped first."""

    def __init__(self, limit: int = 16 * 2**20) -> None:
        self._limit, self._bytes = limit, 0
        self._answers: OrderedDict[tuple[str, str, bytes], Tensor] = OrderedDict()

    def keep(self, charge: Charge, answer: Tensor) -> None:
        """Keeps the answer to a charge that has an idempotency key."""
        if charge.key is None:
            return
        name = (charge.client, charge.key, charge.digest)
        self._drop(name)
        self._answers[name] = answer.clone()  # not a view of its whole batch
        self._bytes += answer.nbytes
        while self._bytes > self._limit:
            self._drop(next(iter(self._answers)))

    def take(self, charge: Charge) -> Tensor | None:
        """Removes and returns the kept answer to this charge, or None."""
        if charge.key is None:
            return None
        return self._drop((charge.client, charge.key, charge.digest))

    def _drop(self, name: tuple[str, str, bytes]) -> Tensor | None:
        answer = self._answers.pop(name, None)
        if answer is not None:
            self._bytes -= answer.nbytes
        return answer
