"""Queries a second of every substrate side by side, one thread on one core, new inputs in every repetition.

    python scripts/measure/benchmark_substrates.py [--quick] [--lava] [--without vnni|avx512] [--out results/speed.json]

Rows: our emulator `loihi`, SLAYER, snnTorch (stepped, and with its products hoisted out of the time loop), Norse,
SpikingJelly's multi-step mode where it is installed (another neuron: it has no synaptic current), the dense float32
products alone ("products"), and with --lava real Lava (a fresh network a query, one streamed network, and replicas).
Every network is in Loihi's arithmetic; ratios are medians over repetitions in which all of them ran one after another.
`loihi` is compared bit for bit with SLAYER, and with real Lava where that runs. "held" is one frame expanded over time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

STEPS = 25
DENSITIES = (0.02, 0.1, 0.3)
BATCHES = (1, 256)
Answer = Callable[[Any], Any]


def switch_off(what: str) -> None:
    """Starts this script again, with Numba told that the processor lacks some instructions."""
    import llvmlite.binding as llvm

    prefix = {"vnni": "avx512vnni", "avx512": "avx512"}[what]
    features = {name: on and not name.startswith(prefix) for name, on in llvm.get_host_cpu_features().items()}
    os.environ["NUMBA_CPU_NAME"] = llvm.get_host_cpu_name()
    os.environ["NUMBA_CPU_FEATURES"] = ",".join(f"{'+' if on else '-'}{name}" for name, on in features.items())
    os.environ["BENCHMARK_WITHOUT"] = what
    os.execv(sys.executable, [sys.executable, *sys.argv])


def networks() -> dict[str, Any]:
    """The four networks, random weights, decays as in the networks that lava-dl ships and as in common exports."""
    import numpy as np

    import bl_neuro as bl

    rng = np.random.default_rng(0)

    def weight(shape: tuple[int, ...], spread: float) -> Any:
        return (2 * np.round(rng.normal(0, spread, shape))).clip(-254, 254)

    def dense(sizes: tuple[int, ...], neuron: Any) -> Any:
        layers = [bl.Dense(weight((b, a), 12 if a == sizes[0] else 8), neuron) for a, b in pairwise(sizes)]
        return bl.Network(sizes[:1], layers, arithmetic="loihi")

    plain = bl.CubaLIF(2000, 1.0, 1024 / 4096)
    filtered = bl.CubaLIF(2000, 1024 / 4096, 128 / 4096)
    conv: list[Any] = [
        bl.Conv(weight((12, 1, 5, 5), 30), bl.CubaLIF(300, 1.0, 0.25), stride=2),
        bl.Conv(weight((24, 12, 5, 5), 12), bl.CubaLIF(300, 1.0, 0.25), stride=2),
        bl.Flatten(),
        bl.Dense(weight((10, 384), 12), bl.CubaLIF(300, 1.0, 0.25)),
    ]
    models = {}
    for sizes in ((784, 128, 64, 10), (784, 512, 512, 10), (784, 3000, 10)):
        name = "-".join(map(str, sizes))
        models[name] = dense(sizes, plain)
        models[f"{name}, filtered current"] = dense(sizes, filtered)
    models["conv 28x28-12c5-24c5-10"] = bl.Network((1, 28, 28), conv, arithmetic="loihi")
    return models


def float_layers(network: Any) -> list[tuple[Any, Any]]:
    """(layer, its weights in float32 torch) of each spiking layer."""
    import torch

    from bl_neuro.layers import Conv, Dense

    return [
        (layer, torch.tensor(layer.weight, dtype=torch.float32))
        for layer in network.layers
        if isinstance(layer, (Dense, Conv))
    ]


def product(layer: Any, weight: Any, values: Any) -> Any:
    """The layer's product for values (N, ...)."""
    import torch.nn.functional as F

    if weight.dim() == 2:
        return F.linear(values.flatten(1), weight)
    return F.conv2d(values, weight, None, layer.stride, layer.padding, layer.dilation, layer.groups)


def products(network: Any) -> Answer:
    """The float32 products of all layers over all steps, and nothing else."""
    layers = float_layers(network)

    def answer(spikes: Any) -> Any:
        values = spikes.flatten(0, 1)
        for layer, weight in layers:
            values = product(layer, weight, values)
        return values

    return answer


def stepped(network: Any, make_cell: Callable[[Any], Any]) -> Answer:
    """A library's cells, all layers in each step."""
    import torch

    layers = [(layer, weight, make_cell(layer.neuron)) for layer, weight in float_layers(network)]

    def answer(spikes: Any) -> Any:
        states: list[Any] = [None] * len(layers)
        out = []
        for values in spikes:
            for number, (layer, weight, cell) in enumerate(layers):
                values, states[number] = cell(product(layer, weight, values), states[number])
            out.append(values)
        return torch.stack(out)

    return answer


