"""Asks: their inputs are the same for every network, and their answers are means over all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import bl_neuro as bl
from bl_neuro.data import Dataset
from bl_neuro.errors import InputError, SubstrateError
from bl_neuro.leakage.membership_statistics import statistics
from bl_neuro.membership.asks import Ask, AskKind, ask_about
from bl_neuro.membership.halves import random_half
from bl_neuro.membership.outputs import as_outputs
from bl_neuro.testing.reference_target import ReferenceTarget

NETWORK = bl.Network((4,), [bl.Dense(np.random.default_rng(0).normal(0.3, 0.5, (3, 4)), bl.CubaLIF())])


class Recorded(bl.BlackBox):
    """A box that keeps its queries."""

    queries: list[Tensor]

    def query(self, spikes: Any) -> Tensor:
        """See `BlackBox.query`."""
        self.queries.append(torch.as_tensor(spikes).clone())
        return super().query(spikes)


def recorded(reveals: Any = "counts") -> Recorded:
    box = Recorded(ReferenceTarget(NETWORK), reveals)
    box.queries = []
    return box


def samples(count: int = 300, brightness: float = 0.5) -> Dataset:
    rng = np.random.default_rng(1)
    pixels = np.full((count, 1, 2, 2), brightness)
    return Dataset("made here", "made here", pixels, rng.integers(0, 3, count), ("a", "b", "c"))


def test_answers_are_means_over_asks() -> None:
    box, data, counted = recorded(), samples(), list[int]()
    answers = ask_about(box, data, Ask("plain", 3), 5, seed=2, asked=counted.append)
    assert box.spent == sum(counted) == 900
    assert [query.shape for query in box.queries] == [(5, 256, 4), (5, 44, 4)] * 3
    assert not torch.equal(box.queries[0], box.queries[2])
    again = recorded()
    tables = [
        statistics(again.query(torch.cat(box.queries[2 * number : 2 * number + 2], 1)).numpy(), "counts", data.labels)
        for number in range(3)
    ]
    np.testing.assert_allclose(answers.statistics, np.mean([values for values, _ in tables], axis=0))
    np.testing.assert_allclose(answers.probabilities, np.mean([likely for _, likely in tables], axis=0))
    assert set(np.unique(np.round(3 * answers.right, 9))) <= {0, 1, 2, 3}


def test_every_network_gets_the_same_inputs() -> None:
    first, second, other = recorded(), recorded("label"), recorded()
    ask_about(first, samples(), Ask("noise", 2, 0.2), 5, seed=2)
    ask_about(second, samples(), Ask("noise", 2, 0.2), 5, seed=2)
    ask_about(other, samples(), Ask("noise", 2, 0.2), 5, seed=3)
    assert all(torch.equal(one, two) for one, two in zip(first.queries, second.queries))
    assert not torch.equal(first.queries[0], other.queries[0])


@pytest.mark.parametrize(("ask", "rate"), [(Ask(), 1.0), (Ask("dropout", 4, 0.3), 0.7)])
def test_dropout_removes_its_share_of_spikes(ask: Ask, rate: float) -> None:
    box = recorded()
    ask_about(box, samples(brightness=1.0), ask, 5, seed=0)
    assert torch.cat(box.queries, 1).double().mean().item() == pytest.approx(rate, abs=0.01)


def test_noise_has_its_standard_deviation() -> None:
    means: list[np.ndarray[Any, Any]] = []

    def keep(images: Any, steps: int, rng: Any) -> Any:
        means.append(images)
        return np.zeros((steps, *images.shape), np.uint8)

    ask_about(recorded(), samples(), Ask("noise", 20, 0.1), 5, seed=0, encoder=keep)
    pixels = np.concatenate(means)
    assert pixels.mean() == pytest.approx(0.5, abs=0.003)
    assert pixels.std() == pytest.approx(0.1, abs=0.003)


@pytest.mark.parametrize(
    ("encoder", "returned"),
    [
        (lambda images, steps, rng: np.zeros((steps, len(images), 1, 3, 3), np.uint8), "(5, 256, 1, 3, 3)"),
        (lambda images, steps, rng: np.zeros((len(images), steps, 1, 2, 2), np.uint8), "(256, 5, 1, 2, 2)"),
        (lambda images, steps, rng: None, "NoneType"),
    ],
)
def test_an_encoder_of_another_shape_costs_no_query(encoder: Any, returned: str) -> None:
    for ask in (Ask(), Ask("dropout", 2, 0.5), Ask("noise", 2, 0.1)):
        box = recorded()
        with pytest.raises(InputError, match=r"encoder: expected .* shape \(5, 256, 1, 2, 2\), found ") as error:
            ask_about(box, samples(), ask, 5, seed=0, encoder=encoder)
        assert str(error.value).endswith(returned)
        assert box.spent == 0


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_answers_that_are_no_numbers_are_found_at_the_first_batch() -> None:
    huge = bl.Network((4,), [bl.Dense(np.full((3, 4), 1e308), bl.CubaLIF())])
    box = bl.BlackBox(ReferenceTarget(huge), "membrane", 1200)
    with pytest.raises(SubstrateError, match=r"membrane: expected finite answers .* after 256 queries"):
        ask_about(box, samples(), Ask(), 5, seed=0)


@pytest.mark.parametrize(
    ("kind", "count", "size", "message"),
    [
        ("loud", 4, 0.0, "ask: expected one of plain, noise, dropout, found 'loud'"),
        ("plain", 0, 0.0, r"asks: expected 1\.\.1000 asks per sample, found 0"),
        ("plain", 1.5, 0.0, r"asks: expected 1\.\.1000"),
        ("plain", 4, 0.1, "size: plain asks have no size"),
        ("dropout", 4, 1.0, "size: expected between 0 and 1 for dropout"),
        ("noise", 4, float("nan"), "size: expected between 0 and 1 for noise"),
    ],
)
def test_wrong_asks(kind: Any, count: Any, size: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Ask(kind, count, size)


@pytest.mark.parametrize(("kind", "size"), [("plain", 0.0), ("noise", 0.1), ("dropout", 0.5)])
def test_default_sizes(kind: AskKind, size: float) -> None:
    assert Ask.of(kind, 2) == Ask(kind, 2, size)
    assert Ask.of("noise", 2, 0.3) == Ask("noise", 2, 0.3)


def test_halves_hold_half_of_every_class() -> None:
    labels = np.repeat([0, 1, 2], [10, 7, 1])
    half = random_half(labels, 3)
    assert [int(half[labels == label].sum()) for label in range(3)] == [5, 3, 0]
    assert (half == random_half(labels, 3)).all()
    assert (half != random_half(labels, 4)).any()


def test_labels_become_outputs() -> None:
    data = samples(6)
    moved = as_outputs(data, [2, 0, 1], 3, "the box")
    assert [[2, 0, 1][output] for output in moved.labels] == data.labels.tolist()
    assert as_outputs(data, None, 3, "the box") is data
    assert as_outputs(data, [0, 1, 2], 3, "the box") is data
    with pytest.raises(InputError, match="class_map of the box: expected a different class for each of 2 outputs"):
        as_outputs(data, [1, 1], 2, "the box")
