"""HDF5 files of strangers are read in a confined child: what kills or blocks it is an error of ours."""

from __future__ import annotations

import base64
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import psutil
import pytest

from bl_neuro import ModelFileError
from bl_neuro.interop.nir_file import read_nir
from bl_neuro.strangers import hdf5_file, reading_room
from bl_neuro.strangers.confinement import CALLS
from bl_neuro.strangers.hdf5_file import read_hdf5
from bl_neuro.strangers.reading_room import bytes_on_disk
from bl_neuro.strangers.tree_frames import InvalidFrame, Tree

pytestmark = pytest.mark.slow


CRASHES_HDF5 = (
    "c-rmVKWkHA6bIn<=3mpG7$S=35){P2p)O8^N*hAJAyO3_L<l6PNK<T!*r9Y5`~XglA~==0xH#0s#m!Cp3LQipM5s4;->4K390ZZ)"
    "Sq}Hy^Cmy;T{7i7=(O4gYsYKFYBfykC5@?Ud_9x;y9;kVbUUrZLbzYAhw%7CY~PrUwN?oEeC1HcOKG^=A8e;{mBy$wb#Jh;dV6{J"
    "^ls|L!KL1C{rO649chG82w!*N)#iFS|07x0-8}j#MJP0W&N`7o)JLCP9`tVxR?lbY`wowK)uq8&uisni%@+ay000000000000000"
    "000000000000000006-M==#UEb7=u&T=f{&K+bH$+dHX-Ykx1oooC&RafB>nSt(DD_lgHXR<BN0RbB|?JX^6=&9fD==IMCu`x?vF"
    "ULybizm$Gmj>R?R&Ah&^WT|uN*1N6wE1gy-$GI%@&wPF|nV(H3kDYvYqJ24^3Xf8!u&)9D0000000000000000Ka$c<(Fo6p>r|*"
    "!Oh-2VRqUh0s!~}bDz#$Z7+5%c@h8s000000000000000008hW`35OIVet"
)
"""A file of 67 KB, packed, on which HDF5 2.0 divides by zero (SIGFPE) when it is asked about an object."""


@pytest.fixture(autouse=True)
def own_child() -> Iterator[None]:
    """A new child for each test, and none left."""
    hdf5_file.ROOM.close()
    yield
    hdf5_file.ROOM.close()


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.h5"
    with h5py.File(path, "w") as file:
        file["values"] = np.random.default_rng(0).normal(size=(400, 400))
        file.create_dataset("packed", data=np.arange(20000.0), compression=4, shuffle=True)
        file["word"] = "word"
    return path


def read(path: Path, chunks: bool = True) -> Tree:
    return read_hdf5(path, "a file of values", chunks)


def child() -> reading_room._Child:
    running = hdf5_file.ROOM.child
    assert running is not None
    return running


def test_one_child_reads_good_files_one_after_another(good: Path) -> None:
    assert good.stat().st_size > 1_000_000
    tree = read(good)
    assert np.array_equal(tree["values"], np.random.default_rng(0).normal(size=(400, 400)))
    assert (tree["packed"] == np.arange(20000.0)).all()
    assert tree["word"] == "word"
    pid = child().process.pid
    for _ in range(5):
        read(good)
    assert child().process.pid == pid


