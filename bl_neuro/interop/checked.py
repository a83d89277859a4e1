"""The check of a converted model: its own output against the network's, bin by bin, on random spikes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bl_neuro.arrays import BoolArray, FloatArray, SpikeArray
from bl_neuro.errors import Unsupported
from bl_neuro.network import Network
from bl_neuro.reference import simulate

STEPS = 30
BATCH = 4
SEEDS = (0, 1)
DENSITIES = (0.05, 0.3, 0.8)
MEMBRANE_TOLERANCE = 1e-6
"""Largest difference of a membrane (in thresholds) that is put down to the order of floating-point operations."""


@dataclass(frozen=True)
class Trace:
    """What one layer of a model did: what it put out (T, B, *shape), and its membrane, v / threshold, if it shows it.

    The membrane is compared where the neuron did not fire: models report it before or after the reset.
    """

    spikes: FloatArray
    membrane: FloatArray | None = None


RUN_EXAMPLE = "run=lambda copy, spikes: copy(spikes, len(spikes))"
"""What `run=` of a converter looks like, for a module whose forward takes the number of steps."""
Run = Callable[[SpikeArray], Sequence[Trace]]
"""Runs a model from rest on spikes (T, B, *input_shape) and returns a trace of every spiking layer."""


def require_same(network: Network, model: Run, converted: Run, source: str) -> None:
    """Runs `model` and the `converted` network of it on random spikes of several seeds and densities, `STEPS` each.

    Raises:
        Unsupported: they are not the same; how many bins differ, and where it begins, is said.
    """
    total = differing = 0
    first = ""
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        for density in DENSITIES:
            spikes = (rng.random((STEPS, BATCH, *network.input_shape)) < density).astype(np.uint8)
            pairs = list(zip(_own_traces(model, spikes, source), converted(spikes), strict=True))
            for index, (own, ours) in enumerate(pairs):
                wrong = _differences(own, ours, source)
                total += wrong.size
                differing += int(wrong.sum())
                if wrong.any() and not first:
                    step, _sample, *neuron = (int(each) for each in np.argwhere(wrong)[0])
                    first = (
                        f"layer with neurons number {index}, neuron {tuple(neuron)}, step {step} (density {density})"
                    )
    if differing:
        raise Unsupported(
            f"{source}: the network made of it does not do the same: {differing} of {total} bins differ, first at "
            f"{first}. Pass checked=False to have it nonetheless"
        )


def reference_traces(network: Network, spikes: SpikeArray) -> list[Trace]:
    """What the reference makes of `network`, layer by layer."""
    recording = simulate(network, spikes)
    pairs = zip(recording.layer_spikes, recording.layer_membranes)
    return [Trace(fired.astype(np.float64), membrane) for fired, membrane in pairs]


def _own_traces(model: Run, spikes: SpikeArray, source: str) -> Sequence[Trace]:
    try:
        return model(spikes)
    except Unsupported:
        raise
    except Exception as error:  # the user's own code runs here: anything can go wrong in it
        raise Unsupported(
            f"{source}: it did not run on spikes of shape {spikes.shape} ({type(error).__name__}: {error}); "
            f"where it is run in another way, pass run=, such as {RUN_EXAMPLE}"
        ) from error


def _differences(own: Trace, ours: Trace, source: str) -> BoolArray:
    if own.spikes.shape != ours.spikes.shape:
        raise Unsupported(f"{source}: a layer puts out shape {own.spikes.shape}; its network {ours.spikes.shape}")
    wrong: BoolArray = own.spikes != ours.spikes
    if own.membrane is not None and ours.membrane is not None:
        quiet = (own.spikes == 0) & (ours.spikes == 0)
        scale = np.maximum(1.0, np.abs(ours.membrane))
        wrong |= quiet & ~(np.abs(own.membrane - ours.membrane) <= MEMBRANE_TOLERANCE * scale)
    return wrong
