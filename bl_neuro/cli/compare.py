"""`bl-neuro compare`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bl_neuro.cli.output import print_json, print_table, say
from bl_neuro.errors import InputError, ReportError
from bl_neuro.experiment.comparison import ComparedRuns, RunComparison, compare_runs, read_results
from bl_neuro.files import write_text
from bl_neuro.report.words import many, share, share_ends, verdict_line, view


@dataclass(frozen=True)
class CompareRequest:
    """What was asked for on the command line."""

    runs: list[Path]
    margin: float | None
    page: Path | None


def compare(request: CompareRequest, as_json: bool) -> None:
    """Holds audits against each other."""
    if len(request.runs) < 2:
        raise InputError("expected the folders of two or more audits, found one")
    names = _names(request.runs)
    found = compare_runs({name: read_results(path) for name, path in zip(names, request.runs)}, request.margin)
    if request.page is not None:
        _write(found, request.page)
    if as_json:
        page = {} if request.page is None else {"page": str(request.page)}
        print_json({**found.model_dump(mode="json", by_alias=True), **page})
        return
    _tell(found)
    if request.page is not None:
        say(f"\n{request.page}")


def _names(paths: list[Path]) -> list[str]:
    """The folders' own names, or whole paths where these are not told apart."""
    absolute = [path.absolute() for path in paths]
    if len(set(absolute)) < len(absolute):
        raise InputError("expected each run once, found one twice")
    short = [path.parent.name if path.name == "results.json" else path.name for path in absolute]
    return short if len(set(short)) == len(short) else [str(path) for path in paths]


def _write(found: ComparedRuns, path: Path) -> None:
    from bl_neuro.report.comparison_page import comparison_page

    try:
        write_text(path, comparison_page(found))
    except OSError as error:
        raise ReportError(f"{path}: could not be written ({error})") from error


def _tell(found: ComparedRuns) -> None:
    runs = [run.name for run in found.runs]
    rows = [
        [
            row.target, row.substrate, row.attack, row.reveals, row.evaluator,
            *("-" if each is None else f"{share(each)} ({share_ends(each)})" for each in row.estimates),
        ]
        for row in found.rows
    ]  # fmt: skip
    columns = ["target", "substrate", "attack", "reveals", "evaluator", *runs]
    print_table("Attack accuracy and 95% intervals over the target seeds of each run", columns, rows, 5)
    say(f"\n{found.answer()}")
    hits = [each for each in found.comparisons if each.measure == "hit"]
    for each in hits:
        if each.verdict is not None:
            say(f"  {view(each.attack, each.reveals)}, {each.evaluator}: {_sides(each)}: {verdict_line(each.verdict)}")
    for why, count in Counter(each.why for each in hits if each.why is not None).items():
        say(f"  {many(count, 'comparison')} not paired: {why}")
    if found.settings:
        print_table("\nWhat differs between the runs", ["setting", *runs], _settings(found), 1, 1)


def _sides(each: RunComparison) -> str:
    one, other = (f"{side.run} on {side.substrate}" for side in (each.first, each.second))
    return f"{one} less {other}"


def _settings(found: ComparedRuns) -> list[list[str]]:
    return [[each.name, *("-" if value is None else value for value in each.values)] for each in found.settings]
