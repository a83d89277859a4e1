"""Kills real Lava behind a server in every way: what clients get, and how soon the server answers again.

    python scripts/harden/kill_served_lava.py [--kills 24] [--busy 0 6] [--out results/kill_served_lava.json]

The ways come in turn: SIGKILL to the simulation's whole group, to the child that holds it, to one of its inner
processes, or to the group and the spare at once, each under the load of clients that ask without a pause; and to the
group or an inner process while nobody asks. Once with each number of --busy processes beside it, which do nothing but
compute, each in a session of its own.

recovery_s: from the kill to the first answer to a query that was sent after it; while nobody asks, from that query.
Every answer is compared with that of the emulator, bit for bit. Exits with 1 where one is wrong or refused, where
a recovery takes 10 s, or where something is left when the server has ended.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import torch
from served_process import served

from bl_neuro.files import write_text

WAYS = ("group", "child", "inner process", "group and spare", "group, idle", "inner process, idle")
LIMIT_S = 10.0
LONGEST_REST_S = 6.0
"""A kill comes at a random moment within so long after the last recovery: also while the next spare still starts."""


class Load:
    """Clients that ask without a pause, unless paused. `answered` holds when each was sent and answered."""

    def __init__(self, url: str, clients: int, spikes: torch.Tensor, expected: torch.Tensor) -> None:
        self._url, self._spikes, self._expected = url, spikes, expected
        self.answered: list[tuple[float, float]] = []
        self.wrong = 0
        self.refused: list[str] = []
        self._end, self._go = threading.Event(), threading.Event()
        self._go.set()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        import bl_neuro as bl

        with bl.RemoteBlackBox(self._url, patience_s=120.0, timeout_s=120.0) as box:
            while not self._end.is_set():
                self._go.wait()
                sent = time.monotonic()
                try:
                    answer = box.query(self._spikes)
                except bl.EndpointError as error:
                    self.refused.append(type(error).__name__)
                    continue
                self.wrong += not torch.equal(answer, self._expected)
                self.answered.append((sent, time.monotonic()))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """No client asks until the block ends; earlier queries are answered first."""
        self._go.clear()
        time.sleep(0.5)
        try:
            yield
        finally:
            self._go.set()

    def wait_for(self, count: int, since: float) -> list[tuple[float, float]]:
        """The first `count` answers to queries that were sent after `since`."""
        while len(answers := [answer for answer in list(self.answered) if answer[0] >= since]) < count:
            if not any(thread.is_alive() for thread in self._threads):
                raise RuntimeError("the clients ended")
            time.sleep(0.01)
        return sorted(answers, key=lambda answer: answer[1])[:count]

    def end(self) -> None:
        self._end.set()
        self._go.set()
        for thread in self._threads:
            thread.join()


def children_of(server: int) -> tuple[psutil.Process, psutil.Process | None]:
    """The simulation that the server runs, which has processes of its own, and the spare, which has none."""
    children = [child for child in psutil.Process(server).children() if "child" in " ".join(child.cmdline())]
    (running,) = (child for child in children if child.children())
    return running, next((child for child in children if child != running), None)


def strike(server: int, way: str, rng: random.Random) -> None:
    """Kills what `way` names."""
    running, spare = children_of(server)
    if way.startswith("inner process"):
        rng.choice(running.children(recursive=True)).kill()
    elif way == "child":
        running.kill()
    else:
        os.killpg(running.pid, signal.SIGKILL)
        if way == "group and spare" and spare is not None:
            spare.kill()


def one_kill(server: int, way: str, load: Load, rng: random.Random) -> float:
    """Kills once, at some moment; seconds until the server answers again."""
    time.sleep(rng.uniform(0.0, LONGEST_REST_S))
    load.wait_for(10, time.monotonic())
    if not way.endswith("idle"):
        strike(server, way, rng)
        killed = time.monotonic()
        return load.wait_for(1, killed)[0][1] - killed
    with load.paused():
        strike(server, way, rng)
        time.sleep(0.5)
        began = time.monotonic()
    sent, answered = load.wait_for(1, began)[0]
    return answered - sent


@contextmanager
def busy(count: int) -> Iterator[None]:
    """That many processes which only compute."""
    command = [sys.executable, "-c", "while True: pass"]
    started = [subprocess.Popen(command, start_new_session=True) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def left_of(server: int, folder: Path) -> list[str]:
    """Shared memory and files of simulations that the server left."""
    shared = [name for name in os.listdir("/dev/shm") if f"blneuro{server}x" in name]
    return shared + [path.name for path in folder.glob("bl-neuro-lava-*")]


def measure(kills: int, clients: int, beside: int, folder: Path) -> dict[str, Any]:
    """One server, killed so often with so many busy processes beside it."""
    import bl_neuro as bl
    from bl_neuro.testing.reference_target import easy_network

    network, rng = easy_network(), random.Random(0)
    bl.save(network, folder / "easy.safetensors")
    spikes = torch.rand(6, 2, 12, generator=torch.Generator().manual_seed(0)) < 0.6
    with bl.open_target(network, "loihi") as target:
        expected = bl.BlackBox(target).query(spikes)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    loads = [os.getloadavg()[0]]
    with ExitStack() as opened:
        opened.enter_context(busy(beside))
        files = folder / "files"
        files.mkdir()
        server = opened.enter_context(
            served(
                folder / "easy.safetensors",
                "lava",
                folder / "log",
                "--deadline",
                "120",
                env={"TMPDIR": str(files)},
            )
        )
        load = Load(server.url, clients, spikes, expected)
        try:
            for number in range(kills):
                way = WAYS[number % len(WAYS)]
                seconds[way].append(round(one_kill(server.pid, way, load, rng), 2))
                loads.append(os.getloadavg()[0])
                print(f"{beside} busy, {way}: {seconds[way][-1]} s", file=sys.stderr)
        finally:
            load.end()
        processes = psutil.Process(server.pid).children(recursive=True)
    alive = [
        process.pid
        for process in psutil.wait_procs(processes, timeout=5)[1]
        if process.status() != psutil.STATUS_ZOMBIE
    ]
    times = [value for way in seconds.values() for value in way]
    return {
        "busy": beside,
        "kills": len(times),
        "clients": clients,
        "recovery_s": seconds,
        "median_s": sorted(times)[len(times) // 2],
        "worst_s": max(times),
        "answered": len(load.answered),
        "longest_answer_s": round(max(end - begin for begin, end in load.answered), 2),
        "wrong": load.wrong,
        "refused": load.refused,
        "left": [*map(str, alive), *left_of(server.pid, files)],
        "load_average": [round(min(loads), 1), round(max(loads), 1)],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=24)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--busy", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    runs = []
    for beside in arguments.busy:
        with tempfile.TemporaryDirectory() as folder:
            runs.append(measure(arguments.kills, arguments.clients, beside, Path(folder)))
    results = {"processors": os.cpu_count(), "runs": runs}
    print(json.dumps(results, indent=2))
    if arguments.out is not None:
        write_text(arguments.out, json.dumps(results, indent=2) + "\n")
    good = [not (run["wrong"] or run["refused"] or run["left"]) and run["worst_s"] < LIMIT_S for run in runs]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
