"""Real simulations that are killed, stopped, interrupted, dropped and orphaned: the same spikes, or an error in time.

Each start takes a second or two; `test_lava_target` and `test_supervisor` have the cases that need no real Lava.
"""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import psutil
import pytest
import torch
from torch import Tensor

import bl_neuro as bl
from bl_neuro.backends.lava.runtime import RESTARTS
from bl_neuro.backends.lava.target import LavaTarget
from bl_neuro.backends.target import Target
from bl_neuro.deploy.quantize import quantize
from bl_neuro.testing.fixed_point import simulate_fixed_point
from bl_neuro.testing.random_networks import random_dense, random_spikes

pytestmark = pytest.mark.lava

NETWORK = random_dense(600, (12, 16, 6), biases=False)
SPIKES = random_spikes(NETWORK, 0, steps=10, batch=40)
EXPECTED = torch.from_numpy(simulate_fixed_point(quantize(NETWORK), SPIKES).spikes).float()


@pytest.fixture(autouse=True)
def _needs_lava(needs: Callable[[str], None]) -> None:
    needs("lava")


def opened(**options: Any) -> LavaTarget:
    """A target that runs one sample after another, so that a batch takes a while."""
    target: Target = bl.open_target(NETWORK, "lava", **{"replicas": 1, "runtimes": 1, **options})
    assert isinstance(target, LavaTarget)
    return target


class Run(threading.Thread):
    """A run in a thread of its own, which can be disturbed from outside."""

    def __init__(self, target: LavaTarget, spikes: Any = SPIKES) -> None:
        super().__init__(daemon=True)
        self.target, self.spikes = target, spikes
        self.answer: Tensor | None = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.answer = self.target.run(self.spikes).spikes
        except bl.SubstrateError as error:
            self.error = error

    def wait(self, deadline_s: float = 120.0) -> None:
        self.join(deadline_s)
        assert not self.is_alive(), "it hangs"


def actors(target: LavaTarget) -> list[int]:
    process = target._runtimes[0].process
    assert process is not None
    return [actor.pid for actor in process._actors]


def pid_of(target: LavaTarget) -> int | None:
    return target.pids[0] if target.pids else None


def test_killing_the_child_in_the_middle_of_a_run(left_behind: Any, wait_until: Any) -> None:
    with opened() as target:
        assert isinstance(target, LavaTarget)
        run = Run(target)
        wait_until(lambda: target.timing.run_s > 0, 60)
        first = pid_of(target)
        assert first is not None
        os.kill(first, signal.SIGKILL)
        run.wait()
        assert run.answer is not None
        assert run.answer.equal(EXPECTED), "as if nothing had happened"
        assert (target.restarts, target.samples) == (1, 40)
        assert pid_of(target) != first


def test_killing_one_of_its_processes(left_behind: Any, wait_until: Any) -> None:
    with opened() as target:
        assert isinstance(target, LavaTarget)
        run = Run(target)
        wait_until(lambda: target.timing.run_s > 0, 60)
        os.kill(actors(target)[-1], signal.SIGKILL)
        run.wait()
        assert run.answer is not None
        assert run.answer.equal(EXPECTED)
        assert target.restarts == 1


def test_killing_it_while_it_starts_and_between_runs(left_behind: Any, wait_until: Any) -> None:
    with opened() as target:
        assert isinstance(target, LavaTarget)
        run = Run(target, SPIKES[:, :2])
        wait_until(lambda: pid_of(target) is not None)
        os.kill(pid_of(target) or 0, signal.SIGKILL)
        run.wait()
        assert run.answer is not None
        assert run.answer.equal(EXPECTED[:, :2])
        os.kill(pid_of(target) or 0, signal.SIGKILL)
        assert target.run(SPIKES[:, :2]).spikes.equal(EXPECTED[:, :2])
        assert target.restarts == 2


