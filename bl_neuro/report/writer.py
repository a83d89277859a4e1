"""Writing what an audit found: results.json, report.html, summary.md, and pages of cells where they are many."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from bl_neuro.errors import ReportError
from bl_neuro.files import atomic_path
from bl_neuro.report.cell_pictures import CellPictures
from bl_neuro.report.schema import AuditResults

RESULTS, SUMMARY = "results.json", "summary.md"


def write_audit_report(results: AuditResults, pictures: CellPictures, out: Path) -> Path:
    """Writes the files into the folder `out`, all of them or none; the page's path. Pages of before go.

    Raises:
        ReportError: a file cannot be written. ModelFileError: the inversions of a cell are not there any more.
    """
    from bl_neuro.report.one_page import one_page
    from bl_neuro.report.page import CELL_PAGES, REPORT, audit_pages

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
