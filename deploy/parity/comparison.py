"""Does a network spike alike on several substrates? `compare` runs it on all of them and says where it does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import combinations
from time import perf_counter
from typing import Any, Literal

import numpy as np

from bl_neuro.backends import available_substrates, find_backend, missing_reason, open_target
from bl_neuro.backends.base import Start, Target
from bl_neuro.backends.registry import BACKENDS
from bl_neuro.deploy.parity.causes import Facts, Ladder, causes, promised
from bl_neuro.deploy.parity.inputs import Stimulus, generated, given
from bl_neuro.deploy.parity.report import PairParity, ParityReport
from bl_neuro.deploy.parity.running import PairTally, Recorded, layers_beyond_24_bits, record
from bl_neuro.deploy.quantize import quantization_problems, quantize
from bl_neuro.errors import InputError, PluginError
from bl_neuro.network import Network, Readout

Pairs = Literal["reference", "all"]
Progress = Callable[[int, int], None]
PIECE_VALUES = 2**24
"""Most spikes of all layers of one pass: bounds memory, however many samples are asked for."""
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
    (T, B, *input_shape), added to the generated inputs (`parity.generated`: random and structured, of `steps` steps, by
    default 20 and the largest delays, `batch` samples each), or several `Stimulus` instead of them. pairs: "reference",
    each with a substrate that another one emulates (lava), else an emulator (loihi), else the first, and those of one
    arithmetic with each other; where the membrane names the class, an emulator is preferred. Or "all".

    Raises:
        InputError: fewer than two substrates, or inputs that do not fit. Unsupported, MissingDependency: of a
        substrate that was named. SubstrateFailed: one crashed.
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
    several = isinstance(inputs, (list, tuple)) and bool(inputs) and all(isinstance(each, Stimulus) for each in inputs)
    if inputs is None:
        return generated(network, steps, batch, seed)
    if not several:
        own = given(inputs, network)
        length = len(own.values)
        if steps not in (None, length):
            raise InputError(f"steps: the given inputs have {length}; expected the same or nothing, found {steps}")
        return (*generated(network, length, batch, seed), own)
    checked = tuple(given(each.values, network, each.name) for each in inputs)
    if len({each.name for each in checked}) < len(checked):
        raise InputError("inputs: expected names that differ")
    if len({len(each.values) for each in checked}) > 1:
        raise InputError("inputs: expected the same number of steps in each")
    return checked


def _chosen(network: Network, wanted: Sequence[str] | None) -> tuple[tuple[str, ...], dict[str, str]]:
    """Who takes part, and who cannot and why."""
    if wanted is not None:
        names = tuple(dict.fromkeys(wanted))
        for name in names:
            find_backend(name)
        declined: dict[str, str] = {}
    else:
        found = {name: _reason(network, name) for name in available_substrates()}
        names = tuple(name for name, reason in found.items() if reason is None)
        declined = {name: reason for name, reason in found.items() if reason is not None}
    if len(names) < 2:
        told = "".join(f"; {name}: {reason}" for name, reason in declined.items())
        raise InputError(f"substrates: expected at least two to compare, found {', '.join(names) or 'none'}{told}")
    return names, declined


def _reason(network: Network, name: str) -> str | None:
    """Why a substrate cannot take part, or None."""
    try:
        backend = find_backend(name)
    except PluginError as error:
        return str(error)
    problems = backend.problems(network)
    return "; ".join(problems) if problems else missing_reason(backend)


def _pairs(names: tuple[str, ...], which: Pairs, readout: Readout) -> list[tuple[str, str]]:
    """Who is compared with whom, the reference second; where a membrane names the class, one that shows it."""
    ordered = sorted(names, key=lambda name: _reference_rank(name, readout))
    if which == "all":
        return [(left, right) for right, left in combinations(ordered, 2)]
    reference = ordered[0]
    found = [(name, reference) for name in names if name != reference]
    first: dict[str, str] = {}  # of each arithmetic: what is promised is also looked at
    for name in names:
        arithmetic = find_backend(name).arithmetic
        if arithmetic is None or arithmetic == find_backend(reference).arithmetic:
            continue
        if first.setdefault(arithmetic, name) != name:
            found.append((name, first[arithmetic]))
    return found


def _reference_rank(name: str, readout: Readout) -> int:
    """How far down the list of references a substrate stands: ground truths, then their emulators, then all others.

    Where a membrane names the class, the emulators come first, because they show it.
    """
    if any(backend.emulates == name for backend in BACKENDS.usable().values()):
        return 0 if readout == "spikes" else 2
    return 1 if find_backend(name).emulates is not None else 3


class _Comparison:
    """Targets that run side by side, and the tallies of their pairs."""

    def __init__(
        self, network: Network, targets: dict[str, Target], pairs: list[tuple[str, str]], start: Start
    ) -> None:
        self._network, self._targets, self._start = network, targets, start
        self._tallies = {pair: PairTally(network, pair) for pair in pairs}
        self._ladder: tuple[PairTally, PairTally] | None = None
        self._rungs: tuple[str, str] = ("", "")
        self._fixed = None if quantization_problems(network) else quantize(network)
        self._integers = next((name for name in targets if find_backend(name).arithmetic == "loihi"), None)
        self._beyond: set[int] = set()
        self.seconds = dict.fromkeys(targets, 0.0)

    def add_twin(self, stack: ExitStack) -> None:
        """Opens the network with rounded parameters too, where real numbers meet Loihi's integers."""
        if self._network.arithmetic != "real" or self._fixed is None or self._integers is None:
            return
        twin = self._fixed.stated
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
        """Asks every target everything, in pieces of bounded size."""
        values = np.concatenate([each.values for each in stimuli], axis=1)
        owner = np.repeat(np.arange(len(stimuli)), [each.samples for each in stimuli])
        begins = np.cumsum([0, *(each.samples for each in stimuli)])
        neurons = sum(int(np.prod(shape)) for shape in (self._network.input_shape, *self._network.shapes))
        size = max(1, PIECE_VALUES // (len(values) * neurons))
        for begin in range(0, values.shape[1], size):
            piece = values[:, begin : begin + size]
            recorded = {name: self._ask(name, piece) for name in self._targets}
            if self._fixed is not None and self._integers is not None:
                self._beyond |= layers_beyond_24_bits(
                    self._fixed, piece, recorded[self._integers], self._start, self._beyond
                )
            owners = owner[begin : begin + size]
            for index in np.unique(owners):
                where = np.flatnonzero(owners == index)
                part = slice(int(where[0]), int(where[-1]) + 1)
                self._add(recorded, part, stimuli[index].name, begin + part.start - int(begins[index]))
            if progress is not None:
                progress(min(begin + size, values.shape[1]), values.shape[1])

    def _ask(self, name: str, piece: Any) -> Recorded:
        began = perf_counter()
        recorded = record(self._targets[name], piece, self._start)
        if name in self.seconds:
            self.seconds[name] += perf_counter() - began
        return recorded

    def _add(self, recorded: dict[str, Recorded], part: slice, stimulus: str, offset: int) -> None:
        for (left, right), tally in self._tallies.items():
            tally.add(recorded[left].part(part), recorded[right].part(part), stimulus, offset)
        if self._ladder is not None:
            for rung, tally in zip(self._rungs, self._ladder):
                tally.add(recorded[TWIN].part(part), recorded[rung].part(part), stimulus, offset)

    def results(self) -> tuple[PairParity, ...]:
        """Every pair, with what was promised and known causes."""
        ladder = None
        if self._ladder is not None:
            parameters, states = (1 - tally.fraction for tally in self._ladder)
            ladder = Ladder(self._rungs[0], parameters, states)
        facts = Facts(self._network, self._fixed, tuple(sorted(self._beyond)), ladder)
        found = []
        for (left, right), tally in self._tallies.items():
            backends = find_backend(left), find_backend(right)
            found.append(tally.result(promised(*backends, facts), causes(*backends, facts, tally.exact)))
        return tuple(found)
