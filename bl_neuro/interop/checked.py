"""Check of a converted model: compares its output with that of the network, bin by bin, on random spikes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bl_neuro.arrays import BoolArray, FloatArray, SpikeArray
from bl_neuro.errors import Unsupported
from bl_neuro.interop.own_output import need_own_output
from bl_neuro.layers import AveragePool, SumPool
from bl_neuro.network import Network
from bl_neuro.reference import simulate

STEPS = 30
BATCH = 4
SEEDS = (0, 1)
DENSITIES = (0.05, 0.3, 0.8)
MEMBRANE_TOLERANCE = 1e-6
"""Largest difference of the membrane potential (in thresholds) that is attributed to floating-point rounding."""


@dataclass(frozen=True)
class LayerTrace:
    """Recording of one layer of a model: its spikes (T, B, *shape), and its membrane, v / threshold, if available.

    The membrane is compared only where the neuron did not spike, since models report it before or after the reset.
    voltage: its membrane potential in the unit of the model, if available.
    """

    spikes: FloatArray
    membrane: FloatArray | None = None
    voltage: FloatArray | None = None

    @property
    def recordings(self) -> tuple[FloatArray, ...]:
        """The spikes, and the membrane potential if available."""
        return (self.spikes,) if self.voltage is None else (self.spikes, self.voltage)


RUN_EXAMPLE = "run=lambda copy, spikes: copy(spikes, len(spikes))"
"""What `run=` of a converter looks like, for a module whose forward takes the number of steps."""
Run = Callable[[SpikeArray], Sequence[LayerTrace]]
"""Runs a network from its initial state on spikes (T, B, *input_shape) and returns a trace of every spiking layer."""
ModelRun = Callable[[SpikeArray], tuple[Sequence[LayerTrace], Any]]
"""Runs a model in the same way and also returns the output of its forward, None if it has none of its own."""


def require_same(network: Network, model: ModelRun, converted: Run, source: str) -> None:
    """Runs `model` and its `converted` network on random spikes of several seeds and densities, `STEPS` steps each.

    Raises:
        Unsupported: they differ; the message gives the number of differing bins and the first of them. Or the output of
            the model is not that of its last neurons.
    """
    outputs: list[tuple[Any, Sequence[LayerTrace]]] = []
    total = differing = 0
    first = ""
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        for density in DENSITIES:
            spikes = (rng.random((STEPS, BATCH, *network.input_shape)) < density).astype(np.uint8)
            traces, output = _run_model(model, spikes, source)
            outputs.append((output, traces))
            pairs = list(zip(traces, converted(spikes), strict=True))
            for index, (model_trace, network_trace) in enumerate(pairs):
                differs = _differences(model_trace, network_trace, source)
                total += differs.size
                differing += int(differs.sum())
                if differs.any() and not first:
                    step, _sample, *neuron = (int(position) for position in np.argwhere(differs)[0])
                    first = (
                        f"layer with neurons number {index}, neuron {tuple(neuron)}, step {step} (density {density})"
                    )
    if differing:
        raise Unsupported(
            f"{source}: the converted network is not identical: {differing} of {total} bins differ, first at {first}. "
            "Pass checked=False to convert it without this check"
        )
    if not isinstance(network.layers[-1], (SumPool, AveragePool)):
        for output, traces in outputs:
            need_own_output(output, [trace.recordings for trace in traces], source)


def reference_traces(network: Network, spikes: SpikeArray) -> list[LayerTrace]:
    """Traces of `network` in the reference simulation."""
    recording = simulate(network, spikes)
    pairs = zip(recording.layer_spikes, recording.layer_membranes)
    return [LayerTrace(fired.astype(np.float64), membrane) for fired, membrane in pairs]


def _run_model(model: ModelRun, spikes: SpikeArray, source: str) -> tuple[Sequence[LayerTrace], Any]:
    try:
        return model(spikes)
    except Unsupported:
        raise
    except Exception as error:  # the user's own code may raise anything
        raise Unsupported(
            f"{source}: failed on spikes of shape {spikes.shape} ({type(error).__name__}: {error}); "
            f"if the module is called in another way, pass run=, such as {RUN_EXAMPLE}"
        ) from error


def _differences(model_trace: LayerTrace, network_trace: LayerTrace, source: str) -> BoolArray:
    if model_trace.spikes.shape != network_trace.spikes.shape:
        shapes = f"{model_trace.spikes.shape}; that of its network has {network_trace.spikes.shape}"
        raise Unsupported(f"{source}: a layer's output has shape {shapes}")
    differs: BoolArray = model_trace.spikes != network_trace.spikes
    if model_trace.membrane is not None and network_trace.membrane is not None:
        silent = (model_trace.spikes == 0) & (network_trace.spikes == 0)
        scale = np.maximum(1.0, np.abs(network_trace.membrane))
        differs |= silent & ~(np.abs(model_trace.membrane - network_trace.membrane) <= MEMBRANE_TOLERANCE * scale)
    return differs
