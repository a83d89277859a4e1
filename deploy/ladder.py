"""The attribution ladder: one trained network, deployed one step at a time.

| rung | what is new | arithmetic |
|---|---|---|
| float | nothing: the network as trained | real |
| weights | weights are those which Loihi holds, in the units of the trained network | real |
| decays | decays in 1 / 4096 and biases in mantissas too: every parameter is Loihi's | real |
| state | current and voltage are integers of 24 bits, decayed toward zero | loihi |

Two rungs differ in one step alone, so that a difference in leakage between them is that step's. The threshold has no
rung: `deploy.quantize` scales each row so that it is a whole number without being rounded. The last two rungs hold the
same network, which substrates of real arithmetic take as real numbers; see `Network.arithmetic`.

    for rung in ladder(network):
        with bl.open_target(rung.network, {"real": "snntorch", "loihi": "loihi"}[rung.arithmetic]) as target:
            ...

What the attacker is shown (`access.REVEALS`) makes the rungs above: the last of these on one substrate, seen in turn.
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
"""What is new on each rung, in words."""


@dataclass(frozen=True, eq=False)
class Rung:
    """One step of deployment.

    arithmetic: that of the substrates which run it, `Backend.arithmetic`: "real" (snntorch, norse) or "loihi" (loihi,
    lava, and slayer where no state leaves 24 bits). It may differ from the network's.
    """

    name: RungName
    network: Network
    arithmetic: Arithmetic

    @property
    def step(self) -> str:
        """What is new against the rung before, in words."""
        return STEPS[self.name]


def ladder(network: Network) -> tuple[Rung, ...]:
    """The rungs of `network`, from float to fixed point. Of one in Loihi's arithmetic, the last two.

    Raises:
        Unsupported: Loihi cannot hold it; every layer and parameter that stands in the way is named.
    """
    fixed = quantize(network)
    stated = fixed.stated
    last = (
        Rung("decays", stated, "real"),
        Rung("state", stated, "loihi"),
    )
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
    return Dense(weight, source.neuron)
