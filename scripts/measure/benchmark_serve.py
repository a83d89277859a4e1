"""Throughput of an endpoint on loopback, beside the emulator's own, in one run.

    python scripts/measure/benchmark_serve.py [--seconds 4] [--rounds 5] [--out results/benchmark_serve.json]

The network 784-128-10 on `loihi`, T 25, one server process, and wrk (https://github.com/wg/wrk) as the load generator:
requests of 160 queries (a population of 16 for 10 classes) from 1, 2 and 4 connections, beside the same calls of the
emulator in this process, with as many threads as the server gives it; single queries from 1 and from 32 connections,
and the batch that the server made of them, from its metrics. Then the same from our own client, `bl.RemoteBlackBox`:
batches of spikes and of held frames (what v2 asks of still pictures), single queries, and 32 clients in four processes.
All in turns, round after round; medians over rounds are reported, and every round's figures with them.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from served_process import served

from bl_neuro.files import write_text

STEPS, BATCH, CLIENTS, PROCESSES = 25, 160, 32, 4
LUA = """
local file = io.open("{body}", "rb")
wrk.body = file:read("*a")
file:close()
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/octet-stream"
wrk.headers["Inference-Header-Content-Length"] = "{header}"
local number = 0
function request()
  number = number + 1
  wrk.headers["Idempotency-Key"] = "{run}-" .. number
  return wrk.format()
end
"""


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


def held(batch: int, seed: int) -> torch.Tensor:
    return spikes(batch, seed)[:1].expand(STEPS, batch, 784)


class Wrk:
    """wrk with one request's body, over and over, each with an idempotency key of its own."""

    def __init__(self, url: str, folder: Path) -> None:
        self._program, self._url, self._folder, self._run = shutil.which("wrk"), url, folder, 0
        if self._program is None:
            sys.exit("wrk: expected this load generator on the path, found none; install it (apt-get install wrk)")

    def load(self, batch: int, connections: int, seconds: float) -> dict[str, float]:
        """Requests a second, and the median and 99th percentile of their time, in ms."""
        from bl_neuro.remote.described import Described
        from bl_neuro.remote.inference import HEADER_LENGTH, request

        self._run += 1
        model = Described("counts", "spikes", "UINT8", "counts", (784,), 10, "time_first", None, None, None)
        body, headers = request(spikes(batch, 0), model, "packed")
        path, script = self._folder / f"body{batch}", self._folder / "load.lua"
        path.write_bytes(body)
        script.write_text(LUA.format(body=path, header=headers[HEADER_LENGTH], run=f"{os.getpid()}-{self._run}"))
        command = [str(self._program), "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-s", str(script)]
        output = subprocess.run([*command, f"{self._url}/infer"], capture_output=True, text=True, check=True).stdout
        if "Non-2xx" in output or "Socket errors" in output:
            sys.exit(f"wrk: expected answers alone, found\n{output}")
        quantiles = {name: _seconds(output, name) for name in ("50%", "99%")}
        rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
        assert rate is not None
        return {"per_s": float(rate[1]), "median_ms": 1000 * quantiles["50%"], "p99_ms": 1000 * quantiles["99%"]}


