"""Named inputs for comparing substrates: random, structured and user-supplied."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bl_neuro.backends.inputs import checked_input
from bl_neuro.checks import MAX_STEPS, whole_number
from bl_neuro.errors import DataError, InputError
from bl_neuro.files import what_is_at
from bl_neuro.layers import Input
from bl_neuro.network import Network
from bl_neuro.seeding import stream
from bl_neuro.sigma_delta import UNIT
from bl_neuro.strangers.archive import DAMAGE, Archive
from bl_neuro.strangers.budget import need_memory
from bl_neuro.strangers.door import regular_file
from bl_neuro.strangers.npy import read_npy_stream

Values = npt.NDArray[Any]
DENSITIES = (0.0, 0.02, 0.1, 0.3, 0.6, 1.0)
"""Spike probabilities of random inputs; 0 and 1 use one sample each, since they are deterministic."""
STEPS = 20
"""Time steps of a sample for a network without delays."""
STRENGTHS = (0.1, 0.5, 2.0)
"""Standard deviations of random input currents, in units of the current that reaches the threshold in one step."""
MAX_INPUT_VALUES = 2**28
"""Maximum number of values of all inputs of a comparison."""
_Drawn = Callable[[np.random.Generator, tuple[int, ...]], Values]


@dataclass(frozen=True, eq=False)
class Stimulus:
    """Inputs of one kind: a name for reports, and values (T, B, *input_shape), 0/1 spikes or real currents."""

    name: str
    values: Values

    @property
    def samples(self) -> int:
        """Number of samples."""
        return int(self.values.shape[1])


def checked_stimulus(values: Any, network: Network, name: str = "given") -> Stimulus:
    """A user's own inputs (T, B, *input_shape); InputError if they do not fit the network."""
    checked = checked_input(values, network).detach().cpu()
    converted = checked if network.input_kind == "current" else checked.to(torch.uint8)
    return Stimulus(name, converted.numpy())


def default_steps(network: Network) -> int:
    """Time steps in which spikes pass every layer: 20 plus the largest delay of each layer."""
    delays = (getattr(layer, "delay", None) for layer in network.layers)
    return min(STEPS + sum(int(delay.max()) for delay in delays if delay is not None), MAX_STEPS)


def generated(network: Network, steps: int | None = None, batch: int = 4, seed: int = 0) -> tuple[Stimulus, ...]:
    """Random inputs of several densities (strengths, for a current), then structured ones, `batch` samples each.

    steps: time steps of a sample; by default 20 plus the largest delay of each layer.

    Raises:
        InputError: steps or batch below 1, too many values, or a seed below 0.
    """
    steps = default_steps(network) if steps is None else steps
    minimum = {"steps": 1, "batch": 1, "seed": 0}
    for name, value in (("steps", steps), ("batch", batch), ("seed", seed)):
        number = whole_number(value)
        if number is None or number < minimum[name] or (name == "steps" and number > MAX_STEPS):
            expected = f"in 1..{MAX_STEPS}" if name == "steps" else f"of at least {minimum[name]}"
            raise InputError(f"{name}: expected a whole number {expected}, found {value!r}")
    kinds = _currents(network) if network.input_kind == "current" else _spikes()
    values = steps * batch * len(kinds) * int(np.prod(network.input_shape))
    if values > MAX_INPUT_VALUES:
        raise InputError(
            f"steps x batch: expected at most {MAX_INPUT_VALUES} input values, found {values}; reduce them"
        )
    rng = stream(seed, "parity inputs")
    stimuli = []
    for name, (draw, deterministic) in kinds.items():
        stimuli.append(Stimulus(name, draw(rng, (steps, 1 if deterministic else batch, *network.input_shape))))
    return tuple(stimuli)


def _spikes() -> dict[str, tuple[_Drawn, bool]]:
    kinds: dict[str, tuple[_Drawn, bool]] = {
        f"random {density:g}": (_bernoulli(density), density in (0.0, 1.0)) for density in DENSITIES
    }
    structured = {
        "single spikes": _single,
        "bursts": _bursts,
        "held frames": _repeated,
        "density gradient": _gradient,
    }
    return {**kinds, **{name: (draw, False) for name, draw in structured.items()}}


def _bernoulli(density: float) -> _Drawn:
    return lambda rng, shape: (rng.random(shape) < density).astype(np.uint8)


