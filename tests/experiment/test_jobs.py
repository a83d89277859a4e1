"""Networks of one plan are trained together; every cell has the bytes that it has if it is trained alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bl_neuro.errors import DataError
from bl_neuro.experiment import network_training
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.cost_log import CostLog
from bl_neuro.experiment.jobs import Job, jobs_of
from bl_neuro.experiment.session import Audit
from bl_neuro.experiment.shared_work import Done, SharedWork
from bl_neuro.experiment.store import Store
from bl_neuro.experiment.trained_cache import TrainedCache
from bl_neuro.experiment.work import Work
from bl_neuro.training import ConvSpec, Lot
from bl_neuro.training.trainers import train_all_by_plan

MEMBERS = """\
name = "members"
substrates = ["loihi"]
steps = 4
[dataset]
name = "digits"
[target]
hidden = [8]
proxy_epochs = 1
spiking_epochs = 1
[membership]
networks = 20
pool = 120
"""


@pytest.fixture(scope="module")
def audit(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """The small experiment, which nothing has run: two trained targets, and one trained on shuffled labels."""
    return Audit.of(str(small), tmp_path_factory.mktemp("jobs") / "out")


@pytest.fixture(scope="module")
def targets(audit: Audit) -> Job:
    return tuple(cell for cell in audit.cells if cell.kind == "target")


@pytest.fixture(scope="module")
def alone(audit: Audit, targets: Job, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of targets that were trained one by one."""
    folder = tmp_path_factory.mktemp("alone")
    with Work(audit.material, Store(folder)) as work:
        for cell in targets:
            work.do(cell)
    return files(folder)


@pytest.fixture(scope="module")
def member_audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    folder = tmp_path_factory.mktemp("members")
    (folder / "members.toml").write_text(MEMBERS)
    return Audit.of(str(folder / "members.toml"), folder / "out")


@pytest.fixture(scope="module")
def members(member_audit: Audit) -> Job:
    return tuple(cell for cell in member_audit.cells if cell.kind == "member")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "cells").iterdir()}


def finish(shared: SharedWork, job: Sequence[Cell]) -> list[Done]:
    with shared.together(tuple(job)):
        return [shared.do(cell) for cell in job]


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many networks each training trained, from now on."""
    sizes: list[int] = []
    train = train_all_by_plan

    def counted(lots: Sequence[Lot], plan: object) -> object:
        sizes.append(len(lots))
        return train(lots, plan)  # type: ignore[arg-type]

    monkeypatch.setattr(network_training, "train_all_by_plan", counted)
    return sizes


@pytest.mark.parametrize(("workers", "sizes"), [(1, [3]), (2, [2, 1]), (8, [1, 1, 1])])
def test_networks_of_one_plan_occupy_all_workers(audit: Audit, workers: int, sizes: list[int]) -> None:
    jobs = jobs_of(audit.cells, workers)
    assert [len(job) for job in jobs if job[0].kind == "target"] == sizes
    assert all(len(job) == 1 for job in jobs if job[0].kind != "target")
    assert sorted(cell.address for job in jobs for cell in job) == sorted(cell.address for cell in audit.cells)


def test_a_job_has_one_plan_and_a_largest_size(members: Job) -> None:
    wide = [replace(cell, what=replace(cell.what, hidden=(9,)), definition={"wide": cell.address}) for cell in members]
    assert [len(job) for job in jobs_of([*members, *wide[:3]], 1)] == [16, 4, 3]
    assert [len(job) for job in jobs_of([*members, *wide[:3]], 3)] == [7, 7, 6, 1, 1, 1]
    convolutional = [replace(cell, what=replace(cell.what, conv=(ConvSpec(2, 3),))) for cell in members]
    assert {len(job) for job in jobs_of(convolutional, 1)} == {1}


def test_targets_trained_together_have_the_bytes_of_single_ones(
    audit: Audit, targets: Job, alone: dict[str, bytes], groups: list[int], undisturbed: Path, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    with Work(audit.material, store) as work:
        finish(SharedWork(work, None, None), targets)
    assert groups == [3]
    assert files(tmp_path) == alone
    assert files(undisturbed).items() >= alone.items()  # of a run with worker processes
    assert len({store.seconds(cell.address) for cell in targets}) == 3
    assert list((tmp_path / "unfinished").iterdir()) == []


def test_a_group_continues_where_some_of_its_cells_are_done_or_begun(
    audit: Audit, targets: Job, alone: dict[str, bytes], groups: list[int], tmp_path: Path
) -> None:
    store, log = Store(tmp_path), CostLog(tmp_path / "log")
    with Work(audit.material, store) as work:
        shared = SharedWork(work, None, log)
        shared.do(targets[1])
        with shared.together(targets[:2]):  # it ends after the training
            pass
        [job] = jobs_of([cell for cell in targets if store.read(cell.address) is None], 1)
        finish(shared, job)
    assert groups == [1, 2, 2]
    assert files(tmp_path) == alone
    assert len(log.read()) == 2  # not of the cell that continued, whose seconds are those of the rest alone


def test_members_trained_together_have_the_bytes_of_single_ones(
    member_audit: Audit, members: Job, tmp_path: Path, groups: list[int]
) -> None:
    with Work(member_audit.material, Store(tmp_path / "one")) as work:
        for cell in members[:2]:
            work.do(cell)
    with Work(member_audit.material, Store(tmp_path / "both")) as work:
        finish(SharedWork(work, None, None), members[:2])
    assert groups == [1, 1, 2]
    assert files(tmp_path / "one") == files(tmp_path / "both")


def test_every_cell_of_a_group_has_its_own_entry_of_the_cache(
    audit: Audit, targets: Job, alone: dict[str, bytes], groups: list[int], tmp_path: Path
) -> None:
    cache = TrainedCache(tmp_path / "cache")
    with Work(audit.material, Store(tmp_path / "first")) as work:
        assert finish(SharedWork(work, cache, None), targets[:1]) == [Done(False, [])]
    with Work(audit.material, Store(tmp_path / "second")) as work:
        done = finish(SharedWork(work, cache, None), targets)
    assert [one.copied for one in done] == [True, False, False]
    with Work(audit.material, Store(tmp_path / "third")) as work:
        assert all(one.copied for one in finish(SharedWork(work, cache, None), targets))
    assert groups == [1, 2]
    assert files(tmp_path / "second") == files(tmp_path / "third") == alone


def test_only_the_cell_that_cannot_be_trained_fails(
    audit: Audit, targets: Job, alone: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples_of = network_training.samples_of

    def damaged(cell: Cell, material: object) -> object:
        if cell is targets[1]:
            raise DataError("on purpose")
        return samples_of(cell, material)  # type: ignore[arg-type]

    monkeypatch.setattr(network_training, "samples_of", damaged)
    cache = TrainedCache(tmp_path / "cache")
    with Work(audit.material, Store(tmp_path / "out")) as work:
        shared = SharedWork(work, cache, None)
        with shared.together(targets):
            shared.do(targets[0])
            with pytest.raises(DataError, match="on purpose"):
                shared.do(targets[1])
            shared.do(targets[2])
    stored = files(tmp_path / "out")
    assert len(stored) == len(alone) - 2
    assert stored.items() <= alone.items()
