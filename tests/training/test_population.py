"""Targets that are trained together are those that autograd trains alone, to the last bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bl_neuro import Network
from bl_neuro.data import EventDataset, Split
from bl_neuro.data.samples import Samples
from bl_neuro.errors import InputError
from bl_neuro.isolation import isolated
from bl_neuro.seeding import stream
from bl_neuro.training import Checkpoint, ConvSpec, Lot, TargetPlan, train_target, train_targets
from bl_neuro.training.bptt import spiking_forward
from bl_neuro.training.fit import fit
from bl_neuro.training.stack import Stack
from bl_neuro.training.stack_training import stack_training
from bl_neuro.training.stacked_steps import product
from bl_neuro.training.target import PURPOSE

PLAN = TargetPlan(hidden=(24,), steps=4, proxy_epochs=2, spiking_epochs=2, batch=16)


class Interrupted(Exception):
    pass


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def fuses() -> bool:
    """Whether this PyTorch rounds a product and a sum once, as the kernels do: it does where processors have AVX2."""
    left, right = (torch.linspace(0.1, 3.0, 1000, dtype=torch.float64).float().roll(shift) for shift in (0, 7))
    exact = (left.double() * right.double() + 1.0).float()
    return torch.equal(torch.ones(1000).addcmul_(left, right), exact)


@isolated
def alone(data: Samples, plan: TargetPlan, seed: int) -> Network:
    """The network that autograd trains; that of `train_target` where its sums are rounded differently."""
    if not fuses():
        return train_target(data, plan, seed=seed, device="cpu")
    stack = Stack(data.input_shape, data.classes, plan, stream(seed, PURPOSE, 0))
    forward = partial(spiking_forward, stack)
    options = {"seed": seed, "purpose": PURPOSE, "progress": None, "checkpoint": None}
    _, phases, course = stack_training(stack, plan, forward, data, **options)  # type: ignore[arg-type]
    fit(stack, phases, course)
    return stack.network()


def prints(networks: Sequence[Network]) -> list[str]:
    return [network.fingerprint for network in networks]


def lots(data: Samples, count: int = 3) -> list[Lot]:
    """The same number of other samples for each of them, and seeds."""
    size = len(data.labels) - 10
    return [Lot(data.subset(stream(seed, "lot").permutation(len(data.labels))[:size]), seed) for seed in range(count)]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"hidden": (7, 5), "batch": 9},
        {"hidden": (), "weight_decay": 0.0},
        {"noise": 0.0, "membrane_loss": 0.0, "voltage_decay": 0.6},
        {"shift": 1, "membrane_loss": 0.3, "spiking_rate": 0.05},
        {"proxy_epochs": 0, "steps": 1},
        {"spiking_epochs": 0, "proxy_rate": 0.1},
        {"validation": 0.3, "patience": 1, "proxy_epochs": 6, "proxy_rate": 0.05},
    ],
    ids=str,
)
def test_every_plan_gives_the_networks_of_single_trainings(few: Split, changes: dict[str, Any]) -> None:
    plan = replace(PLAN, **changes)
    members = lots(few.target)
    wanted = [alone(lot.data, plan, lot.seed) for lot in members]
    assert prints(train_targets(members, plan, threads=2)) == prints(wanted)
    assert train_target(members[1].data, plan, seed=1).fingerprint == wanted[1].fingerprint
    assert len(set(prints(wanted))) == 3


def test_members_of_different_sizes_and_events(few: Split) -> None:
    rng = np.random.default_rng(0)
    frames = np.packbits(rng.random((12, 4, 25)) < 0.3, axis=2)
    events = EventDataset("events", "drawn", frames, np.arange(12) % 3, ("a", "b", "c"), (1, 5, 5))
    plan = replace(PLAN, proxy_epochs=0, shift=1)
    for data, own in ((few.target, PLAN), (events, plan)):
        members = [Lot(data.subset(np.arange(size)), size) for size in (9, 12, 9)]
        assert prints(train_targets(members, own)) == prints([alone(lot.data, own, lot.seed) for lot in members])


@pytest.mark.parametrize("changes", [{"conv": (ConvSpec(2, 3),)}, {"neuron": "authors"}], ids=str)
def test_other_designs_are_trained_one_after_another(few: Split, changes: dict[str, Any]) -> None:
    plan, members = replace(PLAN, proxy_epochs=1, spiking_epochs=1, **changes), lots(few.target, 2)
    assert prints(train_targets(members, plan)) == prints([alone(lot.data, plan, lot.seed) for lot in members])


@pytest.mark.parametrize("after", [1, 3])
def test_an_interrupted_group_continues_in_other_groups(few: Split, tmp_path: Path, after: int) -> None:
    wanted = prints(train_targets(lots(few.target), PLAN))

    def interrupt(done: int, _: int) -> None:
        if done == after:
            raise Interrupted

    def kept(number: int) -> Checkpoint:
        return Checkpoint(tmp_path / str(number), every_s=0)

    members = [replace_lot(lot, interrupt if lot.seed == 1 else None, kept(lot.seed)) for lot in lots(few.target)]
    with pytest.raises(Interrupted):
        train_targets(members, PLAN)
    assert (tmp_path / "0").exists()
    seen: list[int] = []
    first = replace_lot(members[0], lambda done, _: seen.append(done), kept(0))
    assert prints(train_targets([first], PLAN)) == wanted[:1]
    assert seen == list(range(after + 1, 5))  # the epochs that were left
    again = [replace_lot(lot, None, lot.checkpoint) for lot in members]
    assert prints(train_targets(again, PLAN)) == wanted  # from checkpoints of different epochs
    assert prints(train_targets(again, PLAN)) == wanted  # which are now finished


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", True])
def test_numbers_of_threads_that_are_none_are_refused(few: Split, threads: Any) -> None:
    with pytest.raises(InputError, match="threads: expected a whole number of at least 1"):
        train_targets(lots(few.target), PLAN, threads=threads)


def test_several_threads_need_one_of_pytorch(few: Split) -> None:
    torch.set_num_threads(2)
    with pytest.raises(InputError, match=r"found 2; call torch.set_num_threads\(1\)"):
        train_targets(lots(few.target), PLAN, threads=2)


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_of_one_group_stops_the_others(few: Split, failing: int) -> None:
    failed, epochs = Event(), []

    def fail(_: int, __: int) -> None:
        failed.set()
        raise Interrupted

    def count(done: int, _: int) -> None:
        assert failed.wait(60)
        epochs.append(done)

    first, second = lots(few.target, 2)
    members = [first._replace(progress=count), second._replace(progress=count)]
    members[failing] = members[failing]._replace(progress=fail)
    with pytest.raises(Interrupted):
        train_targets(members, replace(PLAN, proxy_epochs=3000), threads=2)
    assert len(epochs) < 3000


def replace_lot(lot: Lot, progress: Any, checkpoint: Checkpoint | None) -> Lot:
    return lot._replace(progress=progress, checkpoint=checkpoint)


def test_products_have_the_bits_of_single_products() -> None:
    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> Tensor:
        return torch.from_numpy(rng.normal(size=shape).astype(np.float32))

    for rows, inner, columns in ((3, 7, 5), (64, 64, 32), (61, 33, 10), (2, 16, 10), (64, 7, 33), (100, 17, 2)):
        left, right = drawn(5, rows, inner), drawn(5, columns, inner)
        wanted = [torch.mm(one.clone(), other.clone().T) for one, other in zip(left, right)]
        assert torch.equal(product(left, right.transpose(1, 2)), torch.stack(wanted))
