"""Several simulations at a time: the same answers in the same order, progress, timing, and endings that leave nothing.

Most with a child that needs no Lava; the last ones with real simulations.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.backends.lava import replicas as replicas_module
from bl_neuro.backends.lava.backend import LavaBackend
from bl_neuro.backends.lava.dispatch import ask_all
from bl_neuro.backends.lava.supervisor import Answer
from bl_neuro.backends.lava.target import LavaTarget
from bl_neuro.testing.random_networks import random_dense, random_spikes

pytestmark = pytest.mark.slow
Behave = Callable[[str], Path]
NETWORK = random_dense(600, (12, 16, 6), biases=False)
SPIKES = random_spikes(NETWORK, 0, steps=6, batch=12)


@pytest.fixture
def opened(fake_child: Behave, left_behind: Any) -> Iterator[Callable[..., LavaTarget]]:
    """Opens targets with scripted children, and closes them."""
    targets: list[LavaTarget] = []

    def make(behaviour: str = "answers", **options: Any) -> LavaTarget:
        fake_child(behaviour)
        chosen = {"deadline_s": 20.0, "replicas": 1, "runtimes": 3, "python": sys.executable, **options}
        targets.append(LavaTarget(NETWORK, LavaBackend, **chosen))
        return targets[-1]

    yield make
    for target in targets:
        target.close()


class Numbers:
    """Stands in for a runtime: a round's answer is its number. Waits for its turn where it is given one."""

    def __init__(self, turn: threading.Event | None = None) -> None:
        self.turn, self.dropped = turn, 0

    def drop(self) -> None:
        self.dropped += 1


def answer(number: int) -> Answer:
    return Answer([np.array([number])], [])


def test_every_round_is_answered_once_in_the_calling_thread() -> None:
    runtimes: Any = [Numbers(), Numbers(), Numbers()]
    taken: list[int] = []
    callers = set()

    def take(number: int, answer: Answer) -> None:
        assert answer.spikes[0].tolist() == [number]
        taken.append(number)
        callers.add(threading.current_thread())

    ask_all(runtimes, 50, lambda runtime, number, stop: answer(number), take)
    assert sorted(taken) == list(range(50))
    assert callers == {threading.current_thread()}
    assert [runtime.dropped for runtime in runtimes] == [0, 0, 0]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, bl.SubstrateFailed, ValueError])
def test_an_error_in_one_ends_all(kind: type[BaseException]) -> None:
    runtimes: Any = [Numbers(), Numbers()]
    before = threading.active_count()

    def ask(runtime: Any, number: int, stop: threading.Event | None) -> Answer:
        assert stop is not None
        if number == 3:
            raise kind("it")
        if number > 3:
            assert stop.wait(20), "the other one is told"
        return answer(number)

    with pytest.raises(kind, match="it"):
        ask_all(runtimes, 1000, ask, lambda number, answer: None)
    assert all(runtime.dropped for runtime in runtimes)
    assert threading.active_count() == before


def test_as_many_runtimes_as_asked_for_but_no_more_than_rounds(opened: Callable[..., LavaTarget]) -> None:
    target = opened()
    target.run(SPIKES[:, :2])
    assert len(target.pids) == 2
    target.run(SPIKES)
    assert len(target.pids) == 3
    assert target.timing.samples == target.samples == 14


