"""`bl-neuro audit`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bl_neuro.cli.audit_command import portable_command
from bl_neuro.cli.audit_model import ModelOptions, wanted_audit
from bl_neuro.cli.audit_power import tell_power
from bl_neuro.cli.output import print_json, print_table, say
from bl_neuro.errors import InputError
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.findings.estimates import JudgedAttack, Mean
from bl_neuro.experiment.findings.models import AuditRow, Findings
from bl_neuro.experiment.findings.power import power_findings
from bl_neuro.experiment.findings.records import records
from bl_neuro.experiment.running.runner import Costs, Standing, Told
from bl_neuro.experiment.session import Audit
from bl_neuro.report.answer import audit_answer
from bl_neuro.report.words import verdict_line
from bl_neuro.rounding import fixed

FEW = 5
"""Failures of one kind that are named."""


@dataclass(frozen=True)
class AuditRequest:
    """What was asked for on the command line."""

    experiment: str
    plan: bool
    out: Path | None
    root: Path | None
    jobs: int
    scheduler: str | None
    model: ModelOptions = field(default_factory=ModelOptions)


def audit(request: AuditRequest, as_json: bool) -> int:
    """Runs an experiment, or plans it; 1 where a cell failed."""
    if request.jobs < 1:
        raise InputError(f"--jobs: expected at least 1, found {request.jobs}")
    wanted = replace(
        wanted_audit(request.experiment, request.out, request.root, request.model, as_json),
        command=portable_command(request.experiment, request.model),
    )
    if request.plan:
        _plan(wanted, request.jobs, as_json)
        return 0
    with _progress(wanted) as told:
        found = wanted.run(request.jobs, told, request.scheduler)
    findings = wanted.findings()
    failures = [{"cell": each.cell.said, "error": each.error} for each in found.failed]
    names = {"results": "results.json", "report": "report.html", "summary": "summary.md"}
    files = {kind: str(wanted.store.folder / name) for kind, name in names.items()}
    if as_json:
        print_json(
            {
                **findings.model_dump(mode="json", by_alias=True),
                **files,
                "failures": failures,
                "left_out": len(found.left_out),
                "torn": found.torn,
            }
        )
    else:
        _tell(wanted, findings, found)
    return 1 if failures or found.left_out else 0


def _plan(wanted: Audit, jobs: int, as_json: bool) -> None:
    """What there is to do, and what it will take as far as cells like these are finished."""
    state, costs = wanted.standing(), Costs(wanted.store)
    costs.add(cell for cell in wanted.cells if cell.address in state.finished)
    groups: dict[tuple[str, ...], list[Cell]] = {}
    for cell in wanted.cells:
        groups.setdefault(_group(cell), []).append(cell)
    rows: list[dict[str, Any]] = []
    for group, cells in groups.items():
        left = [cell for cell in cells if cell.address not in state.finished]
        seconds, unknown = costs.total(left)
        known = {"seconds_left": None if unknown else seconds}
        rows.append({**dict(zip(COLUMNS, group)), "cells": len(cells), "done": len(cells) - len(left), **known})
    seconds, unknown = costs.total(state.waiting)
    total = {"cells": len(wanted.cells), "done": len(state.finished), "seconds_left": None if unknown else seconds}
    power = power_findings(wanted.experiment, wanted.cells, records(wanted.cells, wanted.store))
    if as_json:
        powers = [finding.model_dump(mode="json") for finding in power]
        told = {"experiment": wanted.experiment.model_dump(), "plan": rows, "power": powers}
        print_json({**told, **total, "torn": state.torn})
        return
    table = [[str(row[name]) for name in (*COLUMNS, "cells", "done")] + [_time(row["seconds_left"])] for row in rows]
    print_table(f"{wanted.experiment.name}: the cells", [*COLUMNS, "cells", "done", "time left"], table, len(COLUMNS))
    _warn(state)
    said = f"at least {_time(seconds)} and {unknown} cells of unknown cost" if unknown else _time(seconds)
    say(f"\n{total['done']} of {total['cells']} cells are done; left for one process: {said}")
    if jobs > 1:
        say(f"With --jobs {jobs}, at best a part in {jobs} of that.")
    tell_power(power, wanted.experiment.margin)


COLUMNS = ("kind", "target", "substrate", "attack", "reveals")


def _group(cell: Cell) -> tuple[str, ...]:
    facts = cell.facts
    target = ", ".join(str(facts[name]) for name in ("target", "rung", "mitigation") if facts.get(name) is not None)
    return (cell.kind, target, *(str(facts.get(name, "")) for name in COLUMNS[2:]))


def _verdicts(findings: Findings) -> None:
    """Of attack accuracy, under every evaluator; substrates that score the same on one line."""
    compared = [comparison for comparison in findings.verdicts if comparison.measure == "hit"]
    answer = audit_answer(findings)
    say(f"\n{answer.leakage}\n{answer.question} {answer.word}. {answer.lead}")
    if not compared and not findings.alike:
        return
    say(f"Attack accuracy, margin {100 * findings.margin:g} points:")
    for same in findings.alike:
        expected = ", by construction" if findings.equal_by_construction(same.substrates) else ""
        say(f"  {_question(same)}: {', '.join(same.substrates)} score the same{expected}")
    for comparison in compared:
        pair = f"{'/'.join(comparison.first)} less {'/'.join(comparison.second)}"
        say(f"  {_question(comparison)}: {pair}: {verdict_line(comparison.verdict, findings.unit)}")


def _replays(findings: Findings) -> None:
    """Whether a substrate stands for another; loudly where it does not."""
    for substrate, of in findings.stands_for.items():
        count = sum(replay.substrate == substrate for replay in findings.replays)
        say(f"{substrate} stands for {of}: {count} attacks ran again on it, the same to the last bit")
    for replay in findings.replays:
        if not replay.identical:
            where = f"{replay.attack} on {replay.reveals}, seed {replay.seed}, restart {replay.restart}"
            say(f"NOT THE SAME on {replay.substrate} and {replay.of}: {where}: {', '.join(replay.differs)}")


def _verification(findings: Findings) -> None:
    """Whether substrates that promise the same spikes kept it, layer by layer."""
    for pair in (pair for verification in findings.verification for pair in verification.pairs):
        names = f"{pair.substrate} and {pair.reference}"
        same = f"{pair.identical:,} of {pair.bins:,} bins of all layers, {pair.samples} samples"
        broken = pair.promised and not pair.exact
        promise = "BROKEN PROMISE" if broken else "promised" if pair.promised else "no promise"
        say(f"verified, {promise}: {names} spike alike in {same}")


def _question(judged: JudgedAttack) -> str:
    return f"{judged.attack}, {judged.reveals}, {judged.evaluator}"


def _tell(wanted: Audit, findings: Findings, found: Standing) -> None:
    names = [evaluator.name for evaluator in findings.evaluators]
    columns = ["target", "substrate", "attack", "reveals", "seeds", "n", "target acc.", "queries/class"]
    columns += [f"attack acc. ({name})" for name in names] + [f"confidence ({names[0]})", "target success"]
    table = [_line(row, names) for row in findings.rows]
    print_table(f"Means and 95% intervals over {findings.unit}s", columns, table, 4)
    for evaluator in findings.evaluators:
        if evaluator.accuracy is not None:
            accuracy = fixed(evaluator.accuracy, 3)
            say(f"evaluator {evaluator.name}: test accuracy {accuracy} on {evaluator.samples} samples")
    say(wanted.material.overlap.sentence)
    _verdicts(findings)
    _replays(findings)
    _verification(findings)
    _warn(found)
    for error, count in Counter(failure.error for failure in found.failed).most_common():
        cells = [failure.cell.said for failure in found.failed if failure.error == error]
        say(f"\n{count} failed: {error}")
        for cell in cells[:FEW]:
            say(f"  {cell}")
        if count > FEW:
            say(f"  and {count - FEW} more")
    if found.left_out:
        say(f"{len(found.left_out)} cells were left out, since what they are made from failed")
    report = wanted.store.folder / "report.html"
    say(f"\n{findings.cells.done} of {findings.cells.planned} cells are done: {report}")


def _line(row: AuditRow, names: list[str]) -> list[str]:
    judged = [row.evaluators.get(name) for name in names]
    accuracies = [None if measures is None else measures.attack_accuracy for measures in judged]
    first = accuracies[0]
    return [
        *row.name,
        *(["0", "0"] if first is None else [str(first.seeds), str(first.n)]),
        "-" if row.target_accuracy is None else fixed(row.target_accuracy.value, 3),
        "-" if row.queries_per_class is None else f"{row.queries_per_class:g}",
        *map(_interval, accuracies),
        _interval(None if judged[0] is None else judged[0].confidence),
        _interval(row.target_success),
    ]


def _interval(mean: Mean | None) -> str:
    if mean is None or mean.low is None or mean.high is None:
        return "-"
    return f"{fixed(mean.value, 2)} [{fixed(mean.low, 2)}, {fixed(mean.high, 2)}]"


def _warn(state: Standing) -> None:
    for problem in state.torn[:FEW]:
        say(f"not counted as done: {problem}")
    if len(state.torn) > FEW:
        say(f"and {len(state.torn) - FEW} more")


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


@contextmanager
def _progress(wanted: Audit) -> Iterator[Told]:
    """A bar of cells with the time left, on a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.completed}/{task.total}"))
    columns_of_time = (TimeElapsedColumn(), TextColumn("{task.fields[left]}"))
    console = Console(stderr=True)
    costs = Costs(wanted.store)
    learned: set[str] = set()
    with Progress(*columns, *columns_of_time, console=console, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(wanted.experiment.name, total=None, left="")

        def told(state: Standing) -> None:
            if progress.disable:
                return
            new = [cell for cell in wanted.cells if cell.address in state.finished - learned]
            costs.add(new)
            learned.update(cell.address for cell in new)
            seconds, unknown = costs.total(state.waiting)
            left = f"{'more than ' if unknown else ''}{_time(seconds / state.width)} left, {len(state.failed)} failed"
            progress.update(task, completed=len(state.finished), total=len(wanted.cells), left=left)

        yield told
