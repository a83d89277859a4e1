"""Headers of safetensors files are bounded, and types that cannot be read are refused by name."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from bl_neuro import ModelFileError, from_state_dict, load
from bl_neuro.attacks.inversions import load_inversions
from bl_neuro.strangers.safetensors_header import MAX_HEADER_BYTES, MAX_TENSORS, tensor_types
from bl_neuro.training import load_ann_twin, load_evaluator

LAYERS: list[dict[str, Any]] = [{"kind": "dense", "weight": "w", "reset": "zero", "beta": 0.5}]
READERS = {
    "a network": load,
    "a state dict": lambda path: from_state_dict(path, LAYERS, [2]),
    "an evaluator": load_evaluator,
    "a twin": load_ann_twin,
    "inversions": load_inversions,
}


def written(folder: Path, header: bytes, values: int = 0) -> Path:
    path = folder / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(values))
    return path


def of_type(folder: Path, dtype: str, size: int) -> Path:
    entry = {"dtype": dtype, "shape": [1, 2], "data_offsets": [0, size]}
    return written(folder, json.dumps({"w": entry}).encode(), size)


@pytest.mark.parametrize(("dtype", "size"), [("F4", 1), ("F8_E8M0", 2), ("C64", 16)])
def test_types_that_cannot_be_read_are_named(dtype: str, size: int, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=rf"x\.safetensors: w: expected real numbers \(.*\), found {dtype}"):
        from_state_dict(of_type(tmp_path, dtype, size), LAYERS, [2])


@pytest.mark.parametrize("what", ["a network", "an evaluator", "a twin", "inversions"])
def test_every_reader_refuses_them(what: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError):
        READERS[what](of_type(tmp_path, "F4", 1))


BOMBS = {
    "nested lists": b'{"w":' + b"[" * 60 + b"[]," * MAX_HEADER_BYTES + b"[]" + b"]" * 60 + b"}",
    "blanks": b"{" + b" " * MAX_HEADER_BYTES + b"}",
    "many tensors": b"{" + b'"0": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}, ' * (MAX_HEADER_BYTES // 60),
}


@pytest.mark.parametrize("what", READERS)
@pytest.mark.parametrize("bomb", BOMBS)
def test_header_bombs_are_refused_before_they_are_parsed(bomb: str, what: str, tmp_path: Path) -> None:
    path = written(tmp_path, BOMBS[bomb])
    with pytest.raises(ModelFileError, match=f"expected a header of at most {MAX_HEADER_BYTES} bytes, found"):
        READERS[what](path)


def test_many_tensors_in_a_small_header_are_refused(tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    path = written(tmp_path, json.dumps({str(index): entry for index in range(MAX_TENSORS)}).encode())
    assert len(tensor_types(path)) == MAX_TENSORS
    path = written(tmp_path, json.dumps({str(index): entry for index in range(MAX_TENSORS + 1)}).encode())
    with pytest.raises(ModelFileError, match=f"expected at most {MAX_TENSORS} tensors, found {MAX_TENSORS + 1}"):
        tensor_types(path)


@pytest.mark.parametrize("header", [b"", b"[]", b"3", b'{"w": 3}', b'{"w": {}}', b"\xff", b"[" * 100_000])
def test_other_headers_are_damaged(header: bytes, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="damaged header"):
        tensor_types(written(tmp_path, header))
    (tmp_path / "cut").write_bytes(b"123")
    with pytest.raises(ModelFileError, match="it is cut"):
        tensor_types(tmp_path / "cut")
