"""NIR's nodes as parts of a network: its differential equations in discrete time, by the convention of their writer.

NIR defines equations in continuous time without a time step. With a step dt, forward Euler, and the voltage updated
with the current of the same step:

    LIF        dv = dt / tau, gain = dv r                          IF    dv = 0, gain = dt r
    CubaLIF    du = dt / tau_syn, gain = (du w_in) (dv r)          Threshold    du = dv = gain = 1

NIR's voltage is gain times that of bl_neuro, so threshold = v_threshold / gain. Conventions of files:

    "nir"        the equations above; dt must be given
    "snntorch"   dt = 1e-4; r = tau / dt and w_in = tau_syn / dt represent a gain of exactly 1; v_reset is 0 for every
                 kind of reset, which therefore must be given
    "norse"      tau is written as dt / tau_inv, so the relevant dt is the product of the cells' and the exporter's, by
                 default 1e-6; the input of a CubaLIF is not scaled: its gain is dv
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import NetworkError
from bl_neuro.interop.parts import Neurons, Part, Step, Synapse
from bl_neuro.layers import AveragePool, Flatten, Shape, SumPool
from bl_neuro.neuron import Reset, per_channel
from bl_neuro.strangers.tree_frames import Tree

Convention = Literal["nir", "snntorch", "norse"]
CONVENTIONS: tuple[str, ...] = get_args(Convention)
SNNTORCH_DT = 1e-4
NORSE_DT = 1e-6
CLOSE = 1e-5
"""Relative tolerance for the float32 rounding of an exporter's values."""
FLOAT32_ROUNDING = 2.0**-22
"""Largest relative error of a quotient of two float32 values."""
PARAMETERS = ("threshold", "current_decay", "voltage_decay", "bias")
"""Parameters of each neuron that files of bl_neuro also contain exactly, as metadata."""
ENTRIES: dict[str, tuple[str, ...]] = {
    "NIRGraph": ("nodes", "edges"),
    "Input": ("shape",),
    "Output": ("shape",),
    "Linear": ("weight",),
    "Affine": ("weight", "bias"),
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


def node_part(name: str, node: Tree, discretization: Discrete) -> Part:
    """A node as a part. Raises NetworkError with the reason if it is not supported."""
    kind = node.get("type")
    readers = {
        "Affine": _dense,
        "Linear": _dense,
        "Conv2d": _conv,
        "Flatten": _flatten,
        "SumPool2d": _pool,
        "AvgPool2d": _pool,
        "LIF": _neurons,
        "CubaLIF": _neurons,
        "IF": _neurons,
        "Threshold": _neurons,
    }
    reasons = {
        "LI": "a leaky integrator does not spike, but every layer of a network must",
        "CubaLI": "a leaky integrator does not spike, but every layer of a network must",
        "I": "an integrator does not spike, but every layer of a network must",
        "NIRGraph": "nested graphs, which exporters write for recurrent layers, are not supported",
        "Scale": "not supported; multiply it into the weights",
        "Delay": "networks in real arithmetic have no delays",
    }
    if not isinstance(kind, str) or kind not in readers:
        reason = reasons.get(kind, f"expected one of {', '.join(readers)}") if isinstance(kind, str) else "no type"
        raise NetworkError([f"node {name}: {str(kind)[:40]}: {reason}"])
    need_known_entries(f"node {name}", node)
    try:
        with np.errstate(all="ignore"):  # values beyond float64 become infinite, which every layer rejects
            return readers[kind](f"node {name}", node, discretization)
    except KeyError as error:
        raise NetworkError([f"node {name} ({kind}): {error} is missing"]) from error


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


def _dense(place: str, node: Tree, discretization: Discrete) -> Part:
    bias = numbers(place, node, "bias") if node["type"] == "Affine" else None
    weight = numbers(place, node, "weight")
    if weight.ndim != 2:
        raise NetworkError([f"{place}: weight: expected shape (out, in), found {weight.shape}"])
    return Synapse(place, weight, bias)


def _conv(place: str, node: Tree, discretization: Discrete) -> Part:
    weight = numbers(place, node, "weight")
    if weight.ndim != 4:
        raise NetworkError([f"{place}: weight: expected shape (out, in/groups, h, w), found {weight.shape}"])
    stride, dilation = (_pair(place, node, key) for key in ("stride", "dilation"))
    groups = whole_numbers(place, node, "groups")
    if len(groups) != 1:
        raise NetworkError([f"{place}: groups: expected one number"])
    padding = node["padding"]
    if isinstance(padding, str):
        padding = _named_padding(place, padding, weight.shape, dilation)
    else:
        padding = _pair(place, node, "padding")
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups[0]}
    return Synapse(place, weight, numbers(place, node, "bias"), geometry)


