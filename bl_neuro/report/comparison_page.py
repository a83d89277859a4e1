"""The HTML page of a comparison of audits: one file that opens without a network connection."""

from __future__ import annotations

from bl_neuro.experiment.comparison import AuditComparison, RowComparison
from bl_neuro.report.plots import Scale
from bl_neuro.report.templates import audit_environment
from bl_neuro.report.views import difference_scale
from bl_neuro.report.words import TARGETS, judged, listed, many, margin_points, view


def comparison_answer(comparison: AuditComparison) -> str:
    """The result in one or two sentences."""
    paired = [pair.verdict for pair in comparison.main if pair.verdict is not None]
    alone = len(comparison.main) - len(paired)
    if not paired:
        reasons = list(dict.fromkeys(pair.why for pair in comparison.comparisons if pair.why is not None))
        because = f": {'; '.join(reasons)}" if reasons else ", since the runs have no attack and evaluator in common"
        return f"No two rows of these runs can be paired, so there is no verdict{because}."
    identical = sum(judged(verdict) == "identical" for verdict in paired)
    kinds = {f"{identical} {'is' if identical == 1 else 'are'} identical": identical}
    for kind, one, several in (
        ("differs", "differs", "differ"),
        ("equivalent", "is equivalent", "are equivalent"),
        ("inconclusive", "is open", "are open"),
    ):
        count = sum(verdict.verdict == kind and judged(verdict) != "identical" for verdict in paired)
        kinds[f"{count} {one if count == 1 else several}"] = count
    outcome = listed([text for text, count in kinds.items() if count])
    stated = next((pair.verdict for pair in comparison.main if pair.verdict is not None), None)
    margin = _margin_words(None if stated is None else stated.margin)
    rest = f" {many(alone, 'other comparison')} cannot be paired." if alone else ""
    return (
        f"Under the evaluator {comparison.judge}, of {many(len(paired), 'paired comparison')}, {outcome}; "
        f"{margin}.{rest}"
    )


def _margin_words(margin: float | None) -> str:
    return "without a margin, equivalence is not asked" if margin is None else f"the margin is {margin_points(margin)}"


def interval_units(comparison: AuditComparison) -> str:
    """What the intervals of the rows are over, in words."""
    return listed(list(dict.fromkeys(f"{run.unit}s" for run in comparison.runs)), "or")


def comparison_page(comparison: AuditComparison) -> str:
    """The page as text."""
    hits = [pair for pair in comparison.comparisons if pair.measure == "hit"]
    groups: dict[str, list[RowComparison]] = {}
    for pair in hits:
        groups.setdefault(view(pair.attack, pair.reveals), []).append(pair)
    margins = {pair.evaluator: pair.verdict.margin for pair in hits if pair.verdict is not None}
    differences = [pair.verdict.difference for pair in hits if pair.verdict is not None]
    return (
        audit_environment()
        .get_template("comparison.html.j2")
        .render(
            comparison=comparison,
            answer=comparison_answer(comparison),
            interval_units=interval_units(comparison),
            groups=list(groups.items()),
            scale=difference_scale(differences, max((margin or 0.0 for margin in margins.values()), default=0.0)),
            margins=listed([f"{name}, {_margin_words(margin)}" for name, margin in margins.items()]),
            unit=Scale(0.0, 1.0),
            targets=TARGETS,
        )
    )
