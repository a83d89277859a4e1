"""Writing NIR files: each layer as equations with a time step of 1, and exactly in metadata.

Dense, Conv       Linear or Affine, Conv2d         SumPool, AveragePool, Flatten    SumPool2d, AvgPool2d, Flatten
current_decay 1   LIF, tau = r = 1 / dv            both decays 1 and 0: IF, r = 1
current_decay     CubaLIF, tau_syn = w_in = 1 / du, tau_mem = r = 1 / dv
bias              bias of the Affine or Conv2d if current_decay is 1, else v_leak = bias / dv
current_bias      bias of the Affine or Conv2d             recurrent    a Linear from the neurons back to them
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import ModelFileError, NetworkError, Unsupported
from bl_neuro.files import atomic_path
from bl_neuro.hdf5_image import hdf5_image
from bl_neuro.layers import AveragePool, Conv, Dense, Flatten, Input, Layer, Shape, SumPool
from bl_neuro.network import Network
from bl_neuro.neuron import CubaLIF
from bl_neuro.strangers.tree_frames import MAX_CONSTANT_VALUES, Tree

WRITER = "bl-neuro/nir/1"
DT = 1.0
NIR_VERSION = "1.0.8"
"""Version of the format that is written."""
MIN_PACKED = 1024
"""Arrays with at most this many values are never compressed."""


def write_nir(network: Network, path: str | Path) -> None:
    """Writes `network` as a NIR file, atomically. Reading it back gives the same fingerprint.

    Raises:
        Unsupported: NIR cannot represent it; the message names every layer and parameter that prevents it.
        ModelFileError: the file cannot be written.
    """
    graph = _graph(network)
    try:
        with atomic_path(path) as temporary:
            temporary.write_bytes(hdf5_image(lambda file: _fill(file, graph)))
    except OSError as error:
        raise ModelFileError(f"{path}: could not be written ({error})") from error


def _fill(file: Any, graph: Tree) -> None:
    import h5py

    file.create_dataset("version", data=NIR_VERSION, dtype=h5py.string_dtype())
    _write(file.create_group("node"), graph, _Packing())


def _graph(network: Network) -> Tree:
    if network.is_sigma_delta:
        raise Unsupported("sigma-delta networks: NIR has no neurons that send graded messages; save as .net")
    problems = [] if network.arithmetic == "real" else ["NIR holds real numbers, not Loihi's arithmetic; save as .net"]
    nodes: Tree = {"input": {"type": "Input", "shape": np.array(network.input_shape)}}
    input_shape = network.input_shape
    for index, (layer, shape) in enumerate(zip(network.layers, network.shapes)):
        try:
            nodes.update(_nodes(index, layer, input_shape, shape))
        except NetworkError as error:
            problems += [f"layer {index}: {problem}" for problem in error.problems]
        input_shape = shape
    if problems:
        raise Unsupported(f"NIR cannot hold this network: {'; '.join(problems)}")
    edges = list(pairwise([*nodes, "output"]))
    nodes["output"] = {"type": "Output", "shape": np.array(input_shape)}
    for index, layer in enumerate(network.layers):
        if isinstance(layer, Dense) and layer.recurrent is not None:
            nodes[f"{index}_recurrent"] = {"type": "Linear", "weight": layer.recurrent}
            edges += [(f"{index}_neuron", f"{index}_recurrent"), (f"{index}_recurrent", f"{index}_neuron")]
    return {
        "type": "NIRGraph",
        "nodes": nodes,
        "edges": edges,
        "metadata": {"writer": WRITER, "dt": DT, "readout": network.readout, "fingerprint": network.fingerprint},
    }


def _nodes(index: int, layer: Layer, input_shape: Shape, shape: Shape) -> Tree:
    """The nodes of one layer, by name."""
    if isinstance(layer, Input):
        raise NetworkError(["Input: NIR has no input neurons"])
    if isinstance(layer, Flatten):
        node = {"type": "Flatten", "start_dim": 0, "end_dim": -1, "input_type": np.array(input_shape)}
        return {f"{index}_flatten": node}
    if isinstance(layer, (SumPool, AveragePool)):
        kind = "SumPool2d" if isinstance(layer, SumPool) else "AvgPool2d"
        size, stride, padding = np.array(layer.size), np.array(layer.stride), np.zeros(2, int)
        return {f"{index}_pool": {"type": kind, "kernel_size": size, "stride": stride, "padding": padding}}
    problems = _problems(layer)
    if problems:
        raise NetworkError(problems)
    bias, leak = _bias_and_leak(layer.neuron, shape)
    synapse = _synapse(layer, bias if layer.current_bias is None else layer.current_bias, input_shape)
    if layer.current_bias is not None:
        synapse["metadata"] = {"current_bias": layer.current_bias}
    return {
        f"{index}_synapse": synapse,
        f"{index}_neuron": {**_neuron(layer.neuron, shape, leak), "metadata": dict(layer.neuron.parameters())},
    }


def _problems(layer: Dense | Conv) -> list[str]:
    neuron, problems = layer.neuron, []
    if neuron.reset != "zero":
        problems.append(f"reset '{neuron.reset}': NIR's neurons reset to a voltage, v_reset")
    if isinstance(layer, Dense) and layer.delay is not None:
        problems.append("delay: not written to NIR files")
    if layer.current_bias is not None and (neuron.current_decay == 1).all():
        problems.append("current_bias of currents without a memory: not written; give it as the bias of the neurons")
    if (neuron.voltage_decay == 0).any() and (neuron.voltage_decay.any() or (neuron.current_decay < 1).any()):
        problems.append("voltage_decay 0: expected with current_decay 1 for all neurons, as in NIR's IF")
    if (neuron.current_decay == 0).any():
        problems.append("current_decay 0: an infinite time constant")
    return problems


def _bias_and_leak(neuron: CubaLIF, shape: Shape) -> tuple[FloatArray | None, FloatArray]:
    """The bias as a bias of the synapse, (out,), or as a leak voltage of the neurons; the other is None or 0."""
    zeros = np.zeros(shape)
    bias, decay = neuron.expanded("bias", shape), neuron.expanded("voltage_decay", shape)
    if not bias.any():
        return None, zeros
    channels = bias.reshape(shape[0], -1)
    if (neuron.current_decay == 1).all() and (channels == channels[:, :1]).all():
        return channels[:, 0].copy(), zeros
    if (decay == 0).any():
        raise NetworkError(["bias: expected one value per channel with voltage_decay 0, found one per neuron"])
    return None, bias / decay


def _synapse(layer: Dense | Conv, bias: FloatArray | None, input_shape: Shape) -> Tree:
    weight = layer.weight
    if isinstance(layer, Dense):
        return {"type": "Linear", "weight": weight} if bias is None else _affine(weight, bias)
    return {
        "type": "Conv2d",
        "input_shape": np.array(input_shape[1:]),
        "weight": weight,
        "stride": np.array(layer.stride),
        "padding": np.array(layer.padding),
        "dilation": np.array(layer.dilation),
        "groups": layer.groups,
        "bias": np.zeros(weight.shape[0]) if bias is None else bias,
    }


def _affine(weight: FloatArray, bias: FloatArray) -> Tree:
    return {"type": "Affine", "weight": weight, "bias": bias}


def _neuron(neuron: CubaLIF, shape: Shape, leak: FloatArray) -> Tree:
    ones = np.ones(shape)
    common = {"v_threshold": neuron.expanded("threshold", shape), "v_reset": np.zeros(shape)}
    if not neuron.voltage_decay.any():
        return {"type": "IF", "r": ones / DT, **common}
    tau = DT / neuron.expanded("voltage_decay", shape)
    common |= {"v_leak": leak, "r": tau / DT}
    if (neuron.current_decay == 1).all():
        return {"type": "LIF", "tau": tau, **common}
    tau_syn = DT / neuron.expanded("current_decay", shape)
    return {"type": "CubaLIF", "tau_mem": tau, "tau_syn": tau_syn, "w_in": tau_syn / DT, **common}


@dataclass
class _Packing:
    """How arrays are stored: constant arrays are compressed, up to the limit of the reader; others are not."""

    constants: int = MAX_CONSTANT_VALUES

    def options(self, array: Any) -> dict[str, Any]:
        """Options of HDF5 for `array`."""
        if not MIN_PACKED < array.size <= self.constants or not (array == array.flat[0]).all():
            return {}
        self.constants -= array.size
        return {"compression": "gzip"}


def _write(group: Any, tree: Tree, packing: _Packing) -> None:
    import h5py

    for key, value in tree.items():
        if isinstance(value, dict):
            _write(group.create_group(key), value, packing)
        elif isinstance(value, (str, list)):
            group.create_dataset(key, data=value, dtype=h5py.string_dtype())
        else:
            array = np.asarray(value)
            group.create_dataset(key, data=array, **packing.options(array))
