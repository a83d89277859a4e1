"""Planted secrets of spiking targets beside their ANN twins, and canaries by repetition, in words and rows."""

from __future__ import annotations

from dataclasses import dataclass

from bl_neuro.attacks.registry import attack_title
from bl_neuro.experiment.findings.estimates import Mean
from bl_neuro.experiment.findings.secrets_models import SecretRepetition, SecretsFinding, SecretTwinComparison
from bl_neuro.report.words import SEEN, amount, decimal, listed, many, network_name, percent, share, verdict_line, view


def compared_attack(one: SecretTwinComparison) -> str:
    """The attack and output of a comparison: `v2, label`, or `v1 and ann, gradient`."""
    if one.attack == "informed":
        return f"informed attacker, {one.reveals}"
    if one.attack == one.twin_attack:
        return view(one.attack, one.reveals)
    return f"{attack_title(one.attack)} and {attack_title(one.twin_attack)}, {one.reveals}"


def both_accuracies(finding: SecretsFinding) -> str:
    """The accuracy of spiking targets and of their twins: `97% and 96%`; empty if one is not known."""
    one = next(iter(finding.twins), None)
    if one is None or one.accuracy is None or one.twin_accuracy is None:
        return ""
    return f"{percent(one.accuracy)} and {percent(one.twin_accuracy)}"


def twin_sentence(finding: SecretsFinding) -> str:
    """Whether spiking targets give away less than their ANN twins; empty without twins."""
    if not finding.twins:
        return ""
    accuracies = both_accuracies(finding)
    known = f", at accuracies of {accuracies}" if accuracies else ""
    verdicts = [
        f"{compared_attack(one)}: {percent(one.recovered)} and {percent(one.twin_recovered)}, "
        f"{verdict_line(one.verdict)}"
        for one in finding.twins
    ]
    return (
        f"Do spiking networks on {finding.twins[0].substrate} give away less of planted secrets than their ANN twins"
        f"{known}? {_answer(finding)} Recovered from both, and their difference: {'; '.join(verdicts)}."
    )


def _answer(finding: SecretsFinding) -> str:
    differ = [one.verdict for one in finding.twins if one.verdict.verdict == "differs"]
    less = sum(verdict.difference.value < 0 for verdict in differ)
    more = len(differ) - less
    same = sum(one.verdict.verdict == "equivalent" for one in finding.twins)
    counts = [f"less in {less}", f"more in {more}", f"equally much in {same}"]
    open_ = len(finding.twins) - len(differ) - same
    return f"Of {many(len(finding.twins), 'comparison')}, {listed(counts)}; {open_} open."


def repetition_sentence(finding: SecretsFinding) -> str:
    """The exposure of the canaries with fewest and most copies to the informed attacker; empty without canaries."""
    first = next(iter(finding.repetitions), None)
    if first is None:
        return ""
    own = [one for one in finding.repetitions if _attacker(one) == _attacker(first)]
    who = "the informed attacker" if first.attack is None else attack_title(first.attack)
    named = [f"{exposure_words(one.exposure)} bits for patterns trained on {times(one.copies)}" for one in own]
    return (
        f"To {who}, who sees {SEEN.get(first.reveals, first.reveals)} and spends {amount(first.queries)} queries per "
        f"class, the exposure is {listed([named[0], *named[-1:]] if named[1:] else named)} "
        f"(at most {decimal(finding.bits)}; guessing {decimal(finding.guessed_exposure)})."
    )


def _attacker(one: SecretRepetition) -> tuple[str, str | None, str]:
    return one.substrate, one.attack, one.reveals


def times(copies: int) -> str:
    """A number of copies in words: `once`, `8 times`."""
    return "once" if copies == 1 else f"{copies} times"


def exposure_words(exposure: Mean) -> str:
    """An exposure with its interval: `2.10 (1.80 to 2.40)`."""
    interval = exposure_ends(exposure)
    return f"{decimal(exposure.value)} ({interval})" if interval else decimal(exposure.value)


def exposure_ends(exposure: Mean) -> str:
    """The interval of an exposure; empty if there is none."""
    if exposure.low is None or exposure.high is None or exposure.seeds < 2:
        return ""
    return f"{decimal(exposure.low)} to {decimal(exposure.high)}"


@dataclass(frozen=True)
class RepetitionRow:
    """What one attacker recovers of canaries. cells: by number of copies, ascending; None where there are none yet."""

    attack: str
    network: str
    queries: str
    cells: tuple[SecretRepetition | None, ...]

    @property
    def texts(self) -> list[str]:
        """The row as text: names, then exposure and recovered share by number of copies."""
        figures = [
            "–" if one is None else f"{exposure_words(one.exposure)}, {share(one.recovered)}" for one in self.cells
        ]
        return [self.attack, self.network, self.queries, *figures]


def repetition_rows(finding: SecretsFinding) -> list[RepetitionRow]:
    """One row for each attacker."""
    numbers = repetition_numbers(finding)
    rows: dict[tuple[str, str | None, str], dict[int, SecretRepetition]] = {}
    for one in finding.repetitions:
        rows.setdefault(_attacker(one), {})[one.copies] = one
    return [
        RepetitionRow(
            f"informed, {reveals}" if attack is None else view(attack, reveals),
            network_name(substrate),
            _queries(next(iter(own.values()))),
            tuple(own.get(number) for number in numbers),
        )
        for (substrate, attack, reveals), own in rows.items()
    ]


def repetition_numbers(finding: SecretsFinding) -> list[int]:
    """The numbers of copies of canaries, ascending."""
    return sorted({one.copies for one in finding.repetitions})


def _queries(one: SecretRepetition) -> str:
    return "gradient" if one.reveals == "gradient" else amount(one.queries)
