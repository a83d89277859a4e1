"""How a command ends on errors other than wrong input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bl_neuro as bl
from bl_neuro import cli
from bl_neuro.cli import INTERRUPTED, OUTPUT_CLOSED
from bl_neuro.testing.random_networks import random_dense


def ending(error: BaseException, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The output and exit code of `bl-neuro doctor` if it raises `error`."""

    def broken() -> None:
        raise error

    monkeypatch.setattr("bl_neuro.api.doctor.doctor", broken)
    return call("doctor")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), INTERRUPTED, "error: interrupted\n"),
        (MemoryError(), 2, "error: not enough memory: a smaller network, budget or number of steps may fit\n"),
        (PermissionError(13, "Permission denied", "results.json"), 2, "error: results.json: Permission denied\n"),
    ],
    ids=["interrupt", "memory", "permission"],
)
def test_errors_are_one_line(
    error: BaseException, code: int, message: str, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = ending(error, call, monkeypatch)
    assert (result.code, result.out, result.err) == (code, "", message)


def test_internal_errors_keep_their_traceback(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        ending(ZeroDivisionError(), call, monkeypatch)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full (Linux)")
def test_output_that_cannot_be_written_is_an_error() -> None:
    with open("/dev/full", "w") as full:
        words = [sys.executable, "-m", "bl_neuro", "--help"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: output: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("unbuffered", [[], ["-u"]], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("words", [["--help"], ["inspect"]], ids=["Typer's output", "ours"])
def test_a_closed_pipe_ends_the_command_quietly(unbuffered: list[str], words: list[str], tmp_path: Path) -> None:
    bl.save(random_dense(3, (6, 5, 4)), tmp_path / "model.safetensors")
    if words == ["inspect"]:
        words = [*words, str(tmp_path / "model.safetensors")]
    read, write = os.pipe()
    os.close(read)
    try:
        program = [sys.executable, *unbuffered, "-m", "bl_neuro", *words]
        done = subprocess.run(program, stdout=write, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (OUTPUT_CLOSED, "")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="closes streams with a shell")
@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error(closed: str, tmp_path: Path) -> None:
    """As under cron: the command does its work, and no result gets the number of a closed stream."""
    bl.save(random_dense(3, (6, 5, 4)), tmp_path / "model.safetensors")
    python = [sys.executable, "-m", "bl_neuro"]
    attack = ["attack", "model.safetensors", "--backend", "loihi", "--attack", "random", "--budget", "60", "--out", "a"]
    for words in (["inspect", "model.safetensors"], attack, ["attack", "nothing.safetensors"]):
        command = ["sh", "-c", f'exec "$@" {closed}', "sh", *python, *words]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, stdin=subprocess.DEVNULL)
        failed = "nothing.safetensors" in words
        assert done.returncode == (2 if failed else 0), done.stderr
        assert bool(done.stdout) == (not failed and ">&-" not in closed.replace("2>&-", ""))
        assert bool(done.stderr) == (failed and "2>&-" not in closed)
    assert (tmp_path / "a" / "inversions.safetensors").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
def test_an_interrupted_search_saves_its_best_inversions(tmp_path: Path) -> None:
    """Ctrl-C during a search ends it, saves its result and states so."""
    bl.save(random_dense(3, (6, 5, 4)), tmp_path / "model.safetensors")
    words = [sys.executable, "-m", "bl_neuro", "attack", str(tmp_path / "model.safetensors"), "--backend", "loihi"]
    words += ["--budget", "100000000", "--out", str(tmp_path / "out"), "--json"]
    watch = (
        "import os, runpy, signal, sys, bl_neuro.attacks.brainleaks_v2 as v2\n"
        "whole = v2._Search.generation\n"
        "def generation(search, size):\n"
        "    whole(search, size)\n"
        "    len(search.course) == 5 and os.kill(os.getpid(), signal.SIGINT)\n"
        "v2._Search.generation = generation\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_module('bl_neuro', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", watch, *words[2:]], capture_output=True, text=True)
    assert done.returncode == INTERRUPTED, done.stderr
    facts = json.loads(done.stdout)
    assert facts["status"] == "stopped"
    assert facts["queries"] == 640 + 4 * 4 * 16  # the warm start, then the generation that it fell in
    assert (tmp_path / "out" / "inversions.safetensors").exists()
    assert "Ends after this generation" in done.stderr
    assert done.stderr.endswith("error: interrupted\n")


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
def test_an_interrupt_while_commands_are_imported_is_one_line() -> None:
    code = (
        "import builtins, signal, sys\n"
        "whole = builtins.__import__\n"
        "def importing(name, *arguments):\n"
        "    name == 'typer' and signal.raise_signal(signal.SIGINT)\n"
        "    return whole(name, *arguments)\n"
        "builtins.__import__ = importing\n"
        "from bl_neuro.cli import main\n"
        "main(['doctor'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (INTERRUPTED, "", "error: interrupted\n")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT to a group of processes")
def test_an_interrupt_under_dask_is_one_line(tmp_path: Path, wait_until: Any) -> None:
    pytest.importorskip("distributed")
    words = [sys.executable, "-m", "bl_neuro", "audit", "digits", "--out", str(tmp_path), "--scheduler", "local"]
    code = f"import os, signal; signal.signal(2, signal.default_int_handler); os.execv({words[0]!r}, {words!r})"
    command = [sys.executable, "-c", code]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)

    def has_workers() -> bool:
        return any((tmp_path / "times").glob("*")) or any(tmp_path.glob(".bl-neuro-*"))

    try:
        wait_until(lambda: has_workers() or run.poll() is not None, 120)
        os.killpg(run.pid, signal.SIGINT)
        out, err = run.communicate(timeout=120)
    finally:
        run.kill()
    assert (run.returncode, out, err) == (INTERRUPTED, "", "error: interrupted\n")


def test_a_warning_is_one_line_without_a_place_in_the_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "run", lambda arguments: warnings.warn("a\nwarning", UserWarning, stacklevel=1) or 0)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with pytest.raises(SystemExit):
            cli.main([])
    assert capsys.readouterr().err == "warning: a warning\n"
