"""The network: an immutable definition of an SNN, independent of any framework, that every substrate runs."""

from __future__ import annotations

import hashlib
import json
import math
import reprlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any, Literal

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.checks import whole_number
from bl_neuro.errors import InputError, NetworkError
from bl_neuro.layers import SPIKING, AveragePool, Conv, Dense, Flatten, Input, Layer, Shape, SumPool
from bl_neuro.loihi_numbers import loihi_problems
from bl_neuro.sigma_delta import SIGMA_DELTA, Sigma, SigmaDelta

Readout = Literal["spikes", "membrane", "values"]
Arithmetic = Literal["real", "loihi"]
InputKind = Literal["spikes", "current"]
EXTRAS = ("delay", "recurrent", "current_bias")
"""Parameters of synapses that not every layer has."""
MAX_VALUES = 2**28
"""Maximum number of weights and neurons of a network, which bounds the memory that an untrusted file can use."""
MAX_LAYERS = 256
"""Maximum number of layers of a network from a file or a description."""
MAX_FILE_BYTES = 8 * MAX_VALUES + 2**20
"""Largest model file that is read, in bytes."""


@dataclass(frozen=True, eq=False)
class Network:
    """A feed-forward spiking or sigma-delta network: its input shape, its layers, and how its answer is read out.

    input_shape: shape of one frame of input spikes, (features,) or (channels, height, width).
    layers: `Dense`, `Conv`, `Flatten`, `SumPool`, `AveragePool`, optionally an `Input` first; the last layer with
    neurons is the output.
    readout: "spikes", the class whose neuron spikes most often, or "membrane", the class with the highest mean softmax
    of the membrane potential. A sigma-delta network has the readout "values": its output values are a regressor's
    answer, and their highest mean softmax names a class. By default the one that fits.
    arithmetic: "real" (the default), or "loihi" (always, in a sigma-delta network): every value is the integer that
    Loihi holds, exactly as in a `.net` file (weights, vThMant as threshold, iDecay / 4096 and vDecay / 4096 as decays,
    the bias mantissa). Floating-point substrates then use the same numbers as real ones, a twin with rounded
    parameters.

    Two networks are equal if their fingerprints are equal.

    Raises:
        NetworkError: shapes do not match or a parameter is invalid; every problem is listed with its layer.
    """

    input_shape: Shape
    layers: tuple[Layer, ...]
    readout: Readout
    arithmetic: Arithmetic
    shapes: tuple[Shape, ...]

    def __init__(
        self,
        input_shape: Iterable[int],
        layers: Iterable[Layer],
        readout: Readout | None = None,
        arithmetic: Arithmetic | None = None,
    ) -> None:
        object.__setattr__(self, "input_shape", checked_input_shape(input_shape))
        if not isinstance(layers, Iterable):
            raise NetworkError([f"layers: expected several layers, found {type(layers).__name__}"])
        object.__setattr__(self, "layers", tuple(layers))
        usual_readout, usual_arithmetic = ("values", "loihi") if self.is_sigma_delta else ("spikes", "real")
        object.__setattr__(self, "readout", usual_readout if readout is None else readout)
        object.__setattr__(self, "arithmetic", usual_arithmetic if arithmetic is None else arithmetic)
        shapes, problems = _propagate(self.input_shape, self.layers)
        readouts = ("values",) if self.is_sigma_delta else ("spikes", "membrane")
        if self.readout not in readouts:
            problems.append(f"readout: expected {' or '.join(map(repr, readouts))}, found {readout!r}")
        problems += _arithmetic_problems(self.arithmetic, self.layers)
        problems += _sigma_delta_problems(self.layers) if self.is_sigma_delta else []
        if problems:
            raise NetworkError(problems)
        object.__setattr__(self, "shapes", tuple(shapes))

    @property
    def output_shape(self) -> Shape:
        """Shape of one frame of output spikes."""
        return self.shapes[-1]

    @property
    def classes(self) -> int:
        """Number of classes. Raises InputError if the output is not a vector."""
        if len(self.output_shape) != 1:
            raise InputError(
                f"network: expected a vector as the output of a classifier, found shape {self.output_shape}"
            )
        return self.output_shape[0]

    @property
    def input_kind(self) -> InputKind:
        """Kind of input: "spikes", or "current" (real values) if the first layer is `Input`."""
        return "current" if isinstance(self.layers[0], Input) else "spikes"

    @property
    def is_sigma_delta(self) -> bool:
        """Whether its neurons are sigma-delta neurons, which send graded messages instead of spikes."""
        return any(isinstance(getattr(layer, "neuron", None), SIGMA_DELTA) for layer in self.layers)

    @property
    def parameters(self) -> int:
        """Number of synaptic weights."""
        return sum(layer.weight.size for layer in self.layers if isinstance(layer, (Dense, Conv)))

    @property
    def has_bias(self) -> bool:
        """Whether a voltage or current has a bias; only then do `aligned` and `cold` starts differ."""
        layers = [layer for layer in self.layers if isinstance(layer, SPIKING)]
        return any(
            bool(np.any(getattr(layer.neuron, "bias", 0.0))) or getattr(layer, "current_bias", None) is not None
            for layer in layers
        )

    def describe(self) -> list[str]:
        """One line per layer, with its output shape."""
        return [f"{layer} -> {shape}" for layer, shape in zip(self.layers, self.shapes)]

    def structure(self) -> dict[str, Any]:
        """Everything except the arrays (see `arrays`), as JSON-serializable values."""
        return {
            "input_shape": list(self.input_shape),
            "readout": self.readout,
            **({} if self.arithmetic == "real" else {"arithmetic": self.arithmetic}),
            "layers": [_layer_structure(layer) for layer in self.layers],
        }

    def arrays(self) -> dict[str, FloatArray]:
        """Every array by its name, `layers.<index>.<parameter>`."""
        arrays: dict[str, FloatArray] = {}
        for index, layer in enumerate(self.layers):
            if isinstance(layer, SPIKING):
                arrays[f"layers.{index}.weight"] = layer.weight
                if isinstance(layer, Input):
                    arrays[f"layers.{index}.input_bias"] = layer.bias
                for extra in EXTRAS:
                    if getattr(layer, extra, None) is not None:
                        arrays[f"layers.{index}.{extra}"] = getattr(layer, extra)
                for name, array in layer.neuron.parameters().items():
                    arrays[f"layers.{index}.{name}"] = array
        return arrays

    @cached_property
    def fingerprint(self) -> str:
        """Content hash (SHA-256, hex) of structure and float64 values: the same on every machine."""
        digest = hashlib.sha256(json.dumps(self.structure(), sort_keys=True).encode())
        for name, array in sorted(self.arrays().items()):
            digest.update(f"{name}{array.shape}".encode())
            digest.update((array + 0.0).astype("<f8").tobytes())  # +0.0: -0.0 and 0.0 are the same weight
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        return f"Network({self.input_shape} | {' | '.join(map(str, self.layers))} | {self.fingerprint[:12]})"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{escape(line)}</td></tr>" for line in self.describe())
        title = f"Network of {self.parameters:,} weights in {self.arithmetic} arithmetic, readout {self.readout}"
        return f"<table><thead><tr><th>{escape(title)}, takes {self.input_shape}</th></tr></thead>{rows}</table>"


