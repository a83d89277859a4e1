"""The HTML page of an audit. If there are too many inversions for one file, they are on further pages."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from pydantic_core import PydanticSerializationError

from bl_neuro.errors import ReportError
from bl_neuro.experiment.findings.models import RESULTS, Findings
from bl_neuro.experiment.findings.pictures import CellPictures
from bl_neuro.files import atomic_path
from bl_neuro.report import advantage, drill_down, halfway, nearest_members, plots, secrets, thumbnails, views, words
from bl_neuro.report.answer import audit_answer
from bl_neuro.report.limits import TRUST, conclusions, limits, overlap_sentence
from bl_neuro.report.membership import membership_values
from bl_neuro.report.one_page import one_page
from bl_neuro.report.strips import MOST_CLASSES, has_training_means, strips
from bl_neuro.report.templates import audit_environment

REPORT = "report.html"
CELL_PAGES = "report-cells"
"""Folder of the pages of cells."""
SUMMARY = "summary.md"
MOST_EMBEDDED = 5_000_000
"""Approximate maximum number of characters of cells in the main page."""
OF_WORDS = 1000
"""Approximate number of characters of text per cell."""
SECTIONS = (
    ("membership", "Who was in the training data"),
    ("pictures", "What came out"),
    ("leakage", "Leakage by attack and substrate"),
    ("baselines", "Before any query"),
    ("nearest_members", "Classes or samples"),
    ("curves", "Leakage against queries"),
    ("pairs", "Verdict on each pair"),
    ("halfway", "Where attacks are halfway"),
    ("secrets", "Planted secrets"),
    ("ladder", "Which step does it"),
    ("mitigations", "What could be done"),
    ("controls", "Null controls"),
    ("families", "What was tested together"),
    ("power", "What this plan could detect"),
    ("replays", "On the substrate itself"),
    ("network", "The attacked network"),
    ("threats", "Threat models"),
    ("limits", "What the result says, and what it does not"),
    ("cells", "Every inversion"),
    ("provenance", "Provenance"),
)
OPTIONAL = (
    "membership",
    "baselines",
    "nearest_members",
    "halfway",
    "ladder",
    "mitigations",
    "families",
    "power",
    "replays",
    "network",
    "secrets",
)
"""Sections that are only present if there are findings for them."""
OF_ROWS = ("pictures", "leakage", "curves", "pairs", "controls", "threats", "cells")
"""Sections about inversions that evaluators judge. They are left out if nothing is inverted so."""


def audit_pages(results: Findings, pictures: CellPictures, most_embedded: int = MOST_EMBEDDED) -> dict[str, str]:
    """The page `report.html` and the pages of cells, by relative path."""
    environment = audit_environment()
    ink = thumbnails.is_ink(pictures.class_means)
    groups = drill_down.groups(results, pictures, ink)
    heavy = sum(len(shot.uri) + OF_WORDS for group in groups for shot in group.shots) > most_embedded
    linked = [f"{CELL_PAGES}/{place:03}-{group.key}.html" for place, group in enumerate(groups)] if heavy else []
    values = {
        "results": results,
        "answer": audit_answer(results),
        "sections": _sections(results),
        "strips": strips(results, pictures, ink),
        "training_means": has_training_means(results),
        "ink": ink,
        "groups": groups,
        "linked": linked,
        "conclusions": conclusions(results),
        "limits": [*limits(results), TRUST],
        "overlap": overlap_sentence(results),
        "overlap_unknown": results.of_given_model and (results.overlap is None or results.overlap.state == "not known"),
        **_tables(results),
        **membership_values(results),
    }
    pages = {REPORT: environment.get_template("page.html.j2").render(values)}
    cells = environment.get_template("cells.html.j2")
    for path, group in zip(linked, groups):
        pages[path] = cells.render(results=results, group=group, ink=ink)
    return pages


def _sections(results: Findings) -> list[tuple[str, str, str]]:
    """Key, title and template of each section that these findings have."""
    others = results.secrets is not None or results.membership is not None
    left_out = OF_ROWS if others and not results.rows else ()
    return [
        (key, title, "drill.html.j2" if key == "cells" else f"{key}.html.j2")
        for key, title in SECTIONS
        if key not in left_out
        and (key not in OPTIONAL or getattr(results, key) or (key == "replays" and results.verification))
    ]


def _tables(results: Findings) -> dict[str, object]:
    """The rows and scales of all sections."""
    differences = [comparison.verdict.difference for comparison in results.verdicts if comparison.measure == "hit"]
    return {
        "shown_names": [results.dataset.class_names[label] for label in results.dataset.inverted[:MOST_CLASSES]],
        "unit_scale": plots.Scale(0.0, 1.0),
        "leakage_groups": views.leakage_groups(results),
        "matrix": views.matrix(results),
        "about_advantage": advantage.ABOUT,
        "baseline_lines": advantage.baseline_lines(results),
        "about_halfway": halfway.ABOUT,
        "about_nearest": nearest_members.ABOUT,
        "nearest_rows": nearest_members.nearest_rows(results),
        "left_out": advantage.left_out(results),
        "none_of_these": advantage.none_of_these(results),
        "panels": [(measure, views.panels(results, results.judge, measure)) for measure in ("confidence", "hit")],
        "legend": views.legend(results),
        "pair_groups": views.pair_groups(results),
        "pair_scale": views.difference_scale(differences, _widest(results)),
        "shown_less": words.shown_less(results),
        "further_ladders": [
            ladder for ladder in results.ladder if ladder.evaluator != results.judge or ladder.measure != "hit"
        ],
        "mitigations": views.mitigation_groups(results),
        "removal_scale": views.removal_scale(results.mitigations, _widest(results)),
        "control_lines": views.control_lines(results),
        "secret_groups": [] if results.secrets is None else secrets.secret_groups(results.secrets),
        "secret_legend": [] if results.secrets is None else secrets.secret_legend(results.secrets),
        "secret_panels": [] if results.secrets is None else secrets.secret_panels(results.secrets),
    }


def _widest(results: Findings) -> float:
    """The largest margin of all evaluators; 0 without any."""
    stated = [results.margin, *(one.margin for one in results.margins)]
    return max((margin for margin in stated if margin is not None), default=0.0)


def write_report(results: Findings, pictures: CellPictures, out: Path) -> Path:
    """Writes all pages into the folder `out`, or none of them. Removes older pages. Returns the path of the page.

    Raises:
        ReportError: a file cannot be written. ModelFileError: the inversions of a cell no longer exist.
    """
    try:
        pages = audit_pages(results, pictures)
        files = {RESULTS: results.to_json(), SUMMARY: one_page(results), **dict(reversed(pages.items()))}
        with ExitStack() as moves:
            for name, text in files.items():
                moves.enter_context(atomic_path(out / name)).write_text(text, encoding="utf-8")
        for path in (out / CELL_PAGES).glob("[0-9][0-9][0-9]-*.html"):
            if f"{CELL_PAGES}/{path.name}" not in pages:
                path.unlink()
    except (OSError, UnicodeError, PydanticSerializationError) as error:  # the latter two: text that is not UTF-8
        raise ReportError(
            f"cannot write the report into {out}: {error}; the finished cells are kept there, and the same command "
            "continues with them"
        ) from error
    return out / REPORT
