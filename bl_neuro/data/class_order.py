"""Maps the outputs of a network to classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from bl_neuro.data.events import EventDataset
from bl_neuro.data.samples import Dataset
from bl_neuro.errors import InputError

D = TypeVar("D", bound=Dataset | EventDataset)


def in_class_order(dataset: D, class_names: Sequence[str]) -> D:
    """`dataset` with renumbered classes: class k becomes `class_names[k]`, the class of output k of a network.

    Raises:
        InputError: the names are not exactly those of the dataset's classes.
    """
    if sorted(class_names) != sorted(dataset.class_names):
        raise InputError(
            f"class_names: expected {', '.join(dataset.class_names)} in the order of the outputs, "
            f"found {', '.join(map(str, class_names))}"
        )
    renumbered = np.array([list(class_names).index(name) for name in dataset.class_names], dtype=np.int64)
    return replace(dataset, labels=renumbered[dataset.labels], class_names=tuple(class_names))
