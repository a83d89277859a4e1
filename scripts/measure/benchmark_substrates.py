"""Queries per second of every substrate and library beside the dense products alone, one thread on one core.

    python scripts/measure/benchmark_substrates.py [--quick] [--lava] [--without vnni|avx512] [--out results/speed.json]

Engines (`speed_engines.py`): our emulator `loihi`, given bytes and given float32 spikes; SLAYER; snnTorch, stepped and
with its products hoisted out of the time loop; Norse; SpikingJelly where it is installed; and the dense products alone,
in several forms, of which the fastest counts. Every engine runs in a process of its own, warm, all of them in turns,
round after round; a ratio is the median over rounds, and the smallest and the greatest are given with it. Every network
is in Loihi's arithmetic; `loihi` is compared bit for bit with SLAYER, and with real Lava (--lava: a fresh network a
query, one streamed network, and replicas). "held" is one frame expanded over time.

Other processes falsify ratios, since they slow down products more than `loihi`: the script measures before each round
whether the machine is idle, and does not write --out otherwise (--busy prints the figures nevertheless). Exit code 3
if the machine was busy; --resume goes on later. --quick: `loihi`, products and SLAYER, and four of
the nine kinds of input, without the networks with filtered current.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from speed_engines import OURS, STEPS, Case, cases, engines, networks

from bl_neuro.experiment.provenance import machine, now, versions
from bl_neuro.files import write_text

BUSY_SHARE = 0.05
"""Largest share of the processors' time that other processes may use."""
WATCHED_S = 3.0
"""Seconds for which the processors are watched before each round."""
BUSY = 3
"""Exit code if the machine was busy."""
Rates = dict[str, dict[str, float]]
"""Queries per second by engine and case."""


def busy_share() -> float:
    """The share of the processors' time that other processes use at present."""
    import psutil

    return 1 - psutil.cpu_times_percent(WATCHED_S).idle / 100


def without(instructions: str | None) -> dict[str, str]:
    """Environment variables that tell Numba that the processor lacks instructions."""
    if instructions is None:
        return {}
    import llvmlite.binding as llvm

    prefix = {"vnni": "avx512vnni", "avx512": "avx512"}[instructions]
    features = {name: on and not name.startswith(prefix) for name, on in llvm.get_host_cpu_features().items()}
    listed = ",".join(f"{'+' if on else '-'}{name}" for name, on in features.items())
    return {"NUMBA_CPU_NAME": llvm.get_host_cpu_name(), "NUMBA_CPU_FEATURES": listed}


def one_round(name: str, arguments: argparse.Namespace) -> tuple[Rates, int | None]:
    """Queries per second of every engine on a network, and the number of bins in which loihi and SLAYER differ."""
    script = Path(__file__).with_name("speed_engines.py")
    options = ["--repetitions", str(arguments.repetitions), *(["--quick"] if arguments.quick else [])]
    rates: Rates = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, engine in enumerate(engines(name, arguments.quick)):
            spikes = Path(folder) / f"{number}.npz"
            command = [sys.executable, "-W", "ignore", str(script), name, engine, "--out", str(spikes), *options]
            environment = os.environ | without(arguments.without)
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
            if done.returncode:
                raise SystemExit(f"{name}: {engine} failed: {done.stderr[-2000:]}")
            seconds = json.loads(done.stdout.splitlines()[-1])
            batches = {case.key: case.batch for case in cases(arguments.quick)}
            rates[engine] = {key: batches[key] / statistics.median(times) for key, times in seconds.items()}
        numbers = {engine: number for number, engine in enumerate(rates)}
        if "slayer" not in rates:
            return rates, None
        pair = [np.load(Path(folder) / f"{numbers[engine]}.npz") for engine in ("loihi", "slayer")]
        return rates, sum(int(np.unpackbits(pair[0][key] ^ pair[1][key]).sum()) for key in pair[0].files)


def spread(values: list[float]) -> dict[str, float]:
    """Median, smallest and greatest value."""
    return {"median": statistics.median(values), "least": min(values), "greatest": max(values)}


def row_of(name: str, case: Case, rounds: list[Rates], wrong: list[int | None]) -> dict[str, Any]:
    """One row of the results: queries per second, and how many times as many queries `loihi` answers."""
    products = [engine for engine in rounds[0] if engine.startswith("products")]
    fastest = [max(products, key=lambda engine: rates[engine][case.key]) for rates in rounds]
    compared = {"products": [rates[best][case.key] for rates, best in zip(rounds, fastest, strict=True)]}
    for engine in rounds[0]:
        if engine not in (*products, *OURS):
            compared[engine] = [rates[engine][case.key] for rates in rounds]
    own = [rates["loihi"][case.key] for rates in rounds]
    costs = {
        name: spread([mine / rates[engine][case.key] for mine, rates in zip(own, rounds, strict=True)])
        for name, engine in (("float32_spikes_cost", "loihi, float32 spikes"), ("gradient_cost", "loihi, gradient"))
    }
    faster = compared["products"]
    return {
        "network": name,
        **case._asdict(),
        "queries_per_second": {
            engine: statistics.median(rates[engine][case.key] for rates in rounds) for engine in rounds[0]
        },
        "fastest_products": statistics.mode(fastest),
        "loihi_is_faster_by": {
            engine: spread([mine / one for mine, one in zip(own, values, strict=True)])
            for engine, values in compared.items()
        },
        **costs,
        "ms_more_than_products": spread(
            [1000 * case.batch * (1 / mine - 1 / one) for mine, one in zip(own, faster, strict=True)]
        ),
        "bins_unlike_slayer": None if wrong[0] is None else sum(count or 0 for count in wrong),
    }


