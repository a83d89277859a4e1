"""The page of a comparison of audits: one file that opens offline."""

from __future__ import annotations

from bl_neuro.experiment.comparison import ComparedRuns, RunComparison
from bl_neuro.report.page import audit_environment
from bl_neuro.report.plots import Scale
from bl_neuro.report.views import difference_scale
from bl_neuro.report.words import TARGETS, view


def comparison_page(found: ComparedRuns) -> str:
    """The page, as text."""
    groups: dict[str, list[RunComparison]] = {}
    for each in found.comparisons:
        if each.measure == "hit":
            groups.setdefault(view(each.attack, each.reveals), []).append(each)
    differences = [each.verdict.difference for each in found.comparisons if each.measure == "hit" and each.verdict]
    return (
        audit_environment()
        .get_template("comparison.html.j2")
        .render(
            found=found,
            groups=list(groups.items()),
            scale=difference_scale(differences, found.margin),
            unit=Scale(0.0, 1.0),
            targets=TARGETS,
        )
    )
