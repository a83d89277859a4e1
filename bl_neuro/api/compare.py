"""Compares several audits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bl_neuro.api.result import AuditResult
from bl_neuro.errors import InputError, ReportError
from bl_neuro.experiment.comparison import (
    AuditComparison,
    ComparedRow,
    RowComparison,
    compare_runs,
    need_readable,
    read_results,
)
from bl_neuro.experiment.findings.models import Unit
from bl_neuro.files import expanded, need_free, write_text
from bl_neuro.report.comparison_page import comparison_answer, comparison_page, interval_units
from bl_neuro.report.words import share, share_ends, verdict_line, view
from bl_neuro.text_tables import Printed, TextTable


class Comparison(Printed, AuditComparison):
    """A comparison of audits, which prints as tables."""

    def text_parts(self) -> list[str | TextTable]:
        """A table of attack accuracy, the verdicts on pairs of runs, and a table of the settings that differ."""
        runs = [run.name for run in self.runs]
        columns = ["target", "substrate", "attack", "reveals", "evaluator", *runs]
        title = f"Attack accuracy and 95% intervals over the {interval_units(self)} of each run"
        parts: list[str | TextTable] = [
            TextTable(title, columns, [_estimates(row) for row in self.rows], 5),
            f"\n{comparison_answer(self)}",
            *(_outcome(pair) for pair in self.comparisons if pair.measure == "hit"),
        ]
        if self.settings:
            settings = [
                [setting.name, *("-" if value is None else value for value in setting.values)]
                for setting in self.settings
            ]
            parts.append(TextTable("\nWhat differs between the runs", ["setting", *runs], settings, 1, 1))
        return parts


def _estimates(row: ComparedRow) -> list[str]:
    shares = ("-" if mean is None else f"{share(mean)} ({share_ends(mean)})" for mean in row.estimates)
    return [row.target, row.substrate, row.attack, row.reveals, row.evaluator, *shares]


def _outcome(pair: RowComparison) -> str:
    one, other = (f"{side.run} on {side.substrate}" for side in (pair.first, pair.second))
    unit: Unit = "restart" if pair.target == "given" else "target seed"
    outcome = f"not paired: {pair.why}" if pair.verdict is None else verdict_line(pair.verdict, unit)
    return f"  {view(pair.attack, pair.reveals)}, {pair.evaluator}: {one} less {other}: {outcome}"


def compare(
    runs: Sequence[str | Path | AuditResult],
    margin: float | None = None,
    page: str | Path | None = None,
    *,
    force: bool = False,
) -> Comparison:
    """Compares audits of different substrates, settings or versions.

    Rows are paired if their target seed, class and restart are the same.

    runs: folders of two or more audits, or results of `bl.audit`. margin: the largest difference that counts as
    equivalent, in 0..1; by default the smallest margin of the audits. page: an HTML file for the comparison; `force`
    overwrites it.

    Raises:
        InputError: fewer than two runs, the same run twice, a margin outside 0..1, or a page that exists, without
            force. ReportError: a run cannot be read, or the page cannot be written.
    """
    if len(runs) < 2:
        raise InputError(f"runs: expected two or more audits, found {len(runs)}")
    if page is not None:
        need_free([expanded(page)], force)
    need_readable([expanded(run) for run in runs if not isinstance(run, AuditResult)])
    findings = [run.findings if isinstance(run, AuditResult) else read_results(expanded(run)) for run in runs]
    names = _names([run.folder if isinstance(run, AuditResult) else Path(run) for run in runs])
    compared = Comparison(**dict(compare_runs(dict(zip(names, findings)), margin)))
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
