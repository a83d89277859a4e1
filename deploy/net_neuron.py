"""The neuron group of a block: CUBA (formerly called LOIHI), or SDNN, sigma-delta neurons."""

from __future__ import annotations

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.deploy.net_values import bounded, one_number, whole_array
from bl_neuro.layers import Shape
from bl_neuro.loihi_numbers import BIAS_RANGE, DECAY_ONE, THRESHOLD_MAX
from bl_neuro.neuron import CubaLIF
from bl_neuro.sigma_delta import LIMIT, Delta, Sigma, SigmaDelta
from bl_neuro.strangers.checked_group import CheckedGroup

MOST_STATED = 2**25 - 1
"""Largest vThMant that is read: Lava stores 64 times this value in 32 bits. No voltage exceeds a threshold of
`THRESHOLD_MAX` or more, so all of these are equivalent; `block.cuba.Affine`, which never fires, exports 262143."""
READ = ("type", "iDecay", "vDecay", "vThMant")
SIGMA_DELTA_KEYS = ("type", "activation", "vThMant", "sigma_output")
ONLY_IN_TRAINING = ("scaleRho", "tauRho", "theta")
IGNORED_BY_NETX = {"refDelay": 1, "gradedSpike": 0, "messageBits": 0, "wgtExp": 0, "weight_exp": 0}
"""Required values of these keys, since netx ignores any other value (messageBits: graded spikes)."""


def block_neuron(
    block: CheckedGroup, shape: Shape | None, keys: list[str], is_input: bool = False
) -> CubaLIF | Delta | SigmaDelta | Sigma | None:
    """The neurons of `block`, a layer of shape `shape`; None, with a problem recorded, if they cannot be read."""
    group = block.group("neuron")
    kind = None if group is None else group.text("type")
    if group is not None and kind == "SDNN":
        return _sigma_delta_neuron(block, group, shape, keys, is_input)
    bias = np.zeros(()) if is_input else layer_bias(block, shape, keys)
    if group is None or kind is None:
        return None
    if kind not in ("CUBA", "LOIHI"):
        group.complain(f"type '{kind[:20]}': {_why_not(kind)}; expected CUBA or SDNN")
        return None
    return _cuba_neuron(group, shape, bias)


def _cuba_neuron(group: CheckedGroup, shape: Shape | None, bias: FloatArray | None) -> CubaLIF | None:
    _check_ignored(group, group.keys())
    current, voltage = (per_neuron(group, key, shape, 0, DECAY_ONE) for key in ("iDecay", "vDecay"))
    threshold = bounded(group, "vThMant", one_number(group, "vThMant"), 0, MOST_STATED)
    if current is None or voltage is None or threshold is None or bias is None:
        return None
    return CubaLIF(np.minimum(threshold, THRESHOLD_MAX), current / DECAY_ONE, voltage / DECAY_ONE, bias)


def _sigma_delta_neuron(
    block: CheckedGroup, group: CheckedGroup, shape: Shape | None, keys: list[str], is_input: bool
) -> Delta | SigmaDelta | Sigma | None:
    """Netx's choice: Delta in an input block, Sigma where the file has `sigma_output`, else SigmaDelta with ReLU."""
    neuron_keys = group.keys()
    is_sigma = "sigma_output" in neuron_keys and not is_input
    for key in neuron_keys:
        if key == "messageBits":
            group.complain("messageBits: netx fails on it in a sigma-delta network")
        elif key == "sigma_output" and is_input:
            group.complain("sigma_output: netx ignores it in an input block")
        elif key not in SIGMA_DELTA_KEYS:
            group.complain(f"{key[:40]}: unknown key, whose effect is unknown; remove it if it has none")
    activation = group.text("activation") if "activation" in neuron_keys else "relu"
    if activation not in (None, "relu") and not (is_input or is_sigma):
        group.complain(f"activation: expected relu, found {activation}; netx applies ReLU whatever the file contains")
    threshold = bounded(group, "vThMant", one_number(group, "vThMant"), 0, LIMIT - 1)
    if is_input:
        return None if threshold is None else Delta(threshold)
    if is_sigma:
        if "bias" in keys:
            block.complain("bias: netx fails on a bias of neurons with sigma_output")
        return Sigma()
    bias = layer_bias(block, shape, keys, (1 - LIMIT, LIMIT - 1))
    return None if threshold is None or bias is None else SigmaDelta(threshold, bias)


def never_firing_neuron(bias: FloatArray | None) -> CubaLIF | None:
    """Neurons of a dense block without a neuron group in netx: current decay 0, voltage decay 1, threshold 2^17."""
    return None if bias is None else CubaLIF(THRESHOLD_MAX, 0.0, 1.0, bias)


def layer_bias(
    block: CheckedGroup, shape: Shape | None, keys: list[str], limits: tuple[int, int] = BIAS_RANGE
) -> FloatArray | None:
    """Bias mantissas of a layer of shape `shape`, rounded toward zero like in netx; zero where the file has none."""
    if "bias" not in keys:
        return np.zeros(())
    values = block.numbers("bias")
    values = None if values is None else bounded(block, "bias", np.trunc(values) + 0.0, *limits)
    if values is not None and values.ndim == 0 and shape is not None and len(shape) == 3:
        block.complain(f"bias: expected {shape[0]} values, one per channel, found a scalar, on which netx fails")
        return None
    return _in_our_order(block, "bias", values, shape)


def per_neuron(group: CheckedGroup, key: str, shape: Shape | None, low: int, high: int) -> FloatArray | None:
    """Integers in low..high: a scalar, one value per channel or one per neuron."""
    return _in_our_order(group, key, bounded(group, key, whole_array(group, key), low, high), shape)


def _in_our_order(group: CheckedGroup, key: str, values: FloatArray | None, shape: Shape | None) -> FloatArray | None:
    """Values in netx's order (width, height, channels) reordered to (channels, height, width)."""
    if values is None or values.shape in ((), (1,)):
        return values
    if shape is None:
        return None
    if len(shape) == 3 and values.shape == shape[::-1]:
        return values.transpose(2, 1, 0)
    if values.shape == shape[:1]:
        return values
    expected = f"{shape[0]} (one per channel) or {shape[::-1]} (width, height, channels)" if len(shape) == 3 else shape
    group.complain(f"{key}: expected one value, or shape {expected}, found {values.shape}")
    return None


def _why_not(kind: str) -> str:
    if "RF" in kind:
        return "resonate-and-fire neurons are not CUBA-LIF"
    return "netx does not implement it"


def _check_ignored(group: CheckedGroup, keys: list[str]) -> None:
    for key in keys:
        if key in IGNORED_BY_NETX:
            value = one_number(group, key)
            if value is not None and value.item() != IGNORED_BY_NETX[key]:
                reason = "graded spikes are not read" if "raded" in key or "message" in key else "netx ignores it"
                group.complain(f"{key}: expected {IGNORED_BY_NETX[key]}, found {value.item():g}; {reason}")
        elif key not in (*READ, *ONLY_IN_TRAINING):
            group.complain(f"{key[:40]}: unknown key, whose effect is unknown; remove it if it has none")
