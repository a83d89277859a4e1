"""Frames are computed once and kept in the cache folder."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from bl_neuro.data.recordings import (
    cached_frames,
)
from bl_neuro.files import cache_folder

PACKED = np.random.default_rng(0).integers(0, 256, size=(4, 3, 2), dtype=np.uint8)


class Maker:
    """Counts its calls."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> np.ndarray:
        self.asked += 1
        return PACKED.copy()


def ask(cache: Path, make: Maker, made_of: object = 1, shape: tuple[int, int] = (4, 2)) -> np.ndarray:
    return cached_frames("dots", made_of, shape, make, cache)


def test_frames_are_cached(tmp_path: Path) -> None:
    make = Maker()
    for _ in range(3):
        assert np.array_equal(ask(tmp_path / "new", make), PACKED)
    assert make.asked == 1
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_made_anew_of_other_recordings_or_settings(tmp_path: Path) -> None:
    make = Maker()
    ask(tmp_path, make, made_of=["a", 1])
    ask(tmp_path, make, made_of=["a", 2])
    ask(tmp_path, make, made_of=["a", 1])
    assert make.asked == 2


def flip_last(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def replace(array: np.ndarray, name: str = "packed") -> Callable[[Path], None]:
    return lambda path: save_file({name: array}, path, metadata={"key": "another", "sha256": "another"})


@pytest.mark.parametrize(
    "damage",
    [
        flip_last,
        cut,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff" * 100),
        lambda path: path.write_text("PK not a safetensors file"),
        replace(PACKED),
        replace(PACKED.astype(np.int32)),
        replace(PACKED[0]),
        replace(PACKED, name="frames"),
        lambda path: save_file({"packed": PACKED}, path),
    ],
    ids=range(10),
)
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    make = Maker()
    ask(tmp_path, make)
    (path,) = tmp_path.iterdir()
    damage(path)
    assert np.array_equal(ask(tmp_path, make), PACKED)
    assert make.asked == 2
    assert np.array_equal(ask(tmp_path, make), PACKED)
    assert make.asked == 2


def test_another_shape_than_expected_is_made_anew(tmp_path: Path) -> None:
    make = Maker()
    ask(tmp_path, make)
    ask(tmp_path, make, shape=(5, 2))
    ask(tmp_path, make, shape=(4, 3))
    assert make.asked == 3


def test_a_folder_that_cannot_be_written_to_does_no_harm(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    make = Maker()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert np.array_equal(ask(tmp_path / "file", make), PACKED)
    assert make.asked == 2
    assert "frames are not kept" in caplog.text


def test_the_cache_has_a_default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("BL_NEURO_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / ".cache/bl-neuro"
    monkeypatch.setenv("XDG_CACHE_HOME", "xdg")
    assert cache_folder() == Path("xdg/bl-neuro")
    monkeypatch.setenv("BL_NEURO_CACHE", "ours")
    assert cache_folder() == Path("ours")
    assert cache_folder("~/mine") == tmp_path / "mine"
