"""Compares several audits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bl_neuro.api.result import AuditResult
from bl_neuro.errors import InputError, ReportError
from bl_neuro.experiment.comparison import AuditComparison, compare_runs, read_results
from bl_neuro.files import expanded, write_text
from bl_neuro.report.comparison_page import comparison_page


def compare(
    runs: Sequence[str | Path | AuditResult], margin: float | None = None, page: str | Path | None = None
) -> AuditComparison:
    """Compares audits of different substrates, settings or versions.

    Rows are paired if their target seed, class and restart are the same.

    runs: folders of two or more audits, or results of `bl.audit`. margin: the largest difference that counts as
    equivalent, in 0..1; by default the smallest margin of the audits. page: an HTML file for the comparison.

    Raises:
        InputError: fewer than two runs, the same run twice, or a margin outside 0..1. ReportError: a run cannot be
            read, or the page cannot be written.
    """
    if len(runs) < 2:
        raise InputError(f"runs: expected two or more audits, found {len(runs)}")
    findings = [run.findings if isinstance(run, AuditResult) else read_results(expanded(run)) for run in runs]
    names = _names([run.folder if isinstance(run, AuditResult) else Path(run) for run in runs])
    compared = compare_runs(dict(zip(names, findings)), margin)
    if page is not None:
        try:
            write_text(expanded(page), comparison_page(compared))
        except OSError as error:
            raise ReportError(f"{page}: could not be written ({error})") from error
    return compared


def _names(paths: Sequence[Path]) -> list[str]:
    """The names of the folders, or their full paths if two folders have the same name."""
    absolute = [path.absolute() for path in paths]
    if len(set(absolute)) < len(absolute):
        raise InputError("runs: expected different audits, found the same one twice")
    short = [path.parent.name if path.name == "results.json" else path.name for path in absolute]
    return short if len(set(short)) == len(short) else [str(path) for path in paths]
