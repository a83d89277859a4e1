"""Membership attacks by name, and how well they do when each of several networks is the target in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.leakage.crossed import Crossed
from bl_neuro.leakage.lira import lira, lira_offline
from bl_neuro.leakage.privacy_bound import epsilon_of_scores
from bl_neuro.leakage.rmia import rmia, rmia_offline
from bl_neuro.leakage.roc import RocCurve, roc_curve, separation
from bl_neuro.leakage.shadows import Mask, Shadows


@dataclass(frozen=True, eq=False)
class Answers:
    """What N networks answer about n samples.

    statistics (N, n, D), probabilities (N, n) of the true labels, members (N, n): see `Shadows`.
    """

    statistics: FloatArray
    probabilities: FloatArray
    members: Mask

    def without(self, *networks: int) -> Answers:
        """The other networks."""
        others = ~np.isin(np.arange(len(self.members)), networks)
        return Answers(self.statistics[others], self.probabilities[others], self.members[others])

    @property
    def shadows(self) -> Shadows:
        """The statistics, as LiRA uses them."""
        return Shadows(self.statistics, self.members)

    @property
    def likely(self) -> Shadows:
        """The probabilities, as RMIA uses them."""
        return Shadows(self.probabilities[..., None], self.members)


Attack = Callable[[FloatArray, FloatArray, Answers], FloatArray]
"""Scores (n,) from the target's statistics (n, D) and probabilities (n,) and the answers of shadow networks."""


def _everyone(shadows: Answers) -> Mask:
    return np.ones(shadows.members.shape[1], dtype=bool)


MEMBERSHIP_ATTACKS: Mapping[str, Attack] = {
    "lira": lambda values, likely, shadows: lira(values, shadows.shadows),
    "lira_offline": lambda values, likely, shadows: lira_offline(values, shadows.shadows),
    "rmia": lambda values, likely, shadows: rmia(likely, shadows.likely, _everyone(shadows)),
    "rmia_offline": lambda values, likely, shadows: rmia_offline(likely, shadows.likely, _everyone(shadows)),
    "threshold": lambda values, likely, shadows: values[:, 0],
}
"""The attacks by name. "threshold" needs no shadow networks: it compares the first statistic with one threshold."""
WITHOUT_SHADOWS = frozenset({"threshold"})


@dataclass(frozen=True, eq=False)
class TargetResult:
    """One attack on one target. curve: its ROC curve. measures (4,), null (4,): see `roc.separation`."""

    curve: RocCurve
    measures: FloatArray
    resampled: FloatArray
    null: FloatArray
    null_resampled: FloatArray
    epsilon: float


def attack_each(
    attack: str, targets: Answers, weights: IntArray, shadows: Answers | None = None
) -> Iterator[TargetResult]:
    """Attacks each network in turn. shadows: networks of the attacker; by default, the other targets.

    weights (R, n): resampled pools (`crossed.pool_weights`), the same for all targets. The null judges the same kind of
    scores by the members of the next target, which then is no shadow network.
    """
    count, score = len(targets.members), MEMBERSHIP_ATTACKS[attack]
    for number in range(count):
        values, likely = targets.statistics[number], targets.probabilities[number]
        own = score(values, likely, shadows or targets.without(number))
        other = (number + 1) % count
        apart = score(values, likely, shadows or targets.without(number, other))
        curve, null = roc_curve(own, targets.members[number]), roc_curve(apart, targets.members[other])
        yield TargetResult(
            curve,
            separation(curve)[0],
            separation(roc_curve(own, targets.members[number], weights)),
            separation(null)[0],
            separation(roc_curve(apart, targets.members[other], weights)),
            epsilon_of_scores(own, targets.members[number]),
        )


def crossed_measure(
    values: FloatArray, resampled: FloatArray, measure: int, samples: int, overlap: float = 0.0
) -> Crossed:
    """One measure over targets, from values (N, 4) and resampled values (N, R, 4)."""
    return Crossed(values[:, measure], resampled[:, :, measure].T, samples, overlap)


def mean_curve(curves: list[RocCurve], points: FloatArray) -> FloatArray:
    """The mean true-positive rate over targets at each false-positive rate of `points`."""
    rates: FloatArray = np.mean([[float(curve.true_at(point)[0]) for point in points] for curve in curves], axis=0)
    return rates
