"""Sigma-delta neurons: they send graded messages, the changes of their activation, instead of spikes.

In Loihi's integers, in every time step, for the sum `a` of weights x messages that a neuron receives:

    sigma += a                                      Sigma and SigmaDelta: the input so far
    act    = f(sigma + 4096 bias)                   SigmaDelta; f is the identity ("unit") or max(., 0) ("relu")
    act    = 4096 x                                 Delta, which encodes an input x instead
    delta  = act[t] - act[t-1] + residue            the change that no message has carried yet
    message = delta >> 6 where |delta| >= 4096 threshold, else 0;      residue = delta - what was sent

`Sigma` sends sigma itself in every step. States hold 32 bits and wrap around, as in Lava.

Units: an input or a threshold of 64 stands for a real value of 1 (lava-dl's scale), which is a state of 2^18 and a
message of 2^12. The output value of a network is its sigma / 2^18, or the sum of its messages so far / 2^12.
Sources: lava-nc 0.10 `lava.proc.sdn`, lava-dl 0.6 `netx`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import NetworkError
from bl_neuro.neuron import frozen_array, per_neuron, shape_problems

Activation = Literal["relu", "unit"]
ACTIVATIONS: tuple[str, ...] = get_args(Activation)
STATE_BITS = 12
"""Thresholds, biases and inputs are shifted left by this many bits to states."""
MESSAGE_BITS = 6
"""States are shifted right by this many bits to messages."""
UNIT = 64
"""The integer input that stands for the real value 1."""
VALUE_OF_SIGMA = float(UNIT << STATE_BITS)
VALUE_OF_MESSAGE = float(UNIT << (STATE_BITS - MESSAGE_BITS))
"""State and message of the real value 1."""
LIMIT = 2**19
"""Thresholds and biases lie below this magnitude, since Lava's 32 bits hold 4096 times their value."""


class _Neuron:
    """What all sigma-delta neurons have in common; `kind` is their name in files."""

    kind: ClassVar[str]

    def parameters(self) -> dict[str, FloatArray]:
        """The numeric parameters by name, in their original shapes."""
        return {}

    def expanded(self, name: str, shape: tuple[int, ...]) -> FloatArray:
        """Parameter `name` broadcast to the layer's neurons `shape`."""
        return per_neuron(self.parameters()[name], shape)

    def shape_problems(self, shape: tuple[int, ...]) -> list[str]:
        """All reasons why these parameters do not fit a layer with neurons of `shape`."""
        return shape_problems(self.parameters(), shape)

    def __repr__(self) -> str:
        texts = [
            f"{name}={value.item():g}" if value.size == 1 else f"{name}=array{value.shape}"
            for name, value in self.parameters().items()
        ]
        return f"{type(self).__name__}({', '.join(texts)})"


@dataclass(frozen=True, eq=False, repr=False)
class Delta(_Neuron):
    """Input neurons of a sigma-delta network: they send the changes of their input. See the module for the equations.

    threshold: one whole number in 0..2^19-1 (vThMant), the smallest change of the integer input that is sent.

    Raises:
        NetworkError: the threshold is not such a number.
    """

    kind: ClassVar[str] = "delta"
    threshold: FloatArray

    def __init__(self, threshold: Any = 0) -> None:
        object.__setattr__(self, "threshold", _one_threshold("threshold", threshold))

    def parameters(self) -> dict[str, FloatArray]:
        """See `_Neuron.parameters`."""
        return {"threshold": self.threshold}


@dataclass(frozen=True, eq=False, repr=False)
class SigmaDelta(_Neuron):
    """Neurons that add up messages and send the changes of their activation. See the module for the equations.

    threshold: one whole number in 0..2^19-1 (vThMant). bias: whole numbers in -2^19+1..2^19-1, a scalar or one per
    neuron (for images also one per channel). activation: "relu", or "unit" for none (netx always applies ReLU).

    Raises:
        NetworkError: a parameter is out of its range; all problems are listed.
    """

    kind: ClassVar[str] = "sigma_delta"
    threshold: FloatArray
    bias: FloatArray
    activation: Activation

    def __init__(self, threshold: Any = 0, bias: Any = 0, activation: Activation = "relu") -> None:
        problems: list[str] = []
        checks: dict[str, tuple[Callable[[str, Any], FloatArray], Any]] = {
            "threshold": (_one_threshold, threshold),
            "bias": (_whole, bias),
        }
        for name, (check, value) in checks.items():
            try:
                object.__setattr__(self, name, check(name, value))
            except NetworkError as error:
                problems += error.problems
        if activation not in ACTIVATIONS:
            problems.append(f"activation: expected one of {', '.join(ACTIVATIONS)}, found {activation!r}")
        object.__setattr__(self, "activation", activation)
        if problems:
            raise NetworkError(problems)

    def parameters(self) -> dict[str, FloatArray]:
        """See `_Neuron.parameters`."""
        return {"threshold": self.threshold, "bias": self.bias}


@dataclass(frozen=True, eq=False, repr=False)
class Sigma(_Neuron):
    """Output neurons that add up messages and send the sum in every time step (`sigma_output` in a `.net` file)."""

    kind: ClassVar[str] = "sigma"


SIGMA_DELTA = (Delta, SigmaDelta, Sigma)
"""The neurons of a sigma-delta network."""


def sigma_delta_neuron(kind: str, parameters: dict[str, Any], activation: Any = "relu") -> Delta | SigmaDelta | Sigma:
    """The neurons of a `kind` from a file. NetworkError if there is no such kind or a parameter is invalid."""
    if kind == Delta.kind:
        return Delta(**parameters)
    if kind == SigmaDelta.kind:
        return SigmaDelta(**parameters, activation=activation)
    if kind == Sigma.kind:
        return Sigma(**parameters)
    raise NetworkError([f"unknown kind of neurons {str(kind)[:40]!r}"])


def _one_threshold(name: str, value: Any) -> FloatArray:
    array = _whole(name, value)
    if array.size != 1:
        raise NetworkError([f"{name}: expected one number, found shape {array.shape}; Loihi has one per layer"])
    if array.item() < 0:
        raise NetworkError([f"{name}: expected a whole number in 0..{LIMIT - 1}, found {array.item():g}"])
    return array


def _whole(name: str, value: Any) -> FloatArray:
    array = frozen_array(value, name)
    wrong = (array != array.round()) | (abs(array) >= LIMIT)
    if wrong.any():
        expected = f"whole numbers in {1 - LIMIT}..{LIMIT - 1}"
        raise NetworkError([f"{name}: expected {expected}, found {array[wrong].flat[0]:g}"])
    return array
