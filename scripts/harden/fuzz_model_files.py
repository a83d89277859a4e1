"""Opens thousands of damaged files: each is read, or refused with an error of ours, within 2 s and 500 MB.

    python scripts/harden/fuzz_model_files.py --files 10000 --seed 0
    python scripts/harden/fuzz_model_files.py --files 20000 --kinds .nir --children 1

Valid models (`.net`, `.nir`, `.safetensors`) and inputs (`.npy`, `.npz`) are mutated
(`bl_neuro.testing.file_mutations`), metadata of HDF5 also with repaired checksums, and opened in child processes, which
stand for the process with the user's work. A file fails where the child crashes, hangs, raises anything else, takes
more than 2 s of processor time or grows by more than 500 MB. Failing files are kept. Prints counts, also of the files
on which HDF5 crashed in the reading room (`bl_neuro.strangers.reading_room`); exit code 1 where any file failed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from bl_neuro.deploy.parity import read_inputs
from bl_neuro.errors import BlNeuroError
from bl_neuro.interop.state_dicts import from_state_dict
from bl_neuro.model_file import load
from bl_neuro.testing.file_mutations import mutate, valid_files

STATE_LAYERS = [{"kind": "dense", "weight": "layers.0.weight", "threshold": "layers.0.threshold", "beta": 0.5}]
LIMIT_S = 2.0
LIMIT_MB = 500
HANG_S = 30.0
"""Wall-clock time after which a child counts as hung, whatever it does; the machine may be busy with other things."""
ADDRESS_SPACE_MB = 4000
"""What a child may map beyond what it starts with: keeps the machine alive where a file asks for everything."""


def memory_kb(field: str) -> int:
    """A value of this process's memory status, in kB."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))


def serve(read: Callable[[str], object] | None = None) -> None:
    """The child: opens the files named on standard input with `read`, and prints the outcome of each."""
    ceiling = memory_kb("VmSize") * 1024 + ADDRESS_SPACE_MB * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    print(json.dumps({"ready": True}), file=answers)
    for line in sys.stdin:
        print(json.dumps(outcome(line.rstrip("\n"), read)), file=answers)


def read_model(path: str) -> None:
    """Reads all that is in a model or in a file of inputs."""
    if path.endswith((".npy", ".npz")):
        read_inputs(path)
        return
    if path.endswith(".safetensors"):
        with suppress(BlNeuroError):
            from_state_dict(path, STATE_LAYERS, [6])
    how: dict[str, Any] = {"convention": "nir", "dt": 1.0} if path.endswith(".nir") else {}
    load(path, **how).fingerprint  # noqa: B018 - computed here: all of the network is there


def outcome(path: str, read: Callable[[str], object] | None = None) -> dict[str, Any]:
    """The outcome of one file: its verdict, processor seconds and megabytes."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
    before, began, clock = memory_kb("VmRSS"), time.process_time(), time.monotonic()
    try:
        (read or read_model)(path)
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

    def __init__(self, command: Sequence[str] = ()) -> None:
        self._command = command
        self._process: subprocess.Popen[str] | None = None

    def open(self, path: Path) -> dict[str, Any]:
        """The outcome of `path`, crashes and hangs included."""
        if self._process is None:
            command = self._command or [sys.executable, __file__, "--serve"]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
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


def failure(answer: dict[str, Any]) -> str | None:
    """The reason why this outcome is a failure; None if it is allowed."""
    if answer["verdict"] not in ("read", "refused"):
        return f"{answer['verdict']}: {answer['detail']}"
    if "HDF5 ended" in answer["detail"]:
        return "the reading room ended with an error of its own"
    if answer["seconds"] > LIMIT_S:
        return f"took {answer['seconds']:.2f} s"
    if answer["mb"] > LIMIT_MB:
        return f"grew by {answer['mb']:.0f} MB"
    return None


def room_failure(answer: dict[str, Any]) -> str | None:
    """What happened to the process that reads HDF5 files, or None if nothing did."""
    _, failed, reason = answer["detail"].partition("damaged or too demanding: ")
    return reason if failed else None


def fuzz(files: int, seed: int, kept: Path, children: int, kinds: tuple[str, ...] = ()) -> dict[str, Any]:
    """Opens `files` mutated files, of these kinds alone if any; failing ones are kept in `kept`."""
    with tempfile.TemporaryDirectory(prefix="bl-neuro-fuzz-") as name:
        folder = Path(name)
        sources = [source for source in valid_files(folder) if not kinds or source.suffix in kinds]
        if not sources:
            raise SystemExit(f"--kinds: expected suffixes of model files, found {', '.join(kinds)}")
        broken = [str(source) for source in sources if outcome(str(source))["verdict"] != "read"]
        if broken:
            raise SystemExit(f"valid files do not open: {', '.join(broken)}")

        def work(first: int) -> list[dict[str, Any]]:
            child = Child()
            try:
                numbers = range(first, files, children)
                return [_one(child, number, seed, sources, folder, kept) for number in numbers]
            finally:
                child.close()

        with ThreadPoolExecutor(children) as pool:
            results = [result for part in pool.map(work, range(children)) for result in part]
    return summary(results, sources)


def _one(child: Child, number: int, seed: int, sources: list[Path], folder: Path, kept: Path) -> dict[str, Any]:
    rng = np.random.default_rng([seed, number])
    suffixes = sorted({source.suffix for source in sources})
    suffix = suffixes[rng.integers(len(suffixes))]  # each format as often
    alike = [source for source in sources if source.suffix == suffix]
    source = alike[rng.integers(len(alike))]
    path = folder / f"{seed}-{number}{source.suffix}"
    mutation = mutate(source, path, rng)
    answer = child.open(path)
    reason = failure(answer)
    if reason is not None:
        kept.mkdir(parents=True, exist_ok=True)
        path.rename(kept / path.name)
        print(f"FAILED {kept / path.name} ({source.name}, {mutation}): {reason}", flush=True)
    path.unlink(missing_ok=True)
    return {**answer, "suffix": source.suffix, "mutation": mutation, "failed": reason is not None}


def summary(results: list[dict[str, Any]], sources: list[Path]) -> dict[str, Any]:
    """Counts of outcomes by kind of file, and the extremes."""
    counts = Counter((result["suffix"], result["verdict"]) for result in results)
    return {
        "files": len(results),
        "failed": sum(result["failed"] for result in results),
        "outcomes": {f"{suffix} {verdict}": count for (suffix, verdict), count in sorted(counts.items())},
        "most_seconds": max(result["seconds"] for result in results),
        "most_wall_s": max(result["wall_s"] for result in results),
        "reading_room": dict(Counter(reason for result in results if (reason := room_failure(result)))),
        "most_mb": max(result["mb"] for result in results),
        "valid_files": [source.name for source in sources],
    }


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000, help="how many mutated files (default 10000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kept", type=Path, default=Path("fuzz-failures"), help="where failing files are kept")
    parser.add_argument("--children", type=int, default=os.cpu_count() or 1, help="child processes side by side")
    parser.add_argument("--kinds", default="", help="only these suffixes, comma-separated, such as .net,.nir")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return 0
    kinds = tuple(filter(None, options.kinds.split(",")))
    report = fuzz(options.files, options.seed, options.kept, options.children, kinds)
    print(json.dumps(report, indent=2))
    return 1 if report["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
