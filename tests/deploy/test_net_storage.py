"""Storage of `.net` files: unneeded features of HDF5 and damage are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from bl_neuro.deploy.net_reader import read_net
from bl_neuro.errors import ModelFileError
from bl_neuro.testing.handmade_net import current, dense, write


def remade(change: Callable[[h5py.Group], object]) -> Callable[[Path], None]:
    """A change of the first block of a written file."""

    def apply(path: Path) -> None:
        with h5py.File(path, "a") as file:
            change(file["layer/0"])

    return apply


def instead(key: str, make: Callable[[h5py.Group], Any]) -> Callable[[Path], None]:
    def change(group: h5py.Group) -> None:
        del group[key]
        made = make(group)
        if made is not None:
            group[key] = made

    return remade(change)


def _virtual(group: h5py.Group) -> None:
    layout = h5py.VirtualLayout((2, 3), "i4")
    layout[...] = h5py.VirtualSource("other.net", "x", (2, 3))
    group.create_virtual_dataset("weight", layout)


def _external(group: h5py.Group) -> None:
    group.create_dataset("weight", (2, 3), "i4", external=[("other", 0, 24)])


STORED: dict[str, tuple[Callable[[Path], None], str]] = {
    "soft link": (instead("weight", lambda group: h5py.SoftLink("/layer/0/shape")), "weight: a link, which is not"),
    "external link": (instead("weight", lambda group: h5py.ExternalLink("x.net", "/")), "weight: a link, which is"),
    "a group": (instead("weight", lambda group: group.create_group("weight") and None), "expected a value, found a"),
    "a value": (instead("neuron", lambda group: 3), "neuron: expected a group, found a value"),
    "virtual": (instead("weight", _virtual), "weight: its values lie in other files"),
    "external": (instead("weight", _external), "weight: its values lie in other files"),
    "compressed": (
        instead("weight", lambda group: group.create_dataset("weight", data=np.ones((2, 3)), compression=4) and None),
        "weight: expected contiguous storage",
    ),
    "stated, not held": (
        instead("weight", lambda group: group.create_dataset("weight", (2**13, 2**13), "i4") and None),
        "weight: declares 67108864 values, of which the file contains 0 bytes",
    ),
    "more than a network has": (
        instead("weight", lambda group: group.create_dataset("weight", (2**20, 2**20), "i4") and None),
        "weight: declares 1099511627776 values, of which the file contains 0 bytes",
    ),
    "no values": (instead("weight", lambda group: h5py.Empty("f4")), "weight: contains no values"),
    "complex numbers": (instead("weight", lambda group: np.ones((2, 3), complex)), "expected integers, floats or"),
    "words": (instead("weight", lambda group: ["a"] * 6), "weight: expected integers or floats of at most 8 bytes"),
    "a number": (instead("type", lambda group: 3), "type: expected one short string"),
    "a long word": (instead("type", lambda group: "x" * 65), "type: expected one short string, found a string of 65"),
    "long fixed word": (instead("type", lambda group: np.bytes_(b"x" * 65)), "type: expected one short string"),
    "another alphabet": (instead("type", lambda group: "dénse"), "type: expected a short ASCII string"),
    "many keys": (
        remade(lambda group: [group.create_group(f"x{index}") for index in range(4097)]),
        "at most 4096 keys, found",
    ),
}


@pytest.mark.parametrize("what", STORED)
def test_how_it_is_stored(tmp_path: Path, what: str) -> None:
    change, message = STORED[what]
    path = write(tmp_path / "model.net", dense())
    change(path)
    with pytest.raises(ModelFileError, match=message):
        read_net(path)


def test_blocks_are_numbered(tmp_path: Path) -> None:
    path = write(tmp_path / "model.net", dense())
    with h5py.File(path, "a") as file:
        file.move("layer/0", "layer/1")
    with pytest.raises(ModelFileError, match="layer: expected blocks numbered from 0, found 1"):
        read_net(path)


def test_files_that_are_not_hdf5_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.net"
    path.write_text("not one")
    with pytest.raises(ModelFileError, match="expected an HDF5 file, found another kind"):
        read_net(path)


def test_a_damaged_heap_does_not_decide_how_much_is_read(tmp_path: Path) -> None:
    """HDF5 itself allocates what a reference to a string states, gigabytes for a few flipped bits."""
    path = write(tmp_path / "model.net", dense())
    with h5py.File(path, "a") as file:
        reference = file["layer/0/neuron/type"].id.get_offset()
    data = bytearray(path.read_bytes())
    for place, value, message in (
        (0, b"\xff\xff\xff\x7f", "expected strings of at most 256 bytes, found 2147483647"),
        (4, b"\xff" * 8, "beyond the end of the file"),
        (4, (2**40).to_bytes(8, "little"), "beyond the end of the file"),
        (4, bytes(8), "a damaged heap of strings"),
        (12, b"\x09\0\0\0", "a string that the file does not contain"),
    ):
        damaged = data.copy()
        damaged[reference + place : reference + place + len(value)] = value
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError, match=f"neuron: type: {message}"):
            read_net(path)


def test_newer_layouts_of_hdf5(tmp_path: Path) -> None:
    path = write(tmp_path / "model.net", current(), dense(bias=[1, 2]))
    with h5py.File(path) as old, h5py.File(tmp_path / "new.net", "w", libver="latest", userblock_size=512) as new:
        old.copy("layer", new)
    assert read_net(tmp_path / "new.net") == read_net(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"expected a \.net file, found nothing"):
        read_net(tmp_path / "model.net")
    with pytest.raises(ModelFileError, match=r"expected a \.net file, found nothing"):
        read_net(tmp_path / ("a" * 5000 + ".net"))
    with pytest.raises(ModelFileError, match=r"expected a \.net file, found a folder"):
        read_net(tmp_path)
