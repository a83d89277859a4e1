"""Plans: their settings and refused values."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from bl_neuro import InputError, PluginError
from bl_neuro.data import DATASETS, Dataset, DatasetSource, EventDataset, LoadOptions, load_dataset
from bl_neuro.testing.registered import registered
from bl_neuro.training import ConvSpec, TargetPlan, plan_for
from bl_neuro.training.authors_target import AuthorsPlan
from bl_neuro.training.trainers import target_trainer


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
def test_refuses_invalid_convolution_texts(text: str) -> None:
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


class Made(DatasetSource):
    """A dataset of another package."""

    name = "made"
    title = "made up"
    kind = "images"
    target_plan: ClassVar[dict[str, Any]] = {"steps": 7, "conv": ["12c5s2"], "hidden": ()}

    @classmethod
    def load(cls, options: LoadOptions) -> Dataset:
        return Dataset("made", "made up", np.zeros((2, 1, 4, 4)), np.array([0, 1]), ("a", "b"))


def test_a_dataset_declares_its_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    with registered(DATASETS, Made):
        expected = TargetPlan(steps=7, conv=(ConvSpec(12, 5, 2),), hidden=())
        assert plan_for("made") == plan_for(load_dataset("made")) == expected
        monkeypatch.setattr(Made, "kind", "events")
        assert plan_for("made").proxy_epochs == plan_for("nmnist").proxy_epochs
        assert plan_for(load_dataset("made")) == TargetPlan()  # images that are called as the dataset of events is
    assert plan_for("made") == TargetPlan()


@pytest.mark.parametrize("plan", [{"layers": 3}, {"steps": 0}, {"conv": ["large"]}])
def test_a_declared_plan_that_is_not_one_is_the_plugins_fault(
    plan: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Made, "target_plan", plan)
    with registered(DATASETS, Made), pytest.raises(PluginError, match=r"'made': target_plan: expected .* a TargetPlan"):
        plan_for("made")


def test_a_dataset_declares_its_plans_for_other_trainers(monkeypatch: pytest.MonkeyPatch) -> None:
    authors = target_trainer("authors")
    assert authors.plan_for("mnist") == authors.plan_for("unknown") == AuthorsPlan()
    assert authors.plan_for("att_faces") == AuthorsPlan(epochs=40, through_time=80, rate=1.5e-4, batch=40, shift=3)
    with registered(DATASETS, Made):
        assert authors.plan_for("made") == AuthorsPlan()
        monkeypatch.setattr(Made, "trainer_plans", {"authors": {"epochs": 3}})
        assert authors.plan_for("made") == AuthorsPlan(epochs=3)
        monkeypatch.setattr(Made, "trainer_plans", {"authors": {"layers": 3}})
        with pytest.raises(PluginError, match=r"'made': trainer_plans: authors: expected .* a AuthorsPlan"):
            authors.plan_for("made")


def test_facts_tell_plans_apart() -> None:
    assert TargetPlan().facts() == TargetPlan().facts()
    assert TargetPlan(conv=(ConvSpec(8, 3),)).facts() != TargetPlan(conv=(ConvSpec(8, 5),)).facts()
