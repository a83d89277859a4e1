"""How densely the spikes of an inversion lie."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bl_neuro.errors import InputError


def spike_density(spikes: npt.ArrayLike) -> float:
    """Fraction of bins of spikes (T, K, ...) that hold a spike, 0..1."""
    bins = np.asarray(spikes)
    if bins.size == 0:
        raise InputError(f"spikes: expected at least one bin, found {bins.shape}")
    return float(np.count_nonzero(bins) / bins.size)
