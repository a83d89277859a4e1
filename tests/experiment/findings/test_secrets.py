"""The findings on planted secrets, from made-up guesses whose figures are known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bl_neuro.experiment.cell_measures import CellMeasures
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.experiment_file import experiment_from
from bl_neuro.experiment.findings.secrets import secrets_finding
from bl_neuro.experiment.findings.secrets_models import SecretRow, SecretsFinding
from bl_neuro.experiment.secrets_measures import (
    SecretAccuracyMeasures,
    SecretGuessMeasures,
    SecretReaderMeasures,
    SecretTargetMeasures,
)

ARITHMETIC = {"snntorch": "real", "loihi": "loihi"}
CLASSES = 4


class Audit:
    """Made-up cells and their measures."""

    def __init__(self) -> None:
        self.cells: list[Cell] = []
        self.measures: dict[str, CellMeasures] = {}
        self.add("secret_reader", SecretReaderMeasures(accuracy=[1.0, 0.9, 0.95, 0.95], images=9), {})

    def add(self, kind: str, measures: CellMeasures, facts: dict[str, Any], access: str = "black_box") -> None:
        attack = Cell("secret_attack", {}, what=SimpleNamespace(access=access))
        cell = Cell(kind, {"kind": kind, **facts}, (attack,), facts)
        self.cells.append(cell)
        self.measures[cell.address] = measures

    def target(self, seed: int, secrets: list[int], copies: list[int] | None = None) -> None:
        measures = SecretTargetMeasures(fingerprint="", parameters=1, secrets=secrets, copies=copies)
        self.add("secret_target", measures, {"seed": seed})

    def guess(
        self, kind: str, hits: list[int], spent: int, facts: dict[str, Any], guesses: list[int] | None = None
    ) -> None:
        measured = SecretGuessMeasures(
            classes=list(range(CLASSES)),
            guesses=guesses or [0] * CLASSES,
            hits=hits,
            ranks=[1.0 if hit else 2.0 for hit in hits],
            choices=4,
            queries=CLASSES * spent,
        )
        by_gradient = "ann" if facts["substrate"] == "ann" else "white_box"
        self.add(kind, measured, facts, by_gradient if facts["reveals"] == "gradient" else "black_box")

    def attacked(
        self, hits: list[list[int]], queries: int | None, on: str = "snntorch", view: str = "label", by: str = "v2"
    ) -> None:
        for seed, row in enumerate(hits):
            facts = {"substrate": on, "attack": by, "reveals": view, "queries": queries, "seed": seed}
            self.guess("secret_reading", row, queries or 9, facts)

    def informed(self, hits: list[list[int]], images: int, on: str = "snntorch", view: str = "label") -> None:
        for seed, row in enumerate(hits):
            facts = {"substrate": on, "reveals": view, "images": images, "seed": seed}
            self.guess("secret_informed", row, 4 * images, facts)

    def finding(self, **changes: Any) -> SecretsFinding:
        attacks = [{"attack": "v2", "reveals": ["label"]}]
        experiment = experiment_from(
            {
                "name": "made-up",
                "seeds": 2,
                "substrates": ["snntorch", "loihi"],
                "dataset": {"name": "digits"},
                "secrets": {"kind": "rotation", "attacks": attacks, **changes},
            }
        )
        finding = secrets_finding(experiment, CLASSES, self.cells, self.measures, ARITHMETIC)
        assert finding is not None
        return finding


def only_row(audit: Audit) -> SecretRow:
    (row,) = audit.finding().rows
    return row


def test_a_row_has_its_share_bits_and_exposure_over_guessing() -> None:
    audit = Audit()
    audit.attacked([[1, 1, 1, 0], [1, 1, 1, 1]], 8)
    row = only_row(audit)
    assert row.recovered.value == pytest.approx(7 / 8)
    assert (row.recovered.seeds, row.recovered.n, row.queries, row.budget) == (2, 8, 8, 8)
    assert row.bits.value == pytest.approx(2 + 7 / 8 * -0.19264507794 - 1 / 8 * 3 - 1 / 8 * 1.58496250072)
    assert row.exposure.value == pytest.approx((7 * 2 + 1) / 8)
    assert (row.over, row.informed) == ("guessing", None)
    assert row.advantage == row.over_guessing
    assert row.over_guessing.value == pytest.approx(7 / 8 - 1 / 4)
    assert row.recovered.low is not None
    assert row.over_guessing.low == pytest.approx(row.recovered.low - 1 / 4)


def test_the_informed_attacker_sees_the_same_and_asks_at_most_as_much() -> None:
    audit = Audit()
    audit.attacked([[1, 1, 1, 0], [1, 1, 1, 1]], 8)
    audit.informed([[1, 0, 0, 0], [1, 0, 0, 0]], 1)
    audit.informed([[1, 1, 0, 0], [1, 1, 0, 0]], 2)
    audit.informed([[1, 1, 1, 1], [1, 1, 1, 1]], 4)  # 16 queries a class are more than 8
    audit.informed([[1, 1, 1, 1], [1, 1, 1, 1]], 2, view="counts")
    audit.informed([[1, 1, 1, 1], [1, 1, 1, 1]], 2, on="loihi")
    row = only_row(audit)
    assert row.informed is not None
    assert (row.informed.images, row.informed.queries, row.informed.recovered.value) == (2, 8, 0.5)
    assert row.over == "informed"
    assert row.advantage.value == pytest.approx(3 / 8)
    assert row.over_guessing.value == pytest.approx(5 / 8)


def test_an_informed_attacker_below_guessing_is_not_the_better_of_the_two() -> None:
    audit = Audit()
    audit.attacked([[1, 1, 1, 0], [1, 1, 1, 1]], 8)
    audit.informed([[0, 0, 0, 0], [0, 1, 0, 0]], 2)
    row = only_row(audit)
    assert (row.over, row.advantage) == ("guessing", row.over_guessing)
    assert row.informed is not None


def test_the_advantage_can_be_negative_and_is_paired_over_targets() -> None:
    audit = Audit()
    audit.attacked([[1, 0, 0, 0], [1, 1, 1, 0]] * 6, 8)
    audit.informed([[1, 1, 0, 0], [1, 1, 1, 1]] * 6, 2)
    row = only_row(audit)
    assert row.advantage.value == pytest.approx(-1 / 4)
    assert row.advantage.seeds == 12
    # Targets differ by half, in the same way for both attackers, so only a paired interval excludes 0.
    assert row.advantage.high is not None
    assert row.advantage.high < 0


def test_a_white_box_is_compared_with_the_most_informative_output() -> None:
    audit = Audit()
    audit.attacked([[1, 1, 1, 1], [1, 1, 1, 1]], None, view="gradient")
    audit.informed([[1, 0, 0, 0], [1, 0, 0, 0]], 8)
    audit.informed([[1, 1, 1, 0], [1, 1, 1, 0]], 8, view="scores")
    row = only_row(audit)
    assert (row.budget, row.access) == (None, "white_box")
    assert row.informed is not None
    assert row.informed.reveals == "scores"
    assert row.advantage.value == pytest.approx(1 / 4)


def test_guesses_are_checked_against_the_secrets_of_the_next_target() -> None:
    audit = Audit()
    secrets = [[0, 1, 2, 3], [0, 1, 3, 2]]
    for seed, own in enumerate(secrets):
        audit.target(seed, own)
        facts = {"substrate": "loihi", "attack": "v2", "reveals": "label", "queries": 8, "seed": seed}
        audit.guess("secret_reading", [1, 1, 1, 1], 8, facts, own)
    row = only_row(audit)
    assert row.recovered.value == 1.0
    assert row.mismatched is not None
    assert row.mismatched.value == 0.5
    assert row.mismatched.n == 8


def test_substrates_are_compared_over_all_budgets_within_a_share_of_the_range() -> None:
    audit = Audit()
    audit.attacked([[1, 1, 1, 1], [1, 1, 1, 1]], 8)
    audit.attacked([[1, 1, 1, 1], [1, 1, 1, 1]], 16)
    audit.attacked([[1, 1, 0, 0], [1, 1, 0, 0]], 8, "loihi")
    audit.attacked([[1, 1, 1, 0], [1, 1, 1, 0]], 16, "loihi")
    finding = audit.finding(margin=0.2)
    assert finding.ceiling == pytest.approx(0.95)
    assert finding.margin == pytest.approx(0.2 * 0.7)
    (comparison,) = finding.comparisons
    assert (comparison.first, comparison.second) == ("snntorch", "loihi")
    assert comparison.verdict.difference.value == pytest.approx(3 / 8)
    assert comparison.verdict.difference.n == 16


def test_spiking_targets_are_compared_with_their_twins_over_all_budgets_and_by_gradients() -> None:
    audit = Audit()
    for on, accuracy in (("snntorch", 0.9), ("ann", 0.8)):
        audit.add("secret_accuracy", SecretAccuracyMeasures(accuracy=accuracy, samples=10), {"substrate": on})
    for on in ("snntorch", "loihi"):
        audit.attacked([[1, 1, 1, 0], [1, 1, 0, 0]], 8, on)
        audit.attacked([[1, 1, 1, 1], [1, 1, 1, 1]], 16, on)
        audit.attacked([[1, 1, 1, 1], [1, 1, 1, 1]], 16, on, "counts")
    audit.attacked([[1, 1, 1, 0], [1, 1, 1, 0]], None, view="gradient", by="v1")
    audit.attacked([[1, 0, 0, 0], [0, 0, 0, 0]], 8, "ann")
    audit.attacked([[1, 1, 1, 0], [1, 1, 1, 0]], 16, "ann")
    audit.attacked([[1, 1, 0, 0], [1, 1, 0, 0]], None, "ann", "gradient", "ann")
    audit.informed([[1, 1, 0, 0], [0, 0, 0, 0]], 2, "ann")
    audit.informed([[1, 1, 1, 1], [1, 1, 0, 0]], 2)
    audit.informed([[1, 1, 1, 1], [1, 1, 1, 1]], 4)  # not on twins
    finding = audit.finding()
    assert [(one.first, one.second, one.reveals) for one in finding.comparisons] == [
        ("snntorch", "loihi", "label"), ("snntorch", "loihi", "counts"),
    ]  # fmt: skip
    label, gradient, informed = finding.twins
    assert (label.attack, label.twin_attack, label.reveals, label.substrate) == ("v2", "v2", "label", "snntorch")
    assert (label.recovered, label.twin_recovered) == (13 / 16, 7 / 16)
    assert label.verdict.difference.value == pytest.approx(6 / 16)
    assert (label.accuracy, label.twin_accuracy) == (0.9, 0.8)
    assert (gradient.attack, gradient.twin_attack) == ("v1", "ann")
    assert gradient.verdict.difference.value == pytest.approx(1 / 4)
    assert (informed.attack, informed.reveals, informed.recovered, informed.twin_recovered) == (
        "informed", "label", 3 / 4, 1 / 4,
    )  # fmt: skip
    by_queries = next(row for row in finding.rows if (row.substrate, row.budget) == ("ann", 8))
    assert by_queries.informed is not None
    assert (by_queries.informed.substrate, by_queries.informed.recovered.value) == ("ann", 1 / 4)


def test_canaries_are_read_by_repetition_for_the_attackers_with_most_queries() -> None:
    audit = Audit()
    audit.target(0, [0, 1, 2, 3], [1, 1, 8, 8])
    audit.target(1, [0, 1, 2, 3], [8, 8, 8, 1])
    audit.attacked([[1, 1, 1, 1], [1, 1, 1, 1]], 8)
    audit.attacked([[0, 1, 1, 1], [0, 1, 1, 0]], 16)
    audit.informed([[0, 0, 1, 1], [1, 1, 1, 0]], 2)
    finding = audit.finding()
    shown = {(one.attack, one.copies): one for one in finding.repetitions}
    assert list(shown) == [(None, 1), (None, 8), ("v2", 1), ("v2", 8)]
    assert (shown[None, 1].exposure.value, shown[None, 8].exposure.value) == (1.0, 2.0)
    assert (shown[None, 8].exposure.low, shown[None, 8].exposure.high) == (None, None)  # all are found
    assert (shown["v2", 1].recovered.value, shown["v2", 1].exposure.n, shown["v2", 1].queries) == (1 / 4, 3, 16)
    assert shown["v2", 8].recovered.value == pytest.approx((1 + 2 / 3) / 2)
    assert finding.guessed_exposure == pytest.approx(2 - (0 + 1 + 1.58496250072 + 2) / 4)


def test_nothing_finished_is_no_row() -> None:
    finding = Audit().finding()
    assert (finding.rows, finding.informed, finding.comparisons) == ([], [], [])
    assert (finding.chance, finding.bits, finding.choices, finding.classes) == (0.25, 2.0, 4, CLASSES)
