"""Renumbers classes: in the order of the outputs of a network, or after some of them were chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

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


def only_classes(dataset: D, classes: Sequence[int]) -> D:
    """The samples of some classes: class k of the result is `classes[k]` of `dataset`, with its name.

    Raises:
        InputError: fewer than two classes, or a number that is repeated or is no class of the dataset.
    """
    if len(classes) < 2 or len(set(classes)) < len(classes) or not set(classes) <= set(range(dataset.classes)):
        raise InputError(
            f"classes: expected at least two different classes in 0..{dataset.classes - 1}, found {list(classes)}"
        )
    kept: Any = dataset.subset(np.flatnonzero(np.isin(dataset.labels, classes)))
    number = np.zeros(dataset.classes, dtype=np.int64)
    number[list(classes)] = np.arange(len(classes))
    some: D = replace(
        kept,
        labels=number[kept.labels],
        class_names=tuple(dataset.class_names[label] for label in classes),
        completeness=f"{len(classes)} of {dataset.classes} classes of {dataset.completeness}",
    )
    return some
