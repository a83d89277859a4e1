"""Global settings of the calling program change no result of a trainer or an evaluator, or are refused by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bl_neuro.data import Split
from bl_neuro.errors import InputError
from bl_neuro.network import Network
from bl_neuro.testing.global_settings import REFUSED, SETTINGS, visible_settings
from bl_neuro.testing.reference_target import ReferenceTarget
from bl_neuro.training import (
    EVALUATORS,
    TARGET_TRAINERS,
    TWIN_TRAINERS,
    AuthorsPlan,
    AuthorsTwinPlan,
    ConvSpec,
    TargetPlan,
    TwinPlan,
    load_ann_twin,
    load_evaluator,
    measure_accuracy,
    train_evaluator,
    train_slayer_target,
)
from bl_neuro.training.fitted_evaluator import FittedSettings

STEPS = 4
CONV = (ConvSpec(4, 3, 1, 1),)
TARGET_PLANS: dict[str, Any] = {
    "default": TargetPlan(hidden=(8,), conv=CONV, steps=STEPS, proxy_epochs=1, spiking_epochs=1),
    "authors": AuthorsPlan(hidden=(8,), conv=CONV, steps=STEPS, epochs=1, through_time=40),
}
TWIN_PLANS: dict[str, Any] = {"default": TwinPlan(epochs=2), "authors": AuthorsTwinPlan(epochs=2)}
Facts = tuple[str, ...]


def target_facts(data: Split, trainer: str) -> Facts:
    network = TARGET_TRAINERS[trainer].train(data.target, TARGET_PLANS[trainer], seed=1, device="cpu")
    return facts_of(network, data)


def facts_of(network: Network, data: Split) -> Facts:
    return network.fingerprint, str(measure_accuracy(ReferenceTarget(network), data.test, STEPS, 0))


def twin_facts(data: Split, trainer: str, folder: Path) -> Facts:
    twin = TWIN_TRAINERS[trainer].train(data.target, TWIN_PLANS[trainer], (8,), seed=1, device="cpu")
    twin.save(folder / "twin.safetensors")
    loaded = load_ann_twin(folder / "twin.safetensors")
    return *bits(twin.state_dict()), *bits(loaded.state_dict()), str(loaded.accuracy(data.test))


def evaluator_facts(data: Split, kind: str, folder: Path) -> Facts:
    once: dict[str, Any] = {} if issubclass(EVALUATORS.find(kind).Settings, FittedSettings) else {"epochs": 1}
    trained = train_evaluator(data.evaluator, kind=kind, steps=STEPS, seed=1, device="cpu", **once)
    trained.save(folder / "evaluator.safetensors")
    loaded = load_evaluator(folder / "evaluator.safetensors")
    images = data.test.images_at(np.arange(6))
    spikes = data.test.spikes(np.arange(6), STEPS, np.random.default_rng(0))
    shown = [one(given) for one in (loaded.probabilities, loaded.features) for given in (images, spikes)]
    answers = [answer.tobytes().hex() for answer in shown]
    return *bits(trained.state_dict()), *bits(loaded.state_dict()), *answers, str(loaded.accuracy(data.test))


def bits(state: dict[str, Tensor]) -> list[str]:
    assert not any(value.is_inference() for value in state.values())
    return [f"{name} {value.dtype} {value.numpy().tobytes().hex()}" for name, value in state.items()]


def assert_the_same_under(setting: str, make: Callable[[], Facts]) -> None:
    expected = make()
    with SETTINGS[setting]():
        before = visible_settings()
        made = make()
        after = visible_settings()
    assert made == expected
    assert after == before


EXACT = [name for name in SETTINGS if name != "two threads"]
"""Settings that change nothing; with another number of threads, sums of float32 differ in their last bits."""
few_settings = pytest.mark.parametrize(
    "setting", [name if name == "all at once" else pytest.param(name, marks=pytest.mark.slow) for name in EXACT]
)


@few_settings
@pytest.mark.parametrize("trainer", TARGET_TRAINERS)
def test_no_setting_changes_a_trained_target(trainer: str, setting: str, few: Split) -> None:
    assert_the_same_under(setting, lambda: target_facts(few, trainer))


@few_settings
@pytest.mark.parametrize("trainer", TWIN_TRAINERS)
def test_no_setting_changes_a_twin(trainer: str, setting: str, few: Split, tmp_path: Path) -> None:
    assert_the_same_under(setting, lambda: twin_facts(few, trainer, tmp_path))


@few_settings
@pytest.mark.parametrize("kind", EVALUATORS.ours)
def test_no_setting_changes_an_evaluator(kind: str, setting: str, few: Split, tmp_path: Path) -> None:
    assert_the_same_under(setting, lambda: evaluator_facts(few, kind, tmp_path))


@pytest.mark.slayer
@pytest.mark.slow
def test_no_setting_changes_what_slayer_trains(few: Split, needs: Callable[[str], None]) -> None:
    needs("slayer")
    plan = TargetPlan(hidden=(8,), steps=STEPS, proxy_epochs=1, spiking_epochs=1)
    for setting in EXACT:
        assert_the_same_under(setting, lambda: facts_of(train_slayer_target(few.target, plan, seed=1), few))


def test_code_that_torch_would_run_inside_is_refused_by_name(few: Split, tmp_path: Path) -> None:
    evaluator = train_evaluator(few.evaluator, steps=STEPS, seed=1, device="cpu", epochs=0)
    evaluator.save(tmp_path / "evaluator.safetensors")
    images = few.test.images_at(np.arange(2))
    entry_points: list[Callable[[], Any]] = [
        *(partial(target_facts, few, trainer) for trainer in TARGET_TRAINERS),
        *(partial(twin_facts, few, trainer, tmp_path) for trainer in TWIN_TRAINERS),
        *(partial(evaluator_facts, few, kind, tmp_path) for kind in EVALUATORS.ours),
        partial(evaluator.probabilities, images),
        partial(evaluator.features, images),
        partial(evaluator.accuracy, few.test),
        partial(load_evaluator, tmp_path / "evaluator.safetensors"),
        partial(train_slayer_target, few.target, TARGET_PLANS["default"], seed=1),
    ]
    before = visible_settings()
    for setting, under in REFUSED.items():
        for call in entry_points:
            with pytest.raises(InputError, match=f"torch: .*{setting}"):
                under(call)
    assert visible_settings() == before


def test_states_of_torch_are_not_drawn_from(few: Split) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    target_facts(few, "default")
    assert torch.equal(torch.get_rng_state(), before)
