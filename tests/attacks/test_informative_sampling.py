"""Query sampling: towards inputs that named the class if few do, away from them if all do."""

from __future__ import annotations

import numpy as np

from bl_neuro.attacks.informative_sampling import FARTHEST, MOST_KEPT, Contrast, InformativeSampling

BASE = np.full(4, 0.2)
RATES = np.full((2, 4), 0.5)


def sampling(contrast: Contrast = "others") -> InformativeSampling:
    return InformativeSampling(np.array([3, 7]), BASE, contrast, np.random.default_rng(0))


def test_at_first_queries_come_from_the_rates() -> None:
    np.testing.assert_array_equal(sampling().drawn_from(RATES, 3), np.broadcast_to(RATES, (3, 2, 4)))


def test_saturated_classes_are_sampled_near_inputs_of_other_classes() -> None:
    chosen = sampling()
    chosen.learn(np.array([[0, 1, 0, 1.0]]), np.array([7]))
    for _ in range(40):
        chosen.adapt(np.array([1.0, 0.5]), saturates=True)
    drawn = chosen.drawn_from(RATES, 2)
    np.testing.assert_allclose(drawn[:, 0], np.tile([0.05, 0.95, 0.05, 0.95], (2, 1)))
    np.testing.assert_array_equal(drawn[:, 1], np.broadcast_to(RATES[1], (2, 4)))


def test_mixed_sampling_draws_every_other_pair_near_uninformative_rates() -> None:
    chosen = sampling("mixed")
    chosen.learn(np.array([[0, 1, 0, 1.0]]), np.array([7]))
    for _ in range(40):
        chosen.adapt(np.array([1.0, 0.5]), saturates=True)
    drawn = chosen.drawn_from(RATES, 4)[:, 0]
    np.testing.assert_allclose(drawn[::2], np.tile([0.05, 0.95, 0.05, 0.95], (2, 1)))
    np.testing.assert_allclose(drawn[1::2], 0.5 + 0.9 * (0.2 - 0.5))


def test_the_class_that_silence_names_is_sampled_near_others_from_the_start() -> None:
    chosen = sampling()
    chosen.learn(np.array([[0, 1, 0, 1.0]]), np.array([3]))
    chosen.named_by_silence(7)
    drawn = chosen.drawn_from(RATES, 2)
    np.testing.assert_array_equal(drawn[:, 0], RATES[[0, 0]])
    np.testing.assert_allclose(drawn[:, 1], np.tile([0.5, 0.75, 0.5, 0.75], (2, 1)))


def test_without_inputs_of_other_classes_sampling_moves_to_uninformative_rates() -> None:
    chosen = sampling()
    chosen.adapt(np.array([1.0, 1.0]), saturates=True)
    np.testing.assert_allclose(chosen.drawn_from(RATES, 1)[0], 0.5 + 0.02 * (0.2 - 0.5))


def test_unsaturated_classes_are_sampled_from_their_rates() -> None:
    chosen = sampling()
    chosen.adapt(np.array([1.0, 1.0]), saturates=False)
    np.testing.assert_array_equal(chosen.drawn_from(RATES, 1)[0], RATES)


def test_classes_never_named_are_sampled_near_inputs_that_named_them() -> None:
    chosen = sampling()
    chosen.learn(np.array([[1, 1, 0, 0.0]]), np.array([3]))
    for _ in range(40):
        chosen.adapt(np.array([0.0, 0.0]), saturates=True)
    drawn = chosen.drawn_from(RATES, 1)[0]
    near, far = 0.5 + FARTHEST * 0.5, 0.5 - FARTHEST * 0.5
    np.testing.assert_allclose(drawn[0], [near, near, far, far])
    np.testing.assert_array_equal(drawn[1], RATES[1])  # nothing named this class yet


def test_both_ways_lead_back() -> None:
    chosen = sampling()
    chosen.learn(np.eye(4)[:2], np.array([3, 7]))
    for hits in (0.0, 1.0):
        for _ in range(20):
            chosen.adapt(np.full(2, hits), saturates=True)
        for _ in range(13):
            chosen.adapt(np.full(2, 0.5 if hits == 0 else 0.3), saturates=True)
    assert np.abs(chosen.drawn_from(RATES, 1)[0] - RATES).max() < 0.05


def test_only_the_latest_inputs_are_kept() -> None:
    chosen = sampling()
    frames = np.zeros((3 * MOST_KEPT, 4))
    frames[-MOST_KEPT:] = 1
    chosen.learn(frames, np.full(len(frames), 3))
    chosen.adapt(np.zeros(2), saturates=True)
    assert (chosen.drawn_from(RATES, 50)[:, 0] > 0.5).all()
