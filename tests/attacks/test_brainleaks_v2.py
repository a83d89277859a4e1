"""The black-box attack: its queries, its use of the answers, and that it needs nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import bl_neuro as bl
from bl_neuro import BlackBox, InputError, Network, WhiteBox
from bl_neuro.access import REVEALS, Reveals
from bl_neuro.attacks import BrainLeaksV1, BrainLeaksV2, Status
from bl_neuro.attacks.fitness import centred_ranks, evidence, named
from bl_neuro.backends import Response
from bl_neuro.testing.reference_target import ReferenceTarget, SpikesOnlyTarget, easy_network

PLAIN = BrainLeaksV2(warm_start=0, queries=16, momentum=0.0, blur=0.0)
"""One generation, without any prior."""


class Recorded(ReferenceTarget):
    """Records its queries and answers."""

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.asked: list[np.ndarray[Any, Any]] = []
        self.answered: list[np.ndarray[Any, Any]] = []

    def _run(self, spikes: Tensor, layers: bool, start: Any) -> Response:
        response = super()._run(spikes, layers, start)
        self.asked.append(spikes.numpy())
        self.answered.append(response.spikes.sum(0).argmax(1).numpy())
        return response


def run(plan: BrainLeaksV2, reveals: Reveals = "counts", budget: int | None = None, **changes: Any) -> Any:
    """The inversions, and the target with its recorded queries and answers."""
    target = Recorded(easy_network())
    box = BlackBox(target, reveals, budget)
    return plan(box, **{"classes": [0, 1, 2], "steps": 6, "seed": 0, **changes}), target


# It finds the class


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("reveals", REVEALS)
def test_finds_its_class_under_every_access_level(reveals: Reveals, seed: int) -> None:
    inversions, target = run(BrainLeaksV2(), reveals, classes=[2, 0, 1], seed=seed, steps=20)
    assert BlackBox(target, "label").query(inversions.spikes).tolist() == [2, 0, 1]
    by_block = inversions.rates.reshape(3, 3, 4).mean(2)
    own = by_block[[0, 1, 2], [2, 0, 1]]
    assert float(own.min()) > 0.6
    assert float((by_block.sum(1) - own).max()) / 2 < 0.25


def test_a_class_named_twice_is_two_tries() -> None:
    inversions, _ = run(BrainLeaksV2(), classes=[1, 1])
    assert not torch.equal(inversions.rates[0], inversions.rates[1])
    assert not torch.equal(inversions.spikes[:, 0], inversions.spikes[:, 1])


def refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError("a gradient was asked for")


@pytest.fixture
def no_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every entry point of autograd raises an error."""
    for owner, names in (
        (torch.autograd, ("grad", "backward")),
        (torch.autograd.functional, ("jacobian", "vjp", "jvp", "hessian")),
        (torch.autograd.Function, ("apply",)),
        (torch.Tensor, ("backward", "requires_grad_", "retain_grad")),
        (torch, ("enable_grad",)),
        (torch.func, ("grad", "vjp", "jacrev", "jacfwd")),
    ):
        for name in names:
            monkeypatch.setattr(owner, name, refuse)


@pytest.mark.parametrize("substrate", ["snntorch", "norse"])
def test_takes_no_gradient_on(substrate: str, needs: Callable[[str], None], request: pytest.FixtureRequest) -> None:
    needs(substrate)
    with bl.open_target(easy_network(), substrate) as target:
        target.run(np.zeros((2, 1, 12)))  # what a framework does once, when first used
        request.getfixturevalue("no_gradients")
        with pytest.raises(AssertionError, match="a gradient was asked for"):
            BrainLeaksV1()(WhiteBox(target), classes=[0], steps=4)
        inversions = BrainLeaksV2()(BlackBox(target), classes=[2, 0], steps=10)
        assert BlackBox(target, "label").query(inversions.spikes).tolist() == [2, 0]


