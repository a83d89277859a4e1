"""The networks and the implementations that `benchmark_substrates.py` compares, and one process that measures one.

    python scripts/measure/speed_engines.py NETWORK ENGINE --out FILE.npz [--quick] [--repetitions 5]

Prints the seconds of every repetition of every case as JSON, and writes the spikes of the first repetition of each.
Inputs depend on the case and the repetition alone, so that all processes measure the same ones.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

STEPS = 25
DENSITIES = (0.02, 0.1, 0.3)
BATCHES = (1, 256)
WARM_UP = 2
"""Repetitions that are not counted, in which libraries choose kernels and allocate memory."""
Answer = Callable[[Any], Any]


class Case(NamedTuple):
    """One kind of input. held: one frame repeated in all steps; density: probability of a spike."""

    held: bool
    batch: int
    density: float

    @property
    def key(self) -> str:
        """The name of the case in files."""
        return f"{'held' if self.held else 'general'} {self.batch} {self.density}"


def cases(quick: bool) -> list[Case]:
    """The cases of a full or a quick benchmark."""
    general = [Case(False, batch, density) for batch in BATCHES for density in DENSITIES]
    held = [Case(True, 256, density) for density in DENSITIES]
    few = [Case(False, 1, 0.1), Case(False, 256, 0.1), Case(False, 256, 0.3), Case(True, 256, 0.1)]
    return few if quick else general + held


def networks() -> dict[str, Any]:
    """Random weights, decays as in the networks that lava-dl ships and as in common exports.

    "filtered current": current_decay below 1. "active": with low thresholds, so that 14% to 35% of the hidden neurons
    spike in a step; in the others at most 5% do.
    """
    import numpy as np

    import bl_neuro as bl

    rng = np.random.default_rng(0)

    def weight(shape: tuple[int, ...], spread: float) -> Any:
        return (2 * np.round(rng.normal(0, spread, shape))).clip(-254, 254)

    def dense(sizes: tuple[int, ...], first: Any, others: Any) -> Any:
        neurons = [first] + [others] * (len(sizes) - 2)
        layers = [
            bl.Dense(weight((b, a), 12 if a == sizes[0] else 8), neuron)
            for (a, b), neuron in zip(pairwise(sizes), neurons, strict=True)
        ]
        return bl.Network(sizes[:1], layers, arithmetic="loihi")

    def conv(first: float, second: float) -> Any:
        layers: list[Any] = [
            bl.Conv(weight((12, 1, 5, 5), 30), bl.CubaLIF(first, 1.0, 0.25), stride=2),
            bl.Conv(weight((24, 12, 5, 5), 12), bl.CubaLIF(second, 1.0, 0.25), stride=2),
            bl.Flatten(),
            bl.Dense(weight((10, 384), 12), bl.CubaLIF(300, 1.0, 0.25)),
        ]
        return bl.Network((1, 28, 28), layers, arithmetic="loihi")

    plain = bl.CubaLIF(2000, 1.0, 1024 / 4096)
    filtered = bl.CubaLIF(2000, 1024 / 4096, 128 / 4096)
    models = {}
    for sizes in ((784, 128, 64, 10), (784, 512, 512, 10), (784, 3000, 10)):
        name = "-".join(map(str, sizes))
        models[name] = dense(sizes, plain, plain)
        models[f"{name}, filtered current"] = dense(sizes, filtered, filtered)
    for sizes, threshold in ((784, 128, 64, 10), 100), ((784, 512, 512, 10), 120), ((784, 3000, 10), 200):
        low = bl.CubaLIF(200, 1.0, 1024 / 4096), bl.CubaLIF(threshold, 1.0, 1024 / 4096)
        models[f"{'-'.join(map(str, sizes))}, active"] = dense(sizes, *low)
    models["conv 28x28-12c5-24c5-10"] = conv(300, 300)
    models["conv 28x28-12c5-24c5-10, active"] = conv(60, 100)
    return models


def inputs(network: Any, case: Case, repetition: int) -> Any:
    """Spikes (T, B, *input_shape) as bytes."""
    import torch

    generator = torch.Generator().manual_seed(1000 * repetition + int(100 * case.density))
    frames = torch.rand(1 if case.held else STEPS, case.batch, *network.input_shape, generator=generator)
    return (frames < case.density).to(torch.uint8).expand(STEPS, *frames.shape[1:])


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


def torch_products(network: Any, dtype: str, channels_last: bool) -> Answer:
    """The products of all layers over all steps at once, by torch: MKL for float32, oneDNN for the rest."""
    import torch

    layers = [(layer, weight.to(getattr(torch, dtype))) for layer, weight in float_layers(network)]
    if channels_last:
        layers = [
            (layer, weight.to(memory_format=torch.channels_last) if weight.dim() == 4 else weight)
            for layer, weight in layers
        ]

    def answer(spikes: Any) -> Any:
        values = spikes.flatten(0, 1)
        if channels_last:
            values = values.to(memory_format=torch.channels_last)
        for layer, weight in layers:
            values = product(layer, weight, values)
        return values

    return answer


def openblas_products(network: Any) -> Answer:
    """The products of all layers over all steps at once, by NumPy's BLAS, which is OpenBLAS in its wheels."""
    weights = [weight.numpy().T for _, weight in float_layers(network)]

    def answer(spikes: Any) -> Any:
        values = spikes.flatten(0, 1).numpy()
        for weight in weights:
            values = values @ weight
        return values

    return answer


