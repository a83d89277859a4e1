"""Writing Lava's netx HDF5 format, `.net`, which lava-dl's `netx.hdf5.Network` loads.

One group per block under `layer/`: type, shape (channels first), weight, geometry, bias, and a `neuron` group of type
CUBA with iDecay, vDecay (0..4096) and vThMant, or of type SDNN with activation, vThMant and sigma_output. netx stores
images as width, height, channels, so arrays with one value per neuron of an image are written in that order.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.deploy.net_reader import KEY as NOTE
from bl_neuro.deploy.net_reader import note_of
from bl_neuro.deploy.net_values import netx_problems
from bl_neuro.deploy.quantize import FixedPointNetwork
from bl_neuro.errors import ModelFileError, Unsupported
from bl_neuro.files import atomic_path
from bl_neuro.hdf5_image import hdf5_image
from bl_neuro.layers import SPIKING, Conv, Dense, Flatten, Input, Layer, Shape
from bl_neuro.loihi_numbers import DECAY_ONE, THRESHOLD_MAX
from bl_neuro.network import Network
from bl_neuro.sigma_delta import SIGMA_DELTA, Delta, Sigma, SigmaDelta


def write_net(fixed: FixedPointNetwork, path: str | Path) -> None:
    """Writes `fixed` as a `.net` file, atomically.

    Raises:
        ModelFileError: the file cannot be written.
        Unsupported: netx would not read this network exactly.
    """
    network = _without_idle_flattens(fixed.as_loihi)
    problems = netx_problems(network)
    if problems:
        raise Unsupported("netx cannot read this network: " + "; ".join(problems))
    try:
        with atomic_path(path) as temporary:
            temporary.write_bytes(hdf5_image(lambda file: _fill(file, network)))
    except OSError as error:
        raise ModelFileError(f"{path}: could not be written ({error})") from error


def _fill(file: Any, network: Network) -> None:
    for index, block in enumerate(_blocks(network)):
        _write_group(file.create_group(f"layer/{index}"), block)
    file.create_dataset(NOTE, data=np.frombuffer(note_of(network), np.uint8))


def _without_idle_flattens(network: Network) -> Network:
    """The same network without Flatten layers whose input is already flat, which netx cannot read."""
    input_shapes = (network.input_shape, *network.shapes)
    rows = zip(network.layers, input_shapes)
    layers = [layer for layer, shape in rows if not (isinstance(layer, Flatten) and len(shape) == 1)]
    return Network(network.input_shape, layers, network.readout, network.arithmetic)


def _blocks(network: Network) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if len(network.input_shape) == 3 and network.input_kind == "spikes":
        blocks.append({"type": "input", "shape": np.array(network.input_shape)})
    for layer, shape in zip(network.layers, network.shapes):
        if isinstance(layer, Flatten):
            blocks.append({"type": "flatten", "shape": np.array(shape)})
        elif isinstance(layer, SPIKING):
            blocks.append(_spiking_block(layer, shape))
    return blocks


def _spiking_block(layer: Input | Dense | Conv, shape: Shape) -> dict[str, Any]:
    block: dict[str, Any] = {"shape": np.array(shape)}
    if not never_fires(layer):
        block |= _neuron_group(layer.neuron, shape)
    if isinstance(layer, Input):
        drive = {"weight": int(layer.weight.item()), "bias": int(layer.bias.item())}
        return block | {"type": "input"} | drive
    if np.any(getattr(layer.neuron, "bias", 0)):
        bias = _laid_out(layer.neuron.bias, shape)
        block["bias"] = np.full(shape[:1], bias) if len(shape) == 3 and np.ndim(bias) == 0 else bias  # else netx fails
    if isinstance(layer, Dense):
        return block | _dense_block(layer)
    return block | _conv_block(layer)


def never_fires(layer: Layer) -> bool:
    """Whether this layer equals netx's dense block without a neuron group."""
    if not isinstance(layer, Dense):
        return False
    neuron = layer.neuron
    if isinstance(neuron, SIGMA_DELTA):
        return False
    values = (neuron.threshold, neuron.current_decay, neuron.voltage_decay)
    return all(bool((value == expected).all()) for value, expected in zip(values, (THRESHOLD_MAX, 0.0, 1.0)))


def _neuron_group(neuron: Any, shape: Shape) -> dict[str, Any]:
    if isinstance(neuron, SIGMA_DELTA):
        return _sigma_delta_group(neuron)
    return {
        "neuron/type": "CUBA",
        "neuron/iDecay": _laid_out(neuron.current_decay * DECAY_ONE, shape),
        "neuron/vDecay": _laid_out(neuron.voltage_decay * DECAY_ONE, shape),
        "neuron/vThMant": int(neuron.threshold.flat[0]),
        "neuron/refDelay": 1,
        "neuron/gradedSpike": False,
    }


def _sigma_delta_group(neuron: Delta | SigmaDelta | Sigma) -> dict[str, Any]:
    if isinstance(neuron, Sigma):
        return {"neuron/type": "SDNN", "neuron/activation": "relu", "neuron/vThMant": 0, "neuron/sigma_output": True}
    return {"neuron/type": "SDNN", "neuron/activation": "relu", "neuron/vThMant": int(neuron.threshold.item())}


def _dense_block(layer: Dense) -> dict[str, Any]:
    weight = layer.weight.astype(np.int64)
    block: dict[str, Any] = {
        "type": "dense" if layer.recurrent is None else "dense_rec",
        "weight": weight,
        "inFeatures": weight.shape[1],
        "outFeatures": weight.shape[0],
    }
    if layer.recurrent is not None:
        block["weight_rec"] = layer.recurrent.astype(np.int64)
    if layer.delay is not None:
        block["delay"] = _delay(layer.delay.astype(np.int64), weight.shape)
    return block


def _delay(delay: IntArray, shape: Shape) -> Any:
    """A scalar, one value per row or per column, or a matrix where netx would read columns as rows."""
    if delay.size == 1:
        return int(delay.item())
    if delay.shape == (shape[0], 1):
        return delay[:, 0]
    if delay.shape[0] == 1 and shape[0] != shape[1]:
        return delay[0]
    return np.broadcast_to(delay, shape)


def _conv_block(layer: Conv) -> dict[str, Any]:
    out, inner, height, width = layer.weight.shape
    return {
        "type": "conv",
        "weight": layer.weight.astype(np.int64),
        "inChannels": inner * layer.groups,
        "outChannels": out,
        "kernelSize": np.array([height, width]),
        "stride": np.array(layer.stride),
        "padding": np.array(layer.padding),
        "dilation": np.array(layer.dilation),
        "groups": layer.groups,
    }


def _laid_out(values: FloatArray, shape: Shape) -> Any:
    """A parameter in netx's layout: a plain number, one value per channel, or one per neuron with channels last."""
    whole = np.round(values).astype(np.int64)
    if values.size == 1:
        return int(whole.item())
    if len(shape) == 3:
        return whole.ravel() if whole.size == shape[0] else whole.transpose(2, 1, 0)
    return whole


def _write_group(group: Any, block: dict[str, Any]) -> None:
    for key, value in block.items():
        if isinstance(value, str):
            group.create_dataset(key, (1,), "S10", [value.encode("ascii")])
        else:
            array = np.asarray(value)
            group.create_dataset(key, data=array.astype(np.int32) if array.dtype.kind == "i" else array)
