"""Charges and answers of calls that are slow, fail, or outlast their client."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import bl_neuro as bl
from bl_neuro.deploy.serve.app import Endpoint
from bl_neuro.deploy.serve.batcher import Batcher, Waiting, WaitingRoom
from bl_neuro.deploy.serve.clients import Clients
from bl_neuro.deploy.serve.ledger import Charge, Ledger
from bl_neuro.deploy.serve.logs import RequestLog
from bl_neuro.deploy.serve.metrics import Metrics
from bl_neuro.deploy.serve.model import ServedModel
from bl_neuro.deploy.serve.problem import Problem
from bl_neuro.deploy.serve.request import Query
from bl_neuro.deploy.serve.settings import ServeSettings
from bl_neuro.errors import SubstrateError
from bl_neuro.testing.reference_target import easy_network


class SlowBox(bl.BlackBox):
    """A box whose calls wait for `leave`, and fail on request. sizes: of the calls."""

    __slots__ = ("fails", "leave", "sizes", "under_way")

    def __init__(self, target: Any) -> None:
        super().__init__(target)
        self.leave, self.under_way = threading.Event(), threading.Event()
        self.fails = False
        self.sizes: list[int] = []

    def query(self, spikes: Any) -> Tensor:
        self.sizes.append(spikes.shape[1])
        self.under_way.set()
        assert self.leave.wait(60)
        if self.fails:
            raise SubstrateError("told to")
        return super().query(spikes)


@pytest.fixture
def box() -> Iterator[SlowBox]:
    with bl.open_target(easy_network(), "loihi") as target:
        yield SlowBox(target)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(tmp_path / "log", "network", 6)
    yield made
    made.close()


def spikes(batch: int) -> Tensor:
    return torch.ones(3, batch, 12, dtype=torch.uint8)


def charge(key: str | None, cost: int, client: str = "a") -> Charge:
    return Charge(client, key, b"digest", cost)


def run(box: SlowBox, ledger: Ledger, story: Callable[[Batcher], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        made = ServeSettings("model", Path("log"), window_s=0.0, **settings)
        batcher = Batcher(box, ledger, made, Metrics(), shared_calls=True)
        try:
            await story(batcher)
        finally:
            box.leave.set()
            await batcher.close()

    asyncio.run(main())


async def gone(batcher: Batcher, box: SlowBox, asked: Charge) -> None:
    """A client asks, and cancels while the substrate runs."""
    waiting = asyncio.ensure_future(batcher.ask(asked, spikes(asked.cost)))
    await asyncio.to_thread(box.under_way.wait, 60)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    box.leave.set()


def test_a_lost_answer_is_kept_for_its_key_and_charged_once(box: SlowBox, ledger: Ledger) -> None:
    async def story(batcher: Batcher) -> None:
        await gone(batcher, box, charge("k", 2))
        await batcher.ask(charge("other", 1), spikes(1))  # the call before has ended
        assert (await batcher.ask(charge("k", 2), spikes(2))).shape[0] == 2

    run(box, ledger, story)
    assert box.sizes == [2, 1]  # it was not run again
    assert ledger.spent("a") == 3


def test_a_lost_answer_without_a_key_costs_nothing(box: SlowBox, ledger: Ledger) -> None:
    async def story(batcher: Batcher) -> None:
        await gone(batcher, box, charge(None, 2))
        await batcher.ask(charge(None, 1), spikes(1))

    run(box, ledger, story)
    assert ledger.spent("a") == 1


def test_a_request_cancelled_before_it_ran_is_not_charged(box: SlowBox, ledger: Ledger) -> None:
    async def story(batcher: Batcher) -> None:
        first = asyncio.ensure_future(batcher.ask(charge(None, 1), spikes(1)))
        await asyncio.to_thread(box.under_way.wait, 60)
        second = asyncio.ensure_future(batcher.ask(charge("k", 3), spikes(3)))
        await asyncio.sleep(0)
        second.cancel()
        box.leave.set()
        await first

    run(box, ledger, story)
    assert box.sizes == [1]
    assert ledger.spent("a") == 1


def test_a_failed_call_is_not_charged(box: SlowBox, ledger: Ledger) -> None:
    async def story(batcher: Batcher) -> None:
        box.fails = True
        box.leave.set()
        for client in ("a", "b"):
            with pytest.raises(Problem, match="nothing was charged") as refused:
                await batcher.ask(charge("k", 2, client), spikes(2))
            assert refused.value.status == 503
        box.fails = False
        await batcher.ask(charge("k", 2), spikes(2))

    run(box, ledger, story)
    assert (ledger.spent("a"), ledger.spent("b")) == (2, 0)


def test_a_refused_request_does_not_change_the_answers_of_the_others(box: SlowBox, ledger: Ledger) -> None:
    async def story(batcher: Batcher) -> None:
        first = asyncio.ensure_future(batcher.ask(charge(None, 1, "first"), spikes(1)))
        await asyncio.to_thread(box.under_way.wait, 60)
        given = [spikes(2), spikes(7), torch.zeros(3, 1, 12, dtype=torch.uint8)]
        asked = [(charge(None, len(spikes[0]), client), spikes) for client, spikes in zip("abc", given)]
        waiting = [asyncio.ensure_future(batcher.ask(*question)) for question in asked]
        await asyncio.sleep(0)
        box.leave.set()
        await first
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(results[1], Problem)
        assert results[1].code == "budget_exceeded"
        for number in (0, 2):
            answer = results[number]
            assert isinstance(answer, Tensor)
            with bl.open_target(easy_network(), "loihi") as target:
                assert torch.equal(answer, bl.BlackBox(target).query(given[number]))

    run(box, ledger, story)
    assert box.sizes == [1, 3]
    assert [ledger.spent(client) for client in "abc"] == [2, 0, 1]


def test_a_full_queue_is_an_error_and_is_not_charged(box: SlowBox, ledger: Ledger) -> None:
    async def story(batcher: Batcher) -> None:
        first = asyncio.ensure_future(batcher.ask(charge(None, 1), spikes(1)))
        await asyncio.to_thread(box.under_way.wait, 60)
        second = asyncio.ensure_future(batcher.ask(charge(None, 2), spikes(2)))
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="already waiting") as refused:
            await batcher.ask(charge(None, 1), spikes(1))
        assert refused.value.status == 503
        assert refused.value.retry_after is not None
        box.leave.set()
        await asyncio.gather(first, second)

    run(box, ledger, story, max_waiting=4)
    assert ledger.spent("a") == 3


def test_an_unwritable_log_is_an_error_before_anything_runs(box: SlowBox, ledger: Ledger) -> None:
    async def story(batcher: Batcher) -> None:
        ledger._database.execute("PRAGMA query_only=ON")  # as a disk that takes nothing more
        with pytest.raises(Problem, match="cannot be written") as refused:
            await batcher.ask(charge(None, 1), spikes(1))
        assert refused.value.status == 503
        ledger._database.execute("PRAGMA query_only=OFF")
        box.leave.set()
        await batcher.ask(charge(None, 1), spikes(1))

    run(box, ledger, story)
    assert box.sizes == [1]


def test_a_log_that_cannot_take_back_a_charge_does_not_end_the_server(box: SlowBox, ledger: Ledger) -> None:
    async def story(batcher: Batcher) -> None:
        waiting = asyncio.ensure_future(batcher.ask(charge(None, 2), spikes(2)))
        await asyncio.to_thread(box.under_way.wait, 60)
        ledger._database.execute("PRAGMA query_only=ON")
        waiting.cancel()
        box.leave.set()
        with pytest.raises(Problem, match="cannot be written"):
            await batcher.ask(charge(None, 1), spikes(1))
        ledger._database.execute("PRAGMA query_only=OFF")
        await batcher.ask(charge(None, 1), spikes(1))

    run(box, ledger, story)
    assert ledger.spent("a") == 3  # it stays charged: rather that than an answer for nothing


@pytest.fixture
def loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def waiting(loop: asyncio.AbstractEventLoop, client: str, cost: int, steps: int = 2) -> Waiting:
    spikes = torch.zeros(steps, cost, 3, dtype=torch.uint8)
    return Waiting(Charge(client, None, b"", cost), spikes, loop.create_future())


def test_one_client_leaves_room_for_others(loop: asyncio.AbstractEventLoop) -> None:
    room = WaitingRoom(10, Metrics())
    room.enter(waiting(loop, "greedy", 3))
    room.enter(waiting(loop, "greedy", 2))
    with pytest.raises(Problem, match="of this client"):
        room.enter(waiting(loop, "greedy", 1))
    room.enter(waiting(loop, "modest", 5))
    with pytest.raises(Problem, match="too many samples"):
        room.enter(waiting(loop, "third", 1))
    assert room.samples == 10
    assert [request.charge.client for request in room.leave(8, shared_calls=True)] == ["greedy", "greedy"]
    assert [request.charge.client for request in room.leave(8, shared_calls=True)] == ["modest"]
    assert (room.samples, len(room)) == (0, 0)


def test_a_request_alone_always_fits(loop: asyncio.AbstractEventLoop) -> None:
    room = WaitingRoom(4, Metrics())
    room.enter(waiting(loop, "large", 9))
    assert room.leave(2, shared_calls=True)[0].charge.cost == 9


def test_only_requests_of_one_form_share_a_call_in_order(loop: asyncio.AbstractEventLoop) -> None:
    room = WaitingRoom(100, Metrics())
    for client, steps in (("a", 2), ("b", 3), ("c", 2), ("d", 2)):
        room.enter(waiting(loop, client, 1, steps))
    assert [request.charge.client for request in room.leave(2, shared_calls=True)] == ["a", "c"]
    assert [request.charge.client for request in room.leave(2, shared_calls=False)] == ["b"]
    assert [request.charge.client for request in room.leave(2, shared_calls=False)] == ["d"]


def test_disconnected_clients_are_skipped(loop: asyncio.AbstractEventLoop) -> None:
    room = WaitingRoom(10, Metrics())
    gone = waiting(loop, "gone", 4)
    room.enter(gone)
    room.enter(waiting(loop, "there", 1))
    gone.answer.cancel()
    assert [request.charge.client for request in room.leave(8, shared_calls=True)] == ["there"]
    assert room.samples == 0


def test_an_answer_that_json_cannot_express_is_refused(box: SlowBox, ledger: Ledger) -> None:
    settings = ServeSettings("model", Path("log"))
    with bl.open_target(easy_network(), "loihi") as target:
        endpoint = Endpoint(ServedModel.of(target, settings, True), Clients({}), ledger, Metrics(), RequestLog())
    query = Query(None, torch.zeros(1), b"digest", binary=False, spikes=True)
    for value in (float("nan"), float("inf")):
        with pytest.raises(Problem, match="which JSON cannot express") as raised:
            endpoint._answer(query, torch.tensor([[0.0, value]]))
        assert (raised.value.status, raised.value.code) == (406, "not_finite")
    binary = endpoint._answer(replace(query, binary=True), torch.tensor([[0.0, float("nan")]]))
    assert bytes(binary.body).endswith(b"\x00\x00\xc0\x7f")
