"""What a network is asked when substrates are compared: random, structured and given inputs, by name."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bl_neuro.backends.base import checked_input
from bl_neuro.checks import MAX_STEPS, whole_number
from bl_neuro.errors import InputError
from bl_neuro.files import what_is_at
from bl_neuro.layers import Input
from bl_neuro.network import Network
from bl_neuro.seeding import stream
from bl_neuro.strangers.npy import read_npy

Values = npt.NDArray[Any]
DENSITIES = (0.0, 0.02, 0.1, 0.3, 0.6, 1.0)
"""Part of the bins that spike in random inputs; 0 and 1 are one sample each, since chance changes nothing there."""
STEPS = 20
"""Steps of a sample where a network has no delays."""
STRENGTHS = (0.1, 0.5, 2.0)
"""Spread of random values of a current, in units of what brings an input neuron to its threshold in one step."""
MAX_INPUT_VALUES = 2**28
"""Most values of all inputs of a comparison together."""
_Drawn = Callable[[np.random.Generator, tuple[int, ...]], Values]


@dataclass(frozen=True, eq=False)
class Stimulus:
    """Inputs of one kind: a name for reports, and values (T, B, *input_shape), 0/1 or real for a current."""

    name: str
    values: Values

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return int(self.values.shape[1])


def given(values: Any, network: Network, name: str = "given") -> Stimulus:
    """A user's own inputs (T, B, *input_shape); InputError where they do not fit the network."""
    checked = checked_input(values, network).detach().cpu()
    kept = checked if network.input_kind == "current" else checked.to(torch.uint8)
    return Stimulus(name, kept.numpy())


def default_steps(network: Network) -> int:
    """Steps that let spikes through every layer: 20, and as many as the largest delay of each layer together."""
    delays = (getattr(layer, "delay", None) for layer in network.layers)
    return min(STEPS + sum(int(each.max()) for each in delays if each is not None), MAX_STEPS)


def generated(network: Network, steps: int | None = None, batch: int = 4, seed: int = 0) -> tuple[Stimulus, ...]:
    """Random inputs of several densities (strengths, for a current), then structured ones, `batch` samples each.

    steps: of a sample; by default 20 and the largest delays of all layers together.

    Raises:
        InputError: no steps or samples, too many values, or a seed below 0.
    """
    steps = default_steps(network) if steps is None else steps
    least = {"steps": 1, "batch": 1, "seed": 0}
    for name, value in (("steps", steps), ("batch", batch), ("seed", seed)):
        number = whole_number(value)
        if number is None or number < least[name] or (name == "steps" and number > MAX_STEPS):
            expected = f"in 1..{MAX_STEPS}" if name == "steps" else f"of at least {least[name]}"
            raise InputError(f"{name}: expected a whole number {expected}, found {value!r}")
    kinds = _currents(network) if network.input_kind == "current" else _spikes()
    values = steps * batch * len(kinds) * int(np.prod(network.input_shape))
    if values > MAX_INPUT_VALUES:
        raise InputError(f"steps x batch: at most {MAX_INPUT_VALUES} values of input, found {values}; ask for fewer")
    rng = stream(seed, "parity inputs")
    found = []
    for name, (draw, alike) in kinds.items():
        found.append(Stimulus(name, draw(rng, (steps, 1 if alike else batch, *network.input_shape))))
    return tuple(found)


def _spikes() -> dict[str, tuple[_Drawn, bool]]:
    kinds: dict[str, tuple[_Drawn, bool]] = {
        f"random {density:g}": (_bernoulli(density), density in (0.0, 1.0)) for density in DENSITIES
    }
    structured = {"single spikes": _single, "bursts": _bursts, "held frames": _held, "density gradient": _gradient}
    return {**kinds, **{name: (draw, False) for name, draw in structured.items()}}


def _bernoulli(density: float) -> _Drawn:
    return lambda rng, shape: (rng.random(shape) < density).astype(np.uint8)


