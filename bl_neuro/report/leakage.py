"""How much attacks recover, in sentences, for the beginning of every report."""

from __future__ import annotations

from collections.abc import Sequence

from bl_neuro.attacks.registry import attack_title
from bl_neuro.experiment.findings.models import AuditRow, Findings
from bl_neuro.phrases import listed
from bl_neuro.report.advantage import advantage_sentences
from bl_neuro.report.words import SEEN, TARGETS, amount, chance_label, percent_range, share_ends

FEW = 3
"""Maximum number of substrates or outputs that a sentence lists."""


def leakage_lead(results: Findings) -> str:
    """How many inversions the evaluators recognise, the first compared with controls and chance."""
    black, white = _rows(results, "black_box"), _rows(results, "white_box")
    rows = black or white
    if not rows:
        return "No attack has been judged yet."
    views = list(dict.fromkeys(row.reveals for row in rows))
    recognised = f"gets pictures that the evaluator {results.judge} recognises as the intended class in"
    if 1 < len(views) <= FEW:
        by_view = [[row for row in rows if row.reveals == reveals] for reveals in views]
        parts = [
            f"{_accuracies(some, results.judge)} where it sees {SEEN.get(some[0].reveals, some[0].reveals)}"
            for some in by_view
        ]
        who = f"An attacker who can only query {_subject(results)}{_queries(rows, ' and spends {} queries per class')}"
        accuracies = listed([parts[0], *(part.replace(" of cases", "") for part in parts[1:])])
    else:
        who = _querying(results, black) if black else _with_gradients(results, white)
        accuracies = _accuracies(rows, results.judge)
    accuracies = f"{accuracies}, on {_substrates(results, rows)}{_further_accuracies(results, rows)}"
    recovered = f"{who} {recognised} {accuracies}. {_controls(results, rows)}"
    return " ".join(filter(None, [_advantage(results, rows, _attacker(results, black, white)), recovered]))


def leakage_lines(results: Findings) -> list[str]:
    """What white-box attacks recover if the lead is about black-box attacks."""
    black, white = _rows(results, "black_box"), _rows(results, "white_box")
    if not (black and white):
        return []
    lines = [
        f"{_with_gradients(results, white)} gets pictures that the evaluator {results.judge} recognises in "
        f"{_accuracies(white, results.judge)}{_further_accuracies(results, white)}.",
        _advantage(results, white, _attacker(results, [], white)),
    ]
    return [line for line in lines if line]


def _advantage(results: Findings, rows: Sequence[AuditRow], who: str) -> str:
    return advantage_sentences(rows, [evaluator.name for evaluator in results.evaluators], who)


def _further_accuracies(results: Findings, rows: Sequence[AuditRow]) -> str:
    """The attack accuracies of the same rows under further evaluators: `; the evaluator spiking recognises 66%`."""
    parts = [
        f"the evaluator {evaluator.name} recognises {_accuracies(rows, evaluator.name)}".replace(" of cases", "")
        for evaluator in results.evaluators[1:]
        if any(evaluator.name in row.evaluators for row in rows)
    ]
    return "".join(f"; {part}" for part in parts)


def _attacker(results: Findings, black: Sequence[AuditRow], white: Sequence[AuditRow]) -> str:
    """The attacker of black-box rows or, if there are none, of white-box rows, in short."""
    if black:
        return f"an attacker who can only query {_subject(results)}"
    return f"an attacker with the gradient of {_subject(results)}"


def _rows(results: Findings, access: str) -> list[AuditRow]:
    return [row for row in results.own_rows if row.access == access and results.judge in row.evaluators]


def _subject(results: Findings) -> str:
    return "the model" if results.of_given_model else "the network"


def _querying(results: Findings, rows: Sequence[AuditRow]) -> str:
    views = list(dict.fromkeys(row.reveals for row in rows))
    sees = f"one of {len(views)} views of its output ({listed(views, 'or')})"
    if len(views) <= FEW:
        sees = listed([SEEN.get(reveals, reveals) for reveals in views], "or")
    queries = _queries(rows, " and spends {} queries per class")
    return f"An attacker who can only query {_subject(results)}, sees {sees}{queries},"


def _queries(rows: Sequence[AuditRow], form: str) -> str:
    """The number of queries per class of the rows, formatted with `form`; empty if it is not known."""
    spent = sorted({row.queries_per_class for row in rows if row.queries_per_class is not None})
    if not spent:
        return ""
    least, most = amount(spent[0]), amount(spent[-1])
    return form.format(least if least == most else f"{least} to {most}")


def _with_gradients(results: Findings, rows: Sequence[AuditRow]) -> str:
    attacks = listed(list(dict.fromkeys(attack_title(row.attack) for row in rows)))
    return f"An attacker with the gradient of {_subject(results)} ({attacks}, white box)"


def _substrates(results: Findings, rows: Sequence[AuditRow]) -> str:
    names = list(dict.fromkeys(row.substrate for row in rows))
    return listed(names) if len(names) <= FEW else f"{len(names)} substrates"


def _accuracies(rows: Sequence[AuditRow], evaluator: str) -> str:
    """`90–95% of cases (95% intervals 77–100%)`, over all rows."""
    means = [row.evaluators[evaluator].attack_accuracy for row in rows if evaluator in row.evaluators]
    values = percent_range(min(mean.value for mean in means), max(mean.value for mean in means))
    lows, highs = [mean.low for mean in means if mean.low is not None], [m.high for m in means if m.high is not None]
    if not lows or not highs:
        return f"{values} of cases"
    same = len({share_ends(mean) for mean in means}) == 1
    return f"{values} of cases (95% interval{'' if same else 's'} {percent_range(min(lows), max(highs))})"


def _controls(results: Findings, rows: Sequence[AuditRow]) -> str:
    """Attack accuracy of the same attacks on null controls, and of guessing."""
    chance = f"guessing, {chance_label(results.dataset.chance)}."
    attacks = {(row.attack, row.reveals) for row in rows}
    controls = [
        row
        for row in results.rows
        if not row.own and (row.attack, row.reveals) in attacks and results.judge in row.evaluators
    ]
    if not controls:
        return chance[0].upper() + chance[1:].replace("uessing,", "uessing would reach")
    kinds = listed(list(dict.fromkeys(TARGETS.get(row.target, row.target) for row in controls)))
    reached = _accuracies(controls, results.judge).replace(" of cases", "")
    further = [
        f"under {evaluator.name} {_accuracies(controls, evaluator.name)}".replace(" of cases", "")
        for evaluator in results.evaluators[1:]
        if any(evaluator.name in row.evaluators for row in controls)
    ]
    reached = ", ".join([reached, *further])
    attack = "The same attack" if len({(row.attack, row.reveals) for row in controls}) == 1 else "The same attacks"
    verb = "reaches" if attack.endswith("attack") else "reach"
    return f"{attack} on {kinds} {verb} {reached}; {chance}"
