"""Kills the Lava child of a server under load: what clients get, and how soon the server answers again.

    python scripts/kill_served_lava.py [--kills 3] [--clients 4] [--out results/kill_served_lava.json]

Every answer is compared with that of the emulator, bit for bit. recovery_s: from the kill to the next answer.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import torch


class Load:
    """Clients that ask without a pause. `answered` holds when; `wrong` and `refused` what went otherwise."""

    def __init__(self, url: str, clients: int, spikes: torch.Tensor, expected: torch.Tensor) -> None:
        self._url, self._spikes, self._expected = url, spikes, expected
        self.answered: list[float] = []
        self.wrong = 0
        self.refused: list[str] = []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for each in self._threads:
            each.start()

    def _ask(self) -> None:
        import bl_neuro as bl

        with bl.RemoteBlackBox(self._url, patience_s=120.0, timeout_s=120.0) as box:
            while not self._end.is_set():
                try:
                    answer = box.query(self._spikes)
                except bl.EndpointError as error:
                    self.refused.append(type(error).__name__)
                    continue
                self.wrong += not torch.equal(answer, self._expected)
                self.answered.append(time.monotonic())

    def end(self) -> None:
        self._end.set()
        for each in self._threads:
            each.join()


def lava_child(server: int) -> int:
    """The simulation that the server runs."""
    (found,) = (each for each in psutil.Process(server).children() if "child" in " ".join(each.cmdline()))
    return int(found.pid)


def measure(kills: int, clients: int, folder: Path) -> dict[str, Any]:
    import bl_neuro as bl
    from bl_neuro.testing.reference_target import easy_network

    network = easy_network()
    bl.save(network, folder / "easy.safetensors")
    spikes = torch.rand(6, 2, 12, generator=torch.Generator().manual_seed(0)) < 0.6
    with bl.open_target(network, "loihi") as target:
        expected = bl.BlackBox(target).query(spikes)
    command = [sys.executable, "-m", "bl_neuro", "serve", str(folder / "easy.safetensors"), "--backend", "lava"]
    command += ["--port", "0", "--deadline", "120", "--log", str(folder / "log")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        facts: dict[str, Any] = {}
        while facts.get("event") != "ready":
            line = server.stderr.readline()
            facts |= json.loads(line)
        threading.Thread(target=lambda: [None for _ in server.stderr or ()], daemon=True).start()
        load = Load(f"http://127.0.0.1:{facts['port']}/v2/models/easy", clients, spikes, expected)
        recovered, pids = [], []
        try:
            for _ in range(kills):
                before = len(load.answered)
                while len(load.answered) < before + 10:
                    time.sleep(0.02)
                pids.append(lava_child(server.pid))
                os.killpg(pids[-1], signal.SIGKILL)
                killed, seen = time.monotonic(), len(load.answered)
                time.sleep(0.3)  # answers that had left before the kill
                seen = len(load.answered)
                while len(load.answered) == seen:
                    time.sleep(0.02)
                recovered.append(round(load.answered[seen] - killed, 2))
        finally:
            load.end()
            server.terminate()
    return {
        "kills": len(set(pids)),
        "clients": clients,
        "recovery_s": recovered,
        "answered": len(load.answered),
        "wrong": load.wrong,
        "refused": load.refused,
        "load_average": os.getloadavg()[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(arguments.kills, arguments.clients, Path(folder))
    print(json.dumps(found, indent=2))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(found, indent=2) + "\n")
    sys.exit(1 if found["wrong"] or max(found["recovery_s"]) > 10 else 0)


if __name__ == "__main__":
    main()