def hoisted(network: Any, make_cell: Callable[[Any], Any]) -> Answer:
    """A library's cells, layer by layer, with one product over all steps."""
    import torch

    layers = [(layer, weight, make_cell(layer.neuron)) for layer, weight in float_layers(network)]

    def answer(spikes: Any) -> Any:
        values = spikes
        for layer, weight, cell in layers:
            drive = product(layer, weight, values.flatten(0, 1))
            state, out = None, []
            for inputs in drive.reshape(*values.shape[:2], *drive.shape[1:]):
                fired, state = cell(inputs, state)
                out.append(fired)
            values = torch.stack(out)
        return values

    return answer


def snntorch_cell(neuron: Any) -> Any:
    """SnnTorch's cell for a neuron."""
    import snntorch
    import torch

    options = {"threshold": neuron.threshold.item(), "reset_mechanism": "zero", "reset_delay": False}
    alpha, beta = 1 - neuron.current_decay.item(), 1 - neuron.voltage_decay.item()
    if alpha == 0:
        leaky = snntorch.Leaky(beta=beta, **options)
        return lambda inputs, state: leaky(inputs, torch.zeros_like(inputs) if state is None else state)
    synaptic = snntorch.Synaptic(alpha=alpha, beta=beta, **options)

    def step(inputs: Any, state: Any) -> Any:
        fired, *state = synaptic(inputs, *(state or (torch.zeros_like(inputs), torch.zeros_like(inputs))))
        return fired, state

    return step


def norse_cell(neuron: Any) -> Any:
    """Norse's cell for a neuron."""
    import torch
    from norse.torch import LIFBoxCell, LIFCell
    from norse.torch.functional.lif import LIFParameters
    from norse.torch.functional.lif_box import LIFBoxParameters

    decay = neuron.voltage_decay.item()
    shared = {"tau_mem_inv": torch.tensor(decay), "v_th": torch.tensor(decay * neuron.threshold.item())}
    if neuron.current_decay.item() == 1:
        return LIFBoxCell(LIFBoxParameters(**shared), dt=1.0)
    return LIFCell(LIFParameters(tau_syn_inv=torch.tensor(neuron.current_decay.item()), **shared), dt=1.0)


def spikingjelly(network: Any) -> Answer:
    """SpikingJelly's LIF in multi-step mode behind one product a layer."""
    from spikingjelly.activation_based import functional, neuron

    layers = [
        (layer, weight, neuron.LIFNode(
            tau=1 / layer.neuron.voltage_decay.item(), decay_input=False, v_threshold=layer.neuron.threshold.item(),
            v_reset=0.0, step_mode="m",
        ))
        for layer, weight in float_layers(network)
    ]  # fmt: skip

    def answer(spikes: Any) -> Any:
        values = spikes
        for layer, weight, cell in layers:
            functional.reset_net(cell)
            drive = product(layer, weight, values.flatten(0, 1))
            values = cell(drive.reshape(*values.shape[:2], *drive.shape[1:]))
        return values

    return answer


def engines(network: Any) -> dict[str, Answer]:
    """Everything that is installed, by name. loihi takes bytes, all others floats that are made for them."""
    import bl_neuro as bl
    from bl_neuro.backends import find_backend, missing_reason

    loihi = bl.open_target(network, "loihi", threads=1)
    answers: dict[str, Answer] = {"loihi": loihi.run, "products": products(network)}
    if not missing_reason(find_backend("slayer")):
        answers["slayer"] = bl.open_target(network, "slayer").run
    if not missing_reason(find_backend("snntorch")):
        answers["snntorch, stepped"] = stepped(network, snntorch_cell)
        answers["snntorch, hoisted"] = hoisted(network, snntorch_cell)
    if not missing_reason(find_backend("norse")):
        answers["norse"] = stepped(network, norse_cell)
    with suppress(ImportError):
        answers["spikingjelly"] = spikingjelly(network)
    return answers


def measure(network: Any, batch: int, density: float, held: bool, repetitions: int) -> dict[str, Any]:
    """Seconds of every engine in each repetition, as queries per second and ratios; checks equality with SLAYER."""
    import torch

    seconds: dict[str, list[float]] = {}
    wrong = 0
    chosen = engines(network)
    if held:  # what a held query buys is a matter of ours and of the products alone
        chosen = {name: chosen[name] for name in ("loihi", "products")}
    for repetition in range(repetitions + 1):  # the first one warms up
        frames = torch.rand(1 if held else STEPS, batch, *network.input_shape) < density
        spikes = frames.to(torch.uint8).expand(STEPS, *frames.shape[1:])
        floats = frames.float().expand(STEPS, *frames.shape[1:]).contiguous()
        answers = {}
        for name, answer in chosen.items():
            given = spikes if name == "loihi" else floats
            began = time.perf_counter()
            answers[name] = answer(given)
            if repetition:
                seconds.setdefault(name, []).append(time.perf_counter() - began)
        if "slayer" in answers:
            wrong += int((answers["loihi"].spikes != answers["slayer"].spikes).sum())
    ours = seconds["loihi"]
    return {
        "queries_per_second": {name: batch / statistics.median(times) for name, times in seconds.items()},
        "loihi_is_faster_by": {
            name: statistics.median(one / own for one, own in zip(times, ours, strict=True))
            for name, times in seconds.items()
            if name != "loihi"
        },
        "bins_unlike_slayer": wrong,
    }