def _named_padding(place: str, padding: str, shape: Shape, dilation: tuple[int, ...]) -> tuple[int, ...]:
    reach = [gap * (size - 1) for gap, size in zip(dilation, shape[2:])]
    if padding == "valid":
        return 0, 0
    if padding == "same" and not any(extent % 2 for extent in reach):
        return reach[0] // 2, reach[1] // 2
    raise NetworkError(
        [f"{place}: padding {padding[:20]!r}: expected numbers, 'valid', or 'same' with an odd kernel size"]
    )


def _pair(place: str, node: Tree, key: str) -> tuple[int, ...]:
    values = whole_numbers(place, node, key)
    if len(values) not in (1, 2):
        raise NetworkError([f"{place}: {key}: expected one or two whole numbers, found {values}"])
    return (values[0], values[-1])


def _pool(place: str, node: Tree, discretization: Discrete) -> Part:
    if any(whole_numbers(place, node, "padding")):
        raise NetworkError([f"{place}: padding: expected 0"])
    pool = SumPool if node["type"] == "SumPool2d" else AveragePool
    return Step(place, pool(_pair(place, node, "kernel_size"), _pair(place, node, "stride")))


def _flatten(place: str, node: Tree, discretization: Discrete) -> Part:
    start, end = whole_numbers(place, node, "start_dim"), whole_numbers(place, node, "end_dim")
    if start != [0] or len(end) != 1:
        raise NetworkError([f"{place}: Flatten({start}, {end}): expected all axes, 0 to -1 (without a batch axis)"])
    return Step(place, Flatten())


def _neurons(place: str, node: Tree, discretization: Discrete) -> Part:
    shapes = {value.shape for value in node.values() if isinstance(value, np.ndarray) and value.size != 1}
    if len(shapes) > 1:
        raise NetworkError([f"{place}: expected parameters of one shape, found {', '.join(map(str, sorted(shapes)))}"])
    if node["type"] == "Threshold":
        return Neurons(place, _positive(place, "threshold", numbers(place, node, "threshold")))
    gain, current_decay, voltage_decay = _gain_and_decays(place, node, discretization)
    problems = []
    if "v_reset" in node and shared(numbers(place, node, "v_reset")).any():
        problems.append(f"{place}: v_reset: expected 0, the only supported value")
    leak = np.zeros(()) if node["type"] == "IF" else shared(numbers(place, node, "v_leak"))
    if leak.any() and not discretization.is_own:
        problems.append(f"{place}: v_leak: expected 0, since NIR does not define the initial voltage")
    if problems:
        raise NetworkError(problems)
    threshold = _positive(place, "v_threshold", numbers(place, node, "v_threshold")) / gain
    bias = leak * voltage_decay / gain
    parameters = {"threshold": threshold, "current_decay": current_decay, "voltage_decay": voltage_decay, "bias": bias}
    if discretization.is_own:
        return _exact(place, node, parameters)
    full = next(iter(shapes), ())
    threshold, current, voltage, bias = (_laid_out(parameters[name], full) for name in PARAMETERS)
    return Neurons(place, threshold, current, voltage, bias, reset=discretization.reset)


