"""Computes the findings on planted secrets from the finished cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import log2

import numpy as np

from bl_neuro.access import REVEALS
from bl_neuro.arrays import FloatArray
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
)
from bl_neuro.experiment.findings.secrets_repetitions import Attacker, mean_exposure, repetition_findings
from bl_neuro.experiment.findings.secrets_rows import Guesses, InformedName, RowName, hits_of_both, row_name
from bl_neuro.experiment.findings.secrets_twins import twin_comparisons
from bl_neuro.experiment.findings.verdicts import PairedArrays
from bl_neuro.experiment.measures import (
    SECRET_ACCURACY,
    SECRET_INFORMED,
    SECRET_READER,
    SECRET_READING,
    SECRET_TARGET,
    Measures,
)
from bl_neuro.experiment.secrets_part import SecretsPart
from bl_neuro.leakage import hit_bootstrap, pair_verdicts, paired_test
from bl_neuro.leakage.secrets import exposures, recovered_bits

SMALLEST_MARGIN = 0.01
"""The margin where the reader reads hardly better than chance."""


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
    ceiling, margin = _ceiling(cells, measures), secrets_margin(part, choices, cells, measures)
    targets = {cell.facts["seed"]: measured for cell, measured in SECRET_TARGET.finished(cells, measures)}
    secrets = {seed: measured.secrets for seed, measured in targets.items()}
    copies = {seed: measured.copies for seed, measured in targets.items() if measured.copies is not None}
    accuracy = _accuracy(cells, measures)
    informed = _informed(cells, measures)
    attacked = _attacked(cells, measures)
    rows = [_row(name, guesses, _rival(name, informed), choices, margin, secrets) for name, guesses in attacked.items()]
    accuracies = {one.substrate: one.value for one in accuracy}
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
        comparisons=_comparisons(attacked, margin, arithmetic),
        twins=twin_comparisons(attacked, informed, margin, accuracies),
        guessed_exposure=float(np.mean(exposures(np.arange(1, choices + 1), choices))),
        repetitions=repetition_findings(_attackers(informed, attacked), copies),
    )


def _attackers(informed: Mapping[InformedName, Guesses], attacked: Mapping[RowName, Guesses]) -> list[Attacker]:
    return [
        *(Attacker(name.substrate, None, name.reveals, _spent(own), own) for name, own in informed.items()),
        *(Attacker(name.substrate, name.attack, name.reveals, _spent(own), own) for name, own in attacked.items()),
    ]


def secrets_margin(part: SecretsPart, choices: int, cells: Sequence[Cell], measures: Measures) -> float:
    """The margin of all comparisons; from chance to 1 while the reader's accuracy is not known."""
    ceiling = _ceiling(cells, measures)
    return max(part.margin * ((1.0 if ceiling is None else ceiling) - 1 / choices), SMALLEST_MARGIN)


def _ceiling(cells: Sequence[Cell], measures: Measures) -> float | None:
    """How often the reader is right on test images; None before it is trained."""
    read = SECRET_READER.finished(cells, measures)
    return float(np.mean(read[0][1].accuracy)) if read else None


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
        table.setdefault(row_name(cell), {})[cell.facts["seed"]] = measured
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


def _comparisons(
    attacked: Mapping[RowName, Guesses], margin: float, arithmetic: Mapping[str, str]
) -> list[SecretComparison]:
    """Verdicts on all pairs of substrates, tested together. Hits at all budgets of an attack count together.

    Substrates of one arithmetic with equal hits are tested as one against the others; that they are equal to each other
    is listed, and not tested.
    """
    pairs: dict[str, PairedArrays] = {}
    names: dict[str, tuple[RowName, str, str]] = {}
    same = []
    for own in _by_view(attacked).values():
        groups = _groups(own, arithmetic)
        alike = [([group[0]], [name]) for group in groups for name in group[1:]]
        for first, second in [*combinations(groups, 2), *alike]:
            key = str(len(names))
            values = _paired(own, first[0], second[0])
            if values is not None:
                pairs[key], names[key] = values, (next(iter(own)), " and ".join(first), " and ".join(second))
                same += [key] if arithmetic.get(first[0]) == arithmetic.get(second[0]) else []
    verdicts = pair_verdicts(pairs, margin, same_computation=same) if pairs else {}
    return [
        SecretComparison(
            attack=view.attack,
            reveals=view.reveals,
            first=first,
            second=second,
            verdict=verdict_of(verdicts[key]),
            sentence=verdicts[key].described("seed"),
        )
        for key, (view, first, second) in names.items()
    ]


def _by_view(attacked: Mapping[RowName, Guesses]) -> dict[tuple[str, str], dict[RowName, Guesses]]:
    """The rows of spiking targets by attack and output."""
    views: dict[tuple[str, str], dict[RowName, Guesses]] = {}
    for name, guesses in attacked.items():
        if name.substrate != ANN:
            views.setdefault((name.attack, name.reveals), {})[name] = guesses
    return views


def measured_pairs(
    cells: Sequence[Cell], measures: Measures, arithmetic: Mapping[str, str]
) -> list[tuple[tuple[str, str], PairedArrays]]:
    """Hits of each pair of substrates that is tested, with the attack and output."""
    pairs = []
    for view, own in _by_view(_attacked(cells, measures)).items():
        for first, second in combinations(_groups(own, arithmetic), 2):
            values = _paired(own, first[0], second[0])
            pairs += [] if values is None else [(view, values)]
    return pairs


def _groups(own: Mapping[RowName, Guesses], arithmetic: Mapping[str, str]) -> list[list[str]]:
    """The substrates, those of one arithmetic with the same hits everywhere in one group."""
    hits: dict[str, dict[RowName, dict[int, list[int]]]] = {}
    for name, guesses in own.items():
        table = hits.setdefault(name.substrate, {})
        table[name._replace(substrate="")] = {seed: measured.hits for seed, measured in guesses.items()}
    groups: list[list[str]] = []
    for substrate, table in hits.items():
        kind = arithmetic.get(substrate, substrate)
        alike = (one for one in groups if arithmetic.get(one[0], one[0]) == kind and hits[one[0]] == table)
        group = next(alike, None)
        if group is None:
            groups.append([substrate])
        else:
            group.append(substrate)
    return groups


def _paired(own: Mapping[RowName, Guesses], first: str, second: str) -> PairedArrays | None:
    """Hits on two substrates, one array per target with all budgets that both have; None if they share none."""
    return hits_of_both(
        [
            (guesses, own[name._replace(substrate=second)])
            for name, guesses in own.items()
            if name.substrate == first and name._replace(substrate=second) in own
        ]
    )
