"""Compiled implementation of Adam in one pass over memory."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np


def _adam_pass(
    weights: Any, gradient: Any, mean: Any, square: Any, first: float, second: float, rate: float, correction: float
) -> None:
    """One step on flat float32 arrays, in place.

    first, second: decay rates of Adam's moments. correction: the square root of 1 - second^t.
    """
    keep, keep_square, epsilon = np.float32(first), np.float32(second), np.float32(1e-8)
    one, size, scale = np.float32(1.0), np.float32(rate), np.float32(correction)
    for place in range(len(weights)):
        slope = gradient[place]
        average = keep * mean[place] + (one - keep) * slope
        spread = keep_square * square[place] + (one - keep_square) * slope * slope
        mean[place], square[place] = average, spread
        weights[place] -= size * average / (np.sqrt(spread) / scale + epsilon)


adam_pass: Any = numba.njit(fastmath=True)(_adam_pass)
