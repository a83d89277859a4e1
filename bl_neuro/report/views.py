"""What the sections of an audit's page show: results grouped, put in order and drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bl_neuro.experiment.findings.estimates import (
    ControlFinding,
    IdenticalSubstrates,
    LadderFinding,
    Mean,
    MitigationFinding,
    SubstrateComparison,
)
from bl_neuro.experiment.findings.models import AuditCurve, AuditRow, Findings
from bl_neuro.report import plots
from bl_neuro.report.plots import Scale
from bl_neuro.report.words import TARGETS, bounded, percent, view

if TYPE_CHECKING:
    from markupsafe import Markup

OWN = ("trained", "given")
"""Targets that have something to give away; others are controls."""


@dataclass(frozen=True)
class PairGroup:
    """The comparisons of one attack and view, and the substrates that need none."""

    title: str
    alike: list[IdenticalSubstrates]
    compared: list[SubstrateComparison]


def pair_groups(results: Findings) -> list[PairGroup]:
    """By attack and view: for each pair the judge's comparison, then those of other evaluators."""
    order = {evaluator.name: place for place, evaluator in enumerate(results.evaluators)}
    hits = [each for each in results.verdicts if each.measure == "hit"]
    keys = list(dict.fromkeys((row.attack, row.reveals) for row in results.rows if row.target in OWN))
    groups = []
    for key in keys:
        alike = [each for each in results.alike if (each.attack, each.reveals) == key]
        compared = [each for each in hits if (each.attack, each.reveals) == key]
        pairs = list(dict.fromkeys((tuple(each.first), tuple(each.second)) for each in compared))
        compared.sort(key=lambda each: (pairs.index((tuple(each.first), tuple(each.second))), order[each.evaluator]))
        groups.append(PairGroup(view(*key), alike, compared))
    return [group for group in groups if group.alike or group.compared]


def difference_scale(estimates: Iterable[Mean], margin: float) -> Scale:
    """One axis for all differences, with 0 in its middle and the margin upon it."""
    most = max([margin * 1.5, *map(abs, _ends(estimates))])
    return Scale(-most * 1.05, most * 1.05)


@dataclass(frozen=True)
class LadderRow:
    """A rung of a ladder as a row of its table."""

    name: str
    said: str
    mark: Markup
    level: Mean
    step: int | None


def ladder_scale(ladder: LadderFinding) -> Scale:
    """An axis that holds every level and what each step may change it to."""
    levels = [each.estimate for each in ladder.levels]
    ends: list[float | None] = [each.value for each in levels]
    ends += [levels[0].low, levels[0].high, levels[-1].low, levels[-1].high]
    for before, step in zip(levels, ladder.steps):
        change = step.change.difference
        ends += [None if each is None else before.value + each for each in (change.low, change.high)]
    found = Scale.around(ends)
    return Scale(max(found.low, 0.0), min(found.high, 1.0))


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
    """One attack and view over all substrates."""

    attack: str
    reveals: str
    rows: dict[str, AuditRow]

    @property
    def any(self) -> AuditRow:
        """One of them, for what they share."""
        return next(iter(self.rows.values()))


def substrates(results: Findings) -> list[str]:
    """Of the targets that have something to give away."""
    return list(dict.fromkeys(row.substrate for row in results.rows if row.target in OWN))


def matrix(results: Findings) -> list[MatrixLine]:
    """A line for each attack and view, in the order of the experiment."""
    lines: dict[tuple[str, str], dict[str, AuditRow]] = {}
    for row in results.rows:
        if row.target in OWN:
            lines.setdefault((row.attack, row.reveals), {})[row.substrate] = row
    return [MatrixLine(*key, rows) for key, rows in lines.items()]


@dataclass(frozen=True)
class Panel:
    """A chart of curves with its title."""

    title: str
    chart: Markup