def test_killing_one_of_its_processes_while_it_starts(left_behind: Any, wait_until: Any) -> None:
    """Lava itself would wait for it for ever."""
    with opened() as target:
        assert isinstance(target, LavaTarget)
        run = Run(target, SPIKES[:, :2])
        wait_until(lambda: pid_of(target) is not None)
        child = psutil.Process(pid_of(target))
        wait_until(lambda: len(child.children()) > 3, 60)  # its tracker and manager of shared memory come first
        child.children()[-1].kill()
        run.wait()
        assert run.answer is not None
        assert run.answer.equal(EXPECTED[:, :2])
        assert target.restarts == 1


@pytest.mark.slow
def test_killing_any_of_its_processes_between_runs(left_behind: Any) -> None:
    with opened() as target:
        assert isinstance(target, LavaTarget)
        target.run(SPIKES[:, :2])
        for index in range(len(psutil.Process(pid_of(target)).children(recursive=True))):
            psutil.Process(pid_of(target)).children(recursive=True)[index].kill()
            assert target.run(SPIKES[:, :2]).spikes.equal(EXPECTED[:, :2]), f"process {index}"


def test_killing_it_again_and_again_is_an_error(left_behind: Any) -> None:
    killed: list[int] = []
    with opened() as target:
        assert isinstance(target, LavaTarget)
        run = Run(target)
        while run.is_alive():
            pid = pid_of(target)
            if pid is not None and pid not in killed:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
            run.join(0.01)
        assert isinstance(run.error, bl.SubstrateFailed)
        assert "lava: " in str(run.error)
        assert len(killed) == 1 + RESTARTS
        assert pid_of(target) is None


def test_a_stopped_child_is_an_error_at_the_deadline(left_behind: Any) -> None:
    with opened(deadline_s=1.0) as target:
        assert isinstance(target, LavaTarget)
        target.run(SPIKES[:, :1])
        os.kill(pid_of(target) or 0, signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(bl.SubstrateFailed, match=r"no answer in 1 s while a query"):
            target.run(SPIKES[:, :1])
        assert time.monotonic() - began < 10
        assert pid_of(target) is None
        assert target.run(SPIKES[:, :1]).spikes.equal(EXPECTED[:, :1]), "the target itself is still good"


def test_a_stopped_actor_is_an_error_at_the_deadline(left_behind: Any) -> None:
    with opened(deadline_s=1.0) as target:
        assert isinstance(target, LavaTarget)
        target.run(SPIKES[:, :1])
        os.kill(actors(target)[0], signal.SIGSTOP)
        with pytest.raises(bl.SubstrateFailed, match="no answer in 1 s"):
            target.run(SPIKES[:, :1])


def broken(target: LavaTarget, key: str, value: Any) -> None:
    """Writes a value into the target's .net file that Lava does not check."""
    with h5py.File(target._net, "r+") as file:
        if key in file:
            del file[key]
        file[key] = value


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("layer/1/neuron/type", np.array([b"WHAT"]), "lava: starting failed"),
        ("layer/1/weight", np.zeros((6, 16), np.int32), "lava: starting failed"),
        ("layer/1/bias", np.ones(7, np.int32), "lava: starting failed: ValueError: could not broadcast"),
        ("layer/0/neuron/vThMant", np.array(1.5), "lava: .*ended while a query; last line of its output: .*Error: "),
    ],
    ids=["unknown neuron", "weights of zero", "bias of another size", "fractional threshold"],
)
def test_an_error_inside_lava_is_told_in_time(left_behind: Any, key: str, value: Any, message: str) -> None:
    """The last one ends a process of the simulation, and would hang a plain `network.run()` for ever."""
    with opened(deadline_s=5.0) as target:
        assert isinstance(target, LavaTarget)
        broken(target, key, value)
        with pytest.raises(bl.SubstrateFailed, match=message):
            target.run(SPIKES[:, :1])
        assert pid_of(target) is None


