"""Compares the spikes of a network on several substrates: `compare` runs it on all and reports where they differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import combinations
from time import perf_counter
from typing import Any, Literal

import numpy as np

from bl_neuro.backends import available_substrates, find_backend, missing_reason, open_target
from bl_neuro.backends.declaration import Start
from bl_neuro.backends.registry import BACKENDS
from bl_neuro.backends.target import Target
from bl_neuro.deploy.parity.causes import Facts, Ladder, causes, promised
from bl_neuro.deploy.parity.inputs import Stimulus, checked_stimulus, generated
from bl_neuro.deploy.parity.report import PairParity, ParityReport
from bl_neuro.deploy.parity.running import PairTally, Recorded, layers_beyond_24_bits, record
from bl_neuro.deploy.quantize import quantization_problems, quantize
from bl_neuro.errors import InputError, PluginError
from bl_neuro.network import Network, Readout

Pairs = Literal["reference", "all"]
Progress = Callable[[int, int], None]
PIECE_VALUES = 2**24
"""Maximum number of spike values of all layers in one pass, which bounds memory for any number of samples."""
TWIN = "rounded parameters"


def compare(
    network: Network,
    substrates: Sequence[str] | None = None,
    inputs: Any = None,
    start: Start = "aligned",
    steps: int | None = None,
    batch: int = 4,
    seed: int = 0,
    pairs: Pairs = "reference",
    progress: Progress | None = None,
) -> ParityReport:
    """Runs `network` on `substrates` with the same inputs and compares the spikes of every layer.

    substrates: names; by default all that are installed and can hold the network. inputs: an array
    (T, B, *input_shape) that is added to the generated inputs, or a list of `Stimulus` that replaces them; the
    generated ones are random and structured, `batch` samples each (see `parity.generated`). steps: number of time
    steps; by default 20 plus the largest delay of each layer. pairs: "reference" compares every substrate with one that
    another one emulates (lava), else with an emulator (loihi; first for a membrane readout), or else with the first,
    and substrates of the same arithmetic with each other; "all" compares every pair.

    Raises:
        InputError: fewer than two substrates, or inputs that do not fit the network.
        Unsupported, MissingDependency: a requested substrate cannot hold the network or is not installed.
        SubstrateFailed: a substrate crashed.
    """
    if pairs not in ("reference", "all"):
        raise InputError(f"pairs: expected 'reference' or 'all', found {pairs!r}")
    stimuli = _stimuli(network, inputs, steps, batch, seed)
    names, declined = _chosen(network, substrates)
    with ExitStack() as stack:
        targets = {name: stack.enter_context(open_target(network, name)) for name in names}
        comparison = _Comparison(network, targets, _pairs(names, pairs, network.readout), start)
        comparison.add_twin(stack)
        comparison.run(stimuli, progress)
    return ParityReport(
        network=network,
        substrates=names,
        declined=declined,
        pairs=comparison.results(),
        start=start,
        steps=stimuli[0].values.shape[0],
        seed=seed,
        seconds={name: round(comparison.seconds[name], 3) for name in names},
    )


def _stimuli(network: Network, inputs: Any, steps: int | None, batch: int, seed: int) -> tuple[Stimulus, ...]:
    are_stimuli = (
        isinstance(inputs, (list, tuple))
        and bool(inputs)
        and all(isinstance(stimulus, Stimulus) for stimulus in inputs)
    )
    if inputs is None:
        return generated(network, steps, batch, seed)
    if not are_stimuli:
        user_input = checked_stimulus(inputs, network)
        length = len(user_input.values)
        if steps not in (None, length):
            raise InputError(f"steps: expected {length}, the steps of the given inputs, or None, found {steps}")
        return (*generated(network, length, batch, seed), user_input)
    checked = tuple(checked_stimulus(stimulus.values, network, stimulus.name) for stimulus in inputs)
    if len({stimulus.name for stimulus in checked}) < len(checked):
        raise InputError("inputs: expected distinct names")
    if len({len(stimulus.values) for stimulus in checked}) > 1:
        raise InputError("inputs: expected the same number of steps in each")
    return checked


def _chosen(network: Network, requested: Sequence[str] | None) -> tuple[tuple[str, ...], dict[str, str]]:
    """The substrates to compare, and the reasons why the others cannot take part."""
    if requested is not None:
        names = tuple(dict.fromkeys(requested))
        for name in names:
            find_backend(name)
        declined: dict[str, str] = {}
    else:
        reasons = {name: _reason(network, name) for name in available_substrates()}
        names = tuple(name for name, reason in reasons.items() if reason is None)
        declined = {name: reason for name, reason in reasons.items() if reason is not None}
    if len(names) < 2:
        suffix = "".join(f"; {name}: {reason}" for name, reason in declined.items())
        raise InputError(f"substrates: expected at least two to compare, found {', '.join(names) or 'none'}{suffix}")
    return names, declined


def _reason(network: Network, name: str) -> str | None:
    """The reason why a substrate cannot take part, or None."""
    try:
        backend = find_backend(name)
    except PluginError as error:  # a backend of another package that cannot be loaded
        return str(error)
    problems = backend.problems(network)
    return "; ".join(problems) if problems else missing_reason(backend)


def _pairs(names: tuple[str, ...], which: Pairs, readout: Readout) -> list[tuple[str, str]]:
    """Pairs (substrate, reference); for a membrane readout the reference is one that reveals the membrane."""
    ordered = sorted(names, key=lambda name: _reference_rank(name, readout))
    if which == "all":
        return [(left, right) for right, left in combinations(ordered, 2)]
    reference = ordered[0]
    pairs = [(name, reference) for name in names if name != reference]
    first: dict[str, str] = {}  # first substrate of each arithmetic, so that promised identities are checked
    for name in names:
        arithmetic = find_backend(name).arithmetic
        if arithmetic is None or arithmetic == find_backend(reference).arithmetic:
            continue
        if first.setdefault(arithmetic, name) != name:
            pairs.append((name, first[arithmetic]))
    return pairs


def _reference_rank(name: str, readout: Readout) -> int:
    """How far down the list of references a substrate stands: ground truths, then their emulators, then all others.

    Where a membrane names the class, the emulators come first, because they show it.
    """
    if any(backend.emulates == name for backend in BACKENDS.usable().values()):
        return 0 if readout == "spikes" else 2
    return 1 if find_backend(name).emulates is not None else 3


class _Comparison:
    """Targets that receive the same inputs, and the tallies of their pairs."""

    def __init__(
        self, network: Network, targets: dict[str, Target], pairs: list[tuple[str, str]], start: Start
    ) -> None:
        self._network, self._targets, self._start = network, targets, start
        self._tallies = {pair: PairTally(network, pair) for pair in pairs}
        self._ladder: tuple[PairTally, PairTally] | None = None
        self._rungs: tuple[str, str] = ("", "")
        self._fixed = None if quantization_problems(network) else quantize(network)
        self._integers = next((name for name in targets if find_backend(name).arithmetic == "loihi"), None)
        self._exceeded: set[int] = set()
        self.seconds = dict.fromkeys(targets, 0.0)

    def add_twin(self, stack: ExitStack) -> None:
        """Also opens the network with rounded parameters, if real arithmetic is compared with Loihi's integers."""
        if self._network.arithmetic != "real" or self._fixed is None or self._integers is None:
            return
        twin = self._fixed.as_loihi
        for name in self._targets:
            backend = find_backend(name)
            if backend.arithmetic == "real" and not backend.problems(twin):
                self._targets[TWIN] = stack.enter_context(open_target(twin, name))
                self._rungs = (name, self._integers)
                self._ladder = (
                    PairTally(self._network, (TWIN, name)),
                    PairTally(self._network, (TWIN, self._integers)),
                )
                return

    def run(self, stimuli: tuple[Stimulus, ...], progress: Progress | None) -> None:
        """Runs every target on all stimuli, in pieces of bounded size."""
        values = np.concatenate([stimulus.values for stimulus in stimuli], axis=1)
        stimulus_indices = np.repeat(np.arange(len(stimuli)), [stimulus.samples for stimulus in stimuli])
        begins = np.cumsum([0, *(stimulus.samples for stimulus in stimuli)])
        neurons = sum(int(np.prod(shape)) for shape in (self._network.input_shape, *self._network.shapes))
        size = max(1, PIECE_VALUES // (len(values) * neurons))
        for begin in range(0, values.shape[1], size):
            piece = values[:, begin : begin + size]
            recorded = {name: self._ask(name, piece) for name in self._targets}
            if self._fixed is not None and self._integers is not None:
                self._exceeded |= layers_beyond_24_bits(
                    self._fixed, piece, recorded[self._integers], self._start, self._exceeded
                )
            piece_indices = stimulus_indices[begin : begin + size]
            for index in np.unique(piece_indices):
                positions = np.flatnonzero(piece_indices == index)
                part = slice(int(positions[0]), int(positions[-1]) + 1)
                self._add(recorded, part, stimuli[index].name, begin + part.start - int(begins[index]))
            if progress is not None:
                progress(min(begin + size, values.shape[1]), values.shape[1])

    def _ask(self, name: str, piece: Any) -> Recorded:
        start_time = perf_counter()
        recorded = record(self._targets[name], piece, self._start)
        if name in self.seconds:
            self.seconds[name] += perf_counter() - start_time
        return recorded

    def _add(self, recorded: dict[str, Recorded], part: slice, stimulus: str, offset: int) -> None:
        for (left, right), tally in self._tallies.items():
            tally.add(recorded[left].part(part), recorded[right].part(part), stimulus, offset)
        if self._ladder is not None:
            for rung, tally in zip(self._rungs, self._ladder):
                tally.add(recorded[TWIN].part(part), recorded[rung].part(part), stimulus, offset)

    def results(self) -> tuple[PairParity, ...]:
        """The result of every pair, with what was promised and the known causes."""
        ladder = None
        if self._ladder is not None:
            parameters, states = (1 - tally.fraction for tally in self._ladder)
            ladder = Ladder(self._rungs[0], parameters, states)
        facts = Facts(self._network, self._fixed, tuple(sorted(self._exceeded)), ladder)
        results = []
        for (left, right), tally in self._tallies.items():
            backends = find_backend(left), find_backend(right)
            results.append(tally.result(promised(*backends, facts), causes(*backends, facts, tally.exact)))
        return tuple(results)
