"""Results of a comparison: every layer of every pair of substrates, what was promised, and why they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bl_neuro.backends.declaration import Start
from bl_neuro.deploy.parity.tally import LayerParity, jaccard_index
from bl_neuro.network import Network
from bl_neuro.text_tables import Printed, TextTable

PAIR_HEADER = [
    "substrate",
    "against",
    "promise",
    "identical",
    "differ",
    "Jaccard",
    "other answer",
    "membrane differs by",
]
LAYER_HEADER = ["pair", "layer", "", "identical", "differ", "Jaccard", "first difference"]
"""Headers of the tables of pairs and of their layers."""


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


@dataclass(frozen=True, eq=False, repr=False)
class ParityReport(Printed):
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

    def text_parts(self) -> list[str | TextTable]:
        """Tables of the pairs, of the layers that differ and of the spikes, and the verdict on all promises."""
        seconds = ", ".join(f"{name} {spent:.1f} s" for name, spent in self.seconds.items())
        title = f"{self.pairs[0].samples} samples of {self.steps} steps ({seconds})"
        parts: list[str | TextTable] = [TextTable(title, PAIR_HEADER, [_pair_row(pair) for pair in self.pairs], 3)]
        different = [pair for pair in self.pairs if not pair.exact]
        if different:
            rows = [row for pair in different for row in _layer_rows(pair)]
            parts.append(TextTable("\nWhere they differ, layer by layer", LAYER_HEADER, rows, 3, 6))
        parts += [f"- {names}: {cause}" for cause, names in _grouped(different).items()]
        parts += [self._activity(), *self._silence()]
        parts += [f"Not compared: {name}: {reason}" for name, reason in self.declined.items()]
        if self.network.has_bias:
            other = "cold" if self.start == "aligned" else "aligned"
            parts.append(
                f"Start: {self.start}. The network has biases, so a {other} start gives different spikes: "
                f"--start {other}"
            )
        return [*parts, f"\n{_verdict(self)}"]

    def _activity(self) -> TextTable:
        """How many neurons spiked. The comparison says nothing about neurons that did not."""
        pair = self.pairs[0]
        rows = [
            [str(layer.layer), layer.kind, f"{layer.spikes[1]:,}", f"{layer.active[1]:,} of {layer.neurons:,}"]
            for layer in pair.layers
        ]
        return TextTable(f"\nSpikes on {pair.right}", ["layer", "", "spikes", "neurons that spiked"], rows, 2)

    def _silence(self) -> list[str]:
        """What was compared in layers that never spiked."""
        shows_membrane = any(pair.membrane_difference is not None for pair in self.pairs)
        output = self.pairs[0].layers[-1].layer
        lines = []
        for index in self.silent:
            only_membrane = shows_membrane and index == output
            compared = "only the membrane potential of the output" if only_membrane else "nothing"
            lines.append(f"Layer {index} never spiked: {compared} was compared there.")
        return lines


def _pair_row(pair: PairParity) -> list[str]:
    answers = "not shown" if pair.answers_differ is None else f"{pair.answers_differ} of {pair.samples}"
    membrane = "not shown" if pair.membrane_difference is None else f"{pair.membrane_difference:.2g}"
    promise = "BROKEN" if pair.broken else "kept" if pair.promised else "none"
    counts = [f"{100 * pair.identical / pair.bins:.3f} %", str(pair.bins - pair.identical), f"{pair.jaccard:.3f}"]
    return [pair.left, pair.right, promise, *counts, answers, membrane]


def _layer_rows(pair: PairParity) -> list[list[str]]:
    rows = []
    for layer in pair.layers:
        first = layer.first
        place = "none"
        if first is not None:
            neuron = ",".join(map(str, first.neuron))
            sample = f"sample {first.sample} of '{first.stimulus}'"
            place = f"step {first.step}, neuron {neuron}, {sample}: {first.spiked} spikes"
        counts = [f"{100 * layer.fraction:.3f} %", str(layer.bins - layer.identical), f"{layer.jaccard:.3f}", place]
        rows.append([f"{pair.left}-{pair.right}", str(layer.layer), layer.kind, *counts])
    return rows


def _grouped(pairs: list[PairParity]) -> dict[str, str]:
    """Every cause of a difference, with the pairs of substrates that it applies to."""
    groups: dict[str, list[str]] = {}
    for pair in pairs:
        for cause in pair.causes:
            groups.setdefault(cause, []).append(f"{pair.left}-{pair.right}")
    return {cause: ", ".join(names) for cause, names in groups.items()}


def _verdict(report: ParityReport) -> str:
    if report.broken:
        pairs = ", ".join(f"{pair.left} and {pair.right}" for pair in report.broken)
        return f"BROKEN: {pairs} should be identical and are not."
    if len(report.silent) == len(report.pairs[0].layers):
        return "No layer ever spiked, so no promise was tested."
    kept = [f"{pair.left} = {pair.right}" for pair in report.pairs if pair.promised]
    return f"All promises are kept: {', '.join(kept)}." if kept else "These substrates do not promise identical spikes."


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
