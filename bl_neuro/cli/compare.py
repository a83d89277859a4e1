"""`bl-neuro compare`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bl_neuro.cli.output import print_json, print_table, say
from bl_neuro.errors import InputError, ReportError
from bl_neuro.experiment.comparison import AuditComparison, RowComparison, compare_runs, read_results
from bl_neuro.experiment.findings.models import RESULTS, Unit
from bl_neuro.files import write_text
from bl_neuro.report.comparison_page import comparison_answer, comparison_page
from bl_neuro.report.words import many, share, share_ends, verdict_line, view


@dataclass(frozen=True)
class CompareRequest:
    """What was asked for on the command line."""

    runs: list[Path]
    margin: float | None
    page: Path | None


def compare(request: CompareRequest, as_json: bool) -> None:
    """Compares audits: rows side by side, and verdicts where their inversions pair."""
    if len(request.runs) < 2:
        raise InputError("expected the folders of two or more audits, found one")
    names = _names(request.runs)
    comparison = compare_runs({name: read_results(path) for name, path in zip(names, request.runs)}, request.margin)
    if request.page is not None:
        _write(comparison, request.page)
    if as_json:
        page = {} if request.page is None else {"page": str(request.page)}
        print_json({**comparison.model_dump(mode="json", by_alias=True), **page})
        return
    _print(comparison)
    if request.page is not None:
        say(f"\n{request.page}")


def _names(paths: list[Path]) -> list[str]:
    """The folders' own names, or whole paths where these are not unique."""
    absolute = [path.absolute() for path in paths]
    if len(set(absolute)) < len(absolute):
        raise InputError("expected each run once, found one twice")
    short = [path.parent.name if path.name == RESULTS else path.name for path in absolute]
    return short if len(set(short)) == len(short) else [str(path) for path in paths]


def _write(comparison: AuditComparison, path: Path) -> None:
    try:
        write_text(path, comparison_page(comparison))
    except OSError as error:
        raise ReportError(f"{path}: could not be written ({error})") from error


def _print(comparison: AuditComparison) -> None:
    runs = [run.name for run in comparison.runs]
    rows = [
        [
            row.target, row.substrate, row.attack, row.reveals, row.evaluator,
            *("-" if mean is None else f"{share(mean)} ({share_ends(mean)})" for mean in row.estimates),
        ]
        for row in comparison.rows
    ]  # fmt: skip
    columns = ["target", "substrate", "attack", "reveals", "evaluator", *runs]
    print_table("Attack accuracy and 95% intervals over the target seeds of each run", columns, rows, 5)
    say(f"\n{comparison_answer(comparison)}")
    hits = [pair for pair in comparison.comparisons if pair.measure == "hit"]
    for pair in hits:
        if pair.verdict is not None:
            unit: Unit = "restart" if pair.target == "given" else "target seed"
            where = f"{view(pair.attack, pair.reveals)}, {pair.evaluator}: {_sides(pair)}"
            say(f"  {where}: {verdict_line(pair.verdict, unit)}")
    for why, count in Counter(pair.why for pair in hits if pair.why is not None).items():
        say(f"  {many(count, 'comparison')} not paired: {why}")
    if comparison.settings:
        settings = [
            [setting.name, *("-" if value is None else value for value in setting.values)]
            for setting in comparison.settings
        ]
        print_table("\nWhat differs between the runs", ["setting", *runs], settings, 1, 1)


def _sides(pair: RowComparison) -> str:
    one, other = (f"{side.run} on {side.substrate}" for side in (pair.first, pair.second))
    return f"{one} less {other}"
