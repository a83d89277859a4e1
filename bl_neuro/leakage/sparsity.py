"""How densely the spikes of an inversion lie."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def spike_density(spikes: npt.NDArray[np.uint8]) -> float:
    """Fraction of bins of spikes (T, K, ...) that hold a spike, 0..1."""
    return float(np.count_nonzero(spikes) / spikes.size)