def panels(results: Findings, evaluator: str, measure: str) -> list[Panel]:
    """A chart for each attack and view: a line a substrate, and those of controls."""
    styles = _styles(results)
    groups: dict[tuple[str, str], list[AuditCurve]] = {}
    for curve in results.curves:
        if curve.evaluator == evaluator and curve.measure == measure:
            groups.setdefault((curve.attack, curve.reveals), []).append(curve)
    made = []
    for key, curves in groups.items():
        drawn = [(curve, styles[curve.target, curve.substrate]) for curve in curves]
        said = f"{view(*key)}: {'; '.join(map(_course, curves))}. Chance {percent(results.dataset.chance)}."
        made.append(Panel(view(*key), plots.curves_chart(drawn, results.dataset.chance, said)))
    return made


def _styles(results: Findings) -> dict[tuple[str, str], str]:
    """By target and substrate, how their line looks."""
    names = dict.fromkeys((curve.target, curve.substrate) for curve in results.curves)
    own = [name for name in names if name[0] in OWN]
    controls = [name for name in names if name[0] not in OWN]
    styles = {name: plots.line_style(place) for place, name in enumerate(own)}
    return {**styles, **{name: plots.line_style(place, True) for place, name in enumerate(controls)}}


def _course(curve: AuditCurve) -> str:
    who = curve.substrate if curve.target in OWN else f"{curve.substrate}, {TARGETS.get(curve.target, curve.target)}"
    return (
        f"{who} goes from {percent(curve.value[0])} at {curve.queries[0]:,.0f} queries a class "
        f"to {percent(curve.value[-1])} at {curve.queries[-1]:,.0f}"
    )


def legend(results: Findings) -> list[tuple[str, Markup]]:
    """What lines of the curves mean."""
    return [
        (substrate if target in OWN else f"{TARGETS.get(target, target)} ({substrate})", plots.line_sample(style))
        for (target, substrate), style in _styles(results).items()
    ]


def control_rows(results: Findings) -> list[tuple[AuditRow | None, ControlFinding | None, str]]:
    """Controls as they were judged; where none was, their rows. The third says which target."""
    if results.controls:
        rows = {(row.target, row.substrate, row.attack, row.reveals): row for row in results.rows}
        return [
            (rows.get((each.kind, each.substrate, each.attack, each.reveals)), each, TARGETS.get(each.kind, each.kind))
            for each in results.controls
        ]
    return [(row, None, TARGETS.get(row.target, row.target)) for row in results.rows if row.target not in OWN]


def mitigation_cases(mitigations: Sequence[MitigationFinding]) -> list[list[MitigationFinding]]:
    """Each mitigation against each attack and view, under every evaluator, in their order."""
    cases: dict[tuple[str, ...], list[MitigationFinding]] = {}
    for each in mitigations:
        key = (each.mitigation, each.setting, each.substrate, each.attack, each.reveals)
        cases.setdefault(key, []).append(each)
    return list(cases.values())


def mitigation_groups(results: Findings) -> list[tuple[str, list[MitigationFinding]]]:
    """Mitigations by what they were measured against; for each the judge's finding, then those of other evaluators."""
    order = {evaluator.name: place for place, evaluator in enumerate(results.evaluators)}
    groups: dict[str, list[MitigationFinding]] = {}
    for case in mitigation_cases(results.mitigations):
        title = f"{view(case[0].attack, case[0].reveals)} on {case[0].substrate}"
        groups.setdefault(title, []).extend(sorted(case, key=lambda each: order[each.evaluator]))
    return list(groups.items())


def removal_scale(mitigations: Sequence[MitigationFinding], margin: float) -> Scale:
    """One axis for what mitigations remove."""
    return Scale.around([0.0, margin, *_ends([each.leakage.removed.difference for each in mitigations])])


def _ends(differences: Iterable[Mean]) -> list[float]:
    """Values and ends of intervals, as far as they can be."""
    found = [value for each in differences for value in (each.value, each.low, each.high)]
    return [bounded(value) for value in found if value is not None]