def measure_lava(network: Any, queries: int = 24) -> dict[str, float]:
    """Real Lava, queries per second without its start: one streamed network, replicas, and a fresh network a query."""
    import torch

    import bl_neuro as bl

    spikes = (torch.rand(STEPS, 16 * queries, *network.input_shape) < 0.1).to(torch.uint8)
    rates, wrong = {}, 0
    with bl.open_target(network, "loihi") as loihi:
        expected = loihi.run(spikes).spikes
    single: dict[str, Any] = {"replicas": 1, "runtimes": 1}
    for name, options, count in (
        ("lava, streamed", single, queries),
        ("lava, replicas", {"runtimes": 1}, 16 * queries),
        ("lava, as opened", {}, 16 * queries),
    ):
        with bl.open_target(network, "lava", **options) as target:
            target.run(spikes[:, :1])
            began = time.perf_counter()
            answer = target.run(spikes[:, :count]).spikes
            rates[name] = count / (time.perf_counter() - began)
            wrong += int((answer != expected[:, :count]).sum())
    began = time.perf_counter()
    for index in range(3):
        with bl.open_target(network, "lava", **single) as target:
            wrong += int((target.run(spikes[:, index : index + 1]).spikes != expected[:, index : index + 1]).sum())
    rates["lava, fresh"] = 3 / (time.perf_counter() - began)
    return {**rates, "bins_unlike_lava": wrong}


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="batch 256, density 0.1 and held queries alone")
    parser.add_argument("--lava", action="store_true", help="real Lava too (minutes)")
    parser.add_argument("--without", choices=("vnni", "avx512"), help="as on a processor that lacks them")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--only", default="", help="networks whose name contains this")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.without and os.environ.get("BENCHMARK_WITHOUT") != arguments.without:
        switch_off(arguments.without)
    everywhere = os.sched_getaffinity(0)
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    from bl_neuro.experiment.provenance import machine, now, versions
    from bl_neuro.files import write_text

    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    torch.manual_seed(0)
    result: dict[str, Any] = {"at": now(), "versions": versions(), "machine": machine(), "without": arguments.without}
    result["rows"] = []
    for name, network in networks().items():
        if arguments.only not in name:
            continue
        for held, batch, density in cases(arguments.quick):
            os.sched_setaffinity(0, {max(everywhere)})
            row = measure(network, batch, density, held, arguments.repetitions if batch > 1 else 20)
            row = {"network": name, "batch": batch, "density": density, "held": held, **row}
            result["rows"].append(row)
            show(row)
        if arguments.lava and "conv" not in name:
            os.sched_setaffinity(0, everywhere)
            lava = measure_lava(network)
            ours = next(r for r in result["rows"] if r["network"] == name and r["batch"] > 1 and r["density"] == 0.1)
            speed = ours["queries_per_second"]["loihi"]
            result["rows"].append({"network": name, "lava": lava})
            ratios = {key: f"{speed / value:,.0f}x" for key, value in lava.items() if key.startswith("lava")}
            print(f"{name}: loihi {speed:,.0f}/s against {ratios}; replicas give "
                  f"{lava['lava, replicas'] / lava['lava, streamed']:.1f}x one streamed network; "
                  f"bins that differ: {lava['bins_unlike_lava']}", flush=True)  # fmt: skip
        if arguments.out:
            write_text(arguments.out, json.dumps(result, indent=1) + "\n")


def cases(quick: bool) -> list[tuple[bool, int, float]]:
    """(held, batch, density) of each measurement."""
    general = [(False, batch, density) for batch in BATCHES for density in DENSITIES]
    held = [(True, 256, density) for density in DENSITIES]
    return [case for case in general + held if not quick or case[1:] == (256, 0.1)]


def show(row: dict[str, Any]) -> None:
    """One line of a measurement."""
    kind = "held" if row["held"] else "general"
    ratios = "  ".join(f"{name} {ratio:.2f}x" for name, ratio in row["loihi_is_faster_by"].items())
    speed = row["queries_per_second"]["loihi"]
    print(f"{row['network']}  {kind}  B={row['batch']}  density {row['density']}: loihi {speed:,.0f}/s, faster than "
          f"{ratios}; bins unlike SLAYER: {row['bins_unlike_slayer']}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
