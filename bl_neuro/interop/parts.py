"""A foreign model as a sequence of parts (synapses, neurons, changes of shape), and its assembly into a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import NetworkError
from bl_neuro.interop.reading import reading
from bl_neuro.layers import AveragePool, Flatten, SumPool
from bl_neuro.neuron import Reset


@dataclass(frozen=True)
class Synapse:
    """Weights (out, in), or (out, in/groups, h, w) with a convolution's geometry, and a bias on the weighted input.

    bias: see `_with_bias`. delay, recurrent: see `Dense`. name: the layer's name in the model, used in messages.
    """

    name: str
    weight: Any
    bias: Any = None
    geometry: dict[str, Any] = field(default_factory=dict)
    delay: Any = None
    recurrent: Any = None


@dataclass(frozen=True)
class Neurons:
    """CUBA-LIF parameters; arrays broadcast against the neurons from the right, as in torch and NumPy.

    as_given: whether the arrays already have the shapes that `CubaLIF` expects and are not changed; a synapse's bias
    then stays one of the current. recurrent: weights (out, out), or one per neuron, of synapses from these neurons to
    themselves, with a delay of one step, or None; recurrent_bias: their bias (out,).
    """

    name: str
    threshold: Any
    current_decay: Any = 1.0
    voltage_decay: Any = 1.0
    bias: Any = 0.0
    reset: Reset = "zero"
    as_given: bool = False
    recurrent: Any = None
    recurrent_bias: Any = None


@dataclass(frozen=True)
class Step:
    """A change of shape, without synapses or neurons."""

    name: str
    layer: Flatten | SumPool | AveragePool


@dataclass(frozen=True)
class Normalization:
    """Each channel of a synapse's sums times `scale`, plus `shift`, both (channels,)."""

    name: str
    scale: FloatArray
    shift: FloatArray


@dataclass(frozen=True)
class Unread:
    """An unsupported layer, whose problem is already recorded; the shape after it is unknown."""

    name: str


Part = Synapse | Neurons | Step | Normalization | Unread


def collect(
    layers: Iterable[tuple[str, Any]], read_layer: Callable[[str, Any], Part | None], is_spiking: Callable[[Any], bool]
) -> tuple[list[Part], list[str]]:
    """Parts of a model's layers, converted by `read_layer`, and the problems that it raised as NetworkError.

    is_spiking: whether a layer consists of neurons; if it cannot be read, placeholder neurons take its place.
    """
    parts: list[Part] = []
    problems: list[str] = []
    for name, layer in layers:
        try:
            with reading(name):
                part = read_layer(name, layer)
        except NetworkError as error:
            problems += error.problems
            part = Neurons(name, 1.0) if is_spiking(layer) else Unread(name)
        if part is not None:
            parts.append(part)
    return parts, problems
