"""What fuzzers share: examples are opened in a child process, in which crashes, hangs, time and memory are noticed."""

from __future__ import annotations

import argparse
import json
import os
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bl_neuro.errors import BlNeuroError

Failure = Callable[[dict[str, Any]], "str | None"]
"""The reason why an outcome is a failure; None if it is allowed."""
HANG_S = 30.0
"""Wall-clock time after which a child counts as hung, whatever it does; the machine may be busy with other things."""
ADDRESS_SPACE_MB = 4000
"""What a child may map beyond what it starts with: keeps the machine alive where a file asks for everything."""


def memory_kb(field: str) -> int:
    """A value of this process's memory status, in kB."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))


def serve(read: Callable[[str], object]) -> None:
    """The child: opens the files named on standard input with `read`, and prints the outcome of each."""
    ceiling = memory_kb("VmSize") * 1024 + ADDRESS_SPACE_MB * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    print(json.dumps({"ready": True}), file=answers)
    for line in sys.stdin:
        print(json.dumps(outcome(line.rstrip("\n"), read)), file=answers)


def outcome(path: str, read: Callable[[str], object]) -> dict[str, Any]:
    """The outcome of one file: its verdict, processor seconds and megabytes."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
    before, began, clock = memory_kb("VmRSS"), time.process_time(), time.monotonic()
    try:
        read(path)
        verdict, detail = "read", ""
    except BlNeuroError as error:
        verdict, detail = "refused", f"{type(error).__name__}: {error}"
    except BaseException as error:  # noqa: BLE001 - any other exception is the failure that is looked for
        verdict, detail = "raised", f"{type(error).__name__}: {error}"
    grown = (memory_kb("VmHWM") - before) / 1024
    times = {"seconds": time.process_time() - began, "wall_s": time.monotonic() - clock}
    return {"verdict": verdict, "detail": detail[:500], "mb": grown, **times}


class Child:
    """A child process that opens files, one at a time; started again where one ends it."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: subprocess.Popen[str] | None = None

    def open(self, path: Path) -> dict[str, Any]:
        """The outcome of `path`, crashes and hangs included."""
        if self._process is None:
            self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self._answer(120.0)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{path}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it is seen below
        answer = self._answer(HANG_S)
        if answer is None:
            code = self._process.poll()
            self.close()
            verdict = "hung" if code is None else "crashed"
            answer = {"verdict": verdict, "detail": f"exit code {code}", "seconds": 0.0, "mb": 0.0, "wall_s": 0.0}
        return answer

    def _answer(self, patience_s: float) -> dict[str, Any] | None:
        assert self._process is not None
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], patience_s)
        line = self._process.stdout.readline() if ready else ""
        if not line and ready:
            self._process.wait()
        answer: dict[str, Any] | None = json.loads(line) if line else None
        return answer

    def close(self) -> None:
        """Ends the child."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def beyond(answer: dict[str, Any], seconds: float, megabytes: float) -> str | None:
    """Why an outcome is a failure: it is no result or typed error, or takes more processor time or memory than this."""
    if answer["verdict"] not in ("read", "refused"):
        return f"{answer['verdict']}: {answer['detail']}"
    if answer["seconds"] > seconds:
        return f"took {answer['seconds']:.2f} s"
    return f"grew by {answer['mb']:.0f} MB" if answer["mb"] > megabytes else None


@dataclass(frozen=True)
class Fuzzer:
    """Examples of one kind, and how they are judged.

    make: writes an example to a path that does not exist. read: opens it, in the child. failure: given the path before
    it is opened, the rule for its outcome. suffix: of examples. label: the name of an outcome in the counts.
    """

    make: Callable[[Path, np.random.Generator], None]
    read: Callable[[str], object]
    failure: Callable[[Path], Failure]
    suffix: str = ""
    label: Callable[[dict[str, Any]], str] = lambda answer: str(answer["verdict"])

    def fuzz(self, command: Sequence[str], count: int, seed: int, kept: Path) -> dict[str, Any]:
        """Opens `count` examples in a child started by `command`; failing ones are kept in `kept`."""
        child, outcomes, errors = Child(command), Counter[str](), Counter[str]()
        failed, most_seconds, most_mb = 0, 0.0, 0.0
        try:
            with tempfile.TemporaryDirectory(prefix="bl-neuro-fuzz-") as folder:
                for number in range(count):
                    path = Path(folder) / f"{seed}-{number}{self.suffix}"
                    self.make(path, np.random.default_rng([seed, number]))
                    failure = self.failure(path)
                    answer = child.open(path)
                    outcomes[self.label(answer)] += 1
                    errors[answer["detail"].partition(":")[0]] += answer["verdict"] == "refused"
                    most_seconds, most_mb = max(most_seconds, answer["seconds"]), max(most_mb, answer["mb"])
                    if (reason := failure(answer)) is not None:
                        failed += 1
                        _keep(path, kept)
                        print(f"FAILED {kept / path.name}: {reason}", file=sys.stderr, flush=True)
                    _remove(path)
        finally:
            child.close()
        return {
            "count": count, "failed": failed, "outcomes": dict(sorted(outcomes.items())),
            "errors": dict(sorted((+errors).items())), "most_seconds": round(most_seconds, 2),
            "most_mb": round(most_mb, 1),
        }  # fmt: skip


def _keep(path: Path, kept: Path) -> None:
    kept.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, kept / path.name, symlinks=True, ignore=_pipes, dirs_exist_ok=True)
    else:
        shutil.copy(path, kept / path.name)


def _pipes(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if (Path(folder) / name).is_fifo()]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def options_of(description: str | None) -> argparse.ArgumentParser:
    """The options that all fuzzers have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000, help="how many examples (default 20000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kept", type=Path, default=Path("fuzz-failures"), help="where failing examples are kept")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return parser


def run(fuzzer: Fuzzer, options: argparse.Namespace, script: Sequence[str]) -> int:
    """Fuzzes and prints the counts, or is the child. script: this script and its positional arguments."""
    if options.serve:
        serve(fuzzer.read)
        return 0
    report = fuzzer.fuzz([sys.executable, *script, "--serve"], options.count, options.seed, options.kept)
    print(json.dumps(report, indent=2))
    return 1 if report["failed"] else 0
