"""Known causes of differences between two substrates on one network, in words, from the measured facts."""

from __future__ import annotations

from dataclasses import dataclass

from bl_neuro.backends.base import Backend
from bl_neuro.backends.registry import arithmetic_title
from bl_neuro.deploy.loihi_weights import survives_encoding
from bl_neuro.deploy.quantize import FixedPointLayer, FixedPointNetwork
from bl_neuro.layers import Dense, Input
from bl_neuro.network import Network


@dataclass(frozen=True)
class Ladder:
    """Fractions of the bins that change: by rounding the parameters, and then by rounding the states as well."""

    substrate: str
    parameters: float
    states: float


@dataclass(frozen=True, eq=False)
class Facts:
    """Measured facts about a network beside its spikes.

    fixed: the network in Loihi's integers, or None if it has no such form. left_24_bits: indices of layers in which a
    state exceeded 24 bits in Loihi's arithmetic. ladder: None if not measured.
    """

    network: Network
    fixed: FixedPointNetwork | None
    left_24_bits: tuple[int, ...] = ()
    ladder: Ladder | None = None


def promised(left: type[Backend], right: type[Backend], facts: Facts) -> bool:
    """Whether the two backends promise identical spikes for these inputs: same arithmetic, and no exception applies."""
    if left.arithmetic is None or left.arithmetic != right.arithmetic:
        return False
    return left.holds_24_bits == right.holds_24_bits or not facts.left_24_bits


def causes(left: type[Backend], right: type[Backend], facts: Facts, exact: bool) -> tuple[str, ...]:
    """Known causes of the differences between two substrates; empty if there are no differences."""
    if exact:
        return ()
    if left.arithmetic is None or right.arithmetic is None:
        undeclared = left.name if left.arithmetic is None else right.name
        return (f"{undeclared} does not declare its arithmetic, so no agreement is promised",)
    if promised(left, right, facts):
        return (
            f"no known cause: {left.name} and {right.name} compute in the same arithmetic and should agree in every "
            "bin; a backend, or the version of its framework, is at fault",
        )
    if left.arithmetic == right.arithmetic:
        unbounded = left.name if not left.holds_24_bits else right.name
        return (
            f"{_overflow(facts.left_24_bits)}: Loihi wraps the current and clips the voltage there; "
            f"{unbounded} does not",
        )
    if {left.arithmetic, right.arithmetic} != {"real", "loihi"}:
        return (
            f"different arithmetics: {left.name} computes in {arithmetic_title(left.arithmetic)} and {right.name} "
            f"computes in {arithmetic_title(right.arithmetic)}",
        )
    return tuple(_rounding(facts))


def _rounding(facts: Facts) -> list[str]:
    """Causes of differences between real arithmetic and Loihi's integers."""
    causes = []
    if facts.fixed is not None:
        layers = facts.fixed.layers
        causes += _of_parameters(layers) if facts.network.arithmetic == "real" else _of_encodings(layers)
        if any(_remembers(layer) for layer in layers):
            causes.append(
                "state rounding: Loihi truncates current and voltage toward zero to 1/64 of a weight step as they decay"
            )
    if facts.left_24_bits:
        causes.append(f"{_overflow(facts.left_24_bits)}: Loihi wraps the current and clips the voltage there")
    if facts.ladder is not None:
        ladder = facts.ladder
        causes.append(
            f"measured on {ladder.substrate}: rounded parameters alone change {100 * ladder.parameters:.2f} % of the "
            f"bins; integer states change {100 * ladder.states:.2f} % after that"
        )
    return causes


def _of_parameters(layers: tuple[FixedPointLayer, ...]) -> list[str]:
    losses = {
        "weight rounding (RMS)": [(layer.index, 100 * layer.weight_loss, " %") for layer in layers],
        "decay rounding (largest)": [(layer.index, layer.decay_loss, "") for layer in layers],
        "bias rounding (RMS, of the threshold)": [(layer.index, 100 * layer.bias_loss, " %") for layer in layers],
    }
    causes = []
    for name, values in losses.items():
        entries = [f"layer {index} {value:.2g}{unit}" for index, value, unit in values if value > 0]
        if entries:
            causes.append(f"{name}: {', '.join(entries)}")
    thresholds = ", ".join(f"layer {layer.index} {layer.threshold}" for layer in layers)
    causes.append(f"thresholds are not rounded: weights are scaled to these thresholds, in weight steps: {thresholds}")
    return causes


def _of_encodings(layers: tuple[FixedPointLayer, ...]) -> list[str]:
    """Causes for a network in Loihi's arithmetic, whose parameters are integers on both substrates."""
    causes = ["parameters are not a cause: both compute with the same whole numbers"]
    for layer in layers:
        if isinstance(layer.source, Input):
            causes.append(
                f"layer {layer.index}: Loihi truncates the drive of input neurons toward zero to whole numbers"
            )
        elif isinstance(layer.source, Dense) and not survives_encoding(layer.weight):
            causes.append(f"layer {layer.index}: Loihi stores these weights in fewer bits and rounds their sums down")
    return causes


def _remembers(layer: FixedPointLayer) -> bool:
    """Whether a decay of the layer lies strictly between 0 and 1, so that its state has to be rounded."""
    return any(bool(((decay > 0) & (decay < 4096)).any()) for decay in (layer.current_decay, layer.voltage_decay))


def _overflow(indices: tuple[int, ...]) -> str:
    listed = ", ".join(map(str, indices))
    return f"states exceeded 24 bits in layer{'s' if len(indices) > 1 else ''} {listed}"
