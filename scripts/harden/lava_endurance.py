"""Real Lava for a long time, and while it is killed: memory stays flat, spikes stay the same, nothing is left behind.

    .venv/bin/python scripts/harden/lava_endurance.py --queries 5000
    .venv/bin/python scripts/harden/lava_endurance.py --queries 500 --kills 20
    .venv/bin/python scripts/harden/lava_endurance.py --queries 200 --endings

Without --kills or --endings: peak memory (proportional set size, so that shared pages count once) of this process and
all simulations may grow by less than 5% after the first tenth. With --kills: at that many random moments SIGKILL
reaches the child or one of Lava's processes, and every spike must equal the emulator's. With --endings: a process that
runs queries is ended by SIGINT, by SIGTERM, by SIGKILL and by an exception in its own progress callback. In each case
no process, no shared memory and no file of ours may remain. Exits with 1 where something does not hold.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil

import bl_neuro as bl
from bl_neuro.network import Network
from bl_neuro.testing.random_networks import random_spikes

GROWTH = 0.05
STEPS = 20
GONE_S = 20.0
"""How long what is left may take to go after a parent that was ended: its child looks twice a second."""
ENDINGS = ("SIGINT", "SIGTERM", "SIGKILL", "exception")


def dense(seed: int, sizes: tuple[int, ...]) -> Network:
    """A dense network in Loihi's integers, random."""
    rng = np.random.default_rng(seed)
    neuron = bl.CubaLIF(600, 1.0, 1024 / 4096)
    layers = [bl.Dense(2 * rng.integers(-60, 80, (out, inner)), neuron) for inner, out in pairwise(sizes)]
    return Network(sizes[:1], layers, arithmetic="loihi")


def tree_bytes() -> int:
    """Memory of this process and everything under it, shared pages counted once."""
    total = 0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total


class Watch(threading.Thread):
    """Samples the memory of the process tree until it is stopped: (seconds, bytes)."""

    def __init__(self, every_s: float = 0.5) -> None:
        super().__init__(daemon=True)
        self.every_s, self.ended = every_s, threading.Event()
        self.seen: list[tuple[float, int]] = []

    def run(self) -> None:
        """Samples."""
        while not self.ended.wait(self.every_s):
            self.seen.append((time.monotonic(), tree_bytes()))

    def peak(self, since: float, until: float) -> int:
        """The highest sample of a span of time."""
        return max((size for moment, size in self.seen if since <= moment <= until), default=0)


def left_of(owner: int, folder: Path) -> list[str]:
    """What is left of the targets of process `owner`: shared memory by its name, files, processes that use `folder`."""
    shared = [name for name in os.listdir("/dev/shm") if f"blneuro{owner}x" in name]
    files = [str(path.relative_to(folder)) for path in folder.rglob("*")]
    processes = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            ours = process.environ().get("TMPDIR") == str(folder) and process.pid not in (owner, os.getpid())
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                processes.append(f"process {process.pid}")
    return [*shared, *files, *processes]