def _seconds(output: str, percentile: str) -> float:
    match = re.search(rf"{percentile}\s+([\d.]+)(us|ms|s)", output)
    assert match is not None
    return float(match[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[match[2]]


def median_ms(ask: Callable[[torch.Tensor], Any], given: list[torch.Tensor], seconds: float) -> float:
    """Of one call, after a first."""
    ask(given[0])
    times: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until or len(times) < 5:
        began = time.perf_counter()
        ask(given[len(times) % len(given)])
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)


def many(url: str, seconds: float, clients: int, start: Any, counts: Any) -> None:
    """One process of clients: how many single queries were answered."""
    import bl_neuro as bl

    torch.set_num_threads(1)
    boxes = [bl.RemoteBlackBox(url) for _ in range(clients)]
    given = spikes(1, os.getpid())
    start.wait()
    until = time.monotonic() + seconds

    def ask(box: Any) -> int:
        asked = 0
        while time.monotonic() < until:
            box.query(given)
            asked += 1
        return asked

    with ThreadPoolExecutor(len(boxes)) as pool:
        counts.put(sum(pool.map(ask, boxes)))


def crowd(url: str, seconds: float, clients: int, processes: int) -> float:
    """Answers a second to so many clients of ours."""
    context = multiprocessing.get_context("spawn")
    start, counts = context.Barrier(processes), context.Queue()
    given = (url, seconds, clients // processes, start, counts)
    asking = [context.Process(target=many, args=given) for _ in range(processes)]
    for client in asking:
        client.start()
    total = sum(counts.get(timeout=seconds + 120) for _ in asking)
    for client in asking:
        client.join()
    return float(total / seconds)


class Batches:
    """The mean batch of single queries, from the server's metrics."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._before = self._read()

    def mean(self) -> float:
        """Requests a call since this was made."""
        now = self._read()
        return (now[0] - self._before[0]) / (now[1] - self._before[1])

    def _read(self) -> list[float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics") as page:
            text = page.read().decode()
        matches = [re.search(rf"bl_neuro_batch_requests_{what} (\S+)", text) for what in ("sum", "count")]
        return [float(match[1]) for match in matches if match]


def one_round(url: str, metrics: int, seconds: float, wrk: Wrk, target: Any, box: Any, ours: bool) -> dict[str, float]:
    """Everything once."""
    results: dict[str, float] = {}
    batches, frames = [spikes(BATCH, seed) for seed in range(8)], [held(BATCH, seed) for seed in range(8)]
    results["emulator_per_s"] = 1000 * BATCH / median_ms(target.run, batches, seconds / 2)
    for connections in (1, 2, 4):
        loaded = wrk.load(BATCH, connections, seconds)
        results[f"wrk_batch_{connections}_connections_per_s"] = BATCH * loaded["per_s"]
    one = wrk.load(1, 1, seconds)
    results |= {"wrk_single_per_s": one["per_s"], "wrk_single_median_ms": one["median_ms"]}
    counted = Batches(metrics)
    loaded = wrk.load(1, CLIENTS, seconds)
    results |= {
        "wrk_32_per_s": loaded["per_s"],
        "wrk_32_median_ms": loaded["median_ms"],
        "wrk_32_p99_ms": loaded["p99_ms"],
    }
    results["wrk_32_mean_batch"] = counted.mean()
    results["client_batch_per_s"] = 1000 * BATCH / median_ms(box.query, batches, seconds / 2)
    results["emulator_held_per_s"] = 1000 * BATCH / median_ms(target.run, frames, seconds / 2)
    results["client_held_per_s"] = 1000 * BATCH / median_ms(box.query, frames, seconds / 2)
    results["client_single_median_ms"] = median_ms(box.query, [spikes(1, 0)], seconds / 2)
    if ours:
        results["client_1_per_s"] = crowd(url, seconds, 1, 1)
        counted = Batches(metrics)
        results["client_32_per_s"] = crowd(url, seconds, CLIENTS, PROCESSES)
        results["client_32_mean_batch"] = counted.mean()
    return results


def summary(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Medians over rounds, and of each round's ratios."""

    def middle(of: Callable[[dict[str, float]], float], among: list[dict[str, float]] = rounds) -> float:
        return statistics.median(of(row) for row in among)

    results = {
        name: statistics.median(row[name] for row in rounds)
        for name in rounds[0]
        if not name.startswith(("client_1_", "client_32_"))
    }
    for connections in (1, 2, 4):
        name = f"wrk_batch_{connections}_connections_per_s"
        results[f"share_wrk_{connections}"] = middle(lambda row, name=name: row[name] / row["emulator_per_s"])  # type: ignore[misc]
    results["share_client"] = middle(lambda row: row["client_batch_per_s"] / row["emulator_per_s"])
    results["share_client_held"] = middle(lambda row: row["client_held_per_s"] / row["emulator_held_per_s"])
    results["wrk_32_over_1"] = middle(lambda row: row["wrk_32_per_s"] / row["wrk_single_per_s"])
    ours = [row for row in rounds if "client_32_per_s" in row]
    for name in ("client_1_per_s", "client_32_per_s", "client_32_mean_batch"):
        results[name] = middle(lambda row, name=name: row[name], ours)  # type: ignore[misc]
    results["client_32_over_1"] = middle(lambda row: row["client_32_per_s"] / row["client_1_per_s"], ours)
    return results


def measure(seconds: float, rounds: int, folder: Path) -> dict[str, Any]:
    import bl_neuro as bl

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the server does: the emulator's own threads share a batch
    made = network()
    bl.save(made, folder / "model.safetensors")
    metrics = 20000 + os.getpid() % 20000
    before = os.getloadavg()[0]
    rows: list[dict[str, float]] = []
    options = ("--metrics-port", str(metrics))
    with served(folder / "model.safetensors", "loihi", folder / "log", *options) as server:
        wrk = Wrk(server.url, folder)
        with bl.open_target(made, "loihi", threads=threads) as target, bl.RemoteBlackBox(server.url) as box:
            for number in range(rounds):
                rows.append(one_round(server.url, metrics, seconds, wrk, target, box, number < 2))
    rounded = [{name: round(value, 3) for name, value in row.items()} for row in rows]
    medians = {name: round(value, 3) for name, value in summary(rows).items()}
    processors = len(os.sched_getaffinity(0))
    return {"processors": processors, "load_before": round(before, 2), "medians": medians, "rounds": rounded}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = measure(arguments.seconds, arguments.rounds, Path(folder))
    print(json.dumps(results["medians"], indent=2))
    if arguments.out is not None:
        write_text(arguments.out, json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
