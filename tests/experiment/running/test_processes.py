"""Worker processes that die before they are given a cell, and an interrupt while they are ended."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from bl_neuro.errors import InputError, SubstrateFailed
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.running.processes import STARTS, ProcessPool, WorkerProcess

WORKER = """\
import os, signal, sys
from pathlib import Path

starts = Path(__file__).with_suffix(".starts")
with starts.open("a") as file:
    file.write("x")
if len(starts.read_text()) <= int(sys.argv[1]):
    print("no memory", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
for line in sys.stdin:
    print("{}", flush=True)
"""


def pool(folder: Path, deaths: int) -> ProcessPool:
    """Workers of which the first `deaths` die when they start."""
    (folder / "worker.py").write_text(WORKER)
    return ProcessPool({}, 1, [sys.executable, str(folder / "worker.py"), str(deaths)])


def test_a_worker_that_dies_when_it_starts_is_replaced(tmp_path: Path) -> None:
    workers, cell = pool(tmp_path, STARTS - 1), Cell("target", {"number": 1}, (), {})
    for _ in range(STARTS):
        assert workers.start([(cell,)]) == []  # it starts
        assert workers.wait() == []
    assert workers.start([(cell,)]) == [(cell,)]
    assert workers.wait() == [(cell, {})]
    assert workers.busy is False
    workers.close()
    assert (tmp_path / "worker.starts").read_text() == "x" * STARTS


def test_workers_that_never_start_are_an_error(tmp_path: Path) -> None:
    workers, cell = pool(tmp_path, STARTS), Cell("target", {"number": 1}, (), {})
    for _ in range(STARTS - 1):
        assert workers.start([(cell,)]) == []
        assert workers.wait() == []
    workers.start([(cell,)])
    with pytest.raises(SubstrateFailed, match=r"a worker did not start: ended by signal 9; it said: no memory"):
        workers.wait()
    workers.close()
    assert (tmp_path / "worker.starts").read_text() == "x" * STARTS


def test_a_second_interrupt_leaves_no_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workers, cell = pool(tmp_path, 0), Cell("target", {"number": 1}, (), {})
    workers.start([(cell,)])
    (worker,) = workers._workers.values()
    end = WorkerProcess.end

    def interrupted_end(worker: WorkerProcess) -> None:
        signal.raise_signal(signal.SIGINT)
        end(worker)

    monkeypatch.setattr(WorkerProcess, "end", interrupted_end)
    with pytest.raises(KeyboardInterrupt):
        workers.close()
    assert not worker.alive


def test_there_is_at_least_one_job() -> None:
    with pytest.raises(InputError, match="jobs: expected at least 1, found 0"):
        ProcessPool({}, 0)


STUBBORN = """\
import os, signal, sys
from pathlib import Path

folder, ready = Path(__file__).parent, []

def end(*_):
    (folder / f"signal-{os.getpid()}-{len(ready)}").touch()
    ready.append(1)
    if len(ready) >= int(sys.argv[1]):
        while len(list(folder.glob("signal-*-0"))) < 2:  # until the other worker got a signal as well
            signal.sigtimedwait([], 0.01)
        os._exit(7)

signal.signal(signal.SIGTERM, end)
print("{}", flush=True)
while True:
    signal.pause()
"""


@pytest.mark.parametrize("signals", [1, 2], ids=["at the same time", "one signal is dropped"])
def test_workers_end_at_the_same_time_also_if_one_signal_is_dropped(
    signals: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bl_neuro.experiment.running.processes.REPEAT_S", 0.05)
    (tmp_path / "worker.py").write_text(STUBBORN)
    workers = ProcessPool({}, 2, [sys.executable, str(tmp_path / "worker.py"), str(signals)])
    workers.start([(Cell("target", {"number": number}, (), {}),) for number in range(2)])
    while workers._starting:
        workers.wait()
    processes = [worker.process for worker in workers._workers.values()]
    workers.close()
    assert [process.returncode for process in processes] == [7, 7]
