"""LiRA, the likelihood-ratio attack on membership (Carlini et al. 2022, arXiv 2112.03570, algorithms 1 and 2).

For each sample, Gaussians are fitted to the statistics of the shadow networks that were trained on it and of those that
were not. With the statistics x of the target,

    online    score = log N(x; mu_in, S_in) - log N(x; mu_out, S_out)
    offline   score = sum over statistics of (x - mu_out) / sd_out

so that a higher score means a more likely member. Samples with fewer than two shadow networks on a side score 0. The
offline score has the order of the paper's 1 - Pr[Z > x], whose shadow networks need not be trained on the attacked
samples.

With few shadow networks the variance of one sample is a poor estimate. Each covariance is therefore a mixture with the
mean over all samples:

    S = (1 - shrinkage) S_sample + shrinkage S_mean

shrinkage = 0 is the paper's estimate for many shadows, 1 its "fixed variance" for few.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import InputError
from bl_neuro.leakage.checked import numbers
from bl_neuro.leakage.shadows import Mask, Shadows, target_values

SHRINKAGE = 0.5
Centre = Literal["mean", "median"]
LEAST_VARIANCE = 1e-12
"""Added to variances, so that statistics that are equal in all shadow networks give finite scores."""


def lira(values: npt.ArrayLike, shadows: Shadows, shrinkage: float = SHRINKAGE, centre: Centre = "mean") -> FloatArray:
    """Log-likelihood ratios (n,) of membership, from shadow networks on both sides of every sample.

    values (n, D): the target's statistics, D per sample. centre: "mean", or "median" as in the authors' code.

    Raises:
        InputError: a sample has too few shadow networks on one side, or arguments that do not fit.
    """
    x, share = target_values(values, shadows), _share(shrinkage)
    known = shadows.on_both_sides()
    inside = _log_density(x, *_fitted(shadows.values, shadows.members, known, share, centre))
    outside = _log_density(x, *_fitted(shadows.values, ~shadows.members, known, share, centre))
    return np.where(known, inside - outside, 0.0)


def lira_offline(
    values: npt.ArrayLike, shadows: Shadows, shrinkage: float = SHRINKAGE, centre: Centre = "mean"
) -> FloatArray:
    """Scores (n,) of membership, only from shadow networks that were not trained on the sample.

    Raises:
        InputError: as `lira`.
    """
    x, share = target_values(values, shadows), _share(shrinkage)
    known = shadows.outside_enough()
    middle, covariance = _fitted(shadows.values, ~shadows.members, known, share, centre)
    spread = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    return np.where(known, ((x - middle) / spread).sum(axis=1), 0.0)


def _share(shrinkage: float) -> float:
    share = float(numbers(shrinkage, "shrinkage"))
    if not 0 <= share <= 1:
        raise InputError(f"shrinkage: expected 0..1, found {shrinkage}")
    return share


def _fitted(
    values: FloatArray, chosen: Mask, known: Mask, shrinkage: float, centre: Centre
) -> tuple[FloatArray, FloatArray]:
    """Centres (n, D) and shrunk covariances (n, D, D) of the chosen networks of each sample.

    The mean covariance is that of the `known` samples; the values of others do not matter.
    """
    counts = np.maximum(chosen.sum(axis=0), 1)[:, None]
    mean = np.where(chosen[..., None], values, 0.0).sum(axis=0) / counts
    apart = np.where(chosen[..., None], values - mean, 0.0)
    covariance = np.einsum("Nnd,Nne->nde", apart, apart) / counts[..., None]
    shrunk = (1 - shrinkage) * covariance + shrinkage * covariance[known].mean(axis=0)
    middle = mean
    if centre == "median":
        middle[known] = np.nanmedian(np.where(chosen[..., None], values, np.nan)[:, known], axis=0)
    return middle, shrunk + LEAST_VARIANCE * np.eye(values.shape[2])


def _log_density(x: FloatArray, middle: FloatArray, covariance: FloatArray) -> FloatArray:
    """Logarithm (n,) of the Gaussian density of each sample, up to a constant that is the same for all."""
    apart = x - middle
    solved = np.linalg.solve(covariance, apart[..., None])[..., 0]
    density: FloatArray = -0.5 * ((apart * solved).sum(axis=1) + np.linalg.slogdet(covariance)[1])
    return density
