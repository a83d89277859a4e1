"""The attribution ladder: one trained network, deployed one step at a time.

| rung | what changes | arithmetic |
|---|---|---|
| float | nothing: the network as trained | real |
| weights | weights are rounded to Loihi's grid, in the units of the trained network | real |
| decays | decays are rounded to multiples of 1 / 4096 and biases to mantissas: every parameter is Loihi's | real |
| state | synaptic current and membrane voltage are 24-bit integers, decayed toward zero | loihi |

Adjacent rungs differ in one step only, so a difference in leakage between them is the effect of that step. The
threshold has no rung: `deploy.quantize` scales each row of weights so that the threshold is an integer without being
rounded. The last two rungs hold the same network; substrates with real arithmetic read its integers as real numbers
(see `Network.arithmetic`).

    for rung in ladder(network):
        with bl.open_target(rung.network, {"real": "snntorch", "loihi": "loihi"}[rung.arithmetic]) as target:
            ...

The rungs above these vary what the attacker observes (`access.REVEALS`) of the last rung on one substrate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from bl_neuro.deploy.quantize import FixedPointLayer, quantize
from bl_neuro.layers import Conv, Dense, Layer
from bl_neuro.network import Arithmetic, Network

RungName = Literal["float", "weights", "decays", "state"]
RUNGS: tuple[RungName, ...] = get_args(RungName)
STEPS: dict[RungName, str] = {
    "float": "as trained",
    "weights": "weights rounded",
    "decays": "decays and biases rounded",
    "state": "fixed-point state",
}
"""What changes on each rung, in words."""


@dataclass(frozen=True, eq=False)
class Rung:
    """One step of deployment.

    arithmetic: that of the substrates that run this rung (`Backend.arithmetic`): "real" (snntorch, norse) or "loihi"
    (loihi, lava, and slayer where no state exceeds 24 bits). It may differ from `network.arithmetic`.
    """

    name: RungName
    network: Network
    arithmetic: Arithmetic

    @property
    def step(self) -> str:
        """What changes from the previous rung, in words."""
        return STEPS[self.name]


def ladder(network: Network) -> tuple[Rung, ...]:
    """The rungs of `network`, from float to fixed point; only the last two for a network in Loihi's arithmetic.

    A sigma-delta network has the last one only.

    Raises:
        Unsupported: Loihi cannot hold the network; the message names every layer and parameter that prevents it.
    """
    fixed = quantize(network)
    integers = fixed.as_loihi
    last = (
        Rung("decays", integers, "real"),
        Rung("state", integers, "loihi"),
    )
    if network.is_sigma_delta:  # which no substrate with real arithmetic holds
        return last[1:]
    if network.arithmetic == "loihi":
        return last
    layers: list[Layer] = list(network.layers)
    for layer in fixed.layers:
        layers[layer.index] = _with_rounded_weights(layer)
    rounded = Network(network.input_shape, layers, network.readout)
    return (Rung("float", network, "real"), Rung("weights", rounded, "real"), *last)


def _with_rounded_weights(layer: FixedPointLayer) -> Layer:
    source, weight = layer.source, layer.effective_weight
    if isinstance(source, Conv):
        return Conv(weight, source.neuron, source.stride, source.padding, source.dilation, source.groups)
    return Dense(weight, source.neuron, getattr(source, "delay", None), layer.effective_recurrent)
