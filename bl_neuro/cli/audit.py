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
from bl_neuro.experiment.comparison import read_results
from bl_neuro.experiment.findings.estimates import Verdict
from bl_neuro.experiment.findings.models import AuditResults
from bl_neuro.experiment.findings.power import power_findings
from bl_neuro.experiment.findings.records import records
from bl_neuro.experiment.running.runner import Costs, Standing, Told
from bl_neuro.experiment.session import Audit
from bl_neuro.report.answer import audit_answer
from bl_neuro.report.one_arithmetic import equal_by_construction
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
    summary = wanted.written_summary()
    failures = [{"cell": each.cell.said, "error": each.error} for each in found.failed]
    names = {"summary": "summary.json", "results": "results.json", "report": "report.html"}
    files = {kind: str(wanted.store.folder / name) for kind, name in names.items()}
    if as_json:
        print_json(
            {
                **summary,
                "overlap": wanted.material.overlap.model_dump(),
                **files,
                "failures": failures,
                "left_out": len(found.left_out),
                "torn": found.torn,
            }
        )
    else:
        _tell(wanted, summary, found)
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
        told = {"experiment": wanted.experiment.model_dump(), "plan": rows, "power": power}
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


def _verdicts(summary: dict[str, Any], results: AuditResults) -> None:
    """Of attack accuracy, under every evaluator; substrates alike on one line."""
    compared = [each for each in summary["verdicts"] if each["measure"] == "hit"]
    answer = audit_answer(results)
    say(f"\nDoes the substrate change leakage? {answer.word}. {answer.lead}")
    if not compared and not summary["alike"]:
        return
    margin = 100 * summary["experiment"]["margin"]
    say(f"Attack accuracy, margin {margin:g} points:")
    for each in summary["alike"]:
        say(f"  {_asked(each)}: {', '.join(each['substrates'])} score the same{_expected(each, results)}")
    for each in compared:
        say(f"  {_asked(each)}: {'/'.join(each['first'])} less {'/'.join(each['second'])}: {_said(each['verdict'])}")


def _expected(alike: dict[str, Any], results: AuditResults) -> str:
    return ", by construction" if equal_by_construction(results, alike["substrates"]) else ""


def _said(verdict: dict[str, Any]) -> str:
    return verdict_line(Verdict.model_validate(verdict))


def _replays(summary: dict[str, Any]) -> None:
    """Whether a substrate stands for another; loudly where it does not."""
    done = summary["replays"]
    for substrate, of in summary["stands_for"].items():
        count = sum(each["substrate"] == substrate for each in done)
        say(f"{substrate} stands for {of}: {count} attacks ran again on it, the same to the last bit")
    for each in done:
        if not each["identical"]:
            where = f"{each['attack']} on {each['reveals']}, seed {each['seed']}, restart {each['restart']}"
            say(f"NOT THE SAME on {each['substrate']} and {each['of']}: {where}: {', '.join(each['differs'])}")


def _verification(summary: dict[str, Any]) -> None:
    """Whether substrates that promise the same spikes kept it, layer by layer."""
    for each in summary["verification"]:
        for pair in each["pairs"]:
            names = f"{pair['substrate']} and {pair['reference']}"
            same = f"{pair['identical']:,} of {pair['bins']:,} bins of all layers, {pair['samples']} samples"
            broken = pair["promised"] and not pair["exact"]
            promise = "BROKEN PROMISE" if broken else "promised" if pair["promised"] else "no promise"
            say(f"verified, {promise}: {names} spike alike in {same}")


def _asked(each: dict[str, Any]) -> str:
    return f"{each['attack']}, {each['reveals']}, {each['evaluator']}"


def _tell(wanted: Audit, summary: dict[str, Any], found: Standing) -> None:
    names = list(summary["evaluators"])
    columns = ["target", "substrate", "attack", "reveals", "seeds", "n", "target acc.", "queries/class"]
    columns += [f"attack acc. ({name})" for name in names] + [f"confidence ({names[0]})", "target success"]
    table = [_line(row, names) for row in summary["rows"]]
    print_table("Means and 95% intervals over target seeds", columns, table, 4)
    for name, measures in summary["evaluators"].items():
        if measures is not None:
            say(f"evaluator {name}: test accuracy {fixed(measures['accuracy'], 3)} on {measures['samples']} samples")
    say(wanted.material.overlap.sentence)
    _verdicts(summary, read_results(wanted.store.folder))
    _replays(summary)
    _verification(summary)
    _warn(found)
    for error, count in Counter(each.error for each in found.failed).most_common():
        cells = [each.cell.said for each in found.failed if each.error == error]
        say(f"\n{count} failed: {error}")
        for cell in cells[:FEW]:
            say(f"  {cell}")
        if count > FEW:
            say(f"  and {count - FEW} more")
    if found.left_out:
        say(f"{len(found.left_out)} cells were left out, since what they are made from failed")
    done, planned = summary["cells"]["done"], summary["cells"]["planned"]
    say(f"\n{done} of {planned} cells are done: {wanted.store.folder / 'report.html'}")


def _line(row: dict[str, Any], names: list[str]) -> list[str]:
    judged = [row["evaluators"].get(name, {"attack_accuracy": None, "confidence": None}) for name in names]
    first = judged[0]["attack_accuracy"]
    count = ["0", "0"] if first is None else [str(first["seeds"]), str(first["n"])]
    accuracy = row["target_accuracy"]
    return [
        *(row[name] for name in ("target", "substrate", "attack", "reveals")),
        *count,
        "-" if accuracy is None else fixed(accuracy["value"], 3),
        "-" if row["queries_per_class"] is None else f"{row['queries_per_class']:g}",
        *(_interval(each["attack_accuracy"]) for each in judged),
        _interval(judged[0]["confidence"]),
        _interval(row["target_success"]),
    ]


def _interval(estimate: dict[str, Any] | None) -> str:
    if estimate is None:
        return "-"
    value, low, high = (fixed(estimate[name], 2) for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


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
