"""Computes the findings on planted secrets from the finished cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from math import log2
from typing import NamedTuple

import numpy as np

from bl_neuro.access import REVEALS
from bl_neuro.arrays import FloatArray
from bl_neuro.attacks.base import Access
from bl_neuro.backends.registry import ANN
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.definition import Experiment
from bl_neuro.experiment.findings.conversion import difference_of, mean_of, verdict_of
from bl_neuro.experiment.findings.estimates import Mean
from bl_neuro.experiment.findings.secrets_models import (
    InformedFinding,
    SecretAccuracy,
    SecretBits,
    SecretComparison,
    SecretRow,
    SecretsFinding,
    SecretTwinComparison,
)
from bl_neuro.experiment.findings.secrets_repetitions import Attacker, mean_exposure, repetition_findings
from bl_neuro.experiment.measures import (
    SECRET_ACCURACY,
    SECRET_INFORMED,
    SECRET_READER,
    SECRET_READING,
    SECRET_TARGET,
    Measures,
)
from bl_neuro.experiment.secrets_measures import SecretGuessMeasures
from bl_neuro.leakage import PairVerdict, hit_bootstrap, pair_verdicts, paired_test
from bl_neuro.leakage.secrets import exposures, recovered_bits

SMALLEST_MARGIN = 0.01
"""The margin where the reader reads hardly better than chance."""
Guesses = dict[int, SecretGuessMeasures]
"""By target seed."""


class RowName(NamedTuple):
    """What identifies a row. budget: queries per class, None for a white box."""

    substrate: str
    attack: str
    reveals: str
    access: Access
    budget: int | None


class InformedName(NamedTuple):
    """What identifies an informed attacker. images: public images per class and choice."""

    substrate: str
    reveals: str
    images: int


def secrets_finding(
    experiment: Experiment, classes: int, cells: Sequence[Cell], measures: Measures, arithmetic: Mapping[str, str]
) -> SecretsFinding | None:
    """What attacks recover of the secrets of `[secrets]`; None without that table.

    classes: of the dataset. arithmetic: of each substrate; two substrates of one arithmetic are expected to be equal.
    """
    part = experiment.secrets
    if part is None:
        return None
    choices = part.plant.choices(classes)
    read = SECRET_READER.finished(cells, measures)
    ceiling = float(np.mean(read[0][1].accuracy)) if read else None
    margin = max(part.margin * ((1.0 if ceiling is None else ceiling) - 1 / choices), SMALLEST_MARGIN)
    targets = {cell.facts["seed"]: measured for cell, measured in SECRET_TARGET.finished(cells, measures)}
    secrets = {seed: measured.secrets for seed, measured in targets.items()}
    copies = {seed: measured.copies for seed, measured in targets.items() if measured.copies is not None}
    accuracy = _accuracy(cells, measures)
    informed = _informed(cells, measures)
    attacked = _attacked(cells, measures)
    rows = [_row(name, guesses, _rival(name, informed), choices, margin, secrets) for name, guesses in attacked.items()]
    accuracies = {one.substrate: one.value for one in accuracy}
    comparisons, twins = _comparisons(attacked, informed, margin, arithmetic, accuracies)
    return SecretsFinding(
        kind=part.kind,
        secret=part.plant.secret,
        choices=choices,
        chance=1 / choices,
        bits=log2(choices),
        classes=classes if experiment.classes is None else len(experiment.classes),
        ceiling=ceiling,
        accuracy=accuracy,
        margin=margin,
        rows=rows,
        informed=[_informed_finding(name, guesses, secrets) for name, guesses in informed.items()],
        comparisons=comparisons,
        twins=twins,
        guessed_exposure=float(np.mean(exposures(np.arange(1, choices + 1), choices))),
        repetitions=repetition_findings(_attackers(informed, attacked), copies),
    )


def _attackers(informed: Mapping[InformedName, Guesses], attacked: Mapping[RowName, Guesses]) -> list[Attacker]:
    return [
        *(Attacker(name.substrate, None, name.reveals, _spent(own), own) for name, own in informed.items()),
        *(Attacker(name.substrate, name.attack, name.reveals, _spent(own), own) for name, own in attacked.items()),
    ]


def _accuracy(cells: Sequence[Cell], measures: Measures) -> list[SecretAccuracy]:
    values: dict[str, list[float]] = {}
    for cell, measured in SECRET_ACCURACY.finished(cells, measures):
        values.setdefault(cell.facts["substrate"], []).append(measured.accuracy)
    return [
        SecretAccuracy(substrate=name, value=float(np.mean(some)), least=min(some), most=max(some))
        for name, some in values.items()
    ]


def _attacked(cells: Sequence[Cell], measures: Measures) -> dict[RowName, Guesses]:
    table: dict[RowName, Guesses] = {}
    for cell, measured in SECRET_READING.finished(cells, measures):
        facts, access = cell.facts, cell.needs[0].what.access
        name = RowName(facts["substrate"], facts["attack"], facts["reveals"], access, facts["queries"])
        table.setdefault(name, {})[facts["seed"]] = measured
    return table


def _informed(cells: Sequence[Cell], measures: Measures) -> dict[InformedName, Guesses]:
    table: dict[InformedName, Guesses] = {}
    for cell, measured in SECRET_INFORMED.finished(cells, measures):
        name = InformedName(cell.facts["substrate"], cell.facts["reveals"], cell.facts["images"])
        table.setdefault(name, {})[cell.facts["seed"]] = measured
    return table


def _rival(row: RowName, informed: Mapping[InformedName, Guesses]) -> tuple[InformedName, Guesses] | None:
    """The informed attacker with most queries among those that see the same output and ask at most as much.

    For a white box, that sees the most informative output, with any number of queries.
    """
    there = {name: guesses for name, guesses in informed.items() if name.substrate == row.substrate}
    views = [view for view in REVEALS if any(name.reveals == view for name in there)]
    seen = row.reveals if row.access == "black_box" else next(iter(views), None)
    able = [
        (name, guesses)
        for name, guesses in there.items()
        if name.reveals == seen and (row.budget is None or _spent(guesses) <= row.budget)
    ]
    return max(able, key=lambda one: _spent(one[1]), default=None)


def _row(
    name: RowName,
    guesses: Guesses,
    rival: tuple[InformedName, Guesses] | None,
    choices: int,
    margin: float,
    secrets: Mapping[int, Sequence[int]],
) -> SecretRow:
    recovered = _recovered(guesses)
    over_guessing = _less(recovered, 1 / choices)
    informed = None if rival is None else _informed_finding(*rival, secrets)
    better = informed is not None and informed.recovered.value > 1 / choices
    against = _over_informed(guesses, rival[1], margin) if better and rival is not None else None
    return SecretRow(
        substrate=name.substrate,
        attack=name.attack,
        reveals=name.reveals,
        access=name.access,
        budget=name.budget,
        queries=_spent(guesses),
        recovered=recovered,
        bits=_bits(recovered, choices),
        exposure=_exposure(guesses),
        informed=informed,
        over_guessing=over_guessing,
        advantage=over_guessing if against is None else against,
        over="guessing" if against is None else "informed",
        mismatched=_mismatched(guesses, secrets),
    )


def _informed_finding(name: InformedName, guesses: Guesses, secrets: Mapping[int, Sequence[int]]) -> InformedFinding:
    return InformedFinding(
        **name._asdict(),
        queries=_spent(guesses),
        recovered=_recovered(guesses),
        exposure=_exposure(guesses),
        mismatched=_mismatched(guesses, secrets),
    )


def _hits(guesses: Guesses) -> list[FloatArray]:
    return [np.array(guesses[seed].hits, float) for seed in sorted(guesses)]


def _recovered(guesses: Guesses) -> Mean:
    return mean_of(hit_bootstrap(_hits(guesses)))


def _exposure(guesses: Guesses) -> Mean:
    return mean_exposure([exposures(guesses[seed].ranks, guesses[seed].choices) for seed in sorted(guesses)])


def _spent(guesses: Guesses) -> float:
    """Mean number of queries per class."""
    return float(np.mean([measured.queries / len(measured.classes) for measured in guesses.values()]))


def _bits(recovered: Mean, choices: int) -> SecretBits:
    low, high = (
        None if share is None else recovered_bits(min(max(share, 0.0), 1.0), choices)
        for share in (recovered.low, recovered.high)
    )
    return SecretBits(value=recovered_bits(recovered.value, choices), low=low, high=high)


def _less(mean: Mean, constant: float) -> Mean:
    low, high = (None if end is None else end - constant for end in (mean.low, mean.high))
    return mean.model_copy(update={"value": mean.value - constant, "low": low, "high": high})


def _over_informed(guesses: Guesses, rival: Guesses, margin: float) -> Mean | None:
    """Hits less those of the informed attacker, over the same secrets of the same targets; None if there are none."""
    seeds = guesses.keys() & rival.keys()
    if not seeds:
        return None
    own, other = ({seed: table[seed] for seed in seeds} for table in (guesses, rival))
    return difference_of(paired_test(_hits(own), _hits(other), margin).difference)


def _mismatched(guesses: Guesses, secrets: Mapping[int, Sequence[int]]) -> Mean | None:
    """How often guesses match the secrets of the next target; None for one target."""
    seeds = [seed for seed in sorted(guesses) if seed in secrets]
    if len(seeds) < 2:
        return None
    rows = []
    for seed, other in zip(seeds, [*seeds[1:], seeds[0]]):
        measured = guesses[seed]
        others = np.array(secrets[other])[measured.classes]
        rows.append((np.array(measured.guesses) == others).astype(float))
    return mean_of(hit_bootstrap(rows))


class Compared(NamedTuple):
    """Two rows that are compared: an attack and output on two substrates, or on spiking targets and on ANN twins."""

    first: RowName
    second: RowName


def _comparisons(
    attacked: Mapping[RowName, Guesses],
    informed: Mapping[InformedName, Guesses],
    margin: float,
    arithmetic: Mapping[str, str],
    accuracy: Mapping[str, float],
) -> tuple[list[SecretComparison], list[SecretTwinComparison]]:
    """Verdicts on all pairs of substrates, and on spiking targets and their ANN twins, tested together.

    Hits at all budgets of an attack count together. Informed attackers are compared between targets and twins alone.
    accuracy: of the targets on each substrate.
    """
    asking = {
        RowName(name.substrate, "informed", name.reveals, "black_box", name.images): own
        for name, own in informed.items()
    }
    rows = {**attacked, **asking}
    pairs: dict[str, tuple[list[FloatArray], list[FloatArray]]] = {}
    names: dict[str, Compared] = {}
    same = []
    for first, second in [*_substrate_pairs(attacked), *_twin_pairs(rows)]:
        values = _paired(rows, first, second)
        if values is not None:
            key = str(len(names))
            pairs[key], names[key] = values, Compared(first, second)
            alike = arithmetic.get(first.substrate) == arithmetic.get(second.substrate)
            same += [key] if alike and second.substrate != ANN else []
    verdicts = pair_verdicts(pairs, margin, same_computation=same) if pairs else {}
    comparisons, twins = [], []
    for key, compared in names.items():
        if compared.second.substrate == ANN:
            twins.append(_twin_comparison(compared, pairs[key], verdicts[key], accuracy))
        else:
            comparisons.append(_comparison(compared, verdicts[key]))
    return comparisons, twins


def _comparison(compared: Compared, verdict: PairVerdict) -> SecretComparison:
    return SecretComparison(
        attack=compared.first.attack,
        reveals=compared.first.reveals,
        first=compared.first.substrate,
        second=compared.second.substrate,
        verdict=verdict_of(verdict),
        sentence=verdict.described("seed"),
    )


def _twin_comparison(
    compared: Compared,
    hits: tuple[list[FloatArray], list[FloatArray]],
    verdict: PairVerdict,
    accuracy: Mapping[str, float],
) -> SecretTwinComparison:
    first, second = compared
    return SecretTwinComparison(
        attack=first.attack,
        twin_attack=second.attack,
        reveals=first.reveals,
        substrate=first.substrate,
        recovered=float(np.mean(np.concatenate(hits[0]))),
        twin_recovered=float(np.mean(np.concatenate(hits[1]))),
        accuracy=accuracy.get(first.substrate),
        twin_accuracy=accuracy.get(ANN),
        verdict=verdict_of(verdict),
    )


def _substrate_pairs(attacked: Mapping[RowName, Guesses]) -> Iterator[Compared]:
    """Every two substrates under every attack and output, with any budget."""
    plain = dict.fromkeys(name._replace(budget=None) for name in attacked if name.substrate != ANN)
    for attack, reveals in dict.fromkeys((name.attack, name.reveals) for name in plain):
        own = [name for name in plain if (name.attack, name.reveals) == (attack, reveals)]
        yield from (Compared(first, second) for first, second in combinations(own, 2))


def _twin_pairs(rows: Mapping[RowName, Guesses]) -> Iterator[Compared]:
    """Spiking targets on the first substrate and their ANN twins: the same queries, or gradients of either."""
    plain = dict.fromkeys(name._replace(budget=None) for name in rows)
    twins = [name for name in plain if name.substrate == ANN]
    first = next((name.substrate for name in plain if name.substrate != ANN), None)
    for name in plain:
        if name.substrate == first:
            by_queries = [twin for twin in twins if twin == name._replace(substrate=ANN)]
            by_gradient = [twin for twin in twins if name.access == "white_box" and twin.access == "ann"]
            yield from (Compared(name, twin) for twin in [*by_queries, *by_gradient][:1])


def _paired(
    rows: Mapping[RowName, Guesses], first: RowName, second: RowName
) -> tuple[list[FloatArray], list[FloatArray]] | None:
    """Hits of two rows, one array per target with all budgets that both have; None if they share none."""
    both = [
        (guesses, rows[second._replace(budget=name.budget)])
        for name, guesses in rows.items()
        if name._replace(budget=None) == first and second._replace(budget=name.budget) in rows
    ]
    seeds = sorted(set.intersection(*({*one} & {*other} for one, other in both))) if both else []
    if not seeds:
        return None
    return (
        [np.concatenate([np.array(one[seed].hits, float) for one, _ in both]) for seed in seeds],
        [np.concatenate([np.array(other[seed].hits, float) for _, other in both]) for seed in seeds],
    )