def test_a_file_that_crashes_hdf5_is_refused_and_the_next_one_is_read(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "crash.nir"
    path.write_bytes(zlib.decompress(base64.b85decode(CRASHES_HDF5)))
    for _ in range(2):
        with pytest.raises(ModelFileError, match=r"crash\.nir: .*(HDF5 crashed|damaged \()"):
            read_nir(path)
        assert read(good)["word"] == "word"


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGFPE", "SIGABRT", "SIGKILL", "SIGXCPU"])
def test_whatever_ends_the_child_is_named(good: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child is stopped before the request is sent, and gets its signal afterwards, before it can answer."""
    read(good)
    process, send = child().process, socket.send_fds
    process.send_signal(signal.SIGSTOP)

    def send_and_kill(*arguments: Any) -> int:
        sent = send(*arguments)
        process.send_signal(signal.Signals[name])
        process.send_signal(signal.SIGCONT)
        return sent

    monkeypatch.setattr(socket, "send_fds", send_and_kill)
    reason = "took too long: more processor time" if name == "SIGXCPU" else rf"crashed \({name}\)"
    with pytest.raises(ModelFileError, match=rf"good\.h5: .*HDF5 {reason}"):
        read(good)
    monkeypatch.undo()
    assert read(good)["word"] == "word"


def test_a_child_that_does_not_answer_is_ended(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(good)
    process = child().process
    os.kill(process.pid, signal.SIGSTOP)
    monkeypatch.setattr(reading_room, "CPU_S", 0)
    monkeypatch.setattr(reading_room, "WALL_S", 0.2)
    with pytest.raises(ModelFileError, match="took too long: no answer before the deadline"):
        read(good)
    assert process.poll() is not None
    monkeypatch.undo()
    assert read(good)["word"] == "word"


def test_contents_that_cannot_be_passed_on_are_named(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def invalid(*arguments: object) -> Tree:
        raise InvalidFrame("expected at most 5 bytes, found 9")

    monkeypatch.setattr(reading_room, "received_tree", invalid)
    with pytest.raises(ModelFileError, match="its contents could not be passed on: expected at most 5 bytes, found 9"):
        read(good)


def test_a_child_that_does_not_start_is_not_blamed_on_the_file(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_room, "CHILD", "raise SystemExit(3)")
    with pytest.raises(ModelFileError) as caught:
        read(good)
    reason = "the process that reads HDF5 files ended (exit code 3) before it was ready"
    assert str(caught.value) == f"{good}: {reason}"


def test_a_child_that_was_killed_while_waiting_is_replaced(good: Path) -> None:
    read(good)
    process = child().process
    process.kill()
    process.wait()
    assert read(good)["word"] == "word"


def test_many_tiny_chunks_are_read(tmp_path: Path) -> None:
    path = tmp_path / "chunks.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.arange(65536), chunks=(1,))
    assert (read(path)["x"] == np.arange(65536)).all()


def test_a_sparse_file_is_bounded_by_what_is_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "sparse.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (2**28,), "u1")[-1] = 1
    with path.open("rb") as raw:
        if bytes_on_disk(raw.fileno(), path.stat().st_size) > 2**20:
            pytest.skip("the file system keeps no holes")
    for chunks in (True, False):
        with pytest.raises(
            ModelFileError,
            match=r"more than the \d+ that a file with \d+ bytes on the disk may take.*BL_NEURO_READ_MIB",
        ):
            read(path, chunks)


def test_too_much_memory_is_refused_by_name(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever HDF5 allocates, the limit of memory holds."""
    program = (
        "import json, sys; sys.path[:] = json.loads(sys.argv[4])\n"
        "from bl_neuro.strangers.hdf5_reader import READER\n"
        "from bl_neuro.strangers.reading_child import Reader, serve\n"
        "greedy = lambda file, disk_bytes, most_bytes, options: {'x': str(len(bytes(1200 * 2**20)))}\n"
        "serve(Reader(READER.warm_up, greedy, READER.memory), int(sys.argv[1]))"
    )
    monkeypatch.setattr(reading_room, "CHILD", program)
    with pytest.raises(ModelFileError, match="needs more memory than a file of this size may take"):
        read(good)


@pytest.mark.skipif(
    platform.machine() not in CALLS or not Path("/proc/sys/kernel/seccomp/actions_avail").exists(),
    reason="the kernel filters no system calls here",
)
def test_the_child_can_open_nothing(tmp_path: Path, good: Path) -> None:
    """What code that took over the child could do: it runs after the confinement, instead of HDF5."""
    attempts = tmp_path / "attempts.py"
    attempts.write_text(
        "import os, socket, sys\n"
        "from bl_neuro.strangers.confinement import confine\n"
        "filtered = confine(free_descriptors=1)\n"
        "def outcome(attempt):\n"
        "    try:\n"
        "        attempt()\n"
        "    except (OSError, RuntimeError) as error:\n"
        "        return type(error).__name__\n"
        "    return 'done'\n"
        "tried = [lambda: open('/etc/passwd'), lambda: socket.socket(), lambda: os.fork() or os._exit(0),\n"
        "         lambda: os.execv('/bin/true', ['true']), lambda: os.unlink(sys.argv[1]),\n"
        "         lambda: os.kill(os.getppid(), 0), lambda: open(sys.argv[1], 'w')]\n"
        "print(filtered, *[outcome(attempt) for attempt in tried])\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(
        [sys.executable, str(attempts), str(good)], capture_output=True, text=True, env=environment, check=True
    )
    filtered, *outcomes = ran.stdout.split()
    assert filtered == "True"
    assert outcomes == ["PermissionError"] * len(outcomes), ran.stdout
    assert good.exists()


def test_secrets_of_the_environment_stay_with_the_parent(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BL_NEURO_TOKEN", "secret")
    read(good)
    assert b"secret" not in Path(f"/proc/{child().process.pid}/environ").read_bytes()


def test_threads_take_turns(good: Path) -> None:
    trees: list[Tree] = []
    threads = [threading.Thread(target=lambda: trees.append(read(good))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(trees) == 6
    assert read(good)["word"] == "word"


POOL = """
import multiprocessing, sys
from pathlib import Path
from bl_neuro.strangers.hdf5_file import read_hdf5

def word(path):
    return read_hdf5(Path(path), "a file", True)["word"]

if __name__ == "__main__":
    word(sys.argv[1])
    with multiprocessing.get_context(sys.argv[2]).Pool(2) as pool:
        print(pool.map(word, [sys.argv[1]] * 4), word(sys.argv[1]))
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_start_their_own_child(good: Path, tmp_path: Path, method: str) -> None:
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(script), str(good), method]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100)
    assert (ran.stdout, ran.stderr) == (f"{['word'] * 4} word\n", "")


def is_running(pid: int) -> bool:
    """Whether there is such a process, other than a zombie that nobody has waited for."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_it_needs_no_main_guard_and_ends_with_its_parent(good: Path, tmp_path: Path, wait_until: Any) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, signal, sys\nfrom pathlib import Path\nfrom bl_neuro.strangers import hdf5_file\n"
        "hdf5_file.read_hdf5(Path(sys.argv[1]), 'a file', True)\n"
        "print(hdf5_file.ROOM.child.process.pid, flush=True)\n"
        "if sys.argv[2] == 'killed': os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    for end in ("exits", "killed"):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, str(script), str(good), end]
        ran = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert ran.stderr == ""
        pid = int(ran.stdout)
        wait_until(lambda pid=pid: not is_running(pid))


def test_no_module_of_the_current_folder_is_run(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "h5py.py").write_text("open('was-run', 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    assert read(good)["word"] == "word"
    assert not (tmp_path / "was-run").exists()


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    for name, content in (("pipe", "a named pipe"), ("", "a folder"), ("none", "nothing"), ("empty", "an empty file")):
        with pytest.raises(ModelFileError, match=f"found {content}"):
            read(tmp_path / name)
