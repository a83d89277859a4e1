"""Supervision of the child process, tested with a fake that fails on demand: `fake_child.py`."""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from bl_neuro.backends.lava import runtime, supervisor
from bl_neuro.backends.lava.simulation import check_shared_memory
from bl_neuro.backends.lava.supervisor import ChildDied, LavaProcess, Plan
from bl_neuro.errors import SubstrateFailed

Behave = Callable[[str], Path]
pytestmark = pytest.mark.slow
FAKE = Path(__file__).with_name("fake_child.py")


@pytest.fixture
def start(fake_child: Behave, left_behind: Any, tmp_path: Path) -> Iterator[Callable[..., LavaProcess]]:
    """Starts and opens a fake child that behaves in some way."""
    started: list[LavaProcess] = []

    def make(behaviour: str = "answers", deadline_s: float = 20.0) -> LavaProcess:
        fake_child(behaviour)
        process = runtime.LavaProcess(tmp_path, sys.executable)  # type: ignore[attr-defined]  # the fake one
        started.append(process)
        process.open(plan(tmp_path), deadline_s)
        return process

    yield make
    for process in started:
        process.kill()


def plan(folder: Path) -> Plan:
    """A missing file makes the fake child echo its input."""
    return Plan(folder / "none.net", 4, False, False, "aligned")


def gone(process: LavaProcess) -> bool:
    return not supervisor._running_members(process.pid) and not _shared(process)


def _shared(process: LavaProcess) -> list[str]:
    return [name for name in os.listdir("/dev/shm") if process._prefix in name]


def test_it_answers(start: Callable[..., LavaProcess]) -> None:
    process = start()
    assert process.alive
    assert _shared(process)
    for frames in (b"abc", b"", b"x" * 300_000):
        answer = process.run(frames, False, 20.0)
        assert [array.tobytes() for array in answer.spikes] == [frames]
        assert answer.states == []
    process.close()
    assert gone(process)
    assert not process.alive


@pytest.mark.parametrize(
    ("behaviour", "kind", "message"),
    [
        ("hangs", SubstrateFailed, "no answer in 0.4 s while a query.*larger deadline_s"),
        ("half", SubstrateFailed, "no answer"),
        ("dies", ChildDied, "while a query; last line of its output: libchip: burnt"),
        ("loses-an-actor", ChildDied, "one of its processes was killed or ended while a query"),
        ("babbles", ChildDied, "its process ended while a query"),
        ("fails", SubstrateFailed, "a query failed: ValueError: no chip"),
    ],
)
@pytest.mark.slow
def test_every_failure_is_an_error_before_the_deadline(
    start: Callable[..., LavaProcess], behaviour: str, kind: type[Exception], message: str
) -> None:
    process = start(behaviour)
    began = time.monotonic()
    with pytest.raises(kind, match=message) as caught:
        process.run(b"abc", False, 0.4)
    assert time.monotonic() - began < 5
    assert isinstance(caught.value, ChildDied) == (kind is ChildDied), "only what was killed is asked again"
    assert gone(process)


@pytest.mark.parametrize("payload", [10, 2**20])
def test_a_child_that_does_not_read_cannot_block(
    fake_child: Behave, left_behind: Any, tmp_path: Path, payload: int
) -> None:
    fake_child("deaf")
    process = runtime.LavaProcess(tmp_path, sys.executable)  # type: ignore[attr-defined]  # the fake one
    with pytest.raises(SubstrateFailed, match="no answer"):
        process.run(bytes(payload), False, 0.3)
    assert gone(process)


@pytest.mark.parametrize("actor", [False, True])
def test_a_kill_from_outside_is_noticed(start: Callable[..., LavaProcess], wait_until: Any, actor: bool) -> None:
    process = start("hangs")
    victim = process._actors[1].pid if actor else process.pid
    failed: list[BaseException] = []

    def ask() -> None:
        try:
            process.run(b"abc", False, 60.0)
        except ChildDied as error:
            failed.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    os.kill(victim, signal.SIGKILL)
    thread.join(10)
    assert failed
    assert gone(process)


def test_a_stopped_child_is_killed_at_the_deadline(start: Callable[..., LavaProcess]) -> None:
    process = start()
    os.killpg(process.pid, signal.SIGSTOP)
    with pytest.raises(SubstrateFailed, match="no answer"):
        process.run(b"abc", False, 0.3)
    assert gone(process)


def test_a_child_that_does_not_end_is_killed(start: Callable[..., LavaProcess]) -> None:
    process = start("stubborn")
    process.close(grace_s=0.2)
    assert gone(process)


