"""One cell of an audit: what is run, what is counted, and how it becomes a row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from bl_neuro import CubaLIF, Dense, Flatten, Network, leakage
from bl_neuro.attacks import BrainLeaksV1, BrainLeaksV2, Status
from bl_neuro.audit import demo_cell as cell
from bl_neuro.backends import Target
from bl_neuro.report.schema import Row
from bl_neuro.testing.reference_target import ReferenceTarget, SpikesOnlyTarget
from bl_neuro.training import ConvEvaluator

QUICK = BrainLeaksV2(queries=16, warm_start=32)
SUBJECT = cell.Subject(dataset="made up", steps=5, classes=3, accuracy=0.9, test_samples=100)


def quadrants(side: int = 8, threshold: float = 2.0, readout: Any = "spikes") -> Network:
    """Three classes, each of which answers to a quarter of the image."""
    weight = np.full((3, side, side), -0.2)
    half = side // 2
    for label, (row, column) in enumerate(((0, 0), (0, half), (half, 0))):
        weight[label, row : row + half, column : column + half] = 0.5
    layers = [Flatten(), Dense(weight.reshape(3, -1), CubaLIF(threshold=threshold))]
    return Network((1, side, side), layers, readout)


def judge(side: int = 8) -> cell.Judge:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        evaluator = ConvEvaluator((1, side, side), 3)
    return cell.Judge(evaluator, np.random.default_rng(0).random((3, 1, side, side)))


def finish(target: Target | None = None, attack: Any = QUICK, reveals: Any = "counts", **changes: Any) -> cell.Finished:
    arguments = {"classes": [0, 1, 2], "steps": 5, "restarts": 2, "budget": None, "seed": 0, **changes}
    return cell.attack_target(target or ReferenceTarget(quadrants()), attack, reveals, **arguments)


def row(finished: cell.Finished, attack: Any = QUICK, side: int = 8, **changes: Any) -> Row:
    made = cell.row(finished, "reference", attack, SUBJECT, judge(side), "key")
    return made.model_copy(update=changes)


def test_restarts_are_runs_of_their_own() -> None:
    finished = finish(restarts=3)
    found = finished.inversions
    assert found.classes.tolist() == [0, 1, 2] * 3
    assert found.queries == 3 * (32 + 3 * 16)
    assert finished.restarts == 3
    first, second, third = found.spikes.split(3, dim=1)
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)


def test_what_the_auditor_asks_is_not_counted() -> None:
    target = ReferenceTarget(quadrants())
    finished = finish(target)
    assert target.samples == finished.inversions.queries + 6


def test_each_restart_has_the_whole_budget() -> None:
    finished = finish(budget=60, restarts=2)
    assert 100 < finished.inversions.queries <= 120
    assert finished.inversions.status is Status.BUDGET_SPENT


def test_chance_comes_from_the_seed_and_not_from_the_substrate() -> None:
    first, again, other = finish(), finish(SpikesOnlyTarget(quadrants())), finish(seed=1)
    assert torch.equal(first.inversions.spikes, again.inversions.spikes)
    assert not torch.equal(first.inversions.spikes, other.inversions.spikes)
    assert (first.seed, other.seed) == (0, 1)


def test_tells_how_far_it_is_over_all_restarts() -> None:
    calls: list[tuple[int, int]] = []
    finish(restarts=3, progress=lambda done, total: calls.append((done, total)))
    assert [done for done, _ in calls] == list(range(1, len(calls) + 1))
    assert {total for _, total in calls} == {len(calls)}


def test_hits_are_what_the_target_itself_answers() -> None:
    good = finish(attack=BrainLeaksV2(queries=256, warm_start=256))
    assert good.target_hits == 6
    assert row(good).target_success == 1.0
    silent = finish(ReferenceTarget(quadrants(threshold=1e6)), classes=[0])  # its label is 0, but it says nothing
    assert silent.target_hits == 0


def test_hits_are_unknown_where_no_label_can_be_read() -> None:
    finished = finish(SpikesOnlyTarget(quadrants(readout="membrane")))
    assert finished.target_hits is None
    assert row(finished).target_success is None


def test_row_holds_the_measures() -> None:
    finished = finish()
    made, judged = row(finished), judge()
    found = finished.inversions
    images, classes = found.spikes.double().mean(0).numpy(), found.classes.numpy()
    probabilities = judged.evaluator.probabilities(images)
    assert made.attack_accuracy == leakage.attack_accuracy(probabilities, classes)
    assert (made.attack_accuracy_low, made.attack_accuracy_high) == leakage.proportion_interval(made.attack_accuracy, 6)
    assert made.top3_accuracy == 1.0
    assert made.confidence == pytest.approx(leakage.confidence(probabilities, classes), abs=1e-6)
    assert made.daa == leakage.differential_accuracy(probabilities, classes)
    assert made.pearson_selectivity == pytest.approx(
        leakage.pearson_selectivity(images, classes, judged.class_means), abs=1e-6
    )
    assert made.ssim == pytest.approx(leakage.structural_similarity(images, classes, judged.class_means), abs=1e-6)
    assert made.spike_density == pytest.approx(images.mean())
    assert made.queries_per_class == 2 * (32 + 48) / 6
    assert (made.dataset, made.substrate, made.attack, made.access) == ("made up", "reference", "v2", "black_box")
    assert (made.reveals, made.n, made.seed, made.restarts) == ("counts", 6, 0, 2)
    assert (made.target_accuracy, made.target_test_samples, made.inversions) == (0.9, 100, "key")
    assert made.status == {"completed": 6}
    assert made.seconds == finished.seconds > 0


def test_small_pictures_have_no_structural_similarity() -> None:
    finished = finish(ReferenceTarget(quadrants(side=6)))
    assert row(finished, side=6).ssim is None


def test_curve_is_the_confidence_while_queries_are_spent() -> None:
    finished = finish()
    curve = row(finished).curve
    assert curve is not None
    assert curve.queries == [64 / 6, 160 / 6]  # the warm start, one generation
    last = finished.inversions.trace.rates[-1].double().numpy()
    own = judge().evaluator.probabilities(last)[np.arange(6), finished.inversions.classes]
    assert curve.confidence[-1] == pytest.approx(own.mean(), abs=1e-6)
    assert all(0 <= low <= middle <= high <= 1 for low, middle, high in zip(curve.low, curve.confidence, curve.high))


@pytest.mark.parametrize(
    ("attack", "reveals", "words"),
    [
        (BrainLeaksV1(), "counts", ["Holds the model file", "gradient"]),
        (
            QUICK,
            "counts",
            ["May only query", "how often each output neuron spiked", "Assumes that neighbouring pixels"],
        ),
        (QUICK, "label", ["the name of the winning class"]),
        (replace(QUICK, window=2.0), "scores", ["a score for each class", " and that the object is in the middle"]),
        (replace(QUICK, blur=0.0), "membrane", ["the output membrane in every step"]),
        (replace(QUICK, blur=0.0), "spikes", ["every output spike"]),
    ],
)
def test_threat_model_says_what_the_attacker_has(attack: Any, reveals: Any, words: list[str]) -> None:
    made = row(finish(attack=attack, reveals=reveals, restarts=1), attack)
    assert all(word in made.threat_model for word in words)
    assert ("Assumes" in made.threat_model) == (attack.name == "v2" and attack.blur > 0)
    assert made.reveals == ("gradient" if attack.name == "v1" else reveals)


def test_controls_are_pooled_by_their_inversions() -> None:
    base = row(finish(restarts=1), confidence=0.2, daa=0.5, attack_accuracy=1 / 3, target_accuracy=0.1, seconds=1.0)
    large = base.model_copy(
        update={"n": 6, "confidence": 0.5, "attack_accuracy": 0.5, "status": {"completed": 4, "budget_spent": 2},
                "seconds": 2.0, "restarts": 2, "target_accuracy": 0.4}
    )  # fmt: skip
    pooled = cell.control([base, large], "shuffled_labels", "pooled")
    assert (pooled.n, pooled.restarts, pooled.seconds) == (9, 3, 3.0)
    assert pooled.confidence == pytest.approx((3 * 0.2 + 6 * 0.5) / 9)
    assert pooled.target_accuracy == pytest.approx((3 * 0.1 + 6 * 0.4) / 9)
    assert pooled.attack_accuracy == pytest.approx(4 / 9)
    low, high = leakage.proportion_interval(4 / 9, 9)
    assert (pooled.attack_accuracy_low, pooled.attack_accuracy_high) == pytest.approx((low, high))
    assert pooled.status == {"completed": 7, "budget_spent": 2}
    assert (pooled.kind, pooled.inversions, pooled.curve) == ("shuffled_labels", "pooled", None)
    unknown = cell.control(
        [base, large.model_copy(update={"daa": None, "target_success": None})], "untrained", "pooled"
    )
    assert unknown.daa is None
    assert unknown.target_success is None
