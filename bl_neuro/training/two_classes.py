"""What can be learnt from at all: samples of two classes."""

from __future__ import annotations

import numpy as np

from bl_neuro.data.samples import Samples
from bl_neuro.errors import DataError


def need_two_classes(data: Samples) -> None:
    """Refuses samples that are all of one class: whatever is trained on them answers it to anything.

    Raises:
        DataError: there are samples of fewer than two classes.
    """
    labels = np.unique(data.labels)
    if len(labels) < 2:
        named = f"1 ('{data.class_names[labels[0]]}')" if len(labels) else "no sample"
        raise DataError(
            f"{data.name}: expected samples of at least 2 classes to train on, found {named}; "
            "add samples of another class, or check the labels"
        )