def test_an_interrupt_leaves_nothing(left_behind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    target = opened()
    target.run(SPIKES[:, :1])

    def interrupted(wait: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("bl_neuro.backends.lava.supervisor._Wait.check", interrupted)
        os.kill(pid_of(target) or 0, signal.SIGSTOP)
        with pytest.raises(KeyboardInterrupt):
            target.run(SPIKES)
    assert set(left_behind()) == {"files"}
    target.close()
    target.close()


def test_a_dropped_target_leaves_nothing(left_behind: Any) -> None:
    target = opened()
    target.run(SPIKES[:, :1])
    assert set(left_behind()) == {"processes", "shared memory", "files"}
    del target
    gc.collect()
    assert left_behind() == {}


PARENT = """
import sys
import bl_neuro as bl
from bl_neuro.testing.random_networks import random_dense, random_spikes

network = random_dense(600, (12, 16, 6), biases=False)
target = bl.open_target(network, "lava", replicas=1, runtimes=1)
target.run(random_spikes(network, 0, steps=10, batch=1))
print(target.pids[0], flush=True)
while True:  # killed in the middle of a query
    target.run(random_spikes(network, 0, steps=10, batch=1))
"""


@pytest.mark.parametrize("stopped", [False, True])
def test_nothing_outlives_a_parent_that_is_killed(left_behind: Any, wait_until: Any, stopped: bool) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        group = int(parent.stdout.readline())
        assert set(left_behind((parent.pid,))) == {"processes", "shared memory", "files"}
        if stopped:
            os.kill(group, signal.SIGSTOP)
        parent.kill()
        parent.wait(10)
        wait_until(lambda: left_behind((parent.pid,)) == {})
    assert not psutil.pid_exists(group) or psutil.Process(group).status() == psutil.STATUS_ZOMBIE


@pytest.mark.slow
def test_twenty_opens_and_five_kills_leave_nothing(left_behind: Any) -> None:
    children, descriptors = len(psutil.Process().children(recursive=True)), psutil.Process().num_fds()
    for number in range(20):
        with opened() as target:
            assert isinstance(target, LavaTarget)
            assert target.run(SPIKES[:, :1]).spikes.equal(EXPECTED[:, :1])
            if number % 4 == 0:
                victim = (pid_of(target) or 0) if number % 8 else actors(target)[1]
                os.kill(victim, signal.SIGKILL)
                assert target.run(SPIKES[:, :1]).spikes.equal(EXPECTED[:, :1])
                assert target.restarts == 1
        assert left_behind() == {}
    assert len(psutil.Process().children(recursive=True)) == children
    assert psutil.Process().num_fds() <= descriptors + 1


@pytest.mark.slow
def test_a_child_that_may_not_take_memory_is_an_error_that_names_the_limit(tmp_path: Path, left_behind: Any) -> None:
    """With so little memory, an import in the child neither fails nor ends."""
    limited = tmp_path / "python"
    limited.write_text(f'#!/bin/sh\nulimit -v 150000\nexec {sys.executable} "$@"\n')
    limited.chmod(0o755)
    limit = r"limit of 146 MiB \(ulimit -v\)"
    with opened(python=str(limited)) as target, pytest.raises(bl.SubstrateFailed, match=limit):
        target.run(SPIKES[:, :1])


@pytest.mark.slow
def test_a_network_that_does_not_fit_into_shared_memory_is_an_error_that_says_so(in_mount_namespace: Any) -> None:
    script = PARENT.replace("(12, 16, 6)", "(784, 128, 10)").replace("replicas=1", "replicas=4")
    ended = in_mount_namespace("mount -t tmpfs -o size=256k tmpfs /dev/shm", sys.executable, "-c", script)
    last_line = ended.stderr.strip().splitlines()[-1]
    assert re.search(r"SubstrateFailed: .*/dev/shm: expected \d+ KiB .*found \d+ KiB.*--shm-size", last_line)