def flat_memory(queries: int, batch: int, options: dict[str, Any]) -> bool:
    """Whether memory stays flat over `queries`, asked `batch` at a time through one target."""
    network = dense(0, (784, 128, 64, 10))
    watch = Watch()
    with bl.open_target(network, "lava", **options) as target:
        target.run(random_spikes(network, 0, STEPS, batch, 0.1))  # what is started once is started
        watch.start()
        moments = [time.monotonic()]
        for number in range(1, -(-queries // batch)):
            target.run(random_spikes(network, number, STEPS, batch, 0.1))
            moments.append(time.monotonic())
            line = f"\r{(number + 1) * batch} queries" if sys.stderr.isatty() else ""
            sys.stderr.write(line)
        timing = target.timing  # type: ignore[attr-defined]  # a LavaTarget
        watch.ended.set()
        watch.join()
    first = moments[max(1, len(moments) // 10)]
    early, late = watch.peak(moments[0], first), watch.peak(first, moments[-1])
    growth = late / early - 1
    print(
        f"{timing}\npeak of the first tenth {early / 2**20:.1f} MiB, afterwards {late / 2**20:.1f} MiB: {growth:+.2%}"
    )
    return growth < GROWTH


def killed(queries: int, kills: int, seed: int, options: dict[str, Any]) -> bool:
    """Whether a run whose simulations are killed at random moments gives the spikes of the emulator."""
    network = dense(1, (64, 48, 32, 10))
    spikes = random_spikes(network, seed, STEPS, queries, 0.2)
    with bl.open_target(network, "loihi") as undisturbed:
        expected = undisturbed.run(spikes).spikes
    chance = random.Random(seed)
    moments = sorted(chance.sample(range(1, queries), min(kills, queries - 1)))
    done = [0]
    struck: list[str] = []

    def progress(count: int, total: int) -> None:
        done[0] = count

    with bl.open_target(network, "lava", progress=progress, **options) as target:
        answers: list[Any] = []
        run = threading.Thread(target=lambda: answers.append(target.run(spikes).spikes))
        run.start()
        while run.is_alive():
            if moments and done[0] >= moments[0]:
                time.sleep(chance.uniform(0, 0.05))
                victim = _strike(target, chance)
                if victim is not None:  # else there is nothing to kill at this moment: the next will do
                    struck.append(victim)
                    moments.pop(0)
            run.join(0.002)
        timing = target.timing  # type: ignore[attr-defined]  # a LavaTarget
    same = bool(answers) and answers[0].equal(expected)
    print(f"{len(struck)} of {kills} kills ({', '.join(struck)})\n{timing}\nspikes as undisturbed: {same}")
    return same and len(struck) == kills


def _strike(target: Any, chance: random.Random) -> str | None:
    """Kills the child of a random runtime, or one of Lava's processes in it; what it was, None where it missed."""
    with contextlib.suppress(psutil.Error, IndexError, ProcessLookupError):
        child = psutil.Process(chance.choice(target.pids))
        if child.status() == psutil.STATUS_ZOMBIE:
            return None
        inner = child.children(recursive=True)
        victim = chance.choice(inner) if inner and chance.random() < 0.5 else child
        victim.kill()
        return "child" if victim is child else "inner"
    return None


PARENT = """
import signal, sys
import bl_neuro as bl
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs ignore
sys.path.insert(0, sys.argv[1])
from lava_endurance import STEPS, dense, random_spikes

network = dense(1, (64, 48, 32, 10))

def progress(done, total):
    print(done, flush=True)
    if sys.argv[2] == "exception" and done >= 10:
        raise RuntimeError("user code")

target = bl.open_target(network, "lava", replicas=1, runtimes=2, progress=progress, spare=sys.argv[4] == "True")
target.run(random_spikes(network, 0, STEPS, int(sys.argv[3]), 0.2))
"""


def ended(queries: int, how: str, spare: bool) -> bool:
    """Whether a process that is ended in the middle of its queries leaves nothing."""
    with tempfile.TemporaryDirectory(prefix="ble-") as name:
        folder = Path(name)
        options = [str(Path(__file__).parent), how, str(queries), str(spare)]
        command = [sys.executable, "-W", "ignore", "-c", PARENT, *options]
        environment = {**os.environ, "TMPDIR": name}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as parent:
            for line in _lines(parent):
                if how != "exception" and int(line) >= 10:
                    parent.send_signal(getattr(signal, how))
                    break
            _lines_until_end(parent)
            status = parent.wait(60)
        end = time.monotonic() + GONE_S
        while (left := left_of(parent.pid, folder)) and time.monotonic() < end:
            time.sleep(0.1)
    print(f"{how}: exit status {status}, left: {', '.join(left) or 'nothing'}")
    return status != 0 and not left


def _lines(parent: subprocess.Popen[bytes]) -> Iterator[bytes]:
    if parent.stdout is None:
        raise RuntimeError("the process has no pipe")
    yield from parent.stdout


def _lines_until_end(parent: subprocess.Popen[bytes]) -> None:
    """Reads on until the parent is gone; its simulations hold the pipe open only where they outlive it."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        parent.wait(30)


def main() -> None:
    """Runs what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=5000)
    parser.add_argument("--batch", type=int, default=50, help="queries asked at a time")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--endings", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--replicas", type=int, default=None)
    parser.add_argument("--runtimes", type=int, default=None)
    parser.add_argument("--spare", action="store_true", help="with a spare beside each simulation")
    chosen = parser.parse_args()
    options = {"replicas": chosen.replicas, "runtimes": chosen.runtimes, "spare": chosen.spare}
    if chosen.endings:
        endings = [ended(chosen.queries, how, chosen.spare) for how in ENDINGS]
        good = all(endings)
    else:
        with tempfile.TemporaryDirectory(prefix="ble-") as name:
            os.environ["TMPDIR"] = tempfile.tempdir = name
            if chosen.kills:
                good = killed(chosen.queries, chosen.kills, chosen.seed, {**options, "replicas": chosen.replicas or 1})
            else:
                good = flat_memory(chosen.queries, chosen.batch, options)
            left = left_of(os.getpid(), Path(name))
        print(f"left: {', '.join(left) or 'nothing'}")
        good = good and not left
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
