"""scikit-learn's handwritten digits: 1,797 images of 8x8, inside the package, so offline."""

from __future__ import annotations

import numpy as np

from bl_neuro.data.samples import Dataset

DIGITS = "scikit-learn's copy of the UCI optical digits test set (Alpaydin and Kaynak, 1998)"


def load_digits() -> Dataset:
    """The digits as images (N, 1, 8, 8) in 0..1. Source: Alpaydin and Kaynak 1998, UCI, as in scikit-learn."""
    from sklearn.datasets import load_digits as load

    bunch = load()
    return Dataset(
        name="digits",
        source=DIGITS,
        pixels=np.asarray(bunch.images, dtype=np.float64)[:, None] / 16.0,
        labels=np.asarray(bunch.target, dtype=np.int64),
        class_names=tuple(str(name) for name in bunch.target_names),
        completeness="all 1,797",
    )
