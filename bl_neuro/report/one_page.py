"""An audit on one page of Markdown: the verdict, every pair, the matrix, the ladder, controls, limits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bl_neuro.experiment.findings.estimates import IdenticalSubstrates, LadderFinding, Verdict
from bl_neuro.experiment.findings.models import Findings
from bl_neuro.report import views as audit_views
from bl_neuro.report.answer import audit_answer
from bl_neuro.report.limits import limits
from bl_neuro.report.words import (
    FAMILIES,
    SHOWN_LESS,
    against_chance,
    chance_label,
    effect,
    effect_footing,
    ends,
    footing,
    judged,
    listed,
    mitigation,
    pair,
    points,
    share,
    share_ends,
    view,
)


def one_page(results: Findings) -> str:
    """The page, as text that ends in a newline."""
    answer = audit_answer(results)
    parts = [
        f"# Does the substrate change what networks give away of {_plain(results.dataset.name)}?",
        f"**{answer.word}.** {_plain(answer.lead)}",
        "\n".join(f"- {_plain(text)}" for text in answer.more),
        *_pairs(results),
        *_matrix(results),
        *_ladders(results),
        *_controls(results),
        *_mitigations(results),
        "## Limits",
        "\n".join(f"- {_plain(text)}" for text in limits(results)),
        f"{_made_by(results.made.command)}: {results.cells.done:,} of {results.cells.planned:,} cells. "
        "The figures are in `results.json`, the pictures in `report.html`.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _made_by(command: str | None) -> str:
    if command is None:
        return "Command not recorded"
    command = " ".join(command.split())
    return f"Made by {_plain(command)}" if "`" in command else f"Made by `{command}`"


def _pairs(results: Findings) -> list[str]:
    rows = []
    for group in audit_views.pair_groups(results):
        alike = [each for each in group.alike if each.evaluator == results.judge]
        rows += [[group.title, listed(each.substrates), "0.0", "", _identical(results, each)] for each in alike]
        for each in group.compared:
            if each.evaluator == results.judge:
                found = each.verdict
                said = [points(found.difference.value), ends(found.difference), _verdict(found)]
                rows.append([group.title, pair(each.first, each.second), *said])
    if not rows:
        return []
    margin = points(results.margin, False)
    note = f"Attack accuracy under {results.judge}, in points; margin {margin}; {len(results.seeds)} target seeds."
    return ["## Pairs of substrates", note, _table(["attack", "substrates", "difference", "95%", "verdict"], rows)]


def _matrix(results: Findings) -> list[str]:
    names = audit_views.substrates(results)
    rows = []
    for line in audit_views.matrix(results):
        cells = []
        for name in names:
            row = line.rows.get(name)
            found = None if row is None else row.evaluators.get(results.judge)
            cells.append(
                "–" if found is None else f"{share(found.attack_accuracy)} ({share_ends(found.attack_accuracy)})"
            )
        rows.append([view(line.attack, line.reveals), *cells])
    note = f"Under {results.judge}; guessing scores {chance_label(results.dataset.chance)}."
    return ["## Attack accuracy", note, _table(["attack", *names], rows)] if rows else []


def _ladders(results: Findings) -> list[str]:
    hits = [each for each in results.ladder if each.measure == "hit"]
    own = [each for each in hits if each.evaluator == results.judge]
    parts = [
        _ladder(
            ladder,
            [
                each
                for each in hits
                if each is not ladder and (each.attack, each.reveals) == (ladder.attack, ladder.reveals)
            ],
        )
        for ladder in own
    ]
    if any(level.rung.startswith("reveals") for each in own for level in each.levels):
        parts.append(SHOWN_LESS)
    return parts


def _ladder(ladder: LadderFinding, others: Sequence[LadderFinding]) -> str:
    """others: the same under other evaluators."""
    empty = [""] * len(others)
    rows = [[ladder.levels[0].rung, share(ladder.levels[0].estimate), "", "", "", *empty]]
    named = [{each.name: each.change for each in other.steps} for other in others]
    for level, step in zip(ladder.levels[1:], ladder.steps):
        said = [_short(changes[step.name]) if step.name in changes else "" for changes in named]
        rows.append([level.rung, share(level.estimate), *_change(step.change), *said])
    rows.append(["in all", "", *_change(ladder.total), *(_short(other.total) for other in others)])
    columns = ["step", "level", "change", "95%", "verdict", *(f"under {each.evaluator}" for each in others)]
    return f"## Which step does it: {_plain(view(ladder.attack, ladder.reveals))}\n\n{_table(columns, rows)}"


def _change(found: Verdict) -> list[str]:
    return [points(found.difference.value), ends(found.difference), _verdict(found)]


def _short(found: Verdict) -> str:
    return f"{points(found.difference.value)}, {_verdict(found)}"


def _controls(results: Findings) -> list[str]:
    rows = [
        [
            each.kind.replace("_", " "), f"{view(each.attack, each.reveals)}, {each.substrate}",
            f"{share(each.estimate)} ({share_ends(each.estimate)})", against_chance(each),
        ]
        for each in results.controls
        if each.evaluator == results.judge
    ]  # fmt: skip
    return ["## Null controls", _table(["control", "attack", "attack accuracy", "chance"], rows)] if rows else []


def _identical(results: Findings, alike: IdenticalSubstrates) -> str:
    return "identical by construction" if results.equal_by_construction(alike.substrates) else "identical"


def _verdict(found: Verdict) -> str:
    """The verdict in words."""
    return f"{judged(found)}: {footing(found)}" if footing(found) else judged(found)


def _mitigations(results: Findings) -> list[str]:
    rows = []
    names = [each.name for each in results.evaluators]
    for case in audit_views.mitigation_cases(results.mitigations):
        one = case[0]
        lost = None if one.accuracy is None else one.accuracy.lost
        removed = {each.evaluator: _effect(each.leakage.removed) for each in case}
        rows.append(
            [
                mitigation(one.mitigation, one.setting), f"{view(one.attack, one.reveals)}, {one.substrate}",
                "–" if lost is None else points(lost.value), *(removed.get(name, "–") for name in names),
            ]
        )  # fmt: skip
    columns = ["mitigation", "attack", "accuracy lost", *(f"leakage removed, {name}" for name in names)]
    return ["## What could be done", FAMILIES, _table(columns, rows)] if rows else []


def _effect(removed: Verdict) -> str:
    said = f"{points(removed.difference.value)} ({ends(removed.difference)}): {effect(removed)}"
    return f"{said}, {effect_footing(removed)}" if effect_footing(removed) else said


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(_plain(cell) for cell in line)} |" for line in lines)


def _plain(text: str) -> str:
    """The text with nothing in it that Markdown would take for a mark; names of files may hold any."""
    for mark in "\\`*_[]<>|#":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
