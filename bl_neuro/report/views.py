"""The contents of the sections of an audit's page: findings that are grouped, ordered and drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bl_neuro.experiment.findings.estimates import (
    MEASURES,
    ControlFinding,
    IdenticalSubstrates,
    LadderFinding,
    Mean,
    Measure,
    MitigationFinding,
    SubstrateComparison,
)
from bl_neuro.experiment.findings.models import OWN, AuditCurve, AuditRow, Findings
from bl_neuro.report import plots
from bl_neuro.report.plots import Scale
from bl_neuro.report.words import TARGETS, amount, bounded, percent, view

if TYPE_CHECKING:
    from markupsafe import Markup


@dataclass(frozen=True)
class PairGroup:
    """The comparisons of one attack and output, and the substrates that need none."""

    title: str
    alike: list[IdenticalSubstrates]
    compared: list[SubstrateComparison]


def pair_groups(results: Findings) -> list[PairGroup]:
    """By attack and output: for each pair the first evaluator's comparison, then those of other evaluators."""
    order = {evaluator.name: place for place, evaluator in enumerate(results.evaluators)}
    hits = [comparison for comparison in results.verdicts if comparison.measure == "hit"]
    groups = []
    for key in dict.fromkeys((row.attack, row.reveals) for row in results.own_rows):
        alike = [same for same in results.alike if (same.attack, same.reveals) == key]
        compared = [comparison for comparison in hits if (comparison.attack, comparison.reveals) == key]
        pairs = list(dict.fromkeys(_pair(comparison) for comparison in compared))
        compared.sort(key=lambda comparison: (pairs.index(_pair(comparison)), order[comparison.evaluator]))
        groups.append(PairGroup(view(*key), alike, compared))
    return [group for group in groups if group.alike or group.compared]


def _pair(comparison: SubstrateComparison) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(comparison.first), tuple(comparison.second)


LEAST_SCALE = 0.01
"""Half the width of an axis of differences that are all zero, without a margin."""


def difference_scale(differences: Iterable[Mean], margin: float) -> Scale:
    """One axis for all differences, with 0 in the middle and the margin marked."""
    most = max([margin * 1.5, *map(abs, _ends(differences))]) or LEAST_SCALE
    return Scale(-most * 1.05, most * 1.05)


@dataclass(frozen=True)
class LeakageLine:
    """Attack accuracy under one evaluator, of substrates on which a row has equal scores.

    first: whether it is the first line of a row, followed by those of other evaluators. control: the kind of null
    control. baseline, baseline_accuracy, advantage: as in `EvaluatorMeasures`.
    """

    substrates: list[str]
    control: str | None
    evaluator: str
    mean: Mean
    first: bool
    baseline: str | None = None
    baseline_accuracy: Mean | None = None
    advantage: Mean | None = None


@dataclass(frozen=True)
class LeakageGroup:
    """One attack and output on all substrates, with its null controls."""

    title: str
    detail: str
    lines: list[LeakageLine]


def leakage_groups(results: Findings) -> list[LeakageGroup]:
    """All rows with judgements, by attack and output, controls last."""
    groups = []
    for key in dict.fromkeys((row.attack, row.reveals) for row in results.rows):
        rows = [row for row in results.rows if (row.attack, row.reveals) == key and row.evaluators]
        ordered = [*(row for row in rows if row.own), *(row for row in rows if not row.own)]
        if ordered:
            groups.append(LeakageGroup(view(*key), spending(ordered[0]), _leakage_lines(results, ordered)))
    return groups