def checked_input_shape(input_shape: Iterable[int]) -> Shape:
    """`input_shape` as whole numbers. Raises NetworkError if it is not the shape of a frame."""
    try:
        sizes = [whole_number(size) for size in input_shape]
    except TypeError as error:
        raise NetworkError([f"input_shape: expected whole numbers, found {input_shape!r}"]) from error
    shape = tuple(size for size in sizes if size is not None and 1 <= size <= MAX_VALUES)
    if len(sizes) not in (1, 3) or len(shape) != len(sizes):
        content = reprlib.repr(input_shape)
        raise NetworkError([f"input_shape: expected (features,) or (channels, height, width), found {content}"])
    return shape


def _propagate(shape: Shape, layers: tuple[Layer, ...]) -> tuple[list[Shape], list[str]]:
    """The shape after each layer, and all problems; stops at the first layer whose input shape is unknown."""
    shapes: list[Shape] = []
    problems: list[str] = []
    values = math.prod(shape)
    for index, layer in enumerate(layers):
        if not isinstance(layer, (*SPIKING, Flatten, SumPool, AveragePool)):
            problems.append(f"layer {index}: expected a layer of bl_neuro, found {type(layer).__name__}")
            break
        if isinstance(layer, Input) and index > 0:
            problems.append(f"layer {index}: Input: expected as the first layer only")
        try:
            shape = layer.output_shape(shape)
        except NetworkError as error:
            problems += [f"layer {index}: {problem}" for problem in error.problems]
            break
        if isinstance(layer, SPIKING):
            problems += [f"layer {index}: {problem}" for problem in layer.neuron.shape_problems(shape)]
            values += layer.weight.size
            if isinstance(layer, Dense) and layer.recurrent is not None:
                values += layer.recurrent.size
        values += math.prod(shape)
        shapes.append(shape)
    with_neurons = [index for index, layer in enumerate(layers) if isinstance(layer, SPIKING)]
    if not with_neurons:
        problems.append("expected at least one layer with neurons (Dense or Conv)")
    elif any(isinstance(layer, (SumPool, AveragePool)) for layer in layers[with_neurons[-1] :]):
        problems.append("expected a layer with neurons after the last pooling layer, which outputs no spikes")
    if values > MAX_VALUES:
        problems.append(f"weights and neurons: expected at most {MAX_VALUES}, found {values}")
    return shapes, problems


