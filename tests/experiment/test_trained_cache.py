"""Runs share trained networks and evaluators; nothing that is wrong with the cache stops or changes a run."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from bl_neuro.api.audit import run_audit
from bl_neuro.errors import InputError
from bl_neuro.experiment import trained_cache, trained_key
from bl_neuro.experiment.cell_cost import cell_cost
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.cost_log import CostLog
from bl_neuro.experiment.session import Audit
from bl_neuro.experiment.shared_work import SharedWork
from bl_neuro.experiment.store import Result, Store
from bl_neuro.experiment.trained_cache import TrainedCache
from bl_neuro.experiment.whole_digest import whole_digest
from bl_neuro.experiment.work import Work


class Filled(NamedTuple):
    """A cache with an evaluator, the run that trained it, and how long that took."""

    audit: Audit
    cell: Cell
    key: str
    store: Store
    cache: Path


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, small: Path) -> Filled:
    folder = tmp_path_factory.mktemp("shared")
    audit = Audit.of(str(small), folder / "first")
    cell = next(cell for cell in audit.cells if cell.kind == "evaluator")
    with Work(audit.material, audit.store) as work:
        shared = SharedWork(work, TrainedCache(folder / "cache"), CostLog(folder / "cache"))
        assert shared.do(cell) == (False, [])
    key = trained_key.trained_key(cell, audit.material)
    assert key is not None
    return Filled(audit, cell, key, audit.store, folder / "cache")


@pytest.fixture
def cache(filled: Filled, tmp_path: Path) -> TrainedCache:
    """A copy of the filled cache."""
    shutil.copytree(filled.cache, tmp_path / "cache")
    return TrainedCache(tmp_path / "cache")


def test_another_run_copies_what_was_trained(filled: Filled, cache: TrainedCache, tmp_path: Path) -> None:
    other = Store(tmp_path / "second")
    with Work(filled.audit.material, other) as work:
        assert SharedWork(work, cache, None).do(filled.cell) == (True, [])
    names = [f"{filled.cell.address}{suffix}" for suffix in (".json", ".safetensors")]
    for name in names:
        assert (other.folder / "cells" / name).read_bytes() == (filled.store.folder / "cells" / name).read_bytes()
    first, second = filled.store.times(filled.cell.address), other.times(filled.cell.address)
    assert first.copied is None
    assert second.copied is not None
    assert second.model_copy(update={"copied": None}) == first
    shutil.rmtree(cache.folder)  # the run has a copy of its own
    assert isinstance(other.check(filled.cell.address), Result)


def _flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [_flipped, _halved, Path.unlink], ids=["bit", "half", "missing"])
@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_a_damaged_entry_is_removed_with_one_warning(
    filled: Filled, cache: TrainedCache, tmp_path: Path, suffix: str, damage: Callable[[Path], None]
) -> None:
    damage(cache.folder / "trained" / filled.key / "cells" / f"{filled.cell.address}{suffix}")
    other = Store(tmp_path / "second")
    assert not cache.copy(filled.key, filled.cell, other)
    assert not cache.copy(filled.key, filled.cell, other)
    assert len(cache.warnings) == 1
    assert "expected an intact entry of the cache" in cache.warnings[0]
    assert other.check(filled.cell.address) is None
    cache.keep(filled.key, filled.cell, filled.store)
    assert cache.copy(filled.key, filled.cell, other)


def test_a_process_that_is_killed_while_it_writes_leaves_no_entry(filled: Filled, tmp_path: Path) -> None:
    cache = TrainedCache(tmp_path / "cache")
    child = os.fork()
    if child == 0:
        os.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        cache.keep(filled.key, filled.cell, filled.store)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    (remains,) = (cache.folder / "trained").iterdir()
    assert not cache.copy(filled.key, filled.cell, Store(tmp_path / "second"))
    os.utime(remains, (0, 0))
    cache.keep(filled.key, filled.cell, filled.store)
    assert [path.name for path in (cache.folder / "trained").iterdir()] == [filled.key]
    assert cache.warnings == []


def test_two_processes_do_not_train_the_same_at_once(cache: TrainedCache, filled: Filled) -> None:
    trains, done, order = threading.Event(), threading.Event(), []

    def first() -> None:
        with cache.training(filled.key):
            trains.set()
            done.wait(20)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    assert trains.wait(20)
    threading.Timer(0.05, done.set).start()
    with TrainedCache(cache.folder).training(filled.key):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_without_a_writable_folder_runs_train_and_warn(filled: Filled, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    cache = TrainedCache(tmp_path / "cache")
    with cache.training(filled.key):
        cache.keep(filled.key, filled.cell, filled.store)
    assert len(cache.warnings) == 1
    assert "could not be added to the cache" in cache.warnings[0]
    assert (cache.entries(), cache.clear()) == ([], 0)
    CostLog(cache.folder).add(cell_cost(filled.cell, filled.audit.material), 1.0)


def test_what_was_not_used_for_longest_is_removed_beyond_the_limit(cache: TrainedCache, filled: Filled) -> None:
    place = cache.folder / "trained"
    for age, name in enumerate("abc"):
        shutil.copytree(place / filled.key, place / (name * 64))
        os.utime(place / (name * 64), (1000 - age, 1000 - age))
    (size,) = {entry.size for entry in cache.entries()}
    shutil.rmtree(place / filled.key)
    cache.limit = 2 * size
    cache.keep(filled.key, filled.cell, filled.store)
    assert [entry.key for entry in cache.entries()] == ["a" * 64, filled.key]


def test_the_key_is_of_everything_that_a_training_depends_on(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    material, cells = filled.audit.material, filled.audit.cells
    keys = {cell.address: trained_key.trained_key(cell, material) for cell in cells}
    trained = [key for cell in cells if (key := keys[cell.address]) is not None]
    assert len(set(trained)) == len(trained) == sum(cell.kind in ("target", "evaluator") for cell in cells)
    changed = dict(trained_key.environment(), torch="0")
    monkeypatch.setattr(trained_key, "environment", lambda: changed)
    assert trained_key.trained_key(filled.cell, material) != filled.key
    monkeypatch.undo()
    monkeypatch.setitem(vars(material), "whole_digest", "of other samples")
    assert trained_key.trained_key(filled.cell, material) != filled.key
    monkeypatch.setitem(vars(material), "whole_digest", None)
    assert trained_key.trained_key(filled.cell, material) is None


def test_the_code_of_a_key_is_what_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [tmp_path / name for name in ("__init__.py", "training/fit.py", "cli/audit.py")]
    for path in files:
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    monkeypatch.setattr(trained_key, "ROOT", tmp_path)
    before = trained_key.code_digest()
    files[2].write_text("changed")
    assert trained_key.code_digest() == before
    files[1].write_text("changed")
    assert trained_key.code_digest() != before


def test_every_sample_and_label_counts(filled: Filled) -> None:
    data = filled.audit.material.data
    digest = whole_digest(data)
    assert whole_digest(data.subset(np.arange(len(data.labels)))) == digest
    assert whole_digest(data.subset(np.arange(len(data.labels) - 1))) != digest


def test_the_limit_is_a_number_of_mebibytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BL_NEURO_CACHE", str(tmp_path))
    monkeypatch.setenv(trained_cache.VARIABLE, "3")
    cache = TrainedCache.of_user()
    assert cache is not None
    assert (cache.folder, cache.limit) == (tmp_path, 3 * 2**20)
    monkeypatch.setenv(trained_cache.VARIABLE, "0")
    assert TrainedCache.of_user() is None
    monkeypatch.setenv(trained_cache.VARIABLE, "much")
    with pytest.raises(InputError, match="whole number of MiB"):
        TrainedCache.of_user()


@pytest.mark.slow
def test_a_run_in_workers_copies_and_says_so(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(trained_cache.VARIABLE, "64")
    monkeypatch.setenv("BL_NEURO_CACHE", str(tmp_path / "cache"))
    copied = [
        Audit.of(str(small), tmp_path / name, cache=cache).run(1).copied
        for name, cache in (("first", True), ("second", True), ("third", False))
    ]
    assert copied[0] == copied[2] == 0
    assert copied[1] == len(TrainedCache(tmp_path / "cache").entries()) > 0


def test_an_invalid_limit_is_an_error_before_workers_start(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(trained_cache.VARIABLE, "much")
    with pytest.raises(InputError, match="BL_NEURO_CACHE_MIB: expected a whole number of MiB"):
        run_audit(Audit.of(str(small), tmp_path / "out"))


def test_a_training_that_was_interrupted_records_no_cost(filled: Filled, tmp_path: Path) -> None:
    store = Store(tmp_path / "run")
    store.checkpoint(filled.cell.address).parent.mkdir(parents=True)
    store.checkpoint(filled.cell.address).write_bytes(b"what is left of an earlier process")
    log = CostLog(tmp_path / "costs")
    with Work(filled.audit.material, store) as work:
        SharedWork(work, None, log).do(filled.cell)
    assert log.read() == []