def _leakage_lines(results: Findings, rows: Sequence[AuditRow]) -> list[LeakageLine]:
    """The lines of some rows. Rows with equal scores under every evaluator are merged."""
    same: list[list[AuditRow]] = []
    for row in rows:
        group = next((g for g in same if (g[0].target, g[0].evaluators) == (row.target, row.evaluators)), None)
        if group is None:
            same.append([row])
        else:
            group.append(row)
    lines = []
    for group in same:
        names = [row.substrate for row in group]
        if group[0].own:
            names += [name for name, other in results.stands_for.items() if other in names and name not in names]
        control = None if group[0].own else TARGETS.get(group[0].target, group[0].target)
        judged = [(name, group[0].evaluators.get(name)) for name in (e.name for e in results.evaluators)]
        known = [(name, measures) for name, measures in judged if measures is not None]
        lines += [
            LeakageLine(
                names,
                control,
                name,
                own.attack_accuracy,
                place == 0,
                own.baseline,
                own.baseline_accuracy,
                own.advantage,
            )
            for place, (name, own) in enumerate(known)
        ]
    return lines


def access(row: AuditRow) -> str:
    """The access of a row in words."""
    return "not run" if row.access is None else row.access.replace("_", " ")


def spending(row: AuditRow) -> str:
    """The access of a row with its number of queries: `black box, 704 queries per class`."""
    if row.queries_per_class is None:
        return access(row)
    return (
        f"{access(row)}, {amount(row.queries_per_class)} {'runs' if row.access == 'white_box' else 'queries'} per class"
    )


@dataclass(frozen=True)
class LadderRow:
    """A rung of a ladder as a row of its table."""

    name: str
    detail: str
    mark: Markup
    level: Mean
    step: int | None


def ladder_scale(ladder: LadderFinding) -> Scale:
    """An axis that contains all levels and the intervals of all changes."""
    levels = [level.estimate for level in ladder.levels]
    ends: list[float | None] = [level.value for level in levels]
    ends += [levels[0].low, levels[0].high, levels[-1].low, levels[-1].high]
    for before, step in zip(levels, ladder.steps):
        change = step.change.difference
        ends += [None if end is None else before.value + end for end in (change.low, change.high)]
    scale = Scale.around(ends)
    return Scale(max(scale.low, 0.0), min(scale.high, 1.0))


def ladder_rows(ladder: LadderFinding) -> list[LadderRow]:
    """The first level, each step, the last level."""
    scale = ladder_scale(ladder)
    first, last = ladder.levels[0], ladder.levels[-1]
    begin = plots.interval_mark(scale, first.estimate, joined="below")
    rows = [LadderRow(first.step, first.rung, begin, first.estimate, None)]
    for place, step in enumerate(ladder.steps):
        before, level = ladder.levels[place].estimate, ladder.levels[place + 1]
        mark = plots.step_mark(scale, before.value, level.estimate.value, step.change.difference, step.change.found)
        name = "" if level.rung.startswith("reveals") else level.rung
        rows.append(LadderRow(level.step, name, mark, level.estimate, place))
    end = plots.interval_mark(scale, last.estimate, joined="above")
    return [*rows, LadderRow("in all", f"{last.step}, less {first.step}", end, last.estimate, None)]


@dataclass(frozen=True)
class MatrixLine:
    """One attack and output over all substrates."""

    attack: str
    reveals: str
    rows: dict[str, AuditRow]

    @property
    def any(self) -> AuditRow:
        """One of the rows, for the values that they share."""
        return next(iter(self.rows.values()))


def matrix(results: Findings) -> list[MatrixLine]:
    """A line for each attack and output, in the order of the experiment."""
    lines: dict[tuple[str, str], dict[str, AuditRow]] = {}
    for row in results.own_rows:
        lines.setdefault((row.attack, row.reveals), {})[row.substrate] = row
    return [MatrixLine(*key, rows) for key, rows in lines.items()]


@dataclass(frozen=True)
class Panel:
    """A line chart with its title."""

    title: str
    chart: Markup


def panels(results: Findings, evaluator: str, measure: Measure) -> list[Panel]:
    """A chart for each attack and output, with one line per substrate and control."""
    styles = _styles(results)
    groups: dict[tuple[str, str], list[AuditCurve]] = {}
    for curve in results.curves:
        if curve.evaluator == evaluator and curve.measure == measure:
            groups.setdefault((curve.attack, curve.reveals), []).append(curve)
    drawn = []
    for key, curves in groups.items():
        styled = [(curve, styles[curve.target, curve.substrate]) for curve in curves]
        words = f"{MEASURES[measure]}, {view(*key)}: {'; '.join(map(_course, curves))}"
        words += f". Chance {percent(results.dataset.chance)}."
        drawn.append(Panel(view(*key), plots.curves_chart(styled, results.dataset.chance, words)))
    return drawn


