"""The headline answer: plain sentences computed from the rows, and no claim that the rows cannot carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bl_neuro.report.schema import Control, Results, Row
from bl_neuro.report.words import ATTACKS, SHOWN, amount, chance_label, listed, null_networks, percent, percent_range


@dataclass(frozen=True)
class Answer:
    """lead: one or two sentences. more: further findings. limit: what this run cannot conclude."""

    lead: tuple[str, ...]
    more: tuple[str, ...]
    limit: str

    def __str__(self) -> str:
        return " ".join((*self.lead, *self.more, self.limit))


def answer(results: Results) -> Answer:
    """What an attacker got out, beside what the same attack scores where there is nothing to get."""
    spiking = [row for row in results.rows if row.attack != "ann"]
    black = [row for row in spiking if row.access == "black_box"]
    white = [row for row in spiking if row.access == "white_box"]
    baseline = [row for row in results.rows if row.attack == "ann"]
    groups = [group for group in (black, white, baseline) if group]
    main, others = groups[0], groups[1:]
    lead = (_finding(main), _control_finding(main, results))
    more = [_comparison(main, results.controls)] if results.controls else []
    more += [_finding(group) for group in others]
    return Answer(lead, tuple(text for text in more if text), _limit(results))


def above_control(row: Row, controls: Sequence[Control]) -> bool | None:
    """Whether a row's 95% interval lies wholly above every control's; None without a control."""
    if not controls:
        return None
    return row.attack_accuracy_low > max(control.attack_accuracy_high for control in controls)


def comparable(rows: Sequence[Row], controls: Sequence[Control]) -> list[Control]:
    """The controls of the same attack and view as one of the rows; all of them if there is none."""
    kinds = {(row.attack, row.access, row.reveals) for row in rows}
    same = [c for c in controls if (c.attack, c.access, c.reveals) in kinds]
    return same or list(controls)


def _finding(rows: Sequence[Row]) -> str:
    """One sentence on a group of rows that share an access."""
    found = f"{_accuracy(rows)} of cases {_substrates(rows)}{_spread(rows)}"
    attacks = listed(list(dict.fromkeys(ATTACKS[row.attack] for row in rows)))
    if rows[0].attack == "ann":
        return (
            f"The published attack on a non-spiking network trained on the same data, here for comparison, "
            f"gets {_accuracy(rows)} recognised{_spread(rows)}."
        )
    if rows[0].access == "black_box":
        shown = listed(list(dict.fromkeys(SHOWN[row.reveals or ""] for row in rows)), "or")
        return (
            f"An attacker who can only query the network, is shown {shown} and spends {_cost(rows)} queries a class, "
            f"gets pictures that an independent evaluator recognises as the intended class in {found}."
        )
    return (
        f"With the gradient of the network ({attacks}, white box), an attacker gets pictures that the "
        f"evaluator recognises in {found}."
    )


def _cost(rows: Sequence[Row]) -> str:
    """Queries a class, or their range."""
    spent = [row.queries_per_class for row in rows]
    low, high = amount(min(spent)), amount(max(spent))
    return low if low == high else f"{low}–{high}"


def _accuracy(rows: Sequence[Row]) -> str:
    accuracies = [row.attack_accuracy for row in rows]
    return percent_range(min(accuracies), max(accuracies))


def _spread(rows: Sequence[Row]) -> str:
    low, high = min(row.attack_accuracy_low for row in rows), max(row.attack_accuracy_high for row in rows)
    return f" (95% interval{'s' if len(rows) > 1 else ''} {percent_range(low, high)})"


def _substrates(rows: Sequence[Row]) -> str:
    names = list(dict.fromkeys(row.substrate for row in rows))
    return f"on {names[0]}" if len(names) == 1 else f"on {len(names)} substrates"


def _control_finding(rows: Sequence[Row], results: Results) -> str:
    """One sentence on what the same attack scores on networks that never saw a true label."""
    controls = comparable(rows, results.controls)
    guessing = chance_label(results.chance)
    if not controls:
        return f"No null control was run: there is nothing to hold this against but chance, {guessing}."
    kinds = {(row.attack, row.access, row.reveals) for row in rows}
    same = all((c.attack, c.access, c.reveals) in kinds for c in controls)
    who = "The same attack" if same else f"The control ({listed([ATTACKS[c.attack] for c in controls])})"
    whom = listed(list(dict.fromkeys(null_networks(control) for control in controls)), "or")
    return f"{who} on {whom} reaches {_accuracy(controls)}{_spread(controls)}; guessing, {guessing}."


def _comparison(rows: Sequence[Row], controls: Sequence[Control]) -> str:
    """Whether the rows stand clear of the control, and whether the control stands clear of chance."""
    whose = "the control’s" if len(comparable(rows, controls)) == 1 else "every control’s"
    above = sum(bool(above_control(row, comparable(rows, controls))) for row in rows)
    if above == len(rows):
        return f"{'The' if above == 1 else 'Every'} interval lies above {whose}."
    if above == 0:
        return f"No interval lies above {whose}: this run shows no leakage that a control does not."
    return f"{above} of {len(rows)} intervals lie above {whose}; the others cannot be told from it."


def control_verdict(control: Control, chance: float) -> str:
    """How a control came out: near chance, as it must, or not."""
    ends = percent_range(control.attack_accuracy_low, control.attack_accuracy_high)
    found = (
        f"On {null_networks(control)}, {ATTACKS[control.attack]} reaches "
        f"{percent(control.attack_accuracy)}, 95% interval {ends}."
    )
    guessing = f"chance ({chance_label(chance)})"
    if control.attack_accuracy_low > chance:
        return (
            f"{found} That is above {guessing}: part of what these attacks score does not come from training "
            f"data, so read every row against this one."
        )
    if control.attack_accuracy_high < chance:
        return f"{found} That is below {guessing}."
    return f"{found} The interval contains {guessing}, as it should."


def _limit(results: Results) -> str:
    names = list(dict.fromkeys(row.substrate for row in results.rows if row.attack != "ann"))
    if len(names) < 2:
        return "One target was attacked; another, trained from another seed, may give away more or less."
    return (
        "Whether the substrates differ, or leak alike, cannot be concluded here: all of them ran one target, "
        "and the intervals cover its inversions only. Another target may give away more or less."
    )
