"""Checks that there are samples of at least two classes to train on."""

from __future__ import annotations

import numpy as np

from bl_neuro.data.samples import Samples
from bl_neuro.errors import DataError


def need_two_classes(data: Samples) -> None:
    """Checks that samples are of at least two classes, since training on one class is meaningless.

    Raises:
        DataError: all samples are of one class, or there are none.
    """
    labels = np.unique(data.labels)
    if len(labels) < 2:
        named = f"1 ('{data.class_names[labels[0]]}')" if len(labels) else "no sample"
        raise DataError(
            f"{data.name}: expected samples of at least 2 classes to train on, found {named}; "
            "add samples of another class, or check the labels"
        )