def test_by_default_more_are_started_where_there_is_enough_to_do(
    opened: Callable[..., LavaTarget], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
    monkeypatch.setattr(replicas_module, "ROUNDS_PER_START", 4)
    target = opened(runtimes=None)
    target.run(SPIKES[:, :7])
    assert len(target.pids) == 1
    target.run(SPIKES[:, :8])
    assert len(target.pids) == 2
    target.run(SPIKES[:, :2])
    assert len(target.pids) == 2, "those that run go on"
    target.run(SPIKES)
    assert len(target.pids) == 3


@pytest.mark.parametrize("runtimes", [0, 1.5, True, "many", 65])
def test_invalid_numbers_of_runtimes_are_refused(opened: Callable[..., LavaTarget], runtimes: Any) -> None:
    with pytest.raises(bl.InputError, match=r"runtimes: expected a whole number in 1\.\.64"):
        opened(runtimes=runtimes)


@pytest.mark.parametrize("replicas", [1, 5])
@pytest.mark.parametrize("runtimes", [1, 2])
@pytest.mark.slow
def test_progress_counts_samples(opened: Callable[..., LavaTarget], replicas: int, runtimes: int) -> None:
    calls: list[tuple[int, int]] = []
    target = opened(runtimes=runtimes, replicas=replicas, progress=lambda done, total: calls.append((done, total)))
    target.run(SPIKES)
    assert [total for _, total in calls] == [12] * len(calls)
    counts = [done for done, _ in calls]
    assert counts == sorted(set(counts))
    assert counts[-1] == 12
    assert len(calls) == -(-12 // replicas)


def test_each_runtime_has_its_own_restarts(opened: Callable[..., LavaTarget]) -> None:
    target = opened("dies,answers,answers,answers")
    assert target.run(SPIKES).spikes.shape == (6, 12, 6)
    timing = target.timing
    assert timing.restarts == target.restarts == 1
    assert timing.runtimes <= 3
    assert timing.samples == 12
    assert min(timing.start_s, timing.run_s, timing.queries_per_second) > 0


@pytest.mark.parametrize("how", ["fails", "hangs", "dies"])
@pytest.mark.slow
def test_one_that_fails_ends_the_others(opened: Callable[..., LavaTarget], left_behind: Any, how: str) -> None:
    target = opened(how, deadline_s=0.4)
    with pytest.raises(bl.SubstrateFailed):
        target.run(SPIKES)
    assert target.pids == []
    assert set(left_behind()) == {"files"}, "its .net file, as long as it is open"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ZeroDivisionError])
@pytest.mark.slow
def test_an_error_of_the_user_ends_all(
    opened: Callable[..., LavaTarget], left_behind: Any, kind: type[BaseException]
) -> None:
    def progress(done: int, total: int) -> None:
        if done == 4:
            raise kind

    target = opened(progress=progress)
    with pytest.raises(kind):
        target.run(SPIKES)
    assert target.pids == []
    assert set(left_behind()) == {"files"}
    target.progress = None
    assert target.run(SPIKES).spikes.shape == (6, 12, 6), "the target itself is still good"


def test_closing_from_another_thread_ends_all(
    opened: Callable[..., LavaTarget], left_behind: Any, wait_until: Any
) -> None:
    target = opened("hangs", deadline_s=60.0)
    errors: list[BaseException] = []

    def ask() -> None:
        try:
            target.run(SPIKES)
        except bl.SubstrateError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    wait_until(lambda: len(target.pids) == 3)
    target.close()
    thread.join(20)
    assert not thread.is_alive()
    assert isinstance(errors[0], bl.SubstrateError)
    wait_until(lambda: left_behind() == {})


@pytest.mark.lava
@pytest.mark.parametrize(("runtimes", "replicas"), [(2, 1), (2, 4)])
def test_several_runtimes_answer_like_one(
    needs: Callable[[str], None], left_behind: Any, runtimes: int, replicas: int
) -> None:
    needs("lava")
    with bl.open_target(NETWORK, "loihi") as emulator:
        expected = emulator.run(SPIKES, layers=True)
    with bl.open_target(NETWORK, "lava", runtimes=runtimes, replicas=replicas) as lava:
        assert isinstance(lava, LavaTarget)
        actual = lava.run(SPIKES, layers=True)
        assert len(lava.pids) == runtimes
    assert expected.layers is not None
    assert actual.layers is not None
    assert all(ours.equal(wanted) for ours, wanted in zip(actual.layers, expected.layers))


@pytest.mark.lava
def test_kills_in_the_middle_change_nothing(needs: Callable[[str], None], left_behind: Any) -> None:
    """More kills than one sample survives, at moments that a seed chooses: `lava_endurance.py` in short."""
    needs("lava")
    rng = np.random.default_rng(0)
    moments = set(rng.choice(np.arange(1, 12), 4, replace=False).tolist())
    with bl.open_target(NETWORK, "loihi") as emulator:
        expected = emulator.run(SPIKES).spikes
    with bl.open_target(NETWORK, "lava", runtimes=1, replicas=1) as lava:
        assert isinstance(lava, LavaTarget)

        def strike(done: int, total: int) -> None:
            if done in moments:
                os.kill(lava.pids[0], signal.SIGKILL)

        lava.progress = strike
        assert lava.run(SPIKES).spikes.equal(expected)
        assert lava.restarts == 4
