"""Throughput of an endpoint on loopback, beside the emulator's own, in one run.

    python scripts/benchmark_serve.py [--seconds 5] [--out results/benchmark_serve.json]

Three measures of the network 784-128-10 on `loihi`, T 25: requests of 160 queries (a population of 16 for 10 classes)
from one client, beside the same calls of the emulator here, taken in turns; one client with single queries (median);
32 clients with single queries (their throughput, and the mean batch that the server made of them, from its metrics).
The clients are processes, eight connections each. A busy machine spoils all of it: the load is in the result.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

STEPS, PROCESSES, CONNECTIONS = 25, 4, 8


def network() -> Any:
    import bl_neuro as bl

    rng = np.random.default_rng(0)
    layers = [
        bl.Dense((2 * np.round(rng.normal(0, spread, shape))).clip(-254, 254), bl.CubaLIF(2000, 1.0, 0.25))
        for spread, shape in ((12, (128, 784)), (20, (10, 128)))
    ]
    return bl.Network((784,), layers, arithmetic="loihi")


def spikes(batch: int, seed: int) -> torch.Tensor:
    drawn = torch.rand(STEPS, batch, 784, generator=torch.Generator().manual_seed(seed))
    return (drawn < 0.1).to(torch.uint8)


def many(url: str, seconds: float, start: Any, counts: Any) -> None:
    """One process of clients: how many single queries were answered."""
    import bl_neuro as bl

    torch.set_num_threads(1)
    boxes = [bl.RemoteBlackBox(url) for _ in range(CONNECTIONS)]
    given = spikes(1, os.getpid())
    start.wait()
    until = time.monotonic() + seconds

    def ask(box: Any) -> int:
        asked = 0
        while time.monotonic() < until:
            box.query(given)
            asked += 1
        return asked

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        counts.put(sum(pool.map(ask, boxes)))


def crowd(url: str, seconds: float) -> float:
    """Answers a second to 32 clients."""
    context = multiprocessing.get_context("spawn")
    start, counts = context.Barrier(PROCESSES), context.Queue()
    clients = [context.Process(target=many, args=(url, seconds, start, counts)) for _ in range(PROCESSES)]
    for each in clients:
        each.start()
    total = sum(counts.get(timeout=seconds + 120) for _ in clients)
    for each in clients:
        each.join()
    return float(total / seconds)


def batches(port: int) -> tuple[float, float]:
    """Requests and calls so far, from the metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as page:
        text = page.read().decode()
    found = [re.search(rf"bl_neuro_batch_requests_{what} (\S+)", text) for what in ("sum", "count")]
    return tuple(float(each[1]) for each in found if each)  # type: ignore[return-value]


def alone(box: Any, target: Any, seconds: float) -> dict[str, Any]:
    """One client: batches of 160 beside the emulator, in turns, then single queries."""
    here, remote, single = [], [], []
    until = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < until or turn < 10:
        given = spikes(160, turn)
        for run, times in ((target.run, here), (box.query, remote)):
            began = time.perf_counter()
            run(given)
            times.append(time.perf_counter() - began)
        turn += 1
    one = spikes(1, 0)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        box.query(one)
        single.append(time.perf_counter() - began)
    return {
        "emulator_queries_per_s": 160 / statistics.median(here),
        "endpoint_queries_per_s": 160 / statistics.median(remote),
        "share": statistics.median(here) / statistics.median(remote),
        "one_client_median_ms": 1000 * statistics.median(single),
        "one_client_queries_per_s": len(single) / sum(single),
    }


def measure(seconds: float, folder: Path) -> dict[str, Any]:
    import bl_neuro as bl

    torch.set_num_threads(1)
    made = network()
    bl.save(made, folder / "model.safetensors")
    metrics = 20000 + os.getpid() % 20000
    command = [sys.executable, "-m", "bl_neuro", "serve", str(folder / "model.safetensors"), "--port", "0"]
    command += ["--log", str(folder / "log"), "--metrics-port", str(metrics)]
    found: dict[str, Any] = {"load_before": os.getloadavg()[0], "processors": len(os.sched_getaffinity(0))}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        facts: dict[str, Any] = {}
        while facts.get("event") != "ready":
            facts |= json.loads(server.stderr.readline())
        threading.Thread(target=lambda: [None for _ in server.stderr or ()], daemon=True).start()
        url = f"http://127.0.0.1:{facts['port']}/v2/models/model"
        try:
            with bl.open_target(made, "loihi", threads=1) as target, bl.RemoteBlackBox(url) as box:
                found |= alone(box, target, seconds)
            requests, calls = batches(metrics)
            found["32_clients_queries_per_s"] = crowd(url, seconds)
            after = batches(metrics)
            found["mean_batch"] = (after[0] - requests) / (after[1] - calls)
        finally:
            server.terminate()
    found["32_clients_over_one"] = found["32_clients_queries_per_s"] / found["one_client_queries_per_s"]
    found["load_after"] = os.getloadavg()[0]
    return {name: round(value, 3) for name, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(arguments.seconds, Path(folder))
    print(json.dumps(found, indent=2))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
