"""Intervals of membership attacks count the shadow networks that targets share, where they do."""

from __future__ import annotations

import numpy as np
import pytest

from bl_neuro.experiment.membership_results import AUC, attacked
from bl_neuro.leakage.crossed import shadow_overlap
from bl_neuro.leakage.membership_attacks import Answers, crossed_measure

TARGETS, SHADOWS, SAMPLES = 12, 12, 60


@pytest.mark.parametrize(
    ("shadows", "attack", "overlap"),
    [("right", "lira", shadow_overlap(TARGETS)), ("wrong", "lira", 0.0), ("right", "threshold", 0.0)],
)
def test_only_targets_that_are_each_others_shadow_networks_overlap(shadows: str, attack: str, overlap: float) -> None:
    rng = np.random.default_rng(0)
    count = TARGETS + SHADOWS
    members = rng.random((count, SAMPLES)).argsort(axis=1) < SAMPLES // 2
    effect = np.exp(rng.standard_normal((count, 1)))
    values = rng.standard_normal(SAMPLES) + effect * members + rng.standard_normal((count, SAMPLES))
    networks = Answers(values[..., None], 1 / (1 + np.exp(-values)), members)
    measures, tensors = attacked(networks, TARGETS, ["lira", "threshold"], SAMPLES)
    (row,) = [one for one in measures.attacks if (one.shadows, one.attack) == (shadows, attack)]
    values, resampled = (tensors[f"{shadows}.{attack}.{name}"] for name in ("values", "resampled"))
    expected = crossed_measure(values, resampled, AUC, SAMPLES, overlap)
    assert row.auc == [expected.estimate.value, expected.estimate.low, expected.estimate.high]
    between, _, own = expected.parts
    assert between > own  # so that the overlap shows