def test_ending_twice_sends_no_second_signal(
    start: Callable[..., LavaProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may have the same id by then."""
    process = start()
    process.close()
    signalled: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda group, number: signalled.append(group))
    process.kill()
    process.close()
    assert signalled == []
    with pytest.raises(ChildDied):
        process.run(b"abc", False, 1.0)
    assert signalled == []


def test_a_dead_child_keeps_its_process_id_until_its_group_is_gone(
    start: Callable[..., LavaProcess], wait_until: Any
) -> None:
    process = start()
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not process.alive)
    assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
    assert supervisor._running_members(process.pid), "its actors live on"
    process.close()
    assert gone(process)
    assert not psutil.pid_exists(process.pid)


def test_another_process_with_the_id_of_an_actor_is_not_it(start: Callable[..., LavaProcess]) -> None:
    process = start()
    recycled: Any = SimpleNamespace(is_running=lambda: False, status=lambda: psutil.STATUS_SLEEPING)
    process._actors = [recycled]
    assert not process.alive


def test_an_interrupt_ends_it(start: Callable[..., LavaProcess], monkeypatch: pytest.MonkeyPatch) -> None:
    process = start("hangs")

    def interrupted(wait: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(supervisor._Wait, "check", interrupted)
    with pytest.raises(KeyboardInterrupt):
        process.run(b"abc", False, 60.0)
    assert gone(process)


def test_an_interrupt_while_it_closes_ends_it(
    start: Callable[..., LavaProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start("stubborn")
    calls: list[float] = []

    def interrupted(seconds: float) -> None:
        calls.append(seconds)
        if len(calls) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr("bl_neuro.backends.lava.supervisor.time.sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        process.close()
    monkeypatch.undo()
    assert gone(process)


def test_another_thread_may_end_it_while_it_is_asked(start: Callable[..., LavaProcess], wait_until: Any) -> None:
    process = start("hangs")
    failed: list[BaseException] = []
    asking = threading.Event()

    def ask() -> None:
        asking.set()
        try:
            process.run(b"abc", False, 60.0)
        except SubstrateFailed as error:
            failed.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    asking.wait(10)
    process.close()
    thread.join(10)
    assert not thread.is_alive()
    assert failed
    assert gone(process)


def test_only_its_own_shared_memory_is_removed(start: Callable[..., LavaProcess]) -> None:
    process, other = start(), start()
    assert process._prefix != other._prefix
    process.close()
    assert not _shared(process)
    assert _shared(other)
    assert other.run(b"abc", False, 10.0).spikes[0].tobytes() == b"abc"


def test_file_descriptors_do_not_pile_up(start: Callable[..., LavaProcess]) -> None:
    start().close()
    before = psutil.Process().num_fds()
    for _ in range(5):
        start().close()
    assert psutil.Process().num_fds() <= before


def test_a_missing_interpreter_is_named(tmp_path: Path) -> None:
    with pytest.raises(SubstrateFailed, match=r"could not start the interpreter .*python9"):
        LavaProcess(tmp_path, python=str(tmp_path / "python9"))


def test_an_interpreter_that_exits_at_once_is_an_error(tmp_path: Path, left_behind: Any) -> None:
    process = LavaProcess(tmp_path, child=tmp_path / "missing.py")
    with pytest.raises(ChildDied, match=r"while starting; last line of its output: .*missing\.py"):
        process.open(plan(tmp_path), 20.0)


PARENT = """
import sys, time
from pathlib import Path
from bl_neuro.backends.lava.supervisor import LavaProcess, Plan

folder = Path(sys.argv[1])
folder.mkdir()
process = LavaProcess(folder, child=Path(sys.argv[2]))
process.open(Plan(folder / "none.net", 4, False, False, "aligned"), 20.0)
print(process.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.parametrize("stopped", ["none", "child", "group"])
def test_children_end_with_a_killed_parent_even_while_they_are_stopped(
    fake_child: Behave, left_behind: Any, wait_until: Any, tmp_path: Path, stopped: str
) -> None:
    fake_child("answers")
    command = [sys.executable, "-c", PARENT, str(tmp_path / "folder"), str(FAKE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        group = int(parent.stdout.readline())
        assert set(left_behind((parent.pid,))) == {"processes", "shared memory"}
        if stopped == "child":
            os.kill(group, signal.SIGSTOP)
        elif stopped == "group":
            os.killpg(group, signal.SIGSTOP)
        parent.kill()
        parent.wait(10)
        wait_until(lambda: left_behind((parent.pid,)) == {} and not (tmp_path / "folder").exists())


def test_a_guard_that_is_stopped_is_ended_with_its_child(
    start: Callable[..., LavaProcess], wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start()
    wait_until(lambda: select.select([process._life], [], [], 0)[0])
    guard = int(process._life.recv(64, socket.MSG_PEEK))
    os.kill(guard, signal.SIGSTOP)
    monkeypatch.setattr(supervisor, "GUARD_S", 0.1)
    process.close()
    assert gone(process)
    wait_until(lambda: not psutil.pid_exists(guard) or psutil.Process(guard).status() == psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize(
    ("limit", "mib", "message"),
    [
        (resource.RLIMIT_AS, 600, r"at least 640 MiB of memory .* limit of 600 MiB \(ulimit -v\)"),
        (resource.RLIMIT_DATA, 200, r"at least 224 MiB of memory .* limit of 200 MiB \(ulimit -d\)"),
    ],
)
def test_a_child_without_enough_memory_is_an_error_that_names_the_limit(
    start: Callable[..., LavaProcess], limit: int, mib: int, message: str
) -> None:
    process = start("hangs")
    resource.prlimit(process.pid, limit, (mib * 2**20, mib * 2**20))
    with pytest.raises(SubstrateFailed, match=message) as caught:
        process.run(b"abc", False, 60.0)
    assert not isinstance(caught.value, ChildDied), "a new simulation would fail as well"
    assert gone(process)


def test_other_errors_name_the_limit_of_memory_too(start: Callable[..., LavaProcess]) -> None:
    process = start("fails")
    resource.prlimit(process.pid, resource.RLIMIT_AS, (2**30, 2**30))
    with pytest.raises(SubstrateFailed, match=r"no chip; its memory is limited to 1024 MiB \(ulimit -v\)"):
        process.run(b"abc", False, 20.0)


def test_shared_memory_that_is_too_small_is_an_error_that_names_what_is_needed() -> None:
    check_shared_memory(1)
    with pytest.raises(MemoryError, match=r"/dev/shm: expected 1,125,899,906,842,624 KiB .* --shm-size=1g"):
        check_shared_memory(2**60)
