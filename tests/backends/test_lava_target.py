"""The Lava target's own logic (replays, replacing, closing, forks, threads), with a child that needs no Lava.

`test_lava_supervision` does the same to real simulations, where it matters that they are real.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import bl_neuro as bl
from bl_neuro.backends.lava import target as target_module
from bl_neuro.backends.lava.backend import LavaBackend
from bl_neuro.backends.lava.runtime import RESTARTS
from bl_neuro.backends.lava.target import LavaTarget
from bl_neuro.testing.random_networks import random_dense, random_spikes

Behave = Callable[[str], Path]
NETWORK = random_dense(500, (6, 5, 4), biases=False)
BIASED = random_dense(501, (6, 5, 4))
SPIKES = random_spikes(NETWORK, 0, steps=4, batch=3)
DEFAULTS: dict[str, Any] = {"deadline_s": 20.0, "replicas": None, "runtimes": 1, "python": sys.executable}


def pid_of(target: LavaTarget) -> int | None:
    return target.pids[0] if target.pids else None


@pytest.fixture
def opened(fake_child: Behave, left_behind: Any) -> Iterator[Callable[..., LavaTarget]]:
    """Opens targets with a scripted child, and closes them."""
    targets: list[LavaTarget] = []

    def make(behaviour: str = "answers", network: bl.Network = NETWORK, **options: Any) -> LavaTarget:
        fake_child(behaviour)
        target = LavaTarget(network, LavaBackend, **{**DEFAULTS, **options})
        targets.append(target)
        return target

    yield make
    for target in targets:
        target.close()


def test_nothing_starts_before_the_first_run(opened: Callable[..., LavaTarget], left_behind: Any) -> None:
    target = opened()
    assert pid_of(target) is None
    assert "processes" not in left_behind()
    target.run(SPIKES)
    assert pid_of(target) is not None
    target.close()
    assert left_behind() == {}


def test_one_simulation_serves_all_runs_of_one_kind(opened: Callable[..., LavaTarget]) -> None:
    target = opened()
    target.run(SPIKES)
    pid = pid_of(target)
    target.run(SPIKES[:, :1])
    target.run(SPIKES, start="cold")  # without biases the same
    assert pid_of(target) == pid
    target.run(SPIKES[:2])
    assert pid_of(target) != pid, "another T is another simulation"
    assert not psutil.pid_exists(pid or 0)


def test_with_biases_each_kind_of_start_has_its_simulation(
    opened: Callable[..., LavaTarget], fake_child: Behave
) -> None:
    target = opened(network=BIASED, replicas=1)
    starts = fake_child("answers")
    target.run(SPIKES, start="cold")
    target.run(SPIKES, start="cold")
    assert starts.stat().st_size == 1, "one simulation serves all samples"
    target.run(SPIKES)
    target.run(SPIKES)
    assert starts.stat().st_size == 2


@pytest.mark.parametrize("how", ["dies", "loses-an-actor"])
@pytest.mark.slow
def test_a_query_is_replayed_where_the_simulation_dies(opened: Callable[..., LavaTarget], how: str) -> None:
    target = opened(f"{how},{how},answers")
    assert target.run(SPIKES).spikes.shape == (4, 3, 4)
    assert target.restarts == 2
    assert target.samples == 3, "a replay is not another query"
    assert target.timing.start_s > 0


@pytest.mark.slow
def test_repeated_deaths_are_an_error(opened: Callable[..., LavaTarget], fake_child: Behave) -> None:
    target = opened()
    starts = fake_child("dies")
    with pytest.raises(bl.SubstrateFailed, match="libchip: burnt"):
        target.run(SPIKES)
    assert starts.stat().st_size == 1 + RESTARTS
    assert pid_of(target) is None
    fake_child("answers")
    target.run(SPIKES)


@pytest.mark.parametrize("how", ["hangs", "fails"])
@pytest.mark.slow
def test_deterministic_failures_are_not_retried(
    opened: Callable[..., LavaTarget], fake_child: Behave, how: str
) -> None:
    target = opened(deadline_s=2.0 if how == "hangs" else 30.0)
    starts = fake_child(f"{how},answers")
    with pytest.raises(bl.SubstrateFailed):
        target.run(SPIKES)
    assert starts.stat().st_size == 1
    assert target.run(SPIKES).spikes.shape == (4, 3, 4), "the target itself is still good"
    assert target.restarts == 0


def test_an_interrupt_leaves_nothing_running(
    opened: Callable[..., LavaTarget], left_behind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = opened()
    target.run(SPIKES)

    def interrupted(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("bl_neuro.backends.lava.supervisor.receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            target.run(SPIKES)
    assert pid_of(target) is None
    assert set(left_behind()) == {"files"}, "its .net file, as long as it is open"
    target.run(SPIKES)


def test_a_target_that_is_dropped_is_closed(opened: Callable[..., LavaTarget], left_behind: Any) -> None:
    target = LavaTarget(NETWORK, LavaBackend, **DEFAULTS)
    target.run(SPIKES)
    watched = weakref.ref(target)
    assert {"processes", "files"} < set(left_behind())
    del target
    gc.collect()
    assert watched() is None
    assert left_behind() == {}


@pytest.mark.slow
def test_many_opens_and_closes_leave_nothing(opened: Callable[..., LavaTarget], left_behind: Any) -> None:
    opened().run(SPIKES)
    before = psutil.Process().num_fds(), threading.active_count()
    for _ in range(5):
        target = opened("answers")
        with target:
            target.run(SPIKES)
            os.kill(pid_of(target) or 0, signal.SIGKILL)
            target.run(SPIKES)
            assert target.restarts == 1
        target.close()
    assert (psutil.Process().num_fds(), threading.active_count()) == before
    assert "processes" in left_behind(), "only the first one's"


def test_a_target_that_cannot_be_opened_leaves_nothing(
    fake_child: Behave, left_behind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise bl.ModelFileError("no space left")

    monkeypatch.setattr(target_module, "write_net", full)
    with pytest.raises(bl.ModelFileError):
        LavaTarget(NETWORK, LavaBackend, **DEFAULTS)
    assert left_behind() == {}


def test_threads_may_share_a_target(opened: Callable[..., LavaTarget], fake_child: Behave) -> None:
    target = opened()
    starts = fake_child("answers")
    shapes: list[tuple[int, ...]] = []

    def ask() -> None:
        for _ in range(5):
            shapes.append(tuple(target.run(SPIKES).spikes.shape))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert shapes == [(4, 3, 4)] * 20
    assert starts.stat().st_size == 1


def test_closing_from_another_thread_ends_a_run(
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
    wait_until(lambda: pid_of(target) is not None)
    target.close()
    thread.join(20)
    assert not thread.is_alive()
    assert isinstance(errors[0], bl.TargetClosed)
    wait_until(lambda: left_behind() == {})


def test_a_fork_can_neither_run_nor_end_it(opened: Callable[..., LavaTarget]) -> None:
    """As multiprocessing forks a process with an open target: the copy ends, the simulation stays."""
    target = opened()
    before = target.run(SPIKES).spikes
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            target.run(SPIKES)
        except bl.SubstrateFailed:
            target.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    running = pid_of(target)
    assert target.run(SPIKES).spikes.equal(before)
    assert pid_of(target) == running


PARENT = """
import os, sys, time
from pathlib import Path
from bl_neuro.backends.lava import runtime, supervisor
from bl_neuro.backends.lava.backend import LavaBackend
from bl_neuro.backends.lava.target import LavaTarget
from bl_neuro.testing.random_networks import random_dense, random_spikes

class Fake(supervisor.LavaProcess):
    def __init__(self, folder, python):
        super().__init__(folder, python, child=Path(sys.argv[1]))

runtime.LavaProcess = Fake
network = random_dense(500, (6, 5, 4), biases=False)
target = LavaTarget(network, LavaBackend, 60.0, None, 1, sys.executable)
target.run(random_spikes(network, 0, steps=4, batch=3))
print(target.pids[0], flush=True)
time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_a_parent_that_is_killed(
    fake_child: Behave, left_behind: Any, wait_until: Any, number: signal.Signals
) -> None:
    fake_child("answers")
    child = Path(__file__).with_name("fake_child.py")
    with subprocess.Popen([sys.executable, "-c", PARENT, str(child)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert int(parent.stdout.readline())
        assert {"processes", "shared memory", "files"} == set(left_behind((parent.pid,)))
        parent.send_signal(number)
        parent.wait(10)
        wait_until(lambda: left_behind((parent.pid,)) == {})


def test_padding_of_the_last_round_is_cut_off(opened: Callable[..., LavaTarget]) -> None:
    response = opened(replicas=4).run(np.ones((4, 6, 6)))
    assert response.spikes.shape == (4, 6, 4)
    assert not response.spikes.any()
