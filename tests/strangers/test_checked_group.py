"""Values of a tree are checked when they are read."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.deploy.net_reader import read_net
from bl_neuro.strangers import hdf5_file
from bl_neuro.strangers.checked_group import CheckedGroup
from bl_neuro.strangers.tree_frames import Refused
from bl_neuro.testing.handmade_net import dense, write


def test_entries_of_the_wrong_kind_are_problems() -> None:
    tree = {"numbers": np.arange(2), "text": "a", "texts": ["a"], "group": {}, "bad": Refused("damaged (so)")}
    root = CheckedGroup(tree, "file")
    assert root.keys() == sorted(tree)
    assert root.text("texts") == root.text("text") == "a"
    for wrong in (root.numbers("text"), root.numbers("group"), root.numbers("bad"), root.text("numbers")):
        assert wrong is None
    assert [root.group("text"), root.group("bad"), root.text("none")] == [None] * 3
    assert root.problems == [
        "file: text: expected integers or floats of at most 8 bytes, found a string of 1 characters",
        "file: group: expected a value, found a group",
        "file: bad: damaged (so)",
        "file: numbers: expected one short string, found int64 of shape (2,)",
        "file: text: expected a group, found a value",
        "file: bad: damaged (so)",
        "file: none: missing",
    ]


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
    with pytest.raises(bl.ModelFileError, match="weight: expected each object once, found a second hard link"):
        read_net(path)


def test_the_size_of_a_file_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "n.net", dense())
    size = path.stat().st_size
    monkeypatch.setattr(hdf5_file, "MAX_FILE_BYTES", size)
    assert isinstance(read_net(path), bl.Network)
    monkeypatch.setattr(hdf5_file, "MAX_FILE_BYTES", size - 1)
    with pytest.raises(bl.ModelFileError, match=f"expected at most {size - 1} bytes, found {size}"):
        read_net(path)


def test_h5py_opens_files_only_in_the_child() -> None:
    """Other modules write with it, to memory."""
    root = Path(bl.__file__).parent
    users = {
        str(path.relative_to(root))
        for path in [*root.rglob("*.py"), *(root / "backends").rglob("*.py"), *(root / "deploy").rglob("*.py")]
        if re.search(r"^\s*(import|from) h5py|import_module\(.h5py", path.read_text(), re.MULTILINE)
    }
    of_tests = {name for name in users if name.startswith("testing/")}
    assert users - of_tests == {
        "strangers/hdf5_tree.py",
        "strangers/hdf5_reader.py",
        "hdf5_image.py",
        "interop/nir_write.py",
    }
    assert 'driver="core"' in (root / "hdf5_image.py").read_text()
    assert "h5py.File(" not in (root / "interop/nir_write.py").read_text()
