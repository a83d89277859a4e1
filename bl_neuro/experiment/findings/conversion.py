"""Converts the statistics of `bl_neuro.leakage` to the models of findings."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite, isinf

from bl_neuro.experiment.findings.estimates import Mean, Verdict
from bl_neuro.leakage import Estimate, PairVerdict


def mean_of(estimate: Estimate) -> Mean:
    """Converts an estimate. An infinite end of its interval, as with one seed, becomes None."""
    return Mean(
        value=estimate.value,
        low=_finite(estimate.low),
        high=_finite(estimate.high),
        seeds=estimate.seeds,
        n=estimate.n,
    )


def difference_of(estimate: Estimate) -> Mean:
    """Converts a difference of fractions. Its interval is clipped to -1..1, which Student's may exceed."""
    low, high = (bound if isinf(bound) else min(max(bound, -1.0), 1.0) for bound in (estimate.low, estimate.high))
    return mean_of(replace(estimate, low=low, high=high))


def verdict_of(pair: PairVerdict) -> Verdict:
    """Converts the verdict on a pair."""
    return Verdict(
        verdict=pair.verdict,
        found=pair.found,
        difference=difference_of(pair.difference),
        bootstrap=difference_of(pair.bootstrap),
        standardized=None if pair.standardized is None else _finite(pair.standardized),
        p=pair.p,
        adjusted_p=pair.adjusted_p,
        p_equivalent=pair.p_equivalent,
        adjusted_p_equivalent=pair.adjusted_p_equivalent,
        margin=pair.margin,
        identical=pair.identical,
        seeds_needed=pair.seeds_needed,
    )


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
