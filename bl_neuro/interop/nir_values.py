"""Values of the entries of NIR's nodes, and the discretization of NIR's continuous time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import NetworkError
from bl_neuro.neuron import Reset
from bl_neuro.strangers.tree_frames import Tree

Convention = Literal["nir", "snntorch", "norse"]
CONVENTIONS: tuple[str, ...] = get_args(Convention)
SNNTORCH_DT = 1e-4
NORSE_DT = 1e-6
ENTRIES: dict[str, tuple[str, ...]] = {
    "NIRGraph": ("nodes", "edges"),
    "Input": ("shape",),
    "Output": ("shape",),
    "Linear": ("weight",),
    "Affine": ("weight", "bias"),
    "Scale": ("scale",),
    "Delay": ("delay",),
    "Conv1d": ("input_shape", "weight", "stride", "padding", "dilation", "groups", "bias"),
    "Conv2d": ("input_shape", "weight", "stride", "padding", "dilation", "groups", "bias"),
    "Flatten": ("input_type", "start_dim", "end_dim"),
    "SumPool2d": ("kernel_size", "stride", "padding"),
    "AvgPool2d": ("kernel_size", "stride", "padding"),
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "CubaLIF": ("tau_mem", "tau_syn", "r", "w_in", "v_leak", "v_threshold", "v_reset"),
    "IF": ("r", "v_threshold", "v_reset"),
    "Threshold": ("threshold",),
}
"""Entries of each kind of node, besides its type and metadata. Another entry would change the network unread."""


@dataclass(frozen=True)
class Discrete:
    """Discretization of continuous time: the convention, the time step, and the reset if not in the file."""

    convention: Convention
    dt: float
    reset: Reset = "zero"
    is_own: bool = False
    """Whether bl_neuro wrote the file; its neurons then have exact parameters in metadata, and start at 0."""


def need_known_entries(place: str, node: Tree) -> None:
    """NetworkError if NIR does not define an entry of `node`, whose type is one of `ENTRIES`."""
    kind: str = node["type"]
    unknown = [repr(key[:40]) for key in node if key not in ("type", "metadata", *ENTRIES[kind])]
    if unknown:
        raise NetworkError(
            [f"{place} ({kind}): expected only the entries {', '.join(ENTRIES[kind])}, found {', '.join(unknown)}"]
        )


def numbers(place: str, node: Tree, key: str) -> FloatArray:
    """Finite numbers under `key`; KeyError if the key is missing, NetworkError if the values are invalid."""
    value = node[key]
    if not isinstance(value, np.ndarray):
        raise NetworkError([f"{place}: {key}: expected an array of numbers, found {type(value).__name__}"])
    with np.errstate(over="ignore", invalid="ignore"):
        array = shared(value).astype(np.float64)
    if not np.isfinite(array).all():
        raise NetworkError([f"{place}: {key}: expected finite numbers, found NaN or infinity (a decay of 0?)"])
    return array if value.shape == array.shape else np.broadcast_to(array, value.shape)


def shared(values: FloatArray) -> FloatArray:
    """The single value, of shape (), of a constant array with stride 0 (see `hdf5_tree`); other arrays unchanged."""
    return values[(0,) * values.ndim] if values.size and not any(values.strides) else values


def whole_numbers(place: str, node: Tree, key: str) -> list[int]:
    """A few whole numbers under `key`, of any shape."""
    array = numbers(place, node, key).ravel()
    if array.size > 8 or (array != np.round(array)).any() or (np.abs(array) > 2**31).any():
        raise NetworkError([f"{place}: {key}: expected a few whole numbers, found {array[:8].tolist()}"])
    return [int(number) for number in array]


def pair(place: str, node: Tree, key: str) -> tuple[int, int]:
    """One or two whole numbers under `key`, as two."""
    sizes = whole_numbers(place, node, key)
    if len(sizes) not in (1, 2):
        raise NetworkError([f"{place}: {key}: expected one or two whole numbers, found {sizes}"])
    return sizes[0], sizes[-1]


def positive(place: str, name: str, values: Any) -> FloatArray:
    """`values`, or the single value that all share; NetworkError if a value is not positive."""
    array: FloatArray = shared(np.asarray(values))
    if not array.size or not (array > 0).all():
        raise NetworkError([f"{place}: {name}: expected values above 0, found {array.min() if array.size else 'none'}"])
    return array
