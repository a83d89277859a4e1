"""NIR's nodes as parts of a network: its differential equations in discrete time, by the convention of who wrote them.

NIR states equations in continuous time and leaves the step open. With a step dt, forward Euler, and the voltage taking
the current of the same step:

    LIF        dv = dt / tau, gain = dv r                          IF    dv = 0, gain = dt r
    CubaLIF    du = dt / tau_syn, gain = (du w_in) (dv r)          Threshold    du = dv = gain = 1

NIR's voltage is gain times ours, so that threshold = v_threshold / gain. Conventions of files:

    "nir"        the equations above, as they are; dt has to be known
    "snntorch"   dt = 1e-4; r = tau / dt and w_in = tau_syn / dt stand for a gain of exactly 1; v_reset is 0 whatever
                 the module's reset was, which therefore has to be said
    "norse"      tau is written as dt / tau_inv, so that what counts is the cells' dt times the exporter's, 1e-6 unless
                 they were changed; the input of a CubaLIF is not scaled: its gain is dv
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
from bl_neuro.strangers.hdf5_tree import Tree

Convention = Literal["nir", "snntorch", "norse"]
CONVENTIONS: tuple[str, ...] = get_args(Convention)
SNNTORCH_DT = 1e-4
NORSE_DT = 1e-6
CLOSE = 1e-5
"""Relative difference that float32 leaves between what an exporter computed and what it stands for."""
PARAMETERS = ("threshold", "current_decay", "voltage_decay", "bias")
"""What our own files repeat of each neuron, exactly as the network holds it."""


@dataclass(frozen=True)
class Discrete:
    """How to read continuous time: the convention, the step, and the reset where the file does not say it."""

    convention: Convention
    dt: float
    reset: Reset = "zero"
    own: bool = False
    """Whether the file is ours: its neurons then repeat their exact parameters, and start from 0."""


def node_part(name: str, node: Tree, how: Discrete) -> Part:
    """The part that a node is. Raises NetworkError with the reason where it is none."""
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
        "LI": "a leaky integrator does not spike, and every layer of a network does",
        "CubaLI": "a leaky integrator does not spike, and every layer of a network does",
        "I": "an integrator does not spike, and every layer of a network does",
        "NIRGraph": "a graph inside the graph, as exporters write for recurrent layers",
        "Scale": "multiply it into the weights",
        "Delay": "networks in real arithmetic have no delays",
    }
    if not isinstance(kind, str) or kind not in readers:
        reason = reasons.get(kind, f"expected one of {', '.join(readers)}") if isinstance(kind, str) else "no type"
        raise NetworkError([f"node {name}: {str(kind)[:40]}: {reason}"])
    try:
        with np.errstate(all="ignore"):  # what is beyond a float64 becomes infinite, which no layer takes
            return readers[kind](f"node {name}", node, how)
    except KeyError as error:
        raise NetworkError([f"node {name} ({kind}): {error} is missing"]) from error


def numbers(place: str, node: Tree, key: str) -> FloatArray:
    """Finite numbers under `key`; KeyError where there are none, NetworkError where they are something else."""
    value = node[key]
    if not isinstance(value, np.ndarray):
        raise NetworkError([f"{place}: {key}: expected numbers"])
    with np.errstate(over="ignore", invalid="ignore"):
        array = shared(value).astype(np.float64)
    if not np.isfinite(array).all():
        raise NetworkError([f"{place}: {key}: expected finite numbers, found NaN or infinity (a decay of 0?)"])
    return array if value.shape == array.shape else np.broadcast_to(array, value.shape)


def shared(values: FloatArray) -> FloatArray:
    """The one value of an array with stride 0, as `read_tree` gives it, of shape (); any other array as it is."""
    return values[(0,) * values.ndim] if values.size and not any(values.strides) else values


def whole_numbers(place: str, node: Tree, key: str) -> list[int]:
    """A few whole numbers under `key`, of whatever shape."""
    array = numbers(place, node, key).ravel()
    if array.size > 8 or (array != np.round(array)).any() or (np.abs(array) > 2**31).any():
        raise NetworkError([f"{place}: {key}: expected a few whole numbers, found {array[:8].tolist()}"])
    return [int(each) for each in array]


def _dense(place: str, node: Tree, how: Discrete) -> Part:
    bias = numbers(place, node, "bias") if node["type"] == "Affine" else None
    weight = numbers(place, node, "weight")
    if weight.ndim != 2:
        raise NetworkError([f"{place}: weight: expected shape (out, in), found {weight.shape}"])
    return Synapse(place, weight, bias)


def _conv(place: str, node: Tree, how: Discrete) -> Part:
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
    if padding == "same" and not any(each % 2 for each in reach):
        return reach[0] // 2, reach[1] // 2
    raise NetworkError([f"{place}: padding {padding[:20]!r}: expected numbers, 'valid', or 'same' of an odd kernel"])


def _pair(place: str, node: Tree, key: str) -> tuple[int, ...]:
    values = whole_numbers(place, node, key)
    if len(values) not in (1, 2):
        raise NetworkError([f"{place}: {key}: expected one or two whole numbers, found {values}"])
    return (values[0], values[-1])


def _pool(place: str, node: Tree, how: Discrete) -> Part:
    if any(whole_numbers(place, node, "padding")):
        raise NetworkError([f"{place}: padding: expected 0"])
    pool = SumPool if node["type"] == "SumPool2d" else AveragePool
    return Step(place, pool(_pair(place, node, "kernel_size"), _pair(place, node, "stride")))


def _flatten(place: str, node: Tree, how: Discrete) -> Part:
    start, end = whole_numbers(place, node, "start_dim"), whole_numbers(place, node, "end_dim")
    if start != [0] or end not in ([-1], [2], [0]):
        raise NetworkError(
            [f"{place}: Flatten({start}, {end}): expected all axes, 0 to -1 (there is none for the batch)"]
        )
    return Step(place, Flatten())


def _neurons(place: str, node: Tree, how: Discrete) -> Part:
    shapes = {value.shape for value in node.values() if isinstance(value, np.ndarray) and value.size != 1}
    if len(shapes) > 1:
        raise NetworkError([f"{place}: expected parameters of one shape, found {', '.join(map(str, sorted(shapes)))}"])
    if node["type"] == "Threshold":
        return Neurons(place, _positive(place, "threshold", numbers(place, node, "threshold")))
    gain, current_decay, voltage_decay = _gain_and_decays(place, node, how)
    problems = []
    if "v_reset" in node and shared(numbers(place, node, "v_reset")).any():
        problems.append(f"{place}: v_reset: expected 0, which every network resets to")
    leak = shared(numbers(place, node, "v_leak")) if "v_leak" in node else np.zeros(())
    if leak.any() and not how.own:
        problems.append(f"{place}: v_leak: expected 0; NIR does not say where the voltage starts")
    if problems:
        raise NetworkError(problems)
    threshold = _positive(place, "v_threshold", numbers(place, node, "v_threshold")) / gain
    bias = leak * voltage_decay / gain
    found = {"threshold": threshold, "current_decay": current_decay, "voltage_decay": voltage_decay, "bias": bias}
    if how.own:
        return _exact(place, node, found)
    full = next(iter(shapes), ())
    threshold, current, voltage, bias = (_laid_out(found[name], full) for name in PARAMETERS)
    return Neurons(place, threshold, current, voltage, bias, reset=how.reset)


def _gain_and_decays(place: str, node: Tree, how: Discrete) -> tuple[FloatArray, FloatArray, FloatArray]:
    """What NIR's voltage is in units of ours, and the two decays, by the convention of the file."""
    r = _positive(place, "r", numbers(place, node, "r"))
    if how.convention == "norse" and not np.isclose(r, 1).all():
        raise NetworkError([f"{place}: r: expected 1, as Norse's exporter writes; who wrote this file?"])
    if node["type"] == "IF":
        return (np.ones(()) if how.convention == "norse" else how.dt * r), np.ones(()), np.zeros(())
    cuba = node["type"] == "CubaLIF"
    tau = _positive(place, "tau", numbers(place, node, "tau_mem" if cuba else "tau"))
    voltage_decay = how.dt / tau
    gain = voltage_decay * r
    if not cuba:
        return _snapped(place, "r", gain, how), np.ones(()), voltage_decay
    tau_syn = _positive(place, "tau_syn", numbers(place, node, "tau_syn"))
    w_in = _positive(place, "w_in", numbers(place, node, "w_in")) if "w_in" in node else np.ones(())
    current_decay = how.dt / tau_syn
    if how.convention == "norse":
        if not np.isclose(w_in, 1).all():
            raise NetworkError([f"{place}: w_in: expected 1, as Norse's exporter writes; who wrote this file?"])
        return voltage_decay, current_decay, voltage_decay
    scale = _snapped(place, "w_in", current_decay * w_in, how)
    return _snapped(place, "r", gain, how) * scale, current_decay, voltage_decay