def _arithmetic_problems(arithmetic: Any, layers: tuple[Any, ...]) -> list[str]:
    if arithmetic not in ("real", "loihi"):
        return [f"arithmetic: expected 'real' or 'loihi', found {arithmetic!r}"]
    problems = []
    for index, layer in enumerate(layers):
        if arithmetic == "loihi":
            problems += [f"layer {index}: {problem}" for problem in loihi_problems(layer)]
        elif isinstance(getattr(layer, "neuron", None), SIGMA_DELTA):
            problems.append(f"layer {index}: arithmetic: expected 'loihi' for sigma-delta neurons, found 'real'")
        elif isinstance(layer, SPIKING) and (layer.neuron.threshold == 0).any():
            problems.append(f"layer {index}: threshold: expected values above 0, found 0.0")
    return problems


def _sigma_delta_problems(layers: tuple[Any, ...]) -> list[str]:
    """Where a network with sigma-delta neurons also has spiking ones, no `Delta` input, or a `Sigma` before its end."""
    problems = []
    with_neurons = [index for index, layer in enumerate(layers) if isinstance(layer, SPIKING)]
    for index in with_neurons:
        neuron = layers[index].neuron
        if not isinstance(neuron, SIGMA_DELTA):
            problems.append(
                f"layer {index}: neuron: expected sigma-delta neurons (Delta, SigmaDelta, Sigma), as in other layers, "
                f"found {type(neuron).__name__}; a network is either spiking or sigma-delta"
            )
        elif isinstance(neuron, Sigma) and index != with_neurons[-1]:
            problems.append(f"layer {index}: neuron: expected Sigma as the output only")
        if getattr(layers[index], "recurrent", None) is not None:
            problems.append(f"layer {index}: recurrent: not supported in a sigma-delta network")
        if getattr(layers[index], "current_bias", None) is not None:
            problems.append(f"layer {index}: current_bias: sigma-delta neurons have no current; use their own bias")
    if not isinstance(layers[0], Input):
        problems.append("layer 0: expected Input with Delta neurons as the first layer of a sigma-delta network")
    return problems


def _neuron_structure(neuron: Any) -> dict[str, Any]:
    if isinstance(neuron, SIGMA_DELTA):
        activation = {"activation": neuron.activation} if isinstance(neuron, SigmaDelta) else {}
        return {"neuron": neuron.kind, **activation}
    return {"reset": neuron.reset}


def _extras(layer: Dense | Conv) -> dict[str, Any]:
    names = [name for name in EXTRAS if getattr(layer, name, None) is not None]
    return {"extras": names} if names else {}


def _layer_structure(layer: Layer) -> dict[str, Any]:
    if isinstance(layer, Input):
        return {"kind": "input", **_neuron_structure(layer.neuron)}
    if isinstance(layer, Dense):
        return {"kind": "dense", **_neuron_structure(layer.neuron), **_extras(layer)}
    if isinstance(layer, Conv):
        geometry = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation}
        lists = {name: list(pair) for name, pair in geometry.items()}
        return {"kind": "conv", **_neuron_structure(layer.neuron), **_extras(layer), "groups": layer.groups, **lists}
    if isinstance(layer, Flatten):
        return {"kind": "flatten"}
    kind = "sum_pool" if isinstance(layer, SumPool) else "average_pool"
    return {"kind": kind, "size": list(layer.size), "stride": list(layer.stride)}
