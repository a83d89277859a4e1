"""The attacker's views: a black box that counts queries and hides the target, a white box that counts samples."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bl_neuro import (
    AccessError,
    BlackBox,
    BudgetExceeded,
    Conv,
    CubaLIF,
    Dense,
    InputError,
    Network,
    NotDifferentiable,
    NotRevealed,
    SubstrateFailed,
    TargetClosed,
    WhiteBox,
)
from bl_neuro.access import REVEALS, response_classes, reveal
from bl_neuro.backends import Response, Target
from bl_neuro.testing.random_networks import random_spikes
from bl_neuro.testing.reference_target import ReferenceTarget, SpikesOnlyTarget, easy_network


@pytest.fixture
def target() -> Target:
    return ReferenceTarget(easy_network())


def queries(count: int, steps: int = 4, seed: int = 0) -> np.ndarray[Any, Any]:
    return random_spikes(easy_network(), seed, steps, count, 0.5)


# The meter


def test_budget_is_exact(target: Target) -> None:
    box = BlackBox(target, budget=10)
    assert (box.budget, box.spent, box.remaining) == (10, 0, 10)
    box.query(queries(7))
    assert (box.spent, box.remaining, target.samples) == (7, 3, 7)
    box.query(queries(3))
    assert (box.spent, box.remaining, target.samples) == (10, 0, 10)


def test_one_query_too_many_runs_nothing_and_costs_nothing(target: Target) -> None:
    box = BlackBox(target, budget=10)
    box.query(queries(7))
    with pytest.raises(BudgetExceeded, match="costs 4, and 3 of the budget of 10 remain"):
        box.query(queries(4))
    assert (box.spent, target.samples) == (7, 7)
    box.query(queries(3))
    with pytest.raises(BudgetExceeded):
        box.query(queries(1))
    assert target.samples == 10


def test_without_a_budget_it_only_counts(target: Target) -> None:
    box = BlackBox(target)
    box.query(queries(100))
    assert (box.budget, box.remaining, box.spent) == (None, None, 100)


def test_steps_are_not_charged(target: Target) -> None:
    box = BlackBox(target, budget=1)
    box.query(queries(1, steps=50))
    assert box.spent == 1


@pytest.mark.parametrize("budget", [0, -1, 2.5, True, "10", float("nan"), float("inf"), [10, 20]])
def test_refuses_budgets(target: Target, budget: Any) -> None:
    with pytest.raises(InputError, match="budget: expected a whole number of at least 1"):
        BlackBox(target, budget=budget)


@pytest.mark.parametrize("budget", [3, 3.0, np.int64(3), torch.tensor(3)])
def test_takes_budgets_however_written(target: Target, budget: Any) -> None:
    assert BlackBox(target, budget=budget).budget == 3


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 2, 11)),
        np.zeros((2, 12)),
        np.zeros((0, 2, 12)),
        np.zeros((4, 0, 12)),
        np.full((4, 2, 12), 0.5),
        np.full((4, 2, 12), -1.0),
        np.full((4, 2, 12), 2, np.uint8),
        np.full((4, 2, 12), np.nan),
        np.zeros((4, 2, 12), complex),
        torch.zeros(4, 2, 12).to_sparse(),
        "spikes",
        None,
        object(),
        [[[1], [0, 1]]],
    ],
    ids=lambda bad: f"{type(bad).__name__}",
)
def test_a_bad_query_costs_nothing(target: Target, bad: Any) -> None:
    box = BlackBox(target, budget=10)
    with pytest.raises(InputError, match="spikes: expected"):
        box.query(bad)
    assert (box.spent, target.samples) == (0, 0)


class Failing(ReferenceTarget):
    def _run(self, spikes: Tensor, layers: bool, start: Any) -> Response:
        raise SubstrateFailed("it crashed")


def test_a_query_that_the_substrate_fails_is_paid_for() -> None:
    box = BlackBox(Failing(easy_network()), budget=10)
    with pytest.raises(SubstrateFailed):
        box.query(queries(4))
    assert box.spent == 4


def test_a_closed_target_does_not_answer(target: Target) -> None:
    box = BlackBox(target)
    target.close()
    with pytest.raises(TargetClosed):
        box.query(queries(1))


def test_many_threads_never_spend_more(target: Target) -> None:
    box, asked = BlackBox(target, budget=97), queries(1, steps=1)

    def spend(_: int) -> int:
        granted = 0
        for _ in range(40):
            try:
                box.query(asked)
                granted += 1
            except BudgetExceeded:
                pass
        return granted

    def give_way(frame: Any, event: str, argument: Any) -> Any:
        """Lets another thread run before each line of `query`: without the lock, the budget is overspent at once."""
        if frame.f_code is BlackBox.query.__code__:
            os.sched_yield()
            return give_way
        return None

    before = threading.gettrace()  # coverage's, if any
    threading.settrace(give_way)
    try:
        with ThreadPoolExecutor(8) as pool:
            granted = list(pool.map(spend, range(8)))
    finally:
        threading.settrace(before)
    assert sum(granted) == box.spent == 97


# What is revealed


@pytest.mark.parametrize("readout", ["spikes", "membrane"])
def test_reveals_only_the_stated_output(readout: Any) -> None:
    network = Network((12,), easy_network().layers, readout)
    asked = queries(20)
    seen = ReferenceTarget(network).run(asked)
    assert seen.membrane is not None
    scores = torch.softmax(seen.membrane, 2).mean(0)
    expected = {
        "membrane": seen.membrane,
        "scores": scores,
        "spikes": seen.spikes,
        "counts": seen.spikes.sum(0),
        "label": (seen.spikes.sum(0) if readout == "spikes" else scores).argmax(1),
    }
    assert set(expected) == set(REVEALS)
    assert not torch.equal(seen.spikes.sum(0).argmax(1), scores.argmax(1))  # or the readout would not matter
    for reveals in REVEALS:
        answer = BlackBox(ReferenceTarget(network), reveals=reveals).query(asked)
        assert torch.equal(answer, expected[reveals])
        assert not answer.requires_grad


def test_equal_counts_name_the_lower_class() -> None:
    spikes = torch.zeros(2, 3, 4)
    spikes[:, 0, [1, 2]] = 1
    spikes[:, 1, [3, 1]] = 1
    assert reveal(Response(spikes, None), "label").tolist() == [1, 1, 0]


def test_silence_has_a_label_but_is_no_answer() -> None:
    spikes = torch.zeros(3, 3, 2)
    spikes[1, 1, 0] = spikes[2, 2, 1] = 1
    response = Response(spikes, torch.zeros_like(spikes))
    assert reveal(response, "label").tolist() == [0, 0, 1]
    assert response_classes(response).tolist() == [-1, 0, 1]
    assert response_classes(response, "membrane").tolist() == [0, 0, 0]  # a membrane always speaks


@pytest.mark.parametrize("reveals", ["membrane", "scores"])
def test_missing_outputs_of_a_substrate_cannot_be_revealed(reveals: Any) -> None:
    message = f"{reveals} needs the membrane potential, which substrate spikes-only does not reveal; expected spikes"
    with pytest.raises(NotRevealed, match=message):
        BlackBox(SpikesOnlyTarget(easy_network()), reveals=reveals)
    with pytest.raises(NotRevealed):
        reveal(Response(torch.zeros(1, 1, 3), None), reveals)


def test_a_label_takes_a_membrane_only_where_it_is_read_from_it() -> None:
    by_membrane = Network((12,), easy_network().layers, "membrane")
    assert BlackBox(SpikesOnlyTarget(easy_network()), reveals="label").query(queries(2)).shape == (2,)
    with pytest.raises(NotRevealed, match=r"label needs the membrane potential.*expected spikes or counts"):
        BlackBox(SpikesOnlyTarget(by_membrane), reveals="label")


@pytest.mark.parametrize("reveals", ["weights", "", None, ["label"]])
def test_invalid_values_of_reveals_are_refused(target: Target, reveals: Any) -> None:
    with pytest.raises(InputError, match="reveals: expected one of membrane, scores, spikes, counts, label"):
        BlackBox(target, reveals=reveals)


def test_an_image_as_output_cannot_be_attacked() -> None:
    network = Network((1, 2, 2), [Conv(np.ones((2, 1, 1, 1)), CubaLIF())])
    with pytest.raises(InputError, match="expected a vector as"):
        BlackBox(ReferenceTarget(network))


# What is hidden


HIDDEN = (Target, Network, Dense, CubaLIF, np.ndarray, Tensor)


def public(value: Any) -> list[Any]:
    """Every object reachable from `value` by public names, up to the forbidden ones."""
    seen: dict[int, Any] = {}
    queue = [value]
    while queue:
        value = queue.pop()
        if id(value) in seen or isinstance(value, (int, float, str, bytes, type(None))):
            continue
        seen[id(value)] = value
        if isinstance(value, (tuple, list)):
            queue += value
        elif not isinstance(value, HIDDEN):
            queue += [getattr(value, name, None) for name in dir(value) if not name.startswith("_")]
    return list(seen.values())


def test_nothing_public_leads_to_the_target(target: Target) -> None:
    box = BlackBox(target, budget=5)
    names = {name for name in dir(box) if not name.startswith("_")}
    assert names == {"budget", "classes", "input_shape", "query", "remaining", "reveals", "spent"}
    for value in public(box):
        assert not isinstance(value, HIDDEN), value
    assert any(isinstance(value, Target) for value in public(WhiteBox(target)))  # the search would see one


def test_the_query_count_cannot_be_changed(target: Target) -> None:
    box = BlackBox(target, budget=5)
    for name in ("budget", "spent", "remaining", "reveals", "classes", "input_shape", "anything"):
        with pytest.raises(AttributeError):
            setattr(box, name, 10**6)


def test_no_gradient_comes_through(target: Target) -> None:
    asked = torch.ones(4, 2, 12, dtype=torch.float64, requires_grad=True)
    for reveals in REVEALS:
        answer = BlackBox(target, reveals=reveals).query(asked)
        assert answer.grad_fn is None
        assert not answer.requires_grad


def test_the_repr_does_not_show_the_target(target: Target) -> None:
    box = BlackBox(target, "scores", 9)
    assert repr(box) == (
        f"<BlackBox: takes {box.input_shape}, reveals scores of {box.classes} classes, 0 queries spent, budget 9>"
    )
    assert repr(WhiteBox(target)) == f"<WhiteBox of {target!r}, 0 queries>"


# The white box


def test_white_box_needs_gradients() -> None:
    with pytest.raises(NotDifferentiable, match="found spikes-only; query it through a BlackBox") as error:
        WhiteBox(SpikesOnlyTarget(easy_network()))
    assert isinstance(error.value, AccessError)


def test_white_box_counts_samples(target: Target) -> None:
    box = WhiteBox(target)
    box.run(queries(3))
    box.gradient(torch.from_numpy(queries(2)), lambda response: response.spikes.sum((0, 2)))
    assert box.queries == target.samples == 5


@pytest.mark.parametrize("bad", [torch.zeros(4, 2, 11), torch.full((4, 2, 12), 0.5), torch.zeros(4, 12)])
def test_white_box_does_not_charge_invalid_spikes(target: Target, bad: Tensor) -> None:
    box = WhiteBox(target)
    for ask in (box.run, lambda spikes: box.gradient(spikes, lambda response: response.spikes.sum((0, 2)))):
        with pytest.raises(InputError, match="spikes: expected"):
            ask(bad)
    assert box.queries == target.samples == 0


def test_gradient_is_that_of_each_sample_by_itself() -> None:
    # One neuron that forgets everything, far from its threshold: m = w x / threshold, so dm/dx = w / threshold.
    network = Network((3,), [Dense([[1.0, -2.0, 3.0], [0.0, 4.0, 0.0]], CubaLIF(threshold=10.0, voltage_decay=1.0))])
    spikes = torch.tensor([[[1, 0, 1], [0, 1, 0]]], dtype=torch.uint8)

    def objective(response: Response) -> Tensor:
        assert response.membrane is not None
        return response.membrane[0, :, 0] * torch.tensor([1.0, 2.0])

    values, gradient = WhiteBox(ReferenceTarget(network)).gradient(spikes, objective)
    torch.testing.assert_close(values, torch.tensor([0.4, -0.4]).double())
    torch.testing.assert_close(gradient, torch.tensor([[[0.1, -0.2, 0.3], [0.2, -0.4, 0.6]]]))
    assert not values.requires_grad


def test_gradient_leaves_the_spikes_alone_and_works_anywhere(target: Target) -> None:
    spikes = torch.ones(4, 2, 12, dtype=torch.float64)
    with torch.no_grad():
        WhiteBox(target).gradient(spikes, lambda response: response.spikes.sum((0, 2)))
    assert spikes.grad is None
    assert not spikes.requires_grad
    assert bool((spikes == 1).all())


def test_white_box_holds_the_model(target: Target) -> None:
    box = WhiteBox(target)
    assert box.network is target.network
    assert (box.input_shape, box.classes) == ((12,), 3)
    assert not box.run(torch.ones(1, 1, 12, requires_grad=True)).spikes.requires_grad
