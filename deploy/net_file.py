"""Writing Lava's netx HDF5 format, `.net`: what lava-dl's `netx.hdf5.Network` loads.

One group a block under `layer/`: type, shape (channels first), weight, geometry, bias, and a `neuron` group of type
CUBA with iDecay, vDecay (0..4096) and vThMant. Netx lays images out as width, height, channels; arrays over single
neurons of an image are therefore written in that order.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bl_neuro.arrays import IntArray
from bl_neuro.deploy.loihi_weights import survives_encoding
from bl_neuro.deploy.quantize import FixedPointLayer, FixedPointNetwork
from bl_neuro.errors import ModelFileError, Unsupported
from bl_neuro.files import atomic_path
from bl_neuro.layers import Conv, Flatten

NOT_REPLICABLE = "only dense layers whose encoding does not change with zeros between them can be laid side by side"


def write_net(fixed: FixedPointNetwork, path: str | Path, replicas: int = 1) -> None:
    """Writes `fixed` as a `.net` file, atomically.

    replicas: how many independent copies of a dense network to lay side by side in one file (block-diagonal weights).

    Raises:
        ModelFileError: the file cannot be written. Unsupported: replicas of this network would not be exact.
    """
    import h5py

    if replicas > 1 and not can_replicate(fixed):
        raise Unsupported(f"replicas: {NOT_REPLICABLE}")
    try:
        with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
            for index, block in enumerate(_blocks(fixed, replicas)):
                _write_group(file.create_group(f"layer/{index}"), block)
    except OSError as error:
        raise ModelFileError(f"{path}: could not be written ({error})") from error


def can_replicate(fixed: FixedPointNetwork) -> bool:
    """Whether copies side by side compute the same: all layers dense, and zeros do not change their encoding."""
    return all(
        not isinstance(layer.source, Conv) and survives_encoding(np.append(layer.weight, 0)[None, :])
        for layer in fixed.layers
    )


def _blocks(fixed: FixedPointNetwork, replicas: int) -> list[dict[str, Any]]:
    by_index = {layer.index: layer for layer in fixed.layers}
    blocks: list[dict[str, Any]] = []
    if isinstance(fixed.network.layers[fixed.layers[0].index], Conv):
        blocks.append({"type": "input", "shape": np.array(fixed.network.input_shape)})
    for index, layer in enumerate(fixed.network.layers):
        shape = np.array(fixed.network.shapes[index])
        if index in by_index:
            blocks.append(_spiking_block(by_index[index], replicas))
        elif isinstance(layer, Flatten) and index > fixed.layers[0].index and len(fixed.network.shapes[index - 1]) == 3:
            blocks.append({"type": "flatten", "shape": shape})
    return blocks


def _spiking_block(layer: FixedPointLayer, replicas: int) -> dict[str, Any]:
    block: dict[str, Any] = {
        "type": "dense",
        "shape": np.array(layer.shape) * ([replicas] + [1] * (len(layer.shape) - 1)),
        "neuron/type": "CUBA",
        "neuron/iDecay": _laid_out(layer.current_decay, layer.shape, replicas),
        "neuron/vDecay": _laid_out(layer.voltage_decay, layer.shape, replicas),
        "neuron/vThMant": layer.threshold,
        "neuron/refDelay": 1,
        "neuron/gradedSpike": False,
        "weight": _block_diagonal(layer.weight, replicas) if replicas > 1 else layer.weight,
    }
    if layer.bias is not None:
        block["bias"] = _laid_out(layer.bias, layer.shape, replicas)
    source = layer.source
    if isinstance(source, Conv):
        out, inner, height, width = source.weight.shape
        block |= {
            "type": "conv",
            "inChannels": inner * source.groups,
            "outChannels": out,
            "kernelSize": np.array([height, width]),
            "stride": np.array(source.stride),
            "padding": np.array(source.padding),
            "dilation": np.array(source.dilation),
            "groups": source.groups,
        }
    else:
        block |= {"inFeatures": source.weight.shape[1] * replicas, "outFeatures": source.weight.shape[0] * replicas}
    return block


def _laid_out(values: IntArray, shape: tuple[int, ...], replicas: int) -> Any:
    """A parameter as netx wants it: a plain number, one value a channel, or one a neuron with the channels last."""
    if values.size == 1:
        return int(values.ravel()[0])
    if len(shape) == 3:
        return values.ravel() if values.size == shape[0] else values.transpose(2, 1, 0)
    return np.tile(values, replicas)


def _block_diagonal(weight: IntArray, replicas: int) -> IntArray:
    rows, columns = weight.shape
    result = np.zeros((replicas, rows, replicas, columns), dtype=np.int64)
    index = np.arange(replicas)
    result[index, :, index, :] = weight
    return result.reshape(replicas * rows, replicas * columns)


def _write_group(group: Any, block: dict[str, Any]) -> None:
    for key, value in block.items():
        if isinstance(value, str):
            group.create_dataset(key, (1,), "S10", [value.encode("ascii")])
        else:
            array = np.asarray(value)
            group.create_dataset(key, data=array.astype(np.int32) if array.dtype.kind == "i" else array)