def shown(row: dict[str, Any]) -> str:
    """A row as one line."""
    inputs = f"{'held' if row['held'] else 'general'}, batch {row['batch']}, density {row['density']}"
    ratios = ", ".join(
        f"{engine} {ratio['median']:.2f}x ({ratio['least']:.2f} to {ratio['greatest']:.2f})"
        for engine, ratio in row["loihi_is_faster_by"].items()
    )
    return (
        f"{row['network']}, {inputs}: {row['queries_per_second']['loihi']:,.0f} queries/s; {ratios}; float32 spikes "
        f"cost {row['float32_spikes_cost']['median']:.2f}x, a gradient {row['gradient_cost']['median']:.1f}x; "
        f"{row['ms_more_than_products']['median']:+.2f} ms to products; bins unlike SLAYER: {row['bins_unlike_slayer']}"
    )


def measure_lava(network: Any, queries: int = 8, repetitions: int = 5) -> dict[str, float]:
    """Real Lava, queries per second without its start: medians, and how many times faster than one streamed network.

    The streamed network, replicas in one simulation and what a target chooses by default run in turns; a ratio is the
    median over these turns. The last figure includes the start: a fresh network a query.
    """
    import torch

    import bl_neuro as bl

    spikes = (torch.rand(STEPS, 32 * queries, *network.input_shape) < 0.1).to(torch.uint8)
    with bl.open_target(network, "loihi") as loihi:
        expected = loihi.run(spikes).spikes
    single: dict[str, Any] = {"replicas": 1, "runtimes": 1}
    cases = {
        "streamed": (single, queries),
        "replicas": ({"runtimes": 1}, 32 * queries),
        "as opened": ({}, 32 * queries),
    }
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    wrong = 0
    with ExitStack() as stack:
        targets = {
            name: stack.enter_context(bl.open_target(network, "lava", **options))
            for name, (options, _) in cases.items()
        }
        for repetition in range(repetitions + 1):
            for name, (_, count) in cases.items():
                began = time.perf_counter()
                answer = targets[name].run(spikes[:, :count]).spikes
                if repetition:  # the first includes the start
                    seconds[name].append((time.perf_counter() - began) / count)
                wrong += int((answer != expected[:, :count]).sum())
    rates = {f"lava, {name}": 1 / statistics.median(times) for name, times in seconds.items()}
    for name in ("replicas", "as opened"):
        pairs = zip(seconds["streamed"], seconds[name], strict=True)
        rates[f"{name} over streamed"] = statistics.median(streamed / other for streamed, other in pairs)
    began = time.perf_counter()
    for index in range(3):
        with bl.open_target(network, "lava", **single) as target:
            wrong += int((target.run(spikes[:, index : index + 1]).spikes != expected[:, index : index + 1]).sum())
    rates["lava, fresh"] = 3 / (time.perf_counter() - began)
    return {**rates, "bins_unlike_lava": wrong}


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="loihi, products and SLAYER; four kinds of input")
    parser.add_argument("--lava", action="store_true", help="real Lava too (minutes)")
    parser.add_argument("--without", choices=("vnni", "avx512"), help="as on a processor that lacks them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repetitions", type=int, default=5, help="of each case in a round, after two to warm up")
    parser.add_argument("--only", default="", help="networks whose name contains this")
    parser.add_argument("--busy", action="store_true", help="measure on a busy machine too, without writing a file")
    parser.add_argument("--resume", action="store_true", help="measure the networks that are missing in --out")
    parser.add_argument("--out", type=Path, help="written after each network")
    arguments = parser.parse_args()
    result: dict[str, Any] = {"at": now(), "versions": versions(), "machine": machine(), "without": arguments.without}
    result |= {"rounds": arguments.rounds, "busy_shares": [], "rows": []}
    if arguments.out and arguments.out.exists() and arguments.resume:
        result = json.loads(arguments.out.read_text())
    measured = {row["network"] for row in result["rows"]}
    for name, network in networks().items():
        if arguments.only not in name or name in measured or (arguments.quick and "filtered" in name):
            continue
        rounds, wrong = [], []
        for _ in range(arguments.rounds):
            result["busy_shares"].append(busy_share())
            if result["busy_shares"][-1] > BUSY_SHARE and not arguments.busy:
                share = result["busy_shares"].pop()
                print(f"The machine is busy: other processes use {share:.0%} of it. Try again when it is idle.")
                return BUSY
            rates, bins = one_round(name, arguments)
            rounds.append(rates)
            wrong.append(bins)
        for case in cases(arguments.quick):
            result["rows"].append(row_of(name, case, rounds, wrong))
            print(shown(result["rows"][-1]), flush=True)
        if arguments.lava and not name.startswith("conv"):
            result["rows"].append({"network": name, "lava": measure_lava(network)})
            print(f"{name}: real Lava: {result['rows'][-1]['lava']}", flush=True)
        if arguments.out and max(result["busy_shares"]) <= BUSY_SHARE:
            write_text(arguments.out, json.dumps(result, indent=1) + "\n")
    return BUSY if max(result["busy_shares"]) > BUSY_SHARE else 0


if __name__ == "__main__":
    sys.exit(main())
