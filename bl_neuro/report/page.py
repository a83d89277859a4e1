"""The page of an audit: one file that opens offline, and beside it, where they are too many, pages of its cells."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from bl_neuro.errors import ReportError
from bl_neuro.experiment.findings.estimates import MEASURES
from bl_neuro.experiment.findings.models import RESULTS, AuditRow, Findings
from bl_neuro.experiment.findings.pictures import CellPictures
from bl_neuro.files import atomic_path
from bl_neuro.report import drill_down, plots, templates, thumbnails
from bl_neuro.report import views as audit_views
from bl_neuro.report import words as audit_words
from bl_neuro.report.answer import audit_answer
from bl_neuro.report.limits import limits
from bl_neuro.report.one_page import one_page
from bl_neuro.report.overlap import has_training_means, overlap_sentence
from bl_neuro.report.strips import MOST_CLASSES, strips

if TYPE_CHECKING:
    from jinja2 import Environment


REPORT = "report.html"
CELL_PAGES = "report-cells"
"""Folder of the pages of cells."""
MOST_EMBEDDED = 5_000_000
"""Characters of cells' pictures and of what is said of them, about, that the page itself holds."""
OF_WORDS = 1000
"""Characters that are said of a cell, about."""
SECTIONS = (
    ("pairs", "Verdict on each pair"),
    ("ladder", "Which step does it"),
    ("matrix", "Leakage by attack and substrate"),
    ("curves", "Leakage against queries"),
    ("pictures", "What came out"),
    ("controls", "Null controls"),
    ("mitigations", "What could be done"),
    ("power", "What this plan could see"),
    ("replays", "On the substrate itself"),
    ("cells", "Every inversion"),
    ("threats", "Threat models"),
    ("limits", "Limits"),
    ("provenance", "Provenance"),
)
OPTIONAL = ("ladder", "mitigations", "power", "replays")
"""Sections that are there where the results have them."""


def audit_pages(results: Findings, pictures: CellPictures, most_embedded: int = MOST_EMBEDDED) -> dict[str, str]:
    """The page, `report.html`, and pages of cells, by the path beside it."""
    environment = audit_environment()
    ink = thumbnails.is_ink(pictures.class_means)
    groups = drill_down.groups(results, pictures, ink)
    heavy = sum(len(shot.uri) + OF_WORDS for group in groups for shot in group.shots) > most_embedded
    linked = [f"{CELL_PAGES}/{place:03}-{group.key}.html" for place, group in enumerate(groups)] if heavy else []
    shown = results.dataset.inverted[:MOST_CLASSES]
    values = {
        "results": results,
        "answer": audit_answer(results),
        "sections": [
            (key, title, "drill.html.j2" if key == "cells" else f"{key}.html.j2")
            for key, title in SECTIONS
            if key not in OPTIONAL or getattr(results, key) or (key == "replays" and results.verification)
        ],
        "pair_groups": audit_views.pair_groups(results),
        "pair_scale": audit_views.difference_scale(
            [each.verdict.difference for each in results.verdicts if each.measure == "hit"], results.margin
        ),
        "shown_less": audit_words.SHOWN_LESS
        if any(level.rung.startswith("reveals") for each in results.ladder for level in each.levels)
        else "",
        "further_ladders": [
            each for each in results.ladder if each.evaluator != results.judge or each.measure != "hit"
        ],
        "matrix": audit_views.matrix(results),
        "substrates": audit_views.substrates(results),
        "unit": plots.Scale(0.0, 1.0),
        "panels": audit_views.panels(results, results.judge, "hit"),
        "further_panels": audit_views.panels(results, results.judge, "confidence"),
        "legend": audit_views.legend(results),
        "strips": strips(results, pictures, ink),
        "shown_names": [results.dataset.class_names[label] for label in shown],
        "ink": ink,
        "control_rows": audit_views.control_rows(results),
        "mitigations": audit_views.mitigation_groups(results),
        "removal_scale": audit_views.removal_scale(results.mitigations, results.margin),
        "groups": groups,
        "linked": linked,
        "limits": limits(results),
        "overlap": overlap_sentence(results),
        "training_means": has_training_means(results),
    }
    pages = {REPORT: environment.get_template("page.html.j2").render(values)}
    cells = environment.get_template("cells.html.j2")
    for path, group in zip(linked, groups):
        pages[path] = cells.render(results=results, group=group, ink=ink)
    return pages


def audit_environment() -> Environment:
    """Templates with the words and marks of audits."""
    made = templates.environment()
    said = (
        "against_chance",
        "effect",
        "effect_footing",
        "ends",
        "footing",
        "judged",
        "limits_queries",
        "many",
        "margin_points",
        "mitigation",
        "p_value",
        "pair",
        "points",
        "seen",
        "share",
        "share_ends",
        "view",
        "whole_percent",
    )
    made.globals.update({name: getattr(audit_words, name) for name in said})
    drawn = (plots.interval_mark, audit_views.ladder_rows, audit_views.ladder_scale)
    made.globals.update({each.__name__: each for each in drawn})
    made.globals.update(measures=MEASURES, access=_access, families=audit_words.FAMILIES)
    return made


def _access(row: AuditRow) -> str:
    return "not run" if row.access is None else row.access.replace("_", " ")


SUMMARY = "summary.md"


def write_report(results: Findings, pictures: CellPictures, out: Path) -> Path:
    """Writes the files into the folder `out`, all of them or none; the page's path. Pages of before go.

    Raises:
        ReportError: a file cannot be written. ModelFileError: the inversions of a cell are not there any more.
    """
    pages = audit_pages(results, pictures)
    files = {RESULTS: results.to_json(), SUMMARY: one_page(results), **dict(reversed(pages.items()))}
    try:
        with ExitStack() as moves:
            for name, text in files.items():
                moves.enter_context(atomic_path(out / name)).write_text(text, encoding="utf-8")
        for path in (out / CELL_PAGES).glob("*.html"):
            if f"{CELL_PAGES}/{path.name}" not in pages:
                path.unlink()
    except OSError as error:
        raise ReportError(f"cannot write the report into {out}: {error}") from error
    return out / REPORT
