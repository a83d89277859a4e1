"""Samples of one class are refused by name before any training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bl_neuro.data import Dataset
from bl_neuro.errors import DataError
from bl_neuro.training import TargetPlan, train_ann_twin, train_evaluator, train_slayer_target, train_target

TRAININGS: dict[str, Callable[[Any], Any]] = {
    "target": lambda data: train_target(data, TargetPlan(hidden=(4,))),
    "slayer": lambda data: train_slayer_target(data, TargetPlan(hidden=(4,))),
    "evaluator": train_evaluator,
    "twin": train_ann_twin,
}


def samples(count: int, names: tuple[str, ...]) -> Dataset:
    return Dataset("shapes", "made here", np.zeros((count, 1, 8, 8)), np.zeros(count, dtype=np.int64), names)


@pytest.mark.parametrize("names", [("square",), ("square", "cross")], ids=["one class", "another without samples"])
@pytest.mark.parametrize(
    "kind", [pytest.param(name, marks=pytest.mark.slayer) if name == "slayer" else name for name in TRAININGS]
)
def test_one_class_is_refused(kind: str, names: tuple[str, ...], needs: Callable[[str], None]) -> None:
    if kind == "slayer":
        needs("slayer")
    with pytest.raises(
        DataError, match=r"shapes: expected .* at least 2 classes to train on, found 1 \('square'\); add"
    ):
        TRAININGS[kind](samples(20, names))


def test_no_sample_is_refused() -> None:
    with pytest.raises(DataError, match="found no sample"):
        train_target(samples(0, ("square", "cross")))
