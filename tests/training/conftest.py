"""A split of the digits, and plans small enough to train in a test."""

from __future__ import annotations

import pytest

from bl_neuro.data import Split, load_dataset, three_way_split
from bl_neuro.training import TargetPlan

FEW = 60


@pytest.fixture(scope="session")
def split() -> Split:
    return three_way_split(load_dataset("digits"), 0)


@pytest.fixture(scope="session")
def few(split: Split) -> Split:
    """A few samples of each part: enough to see what depends on a seed."""
    return Split(*(part.subset(slice(FEW)) for part in (split.target, split.evaluator, split.test)))


@pytest.fixture(scope="session")
def tiny() -> TargetPlan:
    return TargetPlan(hidden=(8,), steps=4, proxy_epochs=2, spiking_epochs=2)