def _single(rng: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """One spike per sample, at a random input in the first half of the time steps."""
    values = np.zeros((shape[0], shape[1], int(np.prod(shape[2:]))), np.uint8)
    for sample in range(shape[1]):
        values[rng.integers((shape[0] + 1) // 2), sample, rng.integers(values.shape[2])] = 1
    return values.reshape(shape)


def _bursts(rng: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """A random fifth of the inputs, which spike in every step of two bursts."""
    steps = np.arange(shape[0])
    length = max(1, shape[0] // 5)
    on = (steps < length) | ((steps >= shape[0] // 2) & (steps < shape[0] // 2 + length))
    bursting = _bernoulli(0.2)(rng, shape[1:])
    return np.where(on.reshape(-1, *[1] * (len(shape) - 1)), bursting, np.uint8(0))


def _repeated(rng: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """One random frame per sample, repeated in every step."""
    return np.repeat(_bernoulli(0.3)(rng, (1, *shape[1:])), shape[0], axis=0)


def _gradient(rng: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """Density rising from 0 to 1, over time in even samples and over the inputs in odd ones."""
    features = int(np.prod(shape[2:]))
    over_time = np.linspace(0, 1, shape[0]).reshape(-1, 1, 1)
    over_inputs = np.linspace(0, 1, features).reshape(1, 1, -1)
    odd = (np.arange(shape[1]) % 2 == 1).reshape(1, -1, 1)
    density = np.where(odd, over_inputs, over_time)
    return (rng.random((shape[0], shape[1], features)) < density).astype(np.uint8).reshape(shape)


def _currents(network: Network) -> dict[str, tuple[_Drawn, bool]]:
    """Real values whose strengths reach the input neurons' threshold in one step, in several steps, or never."""
    unit = _strength(network)
    kinds: dict[str, tuple[_Drawn, bool]] = {"silence": (_scaled(0.0, _normal), True)}
    kinds |= {f"random, strength {strength:g}": (_scaled(strength * unit, _normal), False) for strength in STRENGTHS}
    structured = {"held frames": _held_values, "ramp": _ramp, "single pulses": _single, "bursts": _bursts}
    return kinds | {name: (_scaled(unit, draw), False) for name, draw in structured.items()}


def _scaled(factor: float, draw: _Drawn) -> _Drawn:
    return lambda rng, shape: (factor * draw(rng, shape)).astype(np.float32)


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Values:
    return rng.normal(size=shape)


def _strength(network: Network) -> float:
    """The value that brings a typical input neuron to its threshold in one step, or is sigma-delta neurons' unit."""
    first = network.layers[0]
    if not isinstance(first, Input):
        return 1.0
    weight = float(np.median(np.abs(first.weight)))
    if network.is_sigma_delta:  # whose thresholds may be 0
        return UNIT / weight if weight else 1.0
    return float(np.median(first.neuron.threshold)) / weight if weight else 1.0


def _held_values(rng: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """One frame of non-negative values per sample, like an image, repeated in every step."""
    return 1.5 * np.repeat(rng.random((1, *shape[1:])), shape[0], axis=0)


def _ramp(rng: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """A ramp from -1 to 2 over time, with a random slope for each input."""
    over_time: Values = np.linspace(-1, 2, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    pace: Values = rng.uniform(0.2, 1, (1, *shape[1:]))
    return np.multiply(over_time, pace)


def read_inputs(path: str | Path) -> npt.NDArray[Any]:
    """The array of a `.npy` file, or of a `.npz` file with a single array or one named `spikes` or `input`.

    Raises:
        InputError: the file is missing, damaged or too large, not numeric, or has several arrays to choose from.
    """
    source = Path(path)
    content = what_is_at(source)
    if content != "a file":
        raise InputError(f"{source}: expected a .npy or .npz file, found {content}")
    if source.suffix not in (".npy", ".npz"):
        raise InputError(f"{source}: expected a name ending in .npy or .npz, found '{source.suffix}'")
    try:
        with regular_file(source) as file:
            if source.suffix == ".npz":
                return _chosen(Archive(file, source))
            size = os.fstat(file.fileno()).st_size
            need_memory(source, size, size)
            return read_npy_stream(file, size)
    except InputError:
        raise
    except (*DAMAGE, DataError) as error:
        raise InputError(f"{source}: not a readable NumPy file ({error})") from error


def _chosen(archive: Archive) -> npt.NDArray[Any]:
    """The only array of the archive, or the one named `spikes` or `input`."""
    preferred: tuple[str, ...] = ("spikes", "input")
    candidates = [name for name in preferred if name in archive.members] or list(archive.members)
    if len(candidates) != 1:
        raise InputError(
            f"{archive.path}: expected one array, or one named 'spikes' or 'input', found {len(archive.members)} arrays"
        )
    archive.need_memory(candidates)
    return archive.array(candidates[0], "biuf")
