"""Limits for reading untrusted HDF5 files, counted over the whole file."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.deploy import net_reader
from bl_neuro.deploy.net_reader import read_net
from bl_neuro.strangers.hdf5 import Budget, CheckedGroup
from bl_neuro.testing.handmade_net import dense, write


def opened(path: Path, budget: Budget) -> CheckedGroup:
    return CheckedGroup(h5py.File(path, "r"), "file", budget)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["small"] = np.arange(10, dtype=np.int8)
        file["wide"] = np.arange(10.0)
        file["again"] = file["small"]
    return tmp_path / "x.h5"


def test_values_are_counted_over_the_file(path: Path) -> None:
    group = opened(path, Budget(values=20, bytes=10_000))
    assert group.numbers("small") is not None
    assert group.numbers("wide") is not None
    assert group.numbers("small") is None
    assert group.problems == [
        "file: small: 10 values, more than a network may have in total",
    ]


def test_bytes_are_counted_over_the_file(path: Path) -> None:
    group = opened(path, Budget(values=1000, bytes=95))
    assert group.numbers("wide") is not None
    assert group.numbers("small") is not None
    assert group.numbers("again") is None
    assert group.problems == [
        "file: again: 10 bytes: together with the values read before, more than the file contains"
    ]


def test_a_dataset_that_states_more_bytes_than_the_file_has_is_not_read(path: Path) -> None:
    group = opened(path, Budget(values=1000, bytes=79))
    assert group.numbers("wide") is None
    assert group.problems == ["file: wide: 80 bytes: together with the values read before, more than the file contains"]


def test_one_matrix_in_many_blocks_is_read_once(tmp_path: Path) -> None:
    """Hard links make hundreds of large layers of a small file."""
    side, blocks = 256, 20
    weight = np.random.default_rng(0).integers(-127, 128, (side, side)).astype(np.int8)
    path = write(tmp_path / "n.net", *[dense(shape=[side], weight=weight[:, :1])] * blocks)
    with h5py.File(path, "a") as file:
        file["matrix"] = weight
        for block in file["layer"].values():
            del block["weight"]
            block["weight"] = file["matrix"]
    assert path.stat().st_size < 6 * weight.size
    with pytest.raises(bl.ModelFileError, match="weight: 65536 bytes: together with the values read before"):
        read_net(path)


def test_the_size_of_a_file_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "n.net", dense())
    monkeypatch.setattr(net_reader, "MAX_FILE_BYTES", path.stat().st_size)
    assert isinstance(read_net(path), bl.Network)
    monkeypatch.setattr(net_reader, "MAX_FILE_BYTES", path.stat().st_size - 1)
    with pytest.raises(
        bl.ModelFileError, match=f"expected at most {path.stat().st_size - 1} bytes, found {path.stat().st_size}"
    ):
        read_net(path)
