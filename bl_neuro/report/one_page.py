"""A one-page summary of an audit in Markdown: leakage, verdict, all pairs, ladder, controls, limits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bl_neuro.experiment.findings.estimates import ControlFinding, IdenticalSubstrates, LadderFinding, Verdict
from bl_neuro.experiment.findings.models import Findings, Unit
from bl_neuro.experiment.findings.secrets_models import SecretsFinding
from bl_neuro.report import advantage, halfway, nearest_members, views
from bl_neuro.report.answer import audit_answer
from bl_neuro.report.limits import limits
from bl_neuro.report.membership import attack_words, auc_words, membership_groups, percent_words, two_decimals
from bl_neuro.report.secrets import bits_text, secret_groups
from bl_neuro.report.secrets_beside import (
    both_accuracies,
    compared_attack,
    repetition_numbers,
    repetition_rows,
    times,
)
from bl_neuro.report.words import (
    FAMILIES,
    against_chance,
    amount,
    chance_label,
    decimal,
    effect,
    effect_footing,
    ends,
    family_lines,
    footing,
    judged,
    listed,
    many,
    margin_lines,
    mitigation,
    network_name,
    pair,
    percent,
    points,
    seen_by_control,
    share,
    share_ends,
    shown_less,
    verdict_line,
    view,
)


def one_page(results: Findings) -> str:
    """The page as text that ends in a newline."""
    answer = audit_answer(results)
    parts = [
        f"# {_plain(answer.title)}",
        _plain(answer.leakage),
        f"{_plain(answer.question)} **{answer.word}.** {_plain(answer.lead)}",
        "\n".join(f"- {_plain(text)}" for text in answer.more),
        *_membership(results),
        *_matrix(results),
        *_advantages(results),
        *_nearest_members(results),
        *_pairs(results),
        *_halfway(results),
        *_secrets(results),
        *_ladders(results),
        *_controls(results),
        *_mitigations(results),
        *_families(results),
        "## Limits",
        "\n".join(f"- {_plain(text)}" for text in limits(results)),
        f"{_made_by(results.made.command)}: {results.cells.done:,} of {results.cells.planned:,} cells. "
        "The figures are in `results.json`, the pictures in `report.html`.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _families(results: Findings) -> list[str]:
    if not results.families:
        return []
    lines = "\n".join(f"- {_plain(line)}" for line in family_lines(results.families))
    return [f"## Tested together (declared before the run, digest {results.families_digest})", lines]


def _membership(results: Findings) -> list[str]:
    parts = []
    for group in membership_groups(results.membership):
        rows = [
            [
                attack_words(row), row.reveals, auc_words(row.auc), percent_words(row.tpr_at_1),
                percent_words(row.tpr_at_01), two_decimals(row.epsilon.value), auc_words(row.null_auc),
            ]
            for row in group.rows
        ]  # fmt: skip
        columns = ["attack", "output", "AUC", "found at 1%", "at 0.1%", "epsilon", "null AUC"]
        parts.append(f"### {_plain(group.title)}\n\n{_table(columns, rows)}")
    return ["## Membership", *parts] if parts else []


def _made_by(command: str | None) -> str:
    if command is None:
        return "Command not recorded"
    command = " ".join(command.split())
    return f"Made by {_plain(command)}" if "`" in command else f"Made by `{command}`"


def _matrix(results: Findings) -> list[str]:
    rows = []
    for line in views.matrix(results):
        cells = []
        for name in results.substrates:
            row = line.rows.get(name)
            measures = None if row is None else row.evaluators.get(results.judge)
            accuracy = None if measures is None else measures.attack_accuracy
            cells.append("–" if accuracy is None else f"{share(accuracy)} ({share_ends(accuracy)})")
        rows.append([view(line.attack, line.reveals), *cells])
    note = f"Under {results.judge}, with 95% intervals; guessing scores {chance_label(results.dataset.chance)}."
    return ["## Attack accuracy", note, _table(["attack", *results.substrates], rows)] if rows else []


def _advantages(results: Findings) -> list[str]:
    rows = advantage.advantage_rows(results)
    if not rows:
        return []
    columns = ["attack", "substrate", "evaluator", "attack accuracy", "best without a query", "advantage"]
    names = [evaluator.name for evaluator in results.evaluators]
    reached = [
        [line.title, *(f"{share(line.means.get(name))} ({share_ends(line.means.get(name))})" for name in names)]
        for line in advantage.baseline_lines(results)
    ]
    return [
        "## Advantage over an attacker who asks nothing",
        advantage.ABOUT,
        _table(columns, rows),
        "What attackers reach who ask nothing, with 95% intervals:",
        _table(["shows", *names], reached),
        "\n".join(f"- {_plain(text)}" for text in [*advantage.left_out(results), *advantage.none_of_these(results)]),
    ]


def _pairs(results: Findings) -> list[str]:
    rows = []
    for group in views.pair_groups(results):
        alike = [same for same in group.alike if same.evaluator == results.judge]
        rows += [[group.title, listed(same.substrates), "0.0", "", _identical(results, same)] for same in alike]
        for comparison in group.compared:
            if comparison.evaluator == results.judge:
                names = pair(comparison.first, comparison.second)
                rows.append([group.title, names, *_change(comparison.verdict, results.unit)])
    if not rows:
        return []
    units = "paired over the restarts of one model"
    if not results.of_given_model:
        units = many(len(results.seeds), "target seed")
    note = f"Attack accuracy under {results.judge}, in points; {units}. Margin: {'; '.join(margin_lines(results))}."
    return ["## Pairs of substrates", note, _table(["attack", "substrates", "difference", "95%", "verdict"], rows)]


def _nearest_members(results: Findings) -> list[str]:
    rows = nearest_members.nearest_rows(results)
    return ["## Classes or samples", nearest_members.ABOUT, _table(nearest_members.COLUMNS, rows)] if rows else []


def _halfway(results: Findings) -> list[str]:
    rows = halfway.halfway_rows(results)
    return ["## Where attacks are halfway", halfway.ABOUT, _table(halfway.COLUMNS, rows)] if rows else []


def _secrets(results: Findings) -> list[str]:
    finding = results.secrets
    if finding is None or not finding.rows:
        return []
    rows = [
        [
            group.title, network_name(row.substrate), "gradient" if row.budget is None else amount(row.queries),
            f"{share(row.recovered)} ({share_ends(row.recovered)})", bits_text(finding, row),
            "–" if row.informed is None else share(row.informed.recovered),
            f"{points(row.advantage.value)} ({ends(row.advantage)})",
        ]
        for group in secret_groups(finding)
        for row in group.rows
    ]  # fmt: skip
    columns = ["attack", "substrate", "queries per class", "recovered", "bits a class", "informed", "advantage, points"]
    ceiling = "" if finding.ceiling is None else f"; the reader’s ceiling is {percent(finding.ceiling)}"
    note = f"The {finding.secret}, one of {finding.choices}: guessing recovers {chance_label(finding.chance)}{ceiling}."
    return ["## Planted secrets", note, _table(columns, rows), *_twins(finding), *_repetitions(finding)]


def _twins(finding: SecretsFinding) -> list[str]:
    if not finding.twins:
        return []
    rows = [
        [compared_attack(one), percent(one.recovered), percent(one.twin_recovered), verdict_line(one.verdict)]
        for one in finding.twins
    ]
    note = (
        f"Spiking targets on {finding.twins[0].substrate} and ANNs of the same layer sizes, trained on the same data "
        f"(accuracies {both_accuracies(finding) or 'not known yet'}), over all budgets; spiking less ANN."
    )
    return ["## Beside ANN twins", note, _table(["attack", "spiking", "ANN", "difference"], rows)]


def _repetitions(finding: SecretsFinding) -> list[str]:
    if not finding.repetitions:
        return []
    columns = ["attack", "network", "queries per class", *map(times, repetition_numbers(finding))]
    note = (
        f"Exposure in bits, with its 95% interval, and share recovered, by how often a pattern was trained on. The "
        f"reference set is all {finding.choices} candidates, so that exposure is at most {decimal(finding.bits)}; "
        f"guessing has {decimal(finding.guessed_exposure)}."
    )
    return ["## Canaries by repetition", note, _table(columns, [row.texts for row in repetition_rows(finding)])]


def _ladders(results: Findings) -> list[str]:
    hits = [ladder for ladder in results.ladder if ladder.measure == "hit"]
    own = [ladder for ladder in hits if ladder.evaluator == results.judge]
    parts = []
    for ladder in own:
        key = (ladder.attack, ladder.reveals)
        others = [other for other in hits if other is not ladder and (other.attack, other.reveals) == key]
        parts.append(_ladder(ladder, others, results.unit))
    return [*parts, *filter(None, [shown_less(results)])]


def _ladder(ladder: LadderFinding, others: Sequence[LadderFinding], unit: Unit) -> str:
    """The table of a ladder. others: the same ladder under other evaluators."""
    empty = [""] * len(others)
    rows = [[ladder.levels[0].rung, share(ladder.levels[0].estimate), "", "", "", *empty]]
    named = [{step.name: step.change for step in other.steps} for other in others]
    for level, step in zip(ladder.levels[1:], ladder.steps):
        further = [_short(changes[step.name], unit) if step.name in changes else "" for changes in named]
        rows.append([level.rung, share(level.estimate), *_change(step.change, unit), *further])
    rows.append(["in all", "", *_change(ladder.total, unit), *(_short(other.total, unit) for other in others)])
    columns = ["step", "level", "change", "95%", "verdict", *(f"under {other.evaluator}" for other in others)]
    title = _plain(view(ladder.attack, ladder.reveals))
    return f"## Which step does it: {title}\n\nUnder {ladder.evaluator}.\n\n{_table(columns, rows)}"


def _change(verdict: Verdict, unit: Unit) -> list[str]:
    return [points(verdict.difference.value), ends(verdict.difference), _verdict(verdict, unit)]


def _short(verdict: Verdict, unit: Unit) -> str:
    return f"{points(verdict.difference.value)}, {_verdict(verdict, unit)}"


def _controls(results: Findings) -> list[str]:
    rows = [
        [
            control.kind.replace("_", " "), f"{view(control.attack, control.reveals)}, {control.substrate}",
            f"{share(control.estimate)} ({share_ends(control.estimate)})", _against_chance(control, results.unit),
        ]
        for control in results.controls
        if control.evaluator == results.judge
    ]  # fmt: skip
    columns = ["control", "attack", f"attack accuracy under {results.judge}", "chance"]
    return ["## Null controls", _table(columns, rows)] if rows else []


def _against_chance(control: ControlFinding, unit: Unit) -> str:
    able = seen_by_control(control, unit)
    return f"{against_chance(control)}; {able}" if able else against_chance(control)


def _identical(results: Findings, same: IdenticalSubstrates) -> str:
    return "identical by construction" if results.equal_by_construction(same.substrates) else "identical"


def _verdict(verdict: Verdict, unit: Unit) -> str:
    """The verdict in words."""
    remark = footing(verdict, unit)
    return f"{judged(verdict)}: {remark}" if remark else judged(verdict)


def _mitigations(results: Findings) -> list[str]:
    rows = []
    names = [evaluator.name for evaluator in results.evaluators]
    for case in views.mitigation_cases(results.mitigations):
        first = case[0]
        lost = None if first.accuracy is None else first.accuracy.lost
        removed = {tried.evaluator: _effect(tried.leakage.removed, results.unit) for tried in case}
        rows.append(
            [
                mitigation(first.mitigation, first.setting), f"{view(first.attack, first.reveals)}, {first.substrate}",
                "–" if lost is None else points(lost.value), *(removed.get(name, "–") for name in names),
            ]
        )  # fmt: skip
    columns = ["mitigation", "attack", "accuracy lost", *(f"leakage removed, {name}" for name in names)]
    return ["## What could be done", FAMILIES, _table(columns, rows)] if rows else []


def _effect(removed: Verdict, unit: Unit) -> str:
    words = f"{points(removed.difference.value)} ({ends(removed.difference)}): {effect(removed)}"
    remark = effect_footing(removed, unit)
    return f"{words}, {remark}" if remark else words


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(_plain(cell) for cell in line)} |" for line in lines)


def _plain(text: str) -> str:
    """The text without characters that Markdown interprets, which file names may contain."""
    for mark in "\\`*_[]<>|#":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