def _styles(results: Findings) -> dict[tuple[str, str], str]:
    """The line style of each target and substrate."""
    names = dict.fromkeys((curve.target, curve.substrate) for curve in results.curves)
    own = [name for name in names if name[0] in OWN]
    controls = [name for name in names if name[0] not in OWN]
    styles = {name: plots.line_style(place) for place, name in enumerate(own)}
    return {**styles, **{name: plots.line_style(place, True) for place, name in enumerate(controls)}}


def _course(curve: AuditCurve) -> str:
    who = curve.substrate if curve.target in OWN else f"{curve.substrate}, {TARGETS.get(curve.target, curve.target)}"
    return (
        f"{who} goes from {percent(curve.value[0])} at {curve.queries[0]:,.0f} queries per class "
        f"to {percent(curve.value[-1])} at {curve.queries[-1]:,.0f}"
    )


def legend(results: Findings) -> list[tuple[str, Markup]]:
    """The legend of the curves."""
    return [
        (substrate if target in OWN else f"{TARGETS.get(target, target)} ({substrate})", plots.line_sample(style))
        for (target, substrate), style in _styles(results).items()
    ]


@dataclass(frozen=True)
class ControlLine:
    """A null control under one evaluator. finding: how it compares with chance; None if it was not judged."""

    kind: str
    attack: str
    reveals: str
    substrate: str
    evaluator: str
    mean: Mean
    finding: ControlFinding | None


def control_lines(results: Findings) -> list[ControlLine]:
    """The findings on controls; if there are none, their rows."""
    if results.controls:
        return [
            ControlLine(
                TARGETS.get(control.kind, control.kind), control.attack, control.reveals, control.substrate,
                control.evaluator, control.estimate, control,
            )
            for control in results.controls
        ]  # fmt: skip
    return [
        ControlLine(
            TARGETS.get(row.target, row.target), row.attack, row.reveals, row.substrate, evaluator,
            measures.attack_accuracy, None,
        )
        for row in results.rows
        if not row.own
        for evaluator, measures in row.evaluators.items()
    ]  # fmt: skip


def mitigation_cases(mitigations: Sequence[MitigationFinding]) -> list[list[MitigationFinding]]:
    """Each mitigation with each attack and output, under every evaluator, in their order."""
    cases: dict[tuple[str, ...], list[MitigationFinding]] = {}
    for tried in mitigations:
        key = (tried.mitigation, tried.setting, tried.substrate, tried.attack, tried.reveals)
        cases.setdefault(key, []).append(tried)
    return list(cases.values())


def mitigation_groups(results: Findings) -> list[tuple[str, list[MitigationFinding]]]:
    """Mitigations by attack and output; for each the first evaluator's finding, then those of others."""
    order = {evaluator.name: place for place, evaluator in enumerate(results.evaluators)}
    groups: dict[str, list[MitigationFinding]] = {}
    for case in mitigation_cases(results.mitigations):
        title = f"{view(case[0].attack, case[0].reveals)} on {case[0].substrate}"
        groups.setdefault(title, []).extend(sorted(case, key=lambda tried: order[tried.evaluator]))
    return list(groups.items())


def removal_scale(mitigations: Sequence[MitigationFinding], margin: float) -> Scale:
    """One axis for all effects of mitigations."""
    return Scale.around([0.0, margin, *_ends([tried.leakage.removed.difference for tried in mitigations])])


def _ends(differences: Iterable[Mean]) -> list[float]:
    """Values and ends of intervals, clipped to the possible range."""
    ends = [end for difference in differences for end in (difference.value, difference.low, difference.high)]
    return [bounded(end) for end in ends if end is not None]