def _single(rng: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """One spike a sample, of one input, in the first half."""
    values = np.zeros((shape[0], shape[1], int(np.prod(shape[2:]))), np.uint8)
    for sample in range(shape[1]):
        values[rng.integers((shape[0] + 1) // 2), sample, rng.integers(values.shape[2])] = 1
    return values.reshape(shape)


def _bursts(rng: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """A fifth of the inputs, spiking together in two runs of steps."""
    steps = np.arange(shape[0])
    length = max(1, shape[0] // 5)
    on = (steps < length) | ((steps >= shape[0] // 2) & (steps < shape[0] // 2 + length))
    who = _bernoulli(0.2)(rng, shape[1:])
    return np.where(on.reshape(-1, *[1] * (len(shape) - 1)), who, np.uint8(0))


def _held(rng: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """One random frame a sample, repeated in every step."""
    return np.repeat(_bernoulli(0.3)(rng, (1, *shape[1:])), shape[0], axis=0)


def _gradient(rng: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """Density rising from 0 to 1, over time in one sample and over the inputs in the next."""
    features = int(np.prod(shape[2:]))
    over_time = np.linspace(0, 1, shape[0]).reshape(-1, 1, 1)
    over_inputs = np.linspace(0, 1, features).reshape(1, 1, -1)
    odd = (np.arange(shape[1]) % 2 == 1).reshape(1, -1, 1)
    density = np.where(odd, over_inputs, over_time)
    return (rng.random((shape[0], shape[1], features)) < density).astype(np.uint8).reshape(shape)


def _currents(network: Network) -> dict[str, tuple[_Drawn, bool]]:
    """Real values, in strengths that bring the input neurons to their threshold at once, hardly, or never."""
    unit = _strength(network)
    kinds: dict[str, tuple[_Drawn, bool]] = {"silence": (_scaled(0.0, _normal), True)}
    kinds |= {f"random, strength {each:g}": (_scaled(each * unit, _normal), False) for each in STRENGTHS}
    structured = {"held frames": _held_values, "ramp": _ramp, "single pulses": _single, "bursts": _bursts}
    return kinds | {name: (_scaled(unit, draw), False) for name, draw in structured.items()}


def _scaled(factor: float, draw: _Drawn) -> _Drawn:
    return lambda rng, shape: (factor * draw(rng, shape)).astype(np.float32)


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Values:
    return rng.normal(size=shape)


def _strength(network: Network) -> float:
    """The value that brings a typical input neuron to its threshold in one step."""
    first = network.layers[0]
    if not isinstance(first, Input):
        return 1.0
    weight = float(np.median(np.abs(first.weight)))
    return float(np.median(first.neuron.threshold)) / weight if weight else 1.0


def _held_values(rng: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """One frame of values of one sign a sample, as a picture has them, repeated in every step."""
    return 1.5 * np.repeat(rng.random((1, *shape[1:])), shape[0], axis=0)


def _ramp(rng: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """From -1 to 2 over time, each input at a pace of its own."""
    over_time: Values = np.linspace(-1, 2, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    pace: Values = rng.uniform(0.2, 1, (1, *shape[1:]))
    return np.multiply(over_time, pace)


MAX_BYTES = 2**30
"""Most bytes of one array."""
DAMAGED = (OSError, ValueError, OverflowError, RuntimeError, EOFError, struct.error, zipfile.BadZipFile, zlib.error)
"""What zipfile and NumPy raise on damaged files."""


def read_inputs(path: str | Path) -> npt.NDArray[Any]:
    """The array of a `.npy` file, or of a `.npz` that holds one alone or one named `spikes` or `input`.

    Raises:
        InputError: missing, damaged, too large, not of numbers, or several arrays to choose from.
    """
    source = Path(path)
    found = what_is_at(source)
    if found != "a file":
        raise InputError(f"{source}: expected a .npy or .npz file, found {found}")
    if source.suffix not in (".npy", ".npz"):
        raise InputError(f"{source}: expected a name ending in .npy or .npz, found '{source.suffix}'")
    try:
        return read_npy(_bytes(source))
    except InputError:
        raise
    except DAMAGED as error:
        raise InputError(f"{source}: not a readable NumPy file ({error})") from error


def _bytes(source: Path) -> bytes:
    """The content of the one `.npy` in question."""
    if source.suffix == ".npy":
        _need_size(source.stat().st_size, source)
        return source.read_bytes()
    with zipfile.ZipFile(source) as archive:
        names = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        known: tuple[str, ...] = ("spikes", "input")
        wanted = [name for name in known if name in names] or list(names)
        if len(wanted) != 1:
            raise InputError(
                f"{source}: expected one array, or one named 'spikes' or 'input', found {len(names)} arrays"
            )
        chosen = names[wanted[0]]
        _need_size(chosen.file_size, source)
        if chosen.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("packed otherwise than NumPy does")
        with archive.open(chosen) as member:
            return member.read(MAX_BYTES + 1)


def _need_size(size: int, source: Path) -> None:
    if size > MAX_BYTES:
        raise InputError(f"{source}: {size} bytes of values; at most {MAX_BYTES} are read")
