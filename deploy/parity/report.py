"""What a comparison found: layers of pairs of substrates, what was promised, and why they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bl_neuro.backends.base import Start
from bl_neuro.deploy.parity.tally import LayerParity
from bl_neuro.network import Network


@dataclass(frozen=True)
class StimulusParity:
    """How two substrates compare on one kind of input. answers_differ: samples answered otherwise, None if unseen."""

    name: str
    samples: int
    bins: int
    identical: int
    answers_differ: int | None


@dataclass(frozen=True, eq=False)
class PairParity:
    """How substrate `left` compares with `right`, the reference.

    promised: whether their spikes are promised to be identical here. answers_differ: of `samples`, how many get
    another class (silence counts as one), or None where a substrate does not show an answer. membrane_difference: the
    largest of the output's membrane, in thresholds, or None where one shows none. causes: why they may differ, in
    words.
    """

    left: str
    right: str
    promised: bool
    layers: tuple[LayerParity, ...]
    stimuli: tuple[StimulusParity, ...]
    samples: int
    answers_differ: int | None
    membrane_difference: float | None
    causes: tuple[str, ...]

    @property
    def bins(self) -> int:
        """Bins that were compared, of all layers."""
        return sum(layer.bins for layer in self.layers)

    @property
    def identical(self) -> int:
        """Bins that agree, of all layers."""
        return sum(layer.identical for layer in self.layers)

    @property
    def jaccard(self) -> float:
        """Spikes that both have / spikes that one or both have, of all layers; 1 where none spiked."""
        either = sum(layer.either for layer in self.layers)
        return sum(layer.both for layer in self.layers) / either if either else 1.0

    @property
    def exact(self) -> bool:
        """Whether every bin of every layer agrees."""
        return self.identical == self.bins

    @property
    def broken(self) -> bool:
        """Whether they were promised to be identical and are not."""
        return self.promised and not self.exact


@dataclass(frozen=True, eq=False)
class ParityReport:
    """What `compare` found. declined: substrates that could not take part, with the reason."""

    network: Network
    substrates: tuple[str, ...]
    declined: dict[str, str]
    pairs: tuple[PairParity, ...]
    start: Start
    steps: int
    seed: int
    seconds: dict[str, float]

    @property
    def broken(self) -> tuple[PairParity, ...]:
        """Pairs that were promised to be identical and are not."""
        return tuple(pair for pair in self.pairs if pair.broken)

    @property
    def silent(self) -> tuple[int, ...]:
        """Layers that never spiked on any substrate: no spike was compared there."""
        layers = zip(*(pair.layers for pair in self.pairs))
        return tuple(several[0].layer for several in layers if all(layer.silent for layer in several))

    def to_json(self) -> dict[str, Any]:
        """Everything but the maps, as JSON-ready values."""
        return {
            "fingerprint": self.network.fingerprint,
            "arithmetic": self.network.arithmetic,
            "substrates": list(self.substrates),
            "declined": self.declined,
            "start": self.start,
            "steps": self.steps,
            "seed": self.seed,
            "seconds": self.seconds,
            "silent_layers": list(self.silent),
            "broken": [[pair.left, pair.right] for pair in self.broken],
            "pairs": [_pair_json(pair) for pair in self.pairs],
        }


def _pair_json(pair: PairParity) -> dict[str, Any]:
    return {
        "substrate": pair.left,
        "reference": pair.right,
        "promised": pair.promised,
        "exact": pair.exact,
        "bins": pair.bins,
        "identical": pair.identical,
        "jaccard": pair.jaccard,
        "samples": pair.samples,
        "answers_differ": pair.answers_differ,
        "membrane_difference": pair.membrane_difference,
        "causes": list(pair.causes),
        "layers": [_layer_json(layer) for layer in pair.layers],
        "inputs": [
            {
                "name": each.name,
                "samples": each.samples,
                "bins": each.bins,
                "identical": each.identical,
                "answers_differ": each.answers_differ,
            }
            for each in pair.stimuli
        ],
    }


def _layer_json(layer: LayerParity) -> dict[str, Any]:
    first = layer.first
    return {
        "layer": layer.layer,
        "kind": layer.kind,
        "bins": layer.bins,
        "identical": layer.identical,
        "fraction": layer.fraction,
        "jaccard": layer.jaccard,
        "spikes": list(layer.spikes),
        "neurons": layer.neurons,
        "neurons_that_spiked": list(layer.active),
        "first": None
        if first is None
        else {
            "step": first.step,
            "input": first.stimulus,
            "sample": first.sample,
            "neuron": list(first.neuron),
            "spiked": first.spiked,
        },
    }