PRODUCTS: dict[str, Callable[[Any], Answer]] = {
    "products, float32": lambda network: torch_products(network, "float32", False),
    "products, bfloat16": lambda network: torch_products(network, "bfloat16", False),
}
"""The dense products alone, without neurons: the least that a simulation by products must do. The fastest form counts,
which differs between processors and shapes."""
DENSE_PRODUCTS: dict[str, Callable[[Any], Answer]] = {"products, float32, OpenBLAS": openblas_products}
CONV_PRODUCTS: dict[str, Callable[[Any], Answer]] = {
    "products, float32, channels last": lambda network: torch_products(network, "float32", True),
    "products, bfloat16, channels last": lambda network: torch_products(network, "bfloat16", True),
}


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
            for current in drive.reshape(*values.shape[:2], *drive.shape[1:]):
                fired, state = cell(current, state)
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
        return lambda current, state: leaky(current, torch.zeros_like(current) if state is None else state)
    synaptic = snntorch.Synaptic(alpha=alpha, beta=beta, **options)

    def step(current: Any, state: Any) -> Any:
        fired, *state = synaptic(current, *(state or (torch.zeros_like(current), torch.zeros_like(current))))
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
    """SpikingJelly's LIF in multi-step mode behind one product a layer. Another neuron: it has no synaptic current."""
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


def ours(substrate: str, **options: Any) -> Callable[[Any], Answer]:
    """One of our substrates, opened for each network."""

    def opened(network: Any) -> Answer:
        import bl_neuro as bl

        target = bl.open_target(network, substrate, **options)
        return lambda spikes: target.run(spikes).spikes

    return opened


LIBRARIES: dict[str, Callable[[Any], Answer]] = {
    "slayer": ours("slayer"),
    "snntorch, stepped": lambda network: stepped(network, snntorch_cell),
    "snntorch, hoisted": lambda network: hoisted(network, snntorch_cell),
    "norse": lambda network: stepped(network, norse_cell),
    "spikingjelly": spikingjelly,
}
MODULES = {"slayer": "lava", "spikingjelly": "spikingjelly"}
"""The package that an engine needs, if it is not named like the engine."""


def our_gradient(network: Any) -> Answer:
    """The gradient of a class's mean membrane potential at the input, through `loihi`."""
    import torch

    import bl_neuro as bl

    target = bl.open_target(network, "loihi", threads=1)

    def answer(spikes: Any) -> Any:
        with torch.enable_grad():
            inputs = spikes.clone().requires_grad_()
            membrane: Any = target.run(inputs).membrane
            return torch.autograd.grad(membrane[..., 0].mean(0).sum(), inputs)[0]

    return answer


OURS: dict[str, Callable[[Any], Answer]] = {
    "loihi": ours("loihi", threads=1),
    "loihi, float32 spikes": ours("loihi", threads=1),
    "loihi, gradient": our_gradient,
}
COMPARED = ("loihi", "slayer")
"""Engines that must fire identically."""


def engines(network_name: str, quick: bool) -> dict[str, Callable[[Any], Answer]]:
    """The engines that are installed, by name; variants of a network are measured with SLAYER alone."""
    products = PRODUCTS | (CONV_PRODUCTS if network_name.startswith("conv") else DENSE_PRODUCTS)
    libraries = {name: make for name, make in LIBRARIES.items() if _installed(name)}
    quick = quick or "," in network_name
    return OURS | products | ({"slayer": libraries["slayer"]} if quick and "slayer" in libraries else libraries)


def _installed(name: str) -> bool:
    return importlib.util.find_spec(MODULES.get(name, name.split(",")[0])) is not None


def timed(answer: Answer, network: Any, name: str, case: Case, repetitions: int) -> Iterator[tuple[float, Any]]:
    """Seconds and answer of each repetition; loihi gets bytes, the others values in the type that they compute in."""
    import torch

    dtype = torch.uint8 if name == "loihi" else torch.bfloat16 if "bfloat16" in name else torch.float32
    for repetition in range(-WARM_UP, repetitions):
        spikes = inputs(network, case, max(repetition, 0)).to(dtype)
        if dtype != torch.uint8 and name not in OURS:
            spikes = spikes.contiguous()
        began = time.perf_counter()
        result = answer(spikes)
        if repetition >= 0:
            yield time.perf_counter() - began, result


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network")
    parser.add_argument("engine")
    parser.add_argument("--quick", action="store_true", help="four cases alone")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--out", type=Path, help="file for the spikes of the first repetition of each case")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import numpy as np
    import torch

    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    network = networks()[arguments.network]
    answer = engines(arguments.network, False)[arguments.engine](network)
    seconds, spikes = {}, {}
    for case in cases(arguments.quick):
        repetitions = arguments.repetitions if case.batch > 1 else 8 * arguments.repetitions
        results = list(timed(answer, network, arguments.engine, case, repetitions))
        seconds[case.key] = [one for one, _ in results]
        if arguments.engine in COMPARED:
            spikes[case.key] = np.packbits(np.asarray(results[0][1]).astype(bool))
    if arguments.out:
        np.savez_compressed(arguments.out, **spikes)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
