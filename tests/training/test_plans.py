"""Plans: what they say, what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bl_neuro import InputError
from bl_neuro.data import Dataset, EventDataset
from bl_neuro.training import ConvSpec, TargetPlan, plan_for


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("12c5", ConvSpec(12, 5)),
        ("12c5s2", ConvSpec(12, 5, 2)),
        ("8c3p1", ConvSpec(8, 3, 1, 1)),
        (" 24c5s2p1 ", ConvSpec(24, 5, 2, 1)),
    ],
)
def test_convolutions_are_written_in_a_word(text: str, spec: ConvSpec) -> None:
    assert ConvSpec.parse(text) == spec
    assert ConvSpec.parse(str(spec)) == spec


@pytest.mark.parametrize(
    "text", ["", "12", "c5", "12c", "12c5p1s2", "0c5", "12c0", "12c5s0", "-1c5", "12c5-24c5", "9" * 9]
)
def test_refuses_words_that_are_no_convolution(text: str) -> None:
    with pytest.raises(InputError, match="conv"):
        ConvSpec.parse(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": 0},
        {"steps": 2**16 + 1},
        {"batch": 0},
        {"patience": 0},
        {"proxy_epochs": -1},
        {"spiking_epochs": -1},
        {"hidden": (0,)},
        {"hidden": (5, -1)},
        {"conv": ("12c5",)},
        {"neuron": "other"},
        {"proxy_rate": 0.0},
        {"spiking_rate": 1.5},
        {"weight_decay": -0.1},
        {"membrane_loss": float("nan")},
        {"shift": -1},
        {"voltage_decay": 0.0},
        {"voltage_decay": 1.0},
        {"noise": -0.1},
        {"noise": 1.1},
        {"validation": 0.6},
        {"validation": -0.1},
    ],
)
def test_refuses_plans(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(changes))):
        TargetPlan(**changes)


def test_every_dataset_has_a_plan() -> None:
    labels = np.array([0, 1])
    images = Dataset("own", "made up", np.zeros((2, 1, 4, 4)), labels, ("a", "b"))
    events = EventDataset.from_frames("own", "made up", np.zeros((2, 3, 1, 4, 4)), labels, ("a", "b"))
    assert plan_for(images) == TargetPlan()
    assert plan_for("mnist").hidden == (1000,)
    assert plan_for(events) == plan_for("nmnist") == plan_for("dvs_gesture")
    assert plan_for(events).proxy_epochs == 0  # frames of events are no rates


def test_facts_tell_plans_apart() -> None:
    assert TargetPlan().facts() == TargetPlan().facts()
    assert TargetPlan(conv=(ConvSpec(8, 3),)).facts() != TargetPlan(conv=(ConvSpec(8, 5),)).facts()
