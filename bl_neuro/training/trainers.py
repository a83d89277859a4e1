"""Trainers of targets and twins, by their names in `[target]` and `[twin]` of an experiment.

    [target]                    [twin]
    trainer = "authors"         trainer = "authors"
    epochs = 20                 epochs = 70

A trainer consists of a plan, which is a frozen dataclass of settings, and a function that trains with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from bl_neuro.data.samples import Samples
from bl_neuro.errors import InputError
from bl_neuro.network import Network
from bl_neuro.training.ann_twin import AnnTwin, TwinPlan, train_twin
from bl_neuro.training.authors_target import AuthorsPlan, train_authors_target
from bl_neuro.training.authors_twin import AuthorsTwinPlan, train_authors_twin
from bl_neuro.training.checkpoint import Checkpoint
from bl_neuro.training.plans import TargetDesign, TargetPlan, declared_plan, plan_for
from bl_neuro.training.target import Lot, train_target, train_targets

Plan = TypeVar("Plan")


class TargetTrainer(NamedTuple):
    """A trainer of targets.

    plan: the class of its settings. plan_for: default settings for a dataset name. untrained: settings for an untrained
    network. train: the training function.
    """

    plan: type[TargetDesign]
    plan_for: Callable[[str], TargetDesign]
    untrained: dict[str, Any]
    train: Callable[..., Network]


class TwinTrainer(NamedTuple):
    """A trainer of ANN twins: the class of its settings, and the training function."""

    plan: type[Any]
    train: Callable[..., AnnTwin]


TARGET_TRAINERS: dict[str, TargetTrainer] = {
    "default": TargetTrainer(
        TargetPlan, plan_for, {"proxy_epochs": 0, "spiking_epochs": 0, "validation": 0.0}, train_target
    ),
    "authors": TargetTrainer(
        AuthorsPlan,
        lambda dataset: declared_plan(AuthorsPlan(), dataset),
        {"epochs": 0, "through_time": 0},
        train_authors_target,
    ),
}
TWIN_TRAINERS: dict[str, TwinTrainer] = {
    "default": TwinTrainer(TwinPlan, train_twin),
    "authors": TwinTrainer(AuthorsTwinPlan, train_authors_twin),
}


def target_trainer(name: str) -> TargetTrainer:
    """The trainer of targets named `name`. Raises InputError if there is none."""
    return _named(TARGET_TRAINERS, name)


def twin_trainer(name: str) -> TwinTrainer:
    """The trainer of twins named `name`. Raises InputError if there is none."""
    return _named(TWIN_TRAINERS, name)


def untrained(plan: TargetDesign) -> TargetDesign:
    """The plan for an untrained network."""
    return replace(plan, **target_trainer(plan.trainer).untrained)


def train_by_plan(data: Samples, plan: TargetDesign, seed: int, checkpoint: Checkpoint | None = None) -> Network:
    """Trains a target on `data` with the trainer of the plan, on the CPU."""
    return target_trainer(plan.trainer).train(data, plan, seed=seed, device="cpu", checkpoint=checkpoint)


def train_all_by_plan(lots: Sequence[Lot], plan: TargetDesign, threads: int = 1) -> list[Network]:
    """Trains one target per lot as `train_by_plan` does, together if the trainer can; see `trains_together`."""
    if isinstance(plan, TargetPlan):
        return train_targets(lots, plan, device="cpu", threads=threads)
    return [train_by_plan(lot.data, plan, lot.seed, lot.checkpoint) for lot in lots]


def trains_together(plan: TargetDesign) -> bool:
    """Whether targets of a plan are trained faster together: fully connected ones of the default trainer."""
    return isinstance(plan, TargetPlan) and not plan.conv and plan.neuron == "canonical"


def train_twin_by_plan(
    data: Samples, plan: Any, hidden: tuple[int, ...], seed: int, checkpoint: Checkpoint | None = None
) -> AnnTwin:
    """Trains an ANN twin on `data` with the trainer of the plan, on the CPU. hidden: as in the target."""
    return twin_trainer(plan.trainer).train(data, plan, hidden, seed=seed, device="cpu", checkpoint=checkpoint)


def _named(trainers: dict[str, Plan], name: str) -> Plan:
    if name not in trainers:
        raise InputError(f"trainer: expected one of {', '.join(trainers)}, found {name!r}")
    return trainers[name]
