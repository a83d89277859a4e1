"""Mitigations act on every answer, and only as documented."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from bl_neuro.access import BlackBox, predicted_classes
from bl_neuro.backends import Target, open_target
from bl_neuro.errors import InputError
from bl_neuro.mitigations import InputDropout, Mitigation, OutputNoise, QueryCap, Rounding
from bl_neuro.testing.random_networks import random_dense, random_spikes

VIEWS = ("membrane", "scores", "spikes", "counts", "label")


@pytest.fixture(scope="module")
def target() -> Any:
    with open_target(random_dense(3), "loihi") as opened:
        yield opened


def asked(target: Target, reveals: Any, mitigation: Mitigation | None, seed: int = 0, times: int = 1) -> torch.Tensor:
    box = BlackBox(target, reveals, None, mitigation, seed)
    spikes = random_spikes(target.network, 0, steps=20, batch=16)
    answers = [box.query(spikes) for _ in range(times)]
    assert box.spent == 16 * times
    return answers[-1]


@pytest.mark.parametrize("reveals", ["membrane", "scores", "counts"])
def test_rounding_shows_the_nearest_multiples(target: Target, reveals: Any) -> None:
    plain, rounded = asked(target, reveals, None).double(), asked(target, reveals, Rounding(0.25)).double()
    assert torch.equal(rounded, (plain / 0.25).round() * 0.25)
    coarse = asked(target, reveals, Rounding(4.0)).double()
    assert torch.equal(coarse % 4, torch.zeros_like(coarse))


def test_noise_is_normal_new_in_every_answer_and_of_the_seed(target: Target) -> None:
    plain, noise = asked(target, "membrane", None), OutputNoise(0.5)
    first, again = asked(target, "membrane", noise), asked(target, "membrane", noise)
    assert torch.equal(first, again)
    assert not torch.equal(first, asked(target, "membrane", noise, seed=1))
    assert not torch.equal(first, asked(target, "membrane", noise, times=2))
    added = (first - plain).double().numpy()
    assert abs(added.mean()) < 4 * 0.5 / np.sqrt(added.size)
    assert added.std() == pytest.approx(0.5, rel=0.1)


def test_noisy_counts_are_counts(target: Target) -> None:
    plain, noisy = asked(target, "counts", None), asked(target, "counts", OutputNoise(3.0))
    assert noisy.dtype == plain.dtype
    assert torch.equal(noisy, noisy.round())
    assert noisy.min() >= 0
    assert not torch.equal(noisy, plain)


def test_a_label_is_that_of_the_changed_counts(target: Target) -> None:
    for mitigation in (OutputNoise(3.0), Rounding(7.0)):
        counts, label = asked(target, "counts", mitigation), asked(target, "label", mitigation)
        assert torch.equal(label, counts.argmax(1))


def test_dropout_runs_the_network_on_the_remaining_spikes() -> None:
    rng = np.random.default_rng(0)
    spikes = torch.ones(50, 40, 10, dtype=torch.uint8)
    left = InputDropout(0.3).inputs(spikes, rng)
    assert left.dtype == spikes.dtype
    assert float(left.double().mean()) == pytest.approx(0.7, abs=0.02)
    assert torch.equal(InputDropout(0.3).inputs(spikes.bool(), np.random.default_rng(0)), left.bool())
    nothing = InputDropout(0.3).inputs(torch.zeros_like(spikes), rng)
    assert not nothing.any()


def test_dropout_changes_spikes_and_plain_boxes_stay_as_they_were(target: Target) -> None:
    assert not torch.equal(asked(target, "spikes", InputDropout(0.5)), asked(target, "spikes", None))
    for reveals in VIEWS:
        assert torch.equal(asked(target, reveals, None), asked(target, reveals, None, seed=9, times=2))


def test_mitigations_without_effect_are_refused(target: Target) -> None:
    for mitigation in (OutputNoise(1.0), Rounding(1.0)):
        with pytest.raises(InputError, match="acts on membrane, scores, counts, label; this box reveals spikes"):
            BlackBox(target, "spikes", mitigation=mitigation)


@pytest.mark.parametrize("value", [0, -1.0, float("inf"), float("nan"), True, "1"])
def test_invalid_settings_are_refused(value: Any) -> None:
    for kind, name in ((Rounding, "step"), (OutputNoise, "sd"), (InputDropout, "rate")):
        with pytest.raises(InputError, match=f"{name}: expected"):
            kind(value)


def test_an_honest_user_reads_the_largest() -> None:
    spikes = torch.tensor([[[0, 1, 1], [0, 0, 0]], [[0, 1, 0], [0, 0, 0]]])
    assert predicted_classes(spikes, "spikes").tolist() == [1, -1]
    assert predicted_classes(spikes.sum(0), "counts").tolist() == [1, -1]
    assert predicted_classes(torch.tensor([[0.0, 0.0], [0.1, 0.9]]), "scores").tolist() == [0, 1]
    assert predicted_classes(torch.tensor([[[0.0, 3.0]], [[1.0, 0.0]]]), "membrane").tolist() == [1]
    assert predicted_classes(torch.tensor([2, 0]), "label").tolist() == [2, 0]


def test_a_query_cap_lowers_a_budget_and_never_raises_it() -> None:
    cap = QueryCap(500)
    assert [cap.budget(planned) for planned in (None, 3000, 500, 300)] == [500, 500, 500, 300]
