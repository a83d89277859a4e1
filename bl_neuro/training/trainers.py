"""Trainers of targets and of their twins, by the names that an experiment's `[target]` and `[twin]` call them.

    [target]                    [twin]
    trainer = "authors"         trainer = "authors"
    epochs = 20                 epochs = 70

A trainer is a plan, a frozen dataclass of its settings, and the function that trains by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from bl_neuro.data.samples import Samples
from bl_neuro.errors import InputError
from bl_neuro.network import Network
from bl_neuro.training.ann_twin import AnnTwin, TwinPlan, train_twin
from bl_neuro.training.authors_target import AuthorsPlan, train_authors_target
from bl_neuro.training.authors_twin import AuthorsTwinPlan, train_authors_twin
from bl_neuro.training.checkpoint import Checkpoint
from bl_neuro.training.plans import TargetDesign, TargetPlan, plan_for
from bl_neuro.training.target import train_target

Plan = TypeVar("Plan")
AUTHORS_PLANS = {
    "mnist": AuthorsPlan(),
    "att_faces": AuthorsPlan(epochs=40, through_time=80, rate=1.5e-4, batch=40, shift=3),
}
"""Plans of the trainer "authors" that are known to work, by the name of the dataset."""


class TargetTrainer(NamedTuple):
    """How targets are trained.

    plan: the class of its settings. plan_for: the settings that suit the dataset of a name. untrained: settings that
    make the trainer return the network as it is before training. train: makes the network.
    """

    plan: type[TargetDesign]
    plan_for: Callable[[str], TargetDesign]
    untrained: dict[str, Any]
    train: Callable[..., Network]


class TwinTrainer(NamedTuple):
    """How ANN twins are trained: the class of its settings, and the function that trains by them."""

    plan: type[Any]
    train: Callable[..., AnnTwin]


TARGET_TRAINERS: dict[str, TargetTrainer] = {
    "default": TargetTrainer(
        TargetPlan, plan_for, {"proxy_epochs": 0, "spiking_epochs": 0, "validation": 0.0}, train_target
    ),
    "authors": TargetTrainer(
        AuthorsPlan,
        lambda dataset: AUTHORS_PLANS.get(dataset, AuthorsPlan()),
        {"epochs": 0, "through_time": 0},
        train_authors_target,
    ),
}
TWIN_TRAINERS: dict[str, TwinTrainer] = {
    "default": TwinTrainer(TwinPlan, train_twin),
    "authors": TwinTrainer(AuthorsTwinPlan, train_authors_twin),
}


def target_trainer(name: str) -> TargetTrainer:
    """The trainer of targets called `name`. InputError where there is none."""
    return _named(TARGET_TRAINERS, name)


def twin_trainer(name: str) -> TwinTrainer:
    """The trainer of twins called `name`. InputError where there is none."""
    return _named(TWIN_TRAINERS, name)


def untrained(plan: TargetDesign) -> TargetDesign:
    """The plan whose network is not trained at all."""
    return replace(plan, **target_trainer(plan.trainer).untrained)


def train_by_plan(data: Samples, plan: TargetDesign, seed: int, checkpoint: Checkpoint | None = None) -> Network:
    """The target that a plan's trainer makes of `data`, on the processor."""
    return target_trainer(plan.trainer).train(data, plan, seed=seed, device="cpu", checkpoint=checkpoint)


def train_twin_by_plan(
    data: Samples, plan: Any, hidden: tuple[int, ...], seed: int, checkpoint: Checkpoint | None = None
) -> AnnTwin:
    """The ANN twin that a plan's trainer makes of `data`, on the processor. hidden: the target's."""
    return twin_trainer(plan.trainer).train(data, plan, hidden, seed=seed, device="cpu", checkpoint=checkpoint)


def _named(trainers: dict[str, Plan], name: str) -> Plan:
    if name not in trainers:
        raise InputError(f"trainer: expected one of {', '.join(trainers)}, found {name!r}")
    return trainers[name]