def _gain_and_decays(place: str, node: Tree, discretization: Discrete) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The factor of NIR's voltage relative to that of bl_neuro, and the two decays, by the convention of the file."""
    r = _positive(place, "r", numbers(place, node, "r"))
    if discretization.convention == "norse" and not np.isclose(r, 1).all():
        raise NetworkError([f"{place}: r: expected 1, as Norse's exporter writes; try another convention"])
    if node["type"] == "IF":
        return (
            (np.ones(()) if discretization.convention == "norse" else discretization.dt * r),
            np.ones(()),
            np.zeros(()),
        )
    cuba = node["type"] == "CubaLIF"
    tau = _positive(place, "tau", numbers(place, node, "tau_mem" if cuba else "tau"))
    voltage_decay = _decay(discretization, tau)
    gain = voltage_decay * r
    if not cuba:
        return _snapped(place, "r", gain, discretization), np.ones(()), voltage_decay
    tau_syn = _positive(place, "tau_syn", numbers(place, node, "tau_syn"))
    w_in = _positive(place, "w_in", numbers(place, node, "w_in")) if "w_in" in node else np.ones(())
    current_decay = _decay(discretization, tau_syn)
    if discretization.convention == "norse":
        if not np.isclose(w_in, 1).all():
            raise NetworkError([f"{place}: w_in: expected 1, as Norse's exporter writes; try another convention"])
        return voltage_decay, current_decay, voltage_decay
    scale = _snapped(place, "w_in", current_decay * w_in, discretization)
    return _snapped(place, "r", gain, discretization) * scale, current_decay, voltage_decay


def _decay(discretization: Discrete, tau: FloatArray) -> FloatArray:
    """The decay dt / tau; exactly 1 where only the rounding of tau makes it larger, as for neurons without memory."""
    decay = discretization.dt / tau
    rounded: FloatArray = np.where((decay > 1) & (decay <= 1 + FLOAT32_ROUNDING), 1.0, decay)
    return decay if discretization.is_own else rounded


def _snapped(place: str, name: str, gain: FloatArray, discretization: Discrete) -> FloatArray:
    """The gain; in snnTorch's convention exactly 1, up to float32 rounding."""
    if discretization.convention != "snntorch":
        return gain
    if not np.isclose(gain, 1, rtol=CLOSE, atol=0).all():
        raise NetworkError([f"{place}: {name}: expected tau / {SNNTORCH_DT:g}, as snnTorch's exporter writes"])
    return np.ones(())


def _exact(place: str, node: Tree, derived: dict[str, FloatArray]) -> Neurons:
    """The exact parameters in the metadata of bl_neuro's own file, checked against those of its equations."""
    metadata = node.get("metadata")
    if not isinstance(metadata, dict):
        raise NetworkError([f"{place}: expected metadata, as in all files of bl-neuro, found none"])
    values = {name: numbers(place, metadata, name) for name in PARAMETERS}
    for name in ("threshold", "current_decay", "voltage_decay"):
        exact = per_channel(values[name], derived[name].shape)
        try:
            fits = np.broadcast_shapes(exact.shape, derived[name].shape) in (exact.shape, derived[name].shape)
        except ValueError:
            fits = False
        equal = fits and bool(np.isclose(exact, derived[name], rtol=1e-9, atol=1e-12).all())
        if not equal:
            raise NetworkError([f"{place}: damaged: {name} in the metadata differs from that of the equations"])
    threshold, current, voltage, bias = (values[name] for name in PARAMETERS)
    return Neurons(place, threshold, current, voltage, bias, as_given=True)


def _laid_out(values: FloatArray, shape: Shape) -> FloatArray:
    """`values` in the file's `shape`; a single shared value is broadcast without using memory."""
    return np.broadcast_to(values.reshape(()), shape) if values.size == 1 else values


def _positive(place: str, name: str, values: Any) -> FloatArray:
    """`values`, or the single value that all share; NetworkError if a value is not positive."""
    array: FloatArray = shared(np.asarray(values))
    if not array.size or not (array > 0).all():
        raise NetworkError([f"{place}: {name}: expected values above 0, found {array.min() if array.size else 'none'}"])
    return array