def test_depends_on_the_answers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same answers give the same inversions for any target."""
    expected, target = run(BrainLeaksV2(queries=32, warm_start=40))
    answers = iter([BlackBox(ReferenceTarget(target.network)).query(asked) for asked in target.asked])
    blank = BlackBox(SpikesOnlyTarget(Network((12,), [bl.Dense(np.zeros((3, 12)), bl.CubaLIF())])))
    monkeypatch.setattr(BlackBox, "query", lambda box, spikes: next(answers))
    inversions = BrainLeaksV2(queries=32, warm_start=40)(blank, classes=[0, 1, 2], steps=6)
    assert inversions.rates is not None
    assert expected.rates is not None
    assert torch.equal(inversions.rates, expected.rates)


# What it asks


def test_queries_are_held_and_come_in_antithetic_pairs() -> None:
    _, target = run(dataclasses.replace(PLAIN, base_rate=0.3, queries=400, population=400))
    (asked,) = target.asked
    assert asked.shape == (6, 400 * 3, 12)
    assert (asked == asked[:1]).all()
    first, second = asked[0].reshape(2, 200, 3, 12)
    assert not (first * second).any()  # u < 0.3 and u > 0.7 never meet
    assert first.mean() == pytest.approx(0.3, abs=0.02)
    assert second.mean() == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize(
    ("plan", "classes", "expected"),
    [
        (BrainLeaksV2(), [0, 1, 2], [640, *[48] * 32]),
        (BrainLeaksV2(queries=40, warm_start=10), [0], [10, 16, 16, 8]),
        (BrainLeaksV2(queries=0, warm_start=7), [0, 1], [7]),
        (BrainLeaksV2(queries=12, warm_start=0, population=4), [1, 1], [8, 8, 8]),
    ],
)
def test_spends_the_planned_number_of_queries(plan: BrainLeaksV2, classes: list[int], expected: list[int]) -> None:
    inversions, target = run(plan, classes=classes)
    assert [asked.shape[1] for asked in target.asked] == expected
    assert inversions.trace.queries.tolist() == np.cumsum(expected).tolist()
    assert inversions.queries == plan.warm_start + plan.queries * len(classes)


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (640 + 3 * 64, [640, 48, 48, 48, 48]),  # all of the plan
        (640 + 3 * 64 - 1, [415, 48, 48, 48, 48]),  # half of it for looking around
        (100, [50, 48]),  # 2 are left, too few for a pair of each class
        (60, [30, 30]),  # 10 a class
        (9, [4]),
        (1, [1]),
    ],
)
def test_a_budget_too_small_is_halved(budget: int, expected: list[int]) -> None:
    inversions, target = run(BrainLeaksV2(queries=64), budget=budget)
    assert [asked.shape[1] for asked in target.asked] == expected
    assert (inversions.status is Status.COMPLETED) == (budget >= 640 + 3 * 64)


@pytest.mark.parametrize("plan", [BrainLeaksV2(queries=0, warm_start=64), BrainLeaksV2(queries=16, warm_start=0)])
def test_a_spent_budget_is_reported_in_the_status(plan: BrainLeaksV2) -> None:
    inversions, _ = run(plan, budget=15, classes=[0])
    assert inversions.status is Status.BUDGET_SPENT
    assert 0 < inversions.queries <= 15


def test_jitter_shifts_both_of_a_pair_alike() -> None:
    images = Network((1, 8, 8), [bl.Flatten(), bl.Dense(np.zeros((2, 64)), bl.CubaLIF())])
    target = Recorded(images)
    plan = dataclasses.replace(PLAIN, base_rate=0.5, jitter=3, population=200, queries=200)
    plan(BlackBox(target), classes=[0, 1], steps=2)
    asked = target.asked[0][0].reshape(2, 200, 8, 8)  # of a pair one is what the other is not, where neither came in
    assert (asked.sum(0) <= 1).all()
    rows, columns = (asked.sum((0, axis)) > 0 for axis in (3, 2))
    heights, widths = rows.sum(1), columns.sum(1)
    assert set(heights) == set(widths) == {5, 6, 7, 8}
    assert (asked.sum((0, 2, 3)) == heights * widths).all()


def test_jitter_may_be_wider_than_the_image() -> None:
    images = Network((1, 2, 2), [bl.Flatten(), bl.Dense(np.ones((2, 4)), bl.CubaLIF())])
    inversions = BrainLeaksV2(queries=16, warm_start=4, jitter=9)(BlackBox(Recorded(images)), classes=[0], steps=2)
    assert inversions.status is Status.COMPLETED


def test_the_first_probe_is_blank_where_labels_hide_silence() -> None:
    for reveals in REVEALS:
        _, target = run(BrainLeaksV2(queries=0, warm_start=5), reveals)
        assert (target.asked[0][:, 0] == 0).all() == (reveals == "label")


# What it makes of the answers


def scored(target: Recorded) -> np.ndarray[Any, Any]:
    """Evidence of the answers to the first query, had it revealed scores."""
    return evidence(BlackBox(ReferenceTarget(target.network), "scores").query(target.asked[0]), "scores", 3)


def test_warm_start_is_the_average_of_probes_weighted_by_their_answers() -> None:
    plan = BrainLeaksV2(queries=0, warm_start=200, blur=0.0, base_rate=0.3, warm_amplitude=0.1)
    inversions, target = run(plan, "scores")
    frames = target.asked[0][0]
    assert set(np.unique(frames)) == {0.0, 1.0}
    hits = (named(scored(target))[:, None] == np.arange(3)).astype(float)
    image = (hits - hits.mean(0)).T @ (frames - frames.mean(0))
    image -= image.mean(1, keepdims=True)
    expected = np.clip(0.3 + 0.1 * image / image.std(1, keepdims=True), 0.05, 0.8)
    np.testing.assert_allclose(inversions.rates, expected, atol=1e-6)


def test_a_generation_is_one_step_of_the_natural_gradient() -> None:
    plan = dataclasses.replace(PLAIN, base_rate=0.4, learning_rate=0.7)
    inversions, target = run(plan, "scores", classes=[1, 0])
    frames = target.asked[0][0].reshape(16, 2, 12)
    scores = scored(target).reshape(16, 2, 3)
    for number, label in enumerate((1, 0)):
        assert (scores[:, number].argmax(1) == label).any()  # or the step would be kept from dimming
        weights = centred_ranks(scores[:, number, label])
        gradient = 4 * (weights[:, None] * (frames[:, number] - 0.4)).mean(0)
        expected = np.clip(0.4 + 0.7 * gradient, 0.02, 0.98)
        np.testing.assert_allclose(inversions.rates[number], expected, atol=1e-6)


def test_momentum_carries_a_step_on() -> None:
    plan = dataclasses.replace(PLAIN, queries=32, learning_rate=0.05, momentum=0.9, base_rate=0.5)
    rates = run(plan, "scores")[0].trace.rates
    steps = rates.diff(dim=0, prepend=torch.full_like(rates[:1], 0.5))
    assert float(torch.cosine_similarity(steps[0].flatten(), steps[1].flatten(), dim=0)) > 0.5
    free = run(dataclasses.replace(plan, momentum=0.0), "scores")[0].trace.rates
    assert torch.allclose(steps[0] * 10, free[0] - 0.5, atol=1e-5)  # a tenth of the gradient gets in


def test_steps_keep_the_mean_rate_while_no_answer_names_the_class() -> None:
    first = easy_network().layers[0]
    assert isinstance(first, bl.Dense)
    silent = Network((12,), [bl.Dense(np.vstack([first.weight[:2], np.full((1, 12), -1.0)]), bl.CubaLIF())])
    target = Recorded(silent)
    inversions = dataclasses.replace(PLAIN, base_rate=0.5, learning_rate=0.5)(BlackBox(target), classes=[2], steps=6)
    assert not (target.answered[0] == 2).any()
    assert inversions.rates is not None
    assert not torch.allclose(inversions.rates, torch.tensor(0.5))
    assert float(inversions.rates.mean()) == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("reveals", REVEALS)
def test_keeps_its_queries_informative_where_answers_saturate(reveals: Reveals) -> None:
    _, target = run(BrainLeaksV2(), reveals, classes=[1])
    late = np.concatenate(target.answered[-16:]) == 1
    if reveals in ("membrane", "scores"):
        assert late.mean() > 0.95
    else:
        assert 0.35 < late.mean() < 0.9


def test_priors_shape_the_search() -> None:
    network = Network((1, 5, 5), [bl.Flatten(), bl.Dense(np.ones((2, 25)) * [[0.3], [-0.3]], bl.CubaLIF())])

    def rates(**prior: Any) -> Tensor:
        inversions = BrainLeaksV2(queries=64, **prior)(BlackBox(ReferenceTarget(network)), classes=[0], steps=6)
        assert inversions.rates is not None
        return inversions.rates[0, 0]

    plain, windowed, blurred = rates(blur=0.0), rates(blur=0.0, window=1.0), rates(blur=2.0)
    corners = [0, 0, -1, -1], [0, -1, 0, -1]
    assert float(windowed[corners].max()) < 0.05 < 0.2 < float(plain[corners].max())
    assert float(windowed[2, 2]) > 0.2
    assert float(blurred.diff(dim=0).abs().mean()) < float(plain.diff(dim=0).abs().mean()) / 2


@pytest.mark.parametrize("floor", [0.02, 0.3])
@pytest.mark.parametrize("warm_start", [0, 64])
def test_rates_keep_off_the_floor_and_the_ceiling(floor: float, warm_start: int) -> None:
    plan = BrainLeaksV2(warm_start=warm_start, queries=96, learning_rate=50.0, warm_amplitude=5.0, floor=floor)
    rates = run(plan)[0].trace.rates
    assert float(rates.min()) >= floor - 1e-6
    assert float(rates.max()) <= 1 - floor + 1e-6
    assert float(rates[-1].max()) == pytest.approx(1 - floor)


def test_spikes_are_drawn_from_the_rates_anew_in_each_step() -> None:
    inversions, _ = run(BrainLeaksV2(queries=64, warm_start=64), steps=2000)
    assert float((inversions.images - inversions.rates).abs().max()) < 0.06
    assert float((inversions.spikes[1:] != inversions.spikes[:-1]).float().mean()) > 0.05
    assert torch.equal(inversions.trace.rates[-1], inversions.rates)


# Plans


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"queries": -2}, "queries: expected a whole number of at least 0, found -2"),
        ({"queries": 7}, "queries: expected an even number"),
        ({"queries": 2.5}, "queries: expected a whole number"),
        ({"warm_start": -1}, "warm_start: expected a whole number of at least 0"),
        (
            {"warm_start": 1.5, "population": "16"},
            "found 1.5; population: expected a whole number",
        ),
        ({"queries": 0, "warm_start": 0}, "queries and warm_start: expected at least one query"),
        ({"population": 0}, "population: expected a whole number of at least 2"),
        ({"population": 3}, "population: expected an even number"),
        ({"learning_rate": 0.0}, "learning_rate: expected above 0"),
        ({"learning_rate": float("nan")}, "learning_rate: expected above 0"),
        ({"momentum": 1.0}, "momentum: expected 0..1"),
        ({"momentum": -0.1}, "momentum: expected 0..1"),
        ({"blur": -0.5}, "blur: expected at least 0"),
        ({"window": 0.0}, "window: expected above 0"),
        ({"window": float("nan")}, "window: expected above 0"),
        ({"base_rate": 0.0}, "base_rate: expected between 0 and 1"),
        ({"base_rate": 1.0}, "base_rate: expected between 0 and 1"),
        ({"floor": 0.0}, "floor: expected between 0 and 0.5"),
        ({"jitter": -1}, "jitter: expected a whole number of at least 0"),
        ({"jitter": 2000}, "jitter: expected 0..1024"),
        ({"warm_amplitude": float("nan")}, "warm_amplitude: expected at least 0"),
        ({"learning_rate": float("inf")}, "learning_rate: expected above 0"),
        ({"stroke": float("inf")}, "stroke: expected 0..1024"),
        ({"contrast": "white"}, "contrast: expected one of others, mixed"),
        ({"floor": 0.5}, "floor: expected between 0 and 0.5"),
        ({"probe_densities": (0.5, 0.1)}, "probe_densities: expected two rising values"),
        ({"probe_densities": (-0.1, 0.1)}, "probe_densities: expected"),
        ({"probe_densities": (0.1, 1.1)}, "probe_densities: expected"),
    ],
)
def test_refuses_plans(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BrainLeaksV2(**changes)


def test_states_its_assumptions() -> None:
    images = Network((1, 2, 2), [bl.Flatten(), bl.Dense(np.ones((2, 4)), bl.CubaLIF())])
    on_images, on_numbers = (BlackBox(ReferenceTarget(network)) for network in (images, easy_network()))
    assert BrainLeaksV2(blur=0.5).assumptions(on_images) == ["neighbouring pixels agree (blur of 0.5 pixels)"]
    assert BrainLeaksV2(blur=0.0).assumptions(on_images) == []
    assert BrainLeaksV2(blur=0.5).assumptions(on_numbers) == []
    assert len(BrainLeaksV2(image_shape=(3, 4), window=1.0).assumptions(on_numbers)) == 2
    assert BrainLeaksV1().assumptions(WhiteBox(ReferenceTarget(images))) == []


def test_reports_every_invalid_setting_at_once() -> None:
    with pytest.raises(InputError) as error:
        BrainLeaksV2(queries=3, blur=-1, floor=1)
    assert all(name in str(error.value) for name in ("queries", "blur", "floor"))
