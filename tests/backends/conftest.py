"""Shared by the tests of backends: a child without Lava, and checks for leftovers of processes."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

MARK = "BL_NEURO_TEST_MARK"
"""An environment variable by which processes that a test has started, and theirs, are found."""
Left = dict[str, list[str]]


def _processes(mark: str) -> list[str]:
    processes = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                processes.append(f"{process.pid}: {' '.join(process.cmdline())[:80]}")
        except (psutil.Error, OSError):
            continue
    return processes


@pytest.fixture
def left_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Left]]:
    """What is left of targets that this test has opened: processes, shared memory, folders. Nothing is, when it ends.

    owners: process ids whose shared memory is looked for, this one unless said otherwise.
    """
    mark = secrets.token_hex(8)
    folder = Path(tempfile.mkdtemp(prefix="blt-"))  # short: sockets have short names
    monkeypatch.setenv(MARK, mark)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)

    def look(owners: tuple[int, ...] = (os.getpid(),)) -> Left:
        prefixes = tuple(f"{kind}blneuro{owner}x" for owner in owners for kind in ("", "sem."))
        remains = {
            "processes": _processes(mark),
            "shared memory": [name for name in os.listdir("/dev/shm") if name.startswith(prefixes)],
            "files": [str(path.relative_to(folder)) for path in folder.rglob("*")],
        }
        return {what: names for what, names in remains.items() if names}

    yield look
    remains = look()
    shutil.rmtree(folder)
    assert remains == {}


@pytest.fixture
def fake_child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Path]:
    """Makes "lava" targets use a scripted child without Lava; the path of the file that counts its starts."""
    from bl_neuro.backends.lava import runtime, supervisor

    class FakeProcess(supervisor.LavaProcess):
        def __init__(self, folder: Path, python: str = sys.executable) -> None:
            super().__init__(folder, python, child=Path(__file__).with_name("fake_child.py"))

    def behave(words: str) -> Path:
        (tmp_path / "starts").unlink(missing_ok=True)
        monkeypatch.setenv("FAKE_CHILD", words)
        return tmp_path / "starts"

    monkeypatch.setenv("FAKE_CHILD_PATH", str(supervisor.CHILD.parent))
    monkeypatch.setenv("FAKE_CHILD_STARTS", str(tmp_path / "starts"))
    monkeypatch.setattr(runtime, "LavaProcess", FakeProcess)
    return behave
