"""The budget at which attacks are halfway, and substrates compared at it."""

from __future__ import annotations

import numpy as np
import pytest

from bl_neuro.experiment.cell_measures import CellMeasures
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.findings.estimates import ControlFinding, Mean
from bl_neuro.experiment.findings.halfway import Floor, Floors, halfway_findings
from bl_neuro.experiment.findings.halfway_models import HalfwayFinding
from bl_neuro.experiment.findings.records import Record
from bl_neuro.experiment.measures import AttackMeasures, Course, JudgementMeasures, Measures

ARITHMETIC = {"snntorch": "real", "norse": "real", "loihi": "loihi"}
QUERIES = [4, 8, 12, 16, 20]
"""Of both classes together: 2, 4, ... 10 per class."""
EARLY, LATE = [0.0, 1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 1.0, 1.0]
"""Hits along a trace that is halfway after 4 queries per class, and after 8."""


def measured(courses: dict[str, list[list[float]]], final: list[int] | None = None) -> tuple[list[Cell], Measures]:
    """Attacks on two classes and their judgements. courses: by substrate, the hits along the trace of each seed."""
    cells: list[Cell] = []
    measures: dict[str, CellMeasures] = {}
    for substrate, seeds in courses.items():
        for seed, hits in enumerate(seeds):
            facts = {"target": "trained", "substrate": substrate, "attack": "v2", "reveals": "counts", "seed": seed}
            attack = Cell("attack", {"of": "attack", **facts}, (), {**facts, "restart": 0})
            judged = Cell("judgement", facts, (attack,), {**attack.facts, "evaluator": "conv"})
            cells += [attack, judged]
            measures[attack.address] = AttackMeasures.model_construct(queries=QUERIES[-1], access="black_box")
            measures[judged.address] = JudgementMeasures(
                classes=[0, 1], hits=final or [1, 1], top3=[1, 1], confidence=[0.5, 0.5], daa=None, rejected=None,
                course=Course(queries=QUERIES, hits=hits, confidence=hits),
            )  # fmt: skip
    return cells, measures


def halfway(
    courses: dict[str, list[list[float]]], controls: tuple[ControlFinding, ...] = (), final: list[int] | None = None
) -> HalfwayFinding:
    cells, measures = measured(courses, final)
    records = [
        Record(**cell.facts, label=label, hit=hit, confidence=0.5)
        for cell in cells
        if cell.kind == "judgement"
        for label, hit in enumerate(final or [1, 1])
    ]
    (finding,) = halfway_findings(cells, measures, records, [], controls, 0.1, {"conv": 0.1}, "seed", ARITHMETIC)
    return finding


def control(value: float) -> ControlFinding:
    estimate = Mean(value=value, low=0.0, high=1.0, seeds=3, n=6)
    return ControlFinding(
        kind="shuffled_labels", substrate="loihi", attack="v2", reveals="counts", evaluator="conv", estimate=estimate,
        chance=0.1, above_chance=True, detectable=None,
    )  # fmt: skip


def test_the_budget_is_the_first_at_which_the_middle_of_floor_and_final_value_is_reached() -> None:
    finding = halfway({"loihi": [[0.0, 0.5, 1.0, 1.0, 1.0]] * 3})
    assert (finding.floor, finding.floor_of, finding.final) == (0.1, "guessing", 1.0)
    assert finding.queries == 6.0  # 0.5 is below the middle of 0.1 and 1
    assert not finding.at_start
    (level,) = finding.levels
    assert (level.substrate, level.attack_accuracy.value, finding.seeds) == ("loihi", 1.0, 3)


def test_each_arithmetic_counts_once_in_the_choice_of_the_budget() -> None:
    early, late = [EARLY] * 3, [LATE] * 3
    three = halfway({"snntorch": early, "norse": early, "loihi": late})
    assert three.queries == halfway({"snntorch": early, "loihi": late}).queries
    assert three.queries == 8.0  # the mean of two arithmetics is .5 before, below .55; that of three substrates is .67
    assert halfway({"snntorch": late, "norse": late, "loihi": early}).queries == 8.0


def test_substrates_that_are_equal_at_the_end_differ_halfway() -> None:
    slow = [0.0, 0.0, 0.5, 1.0, 1.0]
    finding = halfway({"snntorch": [EARLY] * 6, "loihi": [slow] * 5 + [[0.0, 0.0, 0.0, 1.0, 1.0]]})
    assert finding.queries == 6.0
    reached = {level.substrate: level.attack_accuracy.value for level in finding.levels}
    assert reached == {"snntorch": 1.0, "loihi": pytest.approx(5 / 12)}
    hit, confidence = finding.comparisons
    assert (hit.measure, confidence.measure) == ("hit", "confidence")
    assert (hit.first, hit.second, hit.verdict.verdict) == (["snntorch"], ["loihi"], "differs")
    assert hit.verdict.difference.value == pytest.approx(7 / 12)
    assert hit.verdict.difference.n == 12  # inversions, not attacks
    assert np.sign(confidence.verdict.difference.value) == 1


def test_runs_that_agree_are_not_said_to_agree_in_every_inversion() -> None:
    hit = halfway({"snntorch": [EARLY] * 2, "loihi": [EARLY] * 2}).comparisons[0]
    assert hit.verdict.identical
    assert "all runs of 2 seeds score the same" in hit.sentence


def test_the_floor_is_the_highest_of_what_is_known() -> None:
    finding = halfway({"loihi": [[0.0, 0.6, 0.8, 1.0, 1.0]] * 3}, (control(0.4), control(0.3)))
    assert (finding.floor, finding.floor_of) == (0.4, "the null control on loihi, shuffled labels")
    assert finding.queries == 6.0


def test_an_attack_that_ends_at_its_floor_has_no_halfway_budget() -> None:
    finding = halfway({"loihi": [LATE] * 3, "snntorch": [EARLY] * 3}, (control(1.0),))
    assert (finding.queries, finding.levels, finding.comparisons) == (None, [], [])


def test_attackers_who_ask_nothing_are_the_floor_only_while_the_attack_exceeds_them() -> None:
    null, better = Floor(0.1, "guessing"), Floor(0.8, "who asks nothing: fonts")
    assert Floors(null, better).below(0.9) == better
    assert Floors(null, None).below(0.9) == null
    assert Floors(better, null).below(0.9) == better
    kept = Floors(null, better).below(0.8)
    assert (kept.value, kept.reached_by) == (0.1, "guessing, since who asks nothing reaches as much as the attack")


def test_an_attack_that_starts_halfway_says_so() -> None:
    finding = halfway({"loihi": [[1.0] * 5] * 3})
    assert (finding.queries, finding.at_start) == (2.0, True)
