"""NIR's neurons as those of a network: its differential equations in discrete time, by the convention of their writer.

NIR defines equations in continuous time without a time step. With a step dt, forward Euler, and the voltage updated
with the current of the same step:

    LIF        dv = dt / tau, gain = dv r                          IF    dv = 0, gain = dt r
    CubaLIF    du = dt / tau_syn, gain = (du w_in) (dv r)          Threshold    du = dv = gain = 1

A network's voltage is (v - v_0) / gain, where v_0 is the voltage that NIR's neurons start with and reset to. Therefore
threshold = (v_threshold - v_0) / gain and bias = dv (v_leak - v_0) / gain. Conventions of files:

    "nir"        the equations above; dt must be given. NIR defines no initial voltage: neurons start at v_reset
    "snntorch"   dt = 1e-4; r = tau / dt and w_in = tau_syn / dt represent a gain of exactly 1; v_reset is 0 for every
                 kind of reset, which therefore must be given
    "norse"      tau is written as dt / tau_inv, so the relevant dt is the product of the cells' and the exporter's, by
                 default 1e-6; the input of a CubaLIF is not scaled: its gain is dv. Neurons start at v_leak
"""

from __future__ import annotations

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import NetworkError
from bl_neuro.interop.nir_values import Discrete, numbers, positive, shared
from bl_neuro.interop.parts import Neurons
from bl_neuro.layers import Shape
from bl_neuro.neuron import per_channel
from bl_neuro.strangers.tree_frames import Tree

CLOSE = 1e-5
"""Relative tolerance for the float32 rounding of an exporter's values."""
FLOAT32_ROUNDING = 2.0**-22
"""Largest relative error of a quotient of two float32 values."""
PARAMETERS = ("threshold", "current_decay", "voltage_decay", "bias")
"""Parameters of each neuron that files of bl_neuro also contain exactly, as metadata."""


def neurons(place: str, node: Tree, discretization: Discrete) -> Neurons:
    """The neurons of a LIF, CubaLIF, IF or Threshold. Raises NetworkError if a parameter is not supported."""
    shapes = {value.shape for value in node.values() if isinstance(value, np.ndarray) and value.size != 1}
    if len(shapes) > 1:
        raise NetworkError([f"{place}: expected parameters of one shape, found {', '.join(map(str, sorted(shapes)))}"])
    if node["type"] == "Threshold":
        return Neurons(place, positive(place, "threshold", numbers(place, node, "threshold")))
    gain, current_decay, voltage_decay = _gain_and_decays(place, node, discretization)
    leak = np.zeros(()) if node["type"] == "IF" else shared(numbers(place, node, "v_leak"))
    start = np.zeros(()) if discretization.is_own else _start(place, node, leak, discretization)
    threshold = _above(place, shared(numbers(place, node, "v_threshold")), start) / gain
    bias = (leak - start) * voltage_decay / gain
    parameters = {"threshold": threshold, "current_decay": current_decay, "voltage_decay": voltage_decay, "bias": bias}
    if discretization.is_own:
        return _exact(place, node, parameters)
    full = next(iter(shapes), ())
    threshold, current, voltage, bias = (_laid_out(parameters[name], full) for name in PARAMETERS)
    return Neurons(place, threshold, current, voltage, bias, reset=discretization.reset)


def _start(place: str, node: Tree, leak: FloatArray, discretization: Discrete) -> FloatArray:
    """The voltage that the neurons start with and reset to."""
    reset = shared(numbers(place, node, "v_reset")) if "v_reset" in node else np.zeros(())
    convention = discretization.convention
    if convention == "snntorch" and (reset.any() or leak.any()):
        raise NetworkError([f"{place}: v_reset, v_leak: expected 0, as snnTorch's exporter writes; try 'nir' with dt="])
    if convention == "norse" and node["type"] != "IF" and (reset != leak).any():
        raise NetworkError(
            [
                f"{place}: v_reset: expected v_leak ({leak.flat[0]:g}), found {reset.flat[0]:g}; Norse's neurons start "
                "at v_leak, and a network's start at the voltage to which they reset. Shift both and v_threshold"
            ]
        )
    return reset


def _above(place: str, threshold: FloatArray, start: FloatArray) -> FloatArray:
    """The distance of the threshold from the voltage to which neurons reset; NetworkError if it is not above 0."""
    distance: FloatArray = threshold - start
    if not distance.size or not (distance > 0).all():
        least = distance.min() if distance.size else "none"
        raise NetworkError([f"{place}: v_threshold: expected values above v_reset, found {least} above it"])
    return distance


def _gain_and_decays(place: str, node: Tree, discretization: Discrete) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The factor of NIR's voltage relative to that of bl_neuro, and the two decays, by the convention of the file."""
    r = positive(place, "r", numbers(place, node, "r"))
    if discretization.convention == "norse" and not np.isclose(r, 1).all():
        raise NetworkError([f"{place}: r: expected 1, as Norse's exporter writes; try another convention"])
    if node["type"] == "IF":
        norse = discretization.convention == "norse"
        gain = np.ones(()) if norse else _snapped(place, "r", discretization.dt * r, r, discretization)
        return gain, np.ones(()), np.zeros(())
    cuba = node["type"] == "CubaLIF"
    voltage_decay = _decay(place, node, "tau_mem" if cuba else "tau", discretization)
    gain = voltage_decay * r
    if not cuba:
        return _snapped(place, "r", gain, r, discretization), np.ones(()), voltage_decay
    current_decay = _decay(place, node, "tau_syn", discretization)
    w_in = positive(place, "w_in", numbers(place, node, "w_in")) if "w_in" in node else np.ones(())
    if discretization.convention == "norse":
        if not np.isclose(w_in, 1).all():
            raise NetworkError([f"{place}: w_in: expected 1, as Norse's exporter writes; try another convention"])
        return voltage_decay, current_decay, voltage_decay
    scale = _snapped(place, "w_in", current_decay * w_in, w_in, discretization)
    return _snapped(place, "r", gain, r, discretization) * scale, current_decay, voltage_decay


def _decay(place: str, node: Tree, key: str, discretization: Discrete) -> FloatArray:
    """The decay dt / tau; exactly 1 where only the rounding of tau makes it larger, as for neurons without memory."""
    tau, dt = positive(place, key, numbers(place, node, key)), discretization.dt
    decay = dt / tau
    if discretization.is_own:
        return decay
    rounded: FloatArray = np.where((decay > 1) & (decay <= 1 + FLOAT32_ROUNDING), 1.0, decay)
    if (rounded > 1).any():
        raise NetworkError(
            [
                f"{place}: {key}: expected at least the time step dt = {dt:g}, found {tau.min():g}, of which a step "
                f"would lose {decay.max():.3g} times the value; give the time step of the program that wrote it, dt="
            ]
        )
    return rounded


def _snapped(place: str, name: str, gain: FloatArray, value: FloatArray, discretization: Discrete) -> FloatArray:
    """The gain; in snnTorch's convention exactly 1, up to float32 rounding."""
    if discretization.convention != "snntorch":
        return gain
    if not np.isclose(gain, 1, rtol=CLOSE, atol=0).all():
        raise NetworkError(
            [
                f"{place}: {name}: expected {(value / gain).flat[0]:g} with dt = {discretization.dt:g} (tau / dt, or "
                f"1 / dt for an IF), as snnTorch's exporter writes, found {value.flat[0]:g}; another program wrote it: "
                "try 'nir' with dt=1 or the dt of that program"
            ]
        )
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
