"""Results of a comparison: every layer of every pair of substrates, what was promised, and why they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bl_neuro.backends.base import Start
from bl_neuro.deploy.parity.tally import LayerParity, jaccard_index
from bl_neuro.network import Network


@dataclass(frozen=True)
class StimulusParity:
    """How two substrates compare on one kind of input.

    answers_differ: number of samples with different answers, None if a substrate reveals no answer.
    """

    name: str
    samples: int
    bins: int
    identical: int
    answers_differ: int | None


@dataclass(frozen=True, eq=False)
class PairParity:
    """How substrate `left` compares with `right`, the reference.

    promised: whether their spikes are promised to be identical for these inputs. answers_differ: number of the
    `samples` with a different class (no spikes counts as a class), None if a substrate reveals no answer.
    membrane_difference: largest difference of the output membrane potential, in thresholds, None if a substrate does
    not reveal it. causes: known causes of differences, in words.
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
        """Number of compared bins, over all layers."""
        return sum(layer.bins for layer in self.layers)

    @property
    def identical(self) -> int:
        """Number of bins that agree, over all layers."""
        return sum(layer.identical for layer in self.layers)

    @property
    def jaccard(self) -> float:
        """See `jaccard_index`."""
        return jaccard_index(self.layers)

    @property
    def exact(self) -> bool:
        """Whether every bin of every layer agrees."""
        return all(layer.exact for layer in self.layers)

    @property
    def broken(self) -> bool:
        """Whether the spikes were promised to be identical and differ."""
        return self.promised and not self.exact


@dataclass(frozen=True, eq=False)
class ParityReport:
    """Result of `compare`. declined: substrates that could not take part, with the reason."""

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
        """Pairs whose spikes were promised to be identical and differ."""
        return tuple(pair for pair in self.pairs if pair.broken)

    @property
    def silent(self) -> tuple[int, ...]:
        """Layers that never spiked on any substrate, so that no spikes were compared there."""
        layers = zip(*(pair.layers for pair in self.pairs))
        return tuple(same_layer[0].layer for same_layer in layers if all(layer.silent for layer in same_layer))

    def to_json(self) -> dict[str, Any]:
        """Everything except the maps, as JSON-serializable values."""
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
                "name": stimulus.name,
                "samples": stimulus.samples,
                "bins": stimulus.bins,
                "identical": stimulus.identical,
                "answers_differ": stimulus.answers_differ,
            }
            for stimulus in pair.stimuli
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
