"""Who waits, and who finds no room."""

from __future__ import annotations

import asyncio

import pytest
import torch

from bl_neuro.deploy.serve.ledger import Charge
from bl_neuro.deploy.serve.metrics import Metrics
from bl_neuro.deploy.serve.problem import Problem
from bl_neuro.deploy.serve.waiting_room import Waiting, WaitingRoom


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
    assert [each.charge.client for each in room.leave(8, together=True)] == ["greedy", "greedy"]
    assert [each.charge.client for each in room.leave(8, together=True)] == ["modest"]
    assert (room.samples, len(room)) == (0, 0)


def test_a_request_alone_always_fits(loop: asyncio.AbstractEventLoop) -> None:
    room = WaitingRoom(4, Metrics())
    room.enter(waiting(loop, "large", 9))
    assert room.leave(2, together=True)[0].charge.cost == 9


def test_only_those_of_one_form_share_a_call_and_nobody_overtakes_their_like(loop: asyncio.AbstractEventLoop) -> None:
    room = WaitingRoom(100, Metrics())
    for client, steps in (("a", 2), ("b", 3), ("c", 2), ("d", 2)):
        room.enter(waiting(loop, client, 1, steps))
    assert [each.charge.client for each in room.leave(2, together=True)] == ["a", "c"]
    assert [each.charge.client for each in room.leave(2, together=False)] == ["b"]
    assert [each.charge.client for each in room.leave(2, together=False)] == ["d"]


def test_who_has_gone_is_left_out(loop: asyncio.AbstractEventLoop) -> None:
    room = WaitingRoom(10, Metrics())
    gone = waiting(loop, "gone", 4)
    room.enter(gone)
    room.enter(waiting(loop, "there", 1))
    gone.answer.cancel()
    assert [each.charge.client for each in room.leave(8, together=True)] == ["there"]
    assert room.samples == 0
