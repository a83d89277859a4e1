"""A spare replaces a simulation that ends: the same answers, less delay, and no leftovers.

Most with a child that needs no Lava; the last ones with real simulations.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import bl_neuro as bl
from bl_neuro.backends.lava.backend import LavaBackend
from bl_neuro.backends.lava.supervisor import LavaProcess
from bl_neuro.backends.lava.target import LavaTarget
from bl_neuro.testing.random_networks import random_dense, random_spikes

pytestmark = pytest.mark.slow
Behave = Callable[[str], Path]
NETWORK = random_dense(600, (12, 16, 6), biases=False)
SPIKES = random_spikes(NETWORK, 0, steps=6, batch=4)


@pytest.fixture
def opened(fake_child: Behave, left_behind: Any) -> Iterator[Callable[..., LavaTarget]]:
    """Opens targets with a spare and scripted children, and closes them."""
    targets: list[LavaTarget] = []

    def make(behaviour: str = "answers", **options: Any) -> LavaTarget:
        fake_child(behaviour)
        chosen = {"replicas": 1, "runtimes": 1, "spare": True, "python": sys.executable, **options}
        targets.append(LavaTarget(NETWORK, LavaBackend, 20.0, **chosen))
        return targets[-1]

    yield make
    for target in targets:
        target.close()


def spare_of(target: LavaTarget) -> LavaProcess:
    spare = target._runtimes[0].spare
    assert spare is not None
    return spare


def kill(process: LavaProcess, wait_until: Any) -> None:
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not process.alive)


def test_there_is_no_spare_by_default(opened: Callable[..., LavaTarget]) -> None:
    target = opened(spare=False)
    target.run(SPIKES)
    assert target._runtimes[0].spare is None


def test_it_takes_the_place_of_a_killed_simulation_and_is_replaced(opened: Callable[..., LavaTarget]) -> None:
    target = opened()
    assert target._runtimes[0].spare is None, "the first simulation comes first"
    target.run(SPIKES)
    (first,), spare = target.pids, spare_of(target)
    os.kill(first, signal.SIGKILL)
    assert target.run(SPIKES).spikes.shape == (6, 4, 6)
    assert (target.pids, target.restarts) == ([spare.pid], 1)
    assert spare_of(target).alive
    assert spare_of(target) is not spare


def test_it_takes_the_place_of_a_simulation_of_another_length(opened: Callable[..., LavaTarget]) -> None:
    target = opened()
    target.run(SPIKES)
    spare = spare_of(target)
    assert target.run(SPIKES[:3]).spikes.shape == (3, 4, 6)
    assert (target.pids, target.restarts) == ([spare.pid], 0)


def test_a_dead_spare_is_replaced_by_the_next_sample(opened: Callable[..., LavaTarget], wait_until: Any) -> None:
    target = opened()
    target.run(SPIKES)
    dead = spare_of(target)
    kill(dead, wait_until)
    target.run(SPIKES)
    assert spare_of(target) is not dead
    assert spare_of(target).alive
    assert not psutil.pid_exists(dead.pid), "it was reaped"


def test_a_new_simulation_answers_if_both_died(opened: Callable[..., LavaTarget], wait_until: Any) -> None:
    target = opened()
    target.run(SPIKES)
    process, spare = target._runtimes[0].process, spare_of(target)
    assert process is not None
    kill(process, wait_until)
    kill(spare, wait_until)
    assert target.run(SPIKES).spikes.shape == (6, 4, 6)
    assert target.restarts == 1, "a dead spare is no try"
    assert target.pids != [spare.pid]


def test_a_spare_that_dies_on_takeover_counts_as_a_kill(opened: Callable[..., LavaTarget]) -> None:
    target = opened("dies,dies,answers")
    assert target.run(SPIKES).spikes.shape == (6, 4, 6)
    assert target.restarts == 2


def test_a_spare_that_starts_during_close_is_ended(opened: Callable[..., LavaTarget], left_behind: Any) -> None:
    target = opened()
    runtime = target._runtimes[0]
    run = LavaProcess.run

    def closed_meanwhile(process: LavaProcess, *arguments: Any) -> Any:
        answer = run(process, *arguments)
        target.close()
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LavaProcess, "run", closed_meanwhile)
        target.run(SPIKES[:, :1])
    assert runtime.spare is None
    assert left_behind() == {}


@pytest.mark.slow
def test_descriptors_do_not_pile_up(opened: Callable[..., LavaTarget]) -> None:
    target = opened()
    target.run(SPIKES)
    before = psutil.Process().num_fds()
    for _ in range(5):
        os.kill(target.pids[0], signal.SIGKILL)
        target.run(SPIKES)
    assert psutil.Process().num_fds() == before


@pytest.mark.parametrize("spare", [1, None, "yes"])
def test_invalid_values_are_refused(opened: Callable[..., LavaTarget], spare: Any) -> None:
    with pytest.raises(bl.InputError, match=r"spare: expected True or False"):
        opened(spare=spare)


@pytest.mark.lava
def test_a_lava_spare_gives_the_same_answers(needs: Callable[[str], None], left_behind: Any) -> None:
    needs("lava")
    with bl.open_target(NETWORK, "loihi") as emulator:
        expected = emulator.run(SPIKES).spikes
    with bl.open_target(NETWORK, "lava", runtimes=1, spare=True) as lava:
        assert isinstance(lava, LavaTarget)
        for kills in range(4):
            assert lava.run(SPIKES).spikes.equal(expected)
            assert lava.restarts == kills
            spare = spare_of(lava)
            os.kill(psutil.Process(lava.pids[0]).children()[-1].pid if kills % 2 else lava.pids[0], signal.SIGKILL)
        assert lava.run(SPIKES).spikes.equal(expected)
        assert lava.pids == [spare.pid]


PARENT = """
import bl_neuro as bl
from bl_neuro.testing.random_networks import random_dense, random_spikes

network = random_dense(600, (12, 16, 6), biases=False)
target = bl.open_target(network, "lava", runtimes=1, spare=True)
target.run(random_spikes(network, 0, steps=6, batch=4))
print(target.pids[0], target._runtimes[0].spare.pid, flush=True)
input()
"""


@pytest.mark.lava
def test_a_lava_spare_does_not_outlive_its_parent(
    needs: Callable[[str], None], left_behind: Any, wait_until: Any
) -> None:
    needs("lava")
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", PARENT], **pipes) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert all(psutil.Process(pid).is_running() for pid in pids)
        parent.kill()
        parent.wait(10)
        wait_until(lambda: left_behind((parent.pid,)) == {})