def _snapped(place: str, name: str, gain: FloatArray, how: Discrete) -> FloatArray:
    """The gain; with snnTorch's convention it is 1 but for the rounding of float32."""
    if how.convention != "snntorch":
        return gain
    if not np.isclose(gain, 1, rtol=CLOSE, atol=0).all():
        raise NetworkError([f"{place}: {name}: not what snnTorch's exporter writes, tau / {SNNTORCH_DT:g}"])
    return np.ones(())


def _exact(place: str, node: Tree, found: dict[str, FloatArray]) -> Neurons:
    """The parameters that our own file repeats, once they are seen to be those of its equations."""
    stated = node.get("metadata")
    if not isinstance(stated, dict):
        raise NetworkError([f"{place}: metadata is missing, which bl-neuro's own files have"])
    values = {name: numbers(place, stated, name) for name in PARAMETERS}
    for name in ("threshold", "current_decay", "voltage_decay"):
        shown = per_channel(values[name], found[name].shape)
        try:
            fits = np.broadcast_shapes(shown.shape, found[name].shape) in (shown.shape, found[name].shape)
        except ValueError:
            fits = False
        same = fits and bool(np.isclose(shown, found[name], rtol=1e-9, atol=1e-12).all())
        if not same:
            raise NetworkError([f"{place}: damaged: metadata states another {name} than its equations"])
    threshold, current, voltage, bias = (values[name] for name in PARAMETERS)
    return Neurons(place, threshold, current, voltage, bias, as_given=True)


def _laid_out(values: FloatArray, shape: Shape) -> FloatArray:
    """`values` in the `shape` that the file states, without taking room for the single value that all share."""
    return np.broadcast_to(values.reshape(()), shape) if values.size == 1 else values


def _positive(place: str, name: str, values: Any) -> FloatArray:
    """`values`, or the one that all share; NetworkError where one is not above 0."""
    array: FloatArray = shared(np.asarray(values))
    if not array.size or not (array > 0).all():
        raise NetworkError([f"{place}: {name}: expected values above 0, found {array.min() if array.size else 'none'}"])
    return array
