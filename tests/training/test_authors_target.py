"""Targets trained as the BrainLeaks authors train theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bl_neuro.data import EventDataset, Split
from bl_neuro.errors import InputError
from bl_neuro.layers import Dense
from bl_neuro.testing.attack_assertions import global_chance
from bl_neuro.testing.reference_target import ReferenceTarget
from bl_neuro.training import AuthorsPlan, Checkpoint, measure_accuracy, train_authors_target
from bl_neuro.training.authors_target import _start
from bl_neuro.training.stack import Stack
from bl_neuro.training.trainers import TARGET_TRAINERS, TWIN_TRAINERS, target_trainer, train_by_plan, untrained

TINY = AuthorsPlan(hidden=(8,), steps=4, epochs=2, through_time=40, rate=3e-3, batch=20)


def test_it_learns_the_digits(split: Split) -> None:
    plan = AuthorsPlan(hidden=(40,), steps=8, epochs=30, through_time=200, rate=3e-3, batch=50)
    network = train_authors_target(split.target, plan)
    assert measure_accuracy(ReferenceTarget(network), split.test, 8, seed=0) > 0.85
    (*_, last) = network.layers
    assert isinstance(last, Dense)
    assert last.neuron.reset == "subtract_delayed"


def test_it_comes_from_its_seed_alone(few: Split) -> None:
    chance = global_chance()
    first, again, other = (train_authors_target(few.target, TINY, seed=seed) for seed in (1, 1, 2))
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert global_chance() == chance


def test_it_resumes_from_its_checkpoint(few: Split, tmp_path: Path) -> None:
    place = Checkpoint(tmp_path / "checkpoint.safetensors")
    first, again = (train_authors_target(few.target, TINY, checkpoint=place) for _ in range(2))
    assert first.fingerprint == again.fingerprint == train_authors_target(few.target, TINY).fingerprint
    with pytest.raises(InputError, match="another training: epochs"):
        train_authors_target(few.target, AuthorsPlan(hidden=(8,), steps=4, rate=0.5), checkpoint=place)


def test_the_start_is_that_of_a_linear_layer() -> None:
    stack = Stack((1, 10, 10), 10, AuthorsPlan(hidden=(40,)), np.random.default_rng(0))
    _start(stack, np.random.default_rng(1))
    weights = stack.synapses[0].weight.detach()
    assert 0.09 < float(weights.abs().max()) <= 0.1
    assert float(stack.synapses[0].bias.detach().abs().max()) > 0


@pytest.mark.parametrize("settings", [{"epochs": -1}, {"through_time": -1}, {"rate": 0.0}, {"batch": 0}, {"shift": -1}])
def test_invalid_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        AuthorsPlan(**settings)


def test_frames_of_events_are_no_rates() -> None:
    frames = np.zeros((4, 3, 1, 4, 4), dtype=np.uint8)
    events = EventDataset.from_frames("bars", "made up", frames, np.arange(4) % 2, ("a", "b"))
    with pytest.raises(InputError, match="epochs: expected 0 for events"):
        train_authors_target(events, TINY)


@pytest.mark.parametrize("name", list(TARGET_TRAINERS))
def test_trainers_are_named_by_their_plans(name: str, few: Split) -> None:
    plan = TARGET_TRAINERS[name].plan_for("digits")
    assert plan.trainer == name == TARGET_TRAINERS[name].plan.trainer
    before = untrained(plan)
    assert before.described().endswith("for no epoch")
    assert train_by_plan(few.target, before, 0) == train_by_plan(few.target, before, 0)


def test_trainers_of_twins_are_named_by_their_plans() -> None:
    assert [trainer.plan.trainer for trainer in TWIN_TRAINERS.values()] == list(TWIN_TRAINERS)


def test_an_unknown_trainer_is_refused() -> None:
    with pytest.raises(InputError, match="trainer: expected one of default, authors, found 'adam'"):
        target_trainer("adam")


def test_a_training_is_put_into_words() -> None:
    plan = AuthorsPlan(epochs=1, through_time=10_000, shift=3)
    assert plan.described() == (
        " as the BrainLeaks authors train theirs, shifted by up to 3 pixels: 1 epoch as an ANN of its firing rates, "
        "then 10,000 samples through time"
    )
