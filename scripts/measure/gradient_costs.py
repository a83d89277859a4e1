"""What a gradient at the input costs through `loihi`, beside a response and beside the products that it cannot avoid.

    python scripts/measure/gradient_costs.py

One thread, 25 steps, density 0.1, the networks of `benchmark_substrates.py`. A gradient multiplies the gradient of
every layer's sums, which is dense, by the layer's weights in float32 ("products": only these, on random gradients, with
torch's gradient of convolutions, on which `loihi` improves for images of one channel). It also runs backward through
the states of all neurons, which takes at least one pass over the membrane potentials and spikes ("bytes": a copy of
these states in float32). Prints milliseconds, and ratios as medians of interleaved rounds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import speed_engines

ROUNDS = 9
BATCHES = (1, 256)


def backward_products(network: Any, batch: int) -> Callable[[], Any]:
    """The float32 products that carry gradients from the sums of every layer to its input, and nothing else."""
    import torch
    from torch.nn.grad import conv2d_input

    from bl_neuro.layers import Conv

    frames = torch.zeros(speed_engines.STEPS * batch, *network.input_shape)
    parts: list[Callable[[], Any]] = []
    for layer, weight in speed_engines.float_layers(network):
        frames = frames if isinstance(layer, Conv) else frames.flatten(1)
        size, frames = frames.shape, speed_engines.product(layer, weight, frames)
        sums = torch.rand_like(frames)
        if isinstance(layer, Conv):
            geometry = layer.stride, layer.padding, layer.dilation, layer.groups
            parts.append(lambda s=sums, w=weight, z=size, g=geometry: conv2d_input(z, w, s, *g))  # type: ignore[misc]
        else:
            parts.append(lambda s=sums, w=weight: s @ w)  # type: ignore[misc]
    return lambda: [part() for part in parts]


def state_copies(network: Any, batch: int) -> Callable[[], Any]:
    """One pass over the membrane potentials and the spikes of all neurons, in float32."""
    import torch

    frames, states = torch.zeros(batch, *network.input_shape), []
    for layer, weight in speed_engines.float_layers(network):
        frames = speed_engines.product(layer, weight, frames if weight.dim() == 4 else frames.flatten(1))
        states += [torch.rand(speed_engines.STEPS, *frames.shape) for _ in range(2)]
    return lambda: [state.clone() for state in states]


def medians(network: Any, batch: int) -> dict[str, float]:
    """Seconds of each side, and the ratios of a gradient to the others, as medians of interleaved rounds."""
    frames = speed_engines.inputs(network, speed_engines.Case(False, batch, 0.1), 0)
    values, respond = frames.float(), speed_engines.ours("loihi", threads=1)(network)
    differentiate = speed_engines.our_gradient(network)
    sides: dict[str, Callable[[], Any]] = {
        "gradient": lambda: differentiate(values),
        "response": lambda: respond(frames),
        "products": backward_products(network, batch),
        "bytes": state_copies(network, batch),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS + 1):
        for name, run in sides.items():
            began = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - began)
    result = {name: statistics.median(values[1:]) for name, values in times.items()}
    for name in ("response", "products"):
        ratios = [one / other for one, other in zip(times["gradient"][1:], times[name][1:])]
        result[f"gradient / {name}"] = statistics.median(ratios)
    ratios = [one / (a + b) for one, a, b in zip(*(times[name][1:] for name in ("gradient", "products", "bytes")))]
    return {**result, "gradient / (products + bytes)": statistics.median(ratios)}


def main() -> None:
    """See the module."""
    import torch

    torch.set_num_threads(1)
    print("| network | batch | gradient, ms | response | products | bytes | to response | to products | to both |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, network in speed_engines.networks().items():
        if "filtered" in name:
            continue
        for batch in BATCHES:
            row = medians(network, batch)
            seconds = [f"{1000 * row[side]:.2f}" for side in ("gradient", "response", "products", "bytes")]
            ratios = ("gradient / response", "gradient / products", "gradient / (products + bytes)")
            cells = [name, str(batch), *seconds, *(f"{row[ratio]:.1f}" for ratio in ratios)]
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
