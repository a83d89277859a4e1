"""Verdicts on pairs of substrates, from records of inversions."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from bl_neuro.experiment.findings.records import Record
from bl_neuro.experiment.findings.verdicts import substrate_verdicts

SEEDS, CLASSES, RESTARTS = 12, 10, 4
MARGINS: dict[str, float | None] = {"conv": 0.1, "spiking": 0.1}


def made(substrate: str, accuracy: float, chance: int, evaluator: str = "conv", attack: str = "v2") -> list[Record]:
    """Records of inversions that hit with a probability."""
    rng = np.random.default_rng(chance)
    hits = rng.random((SEEDS, CLASSES, RESTARTS)) < accuracy
    return [
        Record(
            "trained", seed, substrate, attack, "counts", restart, evaluator, label, int(hit), 0.2 + 0.6 * float(hit)
        )
        for (seed, label, restart), hit in np.ndenumerate(hits)
    ]


def test_finds_the_substrate_that_leaks_less() -> None:
    records = made("snntorch", 0.9, 1) + made("loihi", 0.6, 2) + made("slayer", 0.6, 2)
    comparisons, alike = substrate_verdicts(records, margins=MARGINS)
    assert [group.substrates for group in alike] == [["loihi", "slayer"]]
    assert [(comparison.measure, comparison.first, comparison.second) for comparison in comparisons] == [
        ("hit", ["snntorch"], ["loihi", "slayer"]),
        ("confidence", ["snntorch"], ["loihi", "slayer"]),
    ]
    verdict = comparisons[0].verdict
    assert verdict.verdict == "differs"
    assert verdict.difference.value == pytest.approx(0.3, abs=0.08)
    assert (verdict.difference.seeds, verdict.difference.n) == (SEEDS, SEEDS * CLASSES * RESTARTS)


def test_equal_scores_in_different_arithmetics_are_tested_and_prove_nothing() -> None:
    """Two seeds at 100%: that all agree is a fact about these inversions, with an interval that has a width."""
    records = [record for record in made("snntorch", 1.0, 1) if record.seed < 2 and record.restart == 0]
    records += [replace(record, substrate=name) for name in ("norse", "loihi") for record in records[:20]]
    kinds = {"snntorch": "real", "norse": "real", "loihi": "loihi"}
    comparisons, alike = substrate_verdicts(records, margins=MARGINS, arithmetic=kinds)
    assert [group.substrates for group in alike] == [["snntorch", "norse"]]
    assert [(comparison.first, comparison.second) for comparison in comparisons] == [
        (["snntorch", "norse"], ["loihi"])
    ] * 2
    verdict = comparisons[0].verdict
    assert (verdict.verdict, verdict.identical, verdict.difference.n) == ("inconclusive", True, 20)
    assert verdict.difference.high == pytest.approx(1 - 0.05**0.5)
    assert comparisons[0].sentence.startswith("inconclusive: all 20 inversions of 2 seeds score the same")


def test_small_differences_are_equivalent_and_order_does_not_matter() -> None:
    records = made("snntorch", 0.95, 3)
    flipped = [
        replace(record, substrate="loihi", hit=1 - record.hit if record.label == record.seed == 3 else record.hit)
        for record in records
    ]
    forth, _ = substrate_verdicts(records + flipped, margins=MARGINS)
    back, _ = substrate_verdicts(records + flipped[::-1], margins=MARGINS)
    assert forth[0].verdict.verdict == "equivalent"
    assert forth == back


def test_only_inversions_that_both_have_are_compared() -> None:
    records = made("snntorch", 0.9, 4) + [record for record in made("loihi", 0.9, 5) if record.seed < 5]
    comparisons, _ = substrate_verdicts(records, margins=MARGINS)
    assert comparisons[0].verdict.difference.seeds == 5
    none, _ = substrate_verdicts(
        made("snntorch", 0.9, 4) + [replace(record, restart=99) for record in records[-3:]], MARGINS
    )
    assert none == []


def test_each_evaluator_and_attack_is_compared_with_its_own() -> None:
    records = [
        record
        for evaluator in ("conv", "spiking")
        for attack in ("v1", "v2")
        for number, substrate in enumerate(("snntorch", "loihi"))
        for record in made(substrate, 0.8, number, evaluator, attack)
    ]
    comparisons, _ = substrate_verdicts(records, margins=MARGINS)
    assert len(comparisons) == 2 * 2 * 2
    assert len({(comparison.evaluator, comparison.attack, comparison.measure) for comparison in comparisons}) == 8


def test_controls_and_rungs_are_no_substrates() -> None:
    records = made("snntorch", 0.9, 1) + [replace(record, target="untrained") for record in made("loihi", 0.1, 2)]
    assert substrate_verdicts(records, margins=MARGINS) == ([], [])


def test_of_a_given_model_restarts_are_the_unit() -> None:
    one, other = made("snntorch", 0.95, 1), made("loihi", 0.2, 2)
    given = [replace(record, target="given", seed=0) for record in one + other if record.seed == 0]
    comparisons, _ = substrate_verdicts(given, margins=MARGINS, unit="restart")
    hit = comparisons[0]
    assert (hit.verdict.difference.seeds, hit.verdict.difference.n) == (RESTARTS, RESTARTS * CLASSES)
    assert hit.verdict.verdict == "differs"
    expected = np.mean([r.hit for r in given if r.substrate == "snntorch"]) - np.mean(
        [r.hit for r in given if r.substrate == "loihi"]
    )
    assert hit.verdict.difference.value == pytest.approx(expected)
    few = [record for record in given if record.restart == 0]
    (single, _), _ = substrate_verdicts(few, margins=MARGINS, unit="restart")
    assert single.sentence == "inconclusive: one restart does not show how restarts differ; plan 12 restarts or more"


def test_one_seed_is_inconclusive_and_json_has_no_infinity() -> None:
    records = [record for record in made("snntorch", 0.9, 1) + made("loihi", 0.5, 2) if record.seed == 0]
    comparisons, _ = substrate_verdicts(records, margins=MARGINS)
    assert comparisons[0].verdict.verdict == "inconclusive"
    text = json.dumps(comparisons[0].model_dump(), allow_nan=False)
    assert json.loads(text)["verdict"]["difference"]["low"] is None


def test_differences_lie_within_what_is_possible() -> None:
    """Student's interval of two seeds exceeds 100 points; results, tables and reports have the same bounds."""
    records = [record for record in made("snntorch", 0.9, 1) + made("loihi", 0.5, 2) if record.seed < 2]
    difference = substrate_verdicts(records, margins=MARGINS)[0][0].verdict.difference
    assert difference.low == -1.0 or difference.high == 1.0
    assert difference.low is not None
    assert difference.high is not None
    assert -1.0 <= difference.low <= difference.value <= difference.high <= 1.0


def test_equal_hits_in_one_arithmetic_are_exact_although_confidences_differ_in_the_last_bits() -> None:
    records = made("slayer", 1.0, 1)
    records += [replace(record, substrate="loihi", confidence=record.confidence * (1 - 1e-15)) for record in records]
    kinds = {"slayer": "loihi", "loihi": "loihi"}
    comparisons, alike = substrate_verdicts(records, margins=MARGINS, arithmetic=kinds)
    assert alike == []
    hit = comparisons[0]
    assert (hit.measure, hit.verdict.verdict, hit.verdict.identical) == ("hit", "equivalent", True)
    assert hit.verdict.difference.low == hit.verdict.difference.high == 0
