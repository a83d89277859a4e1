"""Spread over Bernoulli draws, against the exact distribution."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from bl_neuro import InputError
from bl_neuro.leakage import attack_accuracy, sampling, sampling_spread
from bl_neuro.leakage.sampling import Spread


def first_two_pixels(samples: np.ndarray) -> np.ndarray:
    """An evaluator of two classes: class 1 where the second pixel is above the first."""
    margin = samples[:, 1] - samples[:, 0]
    return np.stack([0.5 - margin / 2, 0.5 + margin / 2], axis=1)


def test_mean_and_spread_are_those_of_the_distribution() -> None:
    p = np.array([[0.2, 0.7], [0.2, 0.7]])
    found = sampling_spread(p, [1, 1], first_two_pixels, draws=4000, seed=1)
    right = 0.8 * 0.7  # the second pixel spikes and the first does not; a tie is no hit
    assert found.draws == 4000
    assert found.attack_accuracy.mean == pytest.approx(right, abs=0.02)
    assert found.attack_accuracy.sd == pytest.approx(np.sqrt(right * (1 - right) / 2), abs=0.02)
    assert found.confidence.mean == pytest.approx(0.5 + (0.7 - 0.2) / 2, abs=0.02)
    assert found.top3_accuracy == Spread(1.0, 0.0)
    assert found.differential_accuracy is None  # one class only


def test_a_mean_over_steps_is_binomial() -> None:
    found = sampling_spread([[0.0, 0.3]], [1], lambda x: np.stack([1 - x[:, 1], x[:, 1]], 1), draws=4000, steps=25)
    assert found.confidence.mean == pytest.approx(0.3, abs=0.005)
    assert found.confidence.sd == pytest.approx(binom(25, 0.3).std() / 25, abs=0.003)


def test_sure_rates_have_no_spread() -> None:
    found = sampling_spread(np.eye(2), [0, 1], first_two_pixels, draws=7)
    assert found.attack_accuracy == found.confidence == found.differential_accuracy == Spread(1.0, 0.0)


def test_one_draw_is_the_measure_itself() -> None:
    kept = []

    def evaluator(samples: np.ndarray) -> np.ndarray:
        kept.append(samples)
        return first_two_pixels(samples)

    rates = np.random.default_rng(0).random((6, 2))
    found = sampling_spread(rates, [0, 1] * 3, evaluator, draws=1, seed=3)
    assert set(np.unique(kept[0])) <= {0.0, 1.0}
    assert found.attack_accuracy == Spread(attack_accuracy(first_two_pixels(kept[0]), np.array([0, 1] * 3)), 0.0)


def test_blocks_do_not_matter_and_the_seed_does(monkeypatch: pytest.MonkeyPatch) -> None:
    rates, sizes = np.random.default_rng(0).random((4, 2)), []

    def evaluator(samples: np.ndarray) -> np.ndarray:
        sizes.append(len(samples))
        return first_two_pixels(samples)

    def spread(seed: int) -> object:
        return sampling_spread(rates, [0, 1, 0, 1], evaluator, draws=50, steps=3, seed=seed)

    whole = spread(0)
    assert sizes == [200]
    assert spread(1) != whole
    sizes.clear()
    monkeypatch.setattr(sampling, "MAX_VALUES_AT_ONCE", 60)
    assert spread(0) == whole
    assert max(sizes) == 7 * 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rates": [[0.5, 1.5]]}, r"rates: expected 0\.\.1"),
        ({"rates": [0.5]}, "rates: expected"),
        ({"classes": [0, 1]}, "classes: expected whole numbers"),
        ({"classes": [2]}, r"classes: expected 0\.\.1"),
        ({"draws": 0}, "draws: expected"),
        ({"steps": 0.5}, "steps: expected"),
        ({"evaluator": lambda x: x[:1]}, r"evaluator: expected probabilities \(3, classes\)"),
    ],
)
def test_refuses(changes: dict[str, object], message: str) -> None:
    arguments = {"rates": [[0.5, 0.5]], "classes": [0], "evaluator": first_two_pixels, "draws": 3, **changes}
    with pytest.raises(InputError, match=message):
        sampling_spread(**arguments)  # type: ignore[arg-type]
