"""Prints the plan or the findings of `bl-neuro audit`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bl_neuro.api.plan import COLUMNS, AuditPlan
from bl_neuro.api.progress import duration
from bl_neuro.api.result import AuditResult
from bl_neuro.cli.audit_power import print_families, print_further_power, print_power
from bl_neuro.cli.output import print_json, print_table, say
from bl_neuro.experiment.findings.estimates import JudgedAttack, Mean
from bl_neuro.experiment.findings.families import families_digest
from bl_neuro.experiment.findings.models import AuditRow, EvaluatorMeasures, Findings
from bl_neuro.phrases import many
from bl_neuro.report import halfway, nearest_members
from bl_neuro.report.membership import auc_words, percent_words, replay_sentences
from bl_neuro.report.secrets_beside import compared_attack, repetition_numbers, repetition_rows, times
from bl_neuro.report.words import amount, margin_lines, network_name, verdict_line
from bl_neuro.rounding import fixed

FEW = 5
"""Maximum number of failures of one kind that are listed."""
SOURCE_WORDS = {
    "cache": "results in the cache, which are copied,",
    "this run": "similar cells of this run",
    "earlier runs": "earlier runs on this machine",
    "reference": "a reference machine, scaled by a short calibration on this one,",
    "unknown": "nothing, since no similar cell has been measured,",
}
"""Where estimates come from; see `AuditPlan.sources`."""
ROW = ("target", "substrate", "attack", "reveals")


def print_plan(plan: AuditPlan, jobs: int, as_json: bool) -> None:
    """Prints the cells that are left to run, and the time they take if similar cells are finished."""
    if as_json:
        print_json(
            {
                "experiment": plan.experiment.model_dump(),
                "plan": [asdict(row) for row in plan.rows],
                "power": [finding.model_dump(mode="json") for finding in plan.power],
                "further_power": [finding.model_dump(mode="json") for finding in plan.further_power],
                "margins": [margin.model_dump(mode="json") for margin in plan.margins],
                "families": [family.model_dump(mode="json") for family in plan.families],
                "families_digest": families_digest(plan.families),
                "cells": plan.cells,
                "done": plan.done,
                "seconds_left": None if plan.unknown else plan.seconds_left,
                "estimated_from": plan.sources,
                "damaged": list(plan.damaged),
                "not_run": plan.not_run,
                "missing_data": plan.missing_data,
            }
        )
        return
    table = [
        [
            *(getattr(row, name) for name in COLUMNS),
            *(str(row.cells), str(row.done), duration(row.seconds_left), ", ".join(row.estimated_from)),
        ]
        for row in plan.rows
    ]
    columns = [*COLUMNS, "cells", "done", "time left", "estimated from"]
    print_table(f"{plan.experiment.name}: the cells", columns, table, len(COLUMNS), len(columns) - 1)
    _print_damaged(plan.damaged)
    _print_not_run(plan.not_run)
    if plan.missing_data is not None:
        say(f"The dataset is missing, so it is not known which cells are done: {plan.missing_data}")
    say(f"\n{plan.done} of {plan.cells} cells are done. Time left with one process: {_time_left(plan)}.")
    if plan.sources:
        counts = [f"{SOURCE_WORDS[source]} for {many(count, 'cell')}" for source, count in plan.sources.items()]
        say(f"This is estimated from {'; '.join(counts)}.")
    if jobs > 1:
        say(f"With --jobs {jobs}, at best 1/{jobs} of that time.")
    print_families(plan.families)
    if plan.experiment.evaluators:
        print_power(plan.power, plan.margins, "restart" if plan.experiment.given else "target seed")
    print_further_power(plan.further_power)


def _time_left(plan: AuditPlan) -> str:
    if not plan.unknown:
        return duration(plan.seconds_left)
    if plan.unknown == plan.cells - plan.done:
        return "not known"
    return f"at least {duration(plan.seconds_left)}, and {plan.unknown} cells of kinds that have not run yet"


def print_result(result: AuditResult, as_json: bool) -> None:
    """Prints the findings. `results.json` also contains individual inversions and curves."""
    names = {"results": "results.json", "summary": "summary.md", "report": "report.html"}
    if as_json:
        print_json(
            {
                **result.findings.model_dump(
                    mode="json", by_alias=True, exclude={"inversions", "curves"}, exclude_unset=True
                ),
                **{kind: str(result.folder / name) for kind, name in names.items()},
                "failures": [{"cell": failure.cell.label, "error": failure.error} for failure in result.failures],
                "left_out": result.left_out,
                "damaged": list(result.damaged),
                "copied": result.copied,
            }
        )
        return
    findings = result.findings
    if findings.rows:
        _print_rows(findings)
    _print_membership(findings)
    _print_secrets(findings)
    if findings.overlap is not None:
        say(findings.overlap.sentence)
    _print_verdicts(result)
    _print_halfway(findings)
    _print_nearest_members(findings)
    _print_replays(findings)
    _print_verification(findings)
    _print_not_run(findings.not_run)
    _print_damaged(result.damaged)
    _print_failures(result)
    if result.copied:
        trained = many(result.copied, "trained network or evaluator", "trained networks and evaluators")
        say(f"{trained} came from the cache")
    say(f"\n{findings.cells.done} of {findings.cells.planned} cells are done: {result.report}")


def _print_rows(findings: Findings) -> None:
    names = [evaluator.name for evaluator in findings.evaluators]
    units = "restarts" if findings.of_given_model else "seeds"
    columns = ["target", "substrate", "attack", "reveals", units, "n", "target acc.", "queries/class"]
    columns += [column for name in names for column in (f"attack acc. ({name})", *_gained(findings, name))]
    columns += [f"confidence ({names[0]})", "target success"]
    table = [_row_cells(row, names, bool(findings.baselines)) for row in findings.rows]
    print_table(f"Means and 95% intervals over {findings.unit}s", columns, table, 4)
    for evaluator in findings.evaluators:
        if evaluator.accuracy is not None:
            accuracy = fixed(evaluator.accuracy, 3)
            trained = "" if evaluator.trained == 1 else f", mean of {evaluator.trained} trainings"
            say(f"evaluator {evaluator.name}: test accuracy {accuracy} on {evaluator.samples} samples{trained}")


def _print_membership(findings: Findings) -> None:
    if findings.membership is None:
        return
    columns = ["deployment", "ask", "reveals", "attack", "shadows", "AUC", "found at 1%", "at 0.1%", "null AUC"]
    table = [
        [
            row.deployment, row.ask, row.reveals, row.attack, row.shadows, auc_words(row.auc),
            percent_words(row.tpr_at_1), percent_words(row.tpr_at_01), auc_words(row.null_auc),
        ]
        for row in findings.membership.rows
    ]  # fmt: skip
    print_table("Membership: means over targets with 95% intervals over targets and pool", columns, table, 5)
    for sentence in replay_sentences(findings.membership):
        say(sentence)


def _gained(findings: Findings, name: str) -> list[str]:
    return [f"best without query ({name})", f"advantage ({name})"] if findings.baselines else []


def _print_secrets(findings: Findings) -> None:
    """Prints what attacks recovered of planted secrets."""
    if findings.secrets is None:
        return
    secrets = findings.secrets
    columns = ["network", "attack", "reveals", "seeds", "queries/class", "recovered", "bits/class"]
    columns += ["informed", "over guessing", "advantage"]
    table = [
        [
            network_name(row.substrate), row.attack, row.reveals, str(row.recovered.seeds), amount(row.queries),
            _interval(row.recovered), fixed(row.bits.value, 2),
            "-" if row.informed is None else fixed(row.informed.recovered.value, 2),
            _interval(row.over_guessing), _interval(row.advantage),
        ]
        for row in secrets.rows
    ]  # fmt: skip
    print_table(f"Planted secrets: the {secrets.secret}", columns, table, 4)
    ceiling = "not known yet" if secrets.ceiling is None else fixed(secrets.ceiling, 3)
    say(f"guessing recovers {fixed(secrets.chance, 3)} of the secrets; the reader's ceiling is {ceiling}")
    if secrets.twins:
        beside = [
            [compared_attack(one), fixed(one.recovered, 2), fixed(one.twin_recovered, 2), verdict_line(one.verdict)]
            for one in secrets.twins
        ]
        print_table("Beside ANN twins: recovered", ["attack", "spiking", "ANN", "difference"], beside, 1, 3)
    if secrets.repetitions:
        columns, rows = ["attack", "network", "queries/class"], repetition_rows(secrets)
        columns += map(times, repetition_numbers(secrets))
        print_table("Exposure in bits and recovered, by how often trained on", columns, [row.texts for row in rows], 2)


def _row_cells(row: AuditRow, names: Sequence[str], compared: bool) -> list[str]:
    judged = [row.evaluators.get(name) for name in names]
    first = judged[0]
    return [
        *(getattr(row, name) for name in ROW),
        *(["0", "0"] if first is None else [str(first.attack_accuracy.seeds), str(first.attack_accuracy.n)]),
        "-" if row.target_accuracy is None else fixed(row.target_accuracy.value, 3),
        "-" if row.queries_per_class is None else amount(row.queries_per_class),
        *(cell for part in judged for cell in _accuracy_cells(part, compared)),
        _interval(None if first is None else first.confidence),
        _interval(row.target_success),
    ]


def _accuracy_cells(judged: EvaluatorMeasures | None, compared: bool) -> list[str]:
    """Attack accuracy and, where baselines were measured, the best of them and the advantage over it."""
    if judged is None:
        return ["-"] * (3 if compared else 1)
    best = "-"
    if judged.baseline_accuracy is not None:
        best = f"{fixed(judged.baseline_accuracy.value, 2)} {judged.baseline}"
    return [_interval(judged.attack_accuracy), *([best, _interval(judged.advantage)] if compared else [])]


def _interval(estimate: Mean | None) -> str:
    if estimate is None:
        return "-"
    low, high = ("?" if end is None else fixed(end, 2) for end in (estimate.low, estimate.high))
    return f"{fixed(estimate.value, 2)} [{low}, {high}]"


def _print_verdicts(result: AuditResult) -> None:
    """Prints the verdicts on attack accuracy under every evaluator. Substrates with equal scores share a line."""
    findings = result.findings
    compared = [comparison for comparison in findings.verdicts if comparison.measure == "hit"]
    answer = str(result.answer).replace("\u00a0", " ")
    say(f"\n{answer}")
    if not compared and not findings.alike:
        return
    say("Attack accuracy. Margins:")
    for line in margin_lines(findings):
        say(f"  {line}".replace("\u00a0", " "))
    for alike in findings.alike:
        expected = ", by construction" if findings.equal_by_construction(alike.substrates) else ""
        say(f"  {_view(alike)}: {', '.join(alike.substrates)} score the same{expected}")
    for comparison in compared:
        pair = f"{'/'.join(comparison.first)} less {'/'.join(comparison.second)}"
        say(f"  {_view(comparison)}: {pair}: {verdict_line(comparison.verdict, findings.unit)}")


def _print_halfway(findings: Findings) -> None:
    """Prints the comparison of substrates at the budget at which each attack is halfway."""
    if findings.halfway:
        print_table("Where attacks are halfway", [*halfway.COLUMNS], halfway.halfway_rows(findings), 6)


def _print_nearest_members(findings: Findings) -> None:
    """Prints whether inversions resemble single training samples."""
    if findings.nearest_members:
        columns, rows = nearest_members.COLUMNS, nearest_members.nearest_rows(findings)
        print_table("Classes or samples: inversions", [*columns], rows, 5)


def _view(part: JudgedAttack) -> str:
    return f"{part.attack}, {part.reveals}, {part.evaluator}"


def _print_replays(findings: Findings) -> None:
    """Prints whether replays on another substrate gave bit-identical results."""
    for substrate, reference in findings.stands_for.items():
        count = sum(replay.substrate == substrate for replay in findings.replays)
        attacks = many(count, "attack")
        say(
            f"the figures of {reference} stand for {substrate}: {attacks} ran again on {substrate}, "
            "equal to the last bit"
        )
    for replay in findings.replays:
        if not replay.identical:
            where = f"{replay.attack} on {replay.reveals}, seed {replay.seed}, restart {replay.restart}"
            say(f"NOT THE SAME on {replay.substrate} and {replay.of}: {where}")


def _print_verification(findings: Findings) -> None:
    """Prints whether substrates that promise identical spikes produced them in every layer."""
    for verification in findings.verification:
        for pair in verification.pairs:
            broken = pair.promised and not pair.exact
            promise = "BROKEN PROMISE" if broken else "as promised" if pair.promised else "not promised"
            same = f"{pair.identical:,} of {pair.bins:,} bins of all layers, {many(pair.samples, 'sample')}"
            say(f"verified: the spikes of {pair.substrate} and {pair.reference} are equal in {same} ({promise})")


def _print_not_run(not_run: dict[str, str]) -> None:
    for substrate, reason in not_run.items():
        say(f"left out: {substrate}: {reason}")


def _print_damaged(damaged: Sequence[str]) -> None:
    for problem in damaged[:FEW]:
        say(f"not counted as done: {problem}")
    if len(damaged) > FEW:
        say(f"and {len(damaged) - FEW} more")


def _print_failures(result: AuditResult) -> None:
    for error, count in Counter(failure.error for failure in result.failures).most_common():
        cells: list[Any] = [failure.cell.label for failure in result.failures if failure.error == error]
        say(f"\n{count} failed: {error}")
        for cell in cells[:FEW]:
            say(f"  {cell}")
        if count > FEW:
            say(f"  and {count - FEW} more")
    if result.left_out:
        say(f"{result.left_out} cells were left out, since what they are made from failed")
