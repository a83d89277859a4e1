"""Why two substrates may differ on a network, in words, from what was measured."""

from __future__ import annotations

from dataclasses import dataclass

from bl_neuro.backends.base import Backend
from bl_neuro.deploy.loihi_weights import survives_encoding
from bl_neuro.deploy.quantize import FixedPointLayer, FixedPointNetwork
from bl_neuro.layers import Dense, Input
from bl_neuro.network import Network


@dataclass(frozen=True)
class Ladder:
    """Parts of the bins that change: from real numbers to rounded parameters, and from there to rounded states."""

    substrate: str
    parameters: float
    states: float


@dataclass(frozen=True, eq=False)
class Facts:
    """What was found out beside the spikes. fixed: the network in Loihi's integers, or None where it has no such form.

    left_24_bits: indices of layers where a state of Loihi's arithmetic did. ladder: None where not measured.
    """

    network: Network
    fixed: FixedPointNetwork | None
    left_24_bits: tuple[int, ...] = ()
    ladder: Ladder | None = None


def promised(left: type[Backend], right: type[Backend], facts: Facts) -> bool:
    """Whether these two promise identical spikes for these inputs: one arithmetic, and no caveat that applies."""
    if left.arithmetic is None or left.arithmetic != right.arithmetic:
        return False
    return left.holds_24_bits == right.holds_24_bits or not facts.left_24_bits


def causes(left: type[Backend], right: type[Backend], facts: Facts, exact: bool) -> tuple[str, ...]:
    """Known causes of the differences between two substrates; none where there are no differences."""
    if exact:
        return ()
    if left.arithmetic is None or right.arithmetic is None:
        silent = left.name if left.arithmetic is None else right.name
        return (f"{silent} does not say in which arithmetic it computes, so nothing is promised",)
    if promised(left, right, facts):
        return (
            f"none is known: {left.name} and {right.name} compute in the same arithmetic and should agree in every "
            "bin; a backend, or the version of its framework, is at fault",
        )
    if left.arithmetic == right.arithmetic:
        unbounded = left.name if not left.holds_24_bits else right.name
        return (
            f"{_where(facts.left_24_bits)}: Loihi wraps the current and clips the voltage there; {unbounded} does not",
        )
    return tuple(_rounding(facts))


def _rounding(facts: Facts) -> list[str]:
    """Between real numbers and Loihi's integers."""
    found = []
    if facts.fixed is not None:
        layers = facts.fixed.layers
        found += _of_parameters(layers) if facts.network.arithmetic == "real" else _of_encodings(layers)
        if any(_remembers(layer) for layer in layers):
            found.append(
                "state rounding: Loihi cuts current and voltage toward zero to 1/64 of a weight step as they decay"
            )
    if facts.left_24_bits:
        found.append(f"{_where(facts.left_24_bits)}: Loihi wraps the current and clips the voltage there")
    if facts.ladder is not None:
        ladder = facts.ladder
        found.append(
            f"measured on {ladder.substrate}: rounded parameters alone change {100 * ladder.parameters:.2f} % of the "
            f"bins; integer states change {100 * ladder.states:.2f} % after that"
        )
    return found


def _of_parameters(layers: tuple[FixedPointLayer, ...]) -> list[str]:
    losses = {
        "weight rounding (RMS)": [(each.index, 100 * each.weight_loss, " %") for each in layers],
        "decay rounding (largest)": [(each.index, each.decay_loss, "") for each in layers],
        "bias rounding (RMS, of the threshold)": [(each.index, 100 * each.bias_loss, " %") for each in layers],
    }
    found = []
    for name, values in losses.items():
        told = [f"layer {index} {value:.2g}{unit}" for index, value, unit in values if value > 0]
        if told:
            found.append(f"{name}: {', '.join(told)}")
    thresholds = ", ".join(f"layer {each.index} {each.threshold}" for each in layers)
    found.append(f"thresholds are not rounded: weights are scaled to a threshold of so many weight steps: {thresholds}")
    return found


def _of_encodings(layers: tuple[FixedPointLayer, ...]) -> list[str]:
    """A network in Loihi's arithmetic has rounded parameters already; its real twin takes the same numbers."""
    found = ["parameters are not a cause: both compute with the same whole numbers"]
    for each in layers:
        if isinstance(each.source, Input):
            found.append(f"layer {each.index}: Loihi cuts the drive of input neurons toward zero to whole numbers")
        elif isinstance(each.source, Dense) and not survives_encoding(each.weight):
            found.append(f"layer {each.index}: Loihi holds these weights in fewer bits and rounds their sums down")
    return found


def _remembers(layer: FixedPointLayer) -> bool:
    """Whether a state of the layer decays to something else than all or nothing, so that it has to be rounded."""
    return any(bool(((decay > 0) & (decay < 4096)).any()) for decay in (layer.current_decay, layer.voltage_decay))


def _where(indices: tuple[int, ...]) -> str:
    listed = ", ".join(map(str, indices))
    return f"states left 24 bits in layer{'s' if len(indices) > 1 else ''} {listed}"
