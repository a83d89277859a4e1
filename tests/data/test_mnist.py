"""MNIST from idx files."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bl_neuro import DataError
from bl_neuro.data import data_status, load_dataset, mnist, official_split


def test_idx_files_are_read(tmp_path: Path, files: Any) -> None:
    images, labels = files.mnist(tmp_path, train=30, test=20)
    data: Any = load_dataset("mnist", tmp_path)
    assert data.pixels.dtype == np.uint8
    assert np.array_equal(data.pixels, images[:, None])
    assert np.array_equal(data.images, images[:, None] / 255)
    assert np.array_equal(data.labels, labels)
    assert data.class_names == tuple("0123456789")
    assert data.held_out is not None
    assert np.array_equal(data.held_out, np.arange(50) >= 30)
    assert data.completeness == "subset: 50 of 70,000"
    split = official_split(data, 0)
    assert split.sizes() == {"target": 15, "evaluator": 15, "test": 20}
    assert sorted(split.test.pixels.reshape(20, -1)[:, 0].tolist()) == sorted(images[30:, 0, 0].tolist())


def test_the_root_is_found_in_the_environment(tmp_path: Path, files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    files.mnist(tmp_path)
    monkeypatch.setenv("BL_NEURO_DATA", str(tmp_path))
    assert len(load_dataset("mnist").labels) == 16


def test_a_missing_dataset_is_an_error_that_says_how_to_get_it(tmp_path: Path, files: Any) -> None:
    with pytest.raises(DataError, match=r"no data folder; give one \(root, --root\) or set BL_NEURO_DATA\. Get it"):
        load_dataset("mnist")
    with pytest.raises(
        DataError, match=rf"looked for the data in {tmp_path}/MNIST, found no such folder\. Get it from https://"
    ):
        load_dataset("mnist", tmp_path)
    files.mnist(tmp_path)
    (tmp_path / "MNIST/raw/t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"found no raw/t10k-labels-idx1-ubyte\. Get it from .* into"):
        load_dataset("mnist", tmp_path)


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("train-images-idx3", lambda good: good[:-1], "damaged idx file"),
        ("train-images-idx3", lambda good: good[:3], "damaged idx file"),
        ("train-images-idx3", lambda good: b"", "damaged idx file"),
        ("train-images-idx3", lambda good: b"\x1f\x8b" + good, "compressed with gzip; unpack it"),
        ("train-images-idx3", lambda good: good[:4] + b"\xff" * 12 + good[16:], "damaged idx file"),
        (
            "train-images-idx3",
            lambda good: good[:2] + b"\x0d" + good[3:],
            "found magic number 3331",
        ),
        (
            "train-images-idx3",
            lambda good: good[:8] + b"\0\0\0\x0e\0\0\0\x38" + good[16:],
            "expected images of 28 x 28",
        ),
        ("train-labels-idx1", lambda good: good[:7] + b"\x05" + good[8:13], "expected a label for each of 12 images"),
        ("t10k-labels-idx1", lambda good: good[:-1] + b"\x0b", r"expected labels 0\.\.9, found 2\.\.11"),
    ],
)
def test_damage_is_named(tmp_path: Path, files: Any, name: str, damage: Any, message: str) -> None:
    files.mnist(tmp_path)
    path = tmp_path / f"MNIST/raw/{name}-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=f"{name}-ubyte: .*{message}"):
        load_dataset("mnist", tmp_path)


def test_huge_files_are_not_read(tmp_path: Path, files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    files.mnist(tmp_path)
    monkeypatch.setattr(mnist, "MOST_BYTES", 1000)
    with pytest.raises(DataError, match="expected at most 1000 bytes"):
        load_dataset("mnist", tmp_path)


def test_pytorch_files_beside_it_are_not_opened(tmp_path: Path, files: Any) -> None:
    files.mnist(tmp_path)
    for name in ("training.pt", "test.pt"):
        (tmp_path / "MNIST/processed").mkdir(exist_ok=True)
        (tmp_path / "MNIST/processed" / name).write_bytes(b"a pickle, for all we know")
    assert len(load_dataset("mnist", tmp_path).labels) == 16


def test_files_under_another_name_or_compressed_are_named(tmp_path: Path, files: Any) -> None:
    files.mnist(tmp_path)
    path = tmp_path / "MNIST/raw/train-images-idx3-ubyte"
    path.rename(path.with_name("train-images.idx3-ubyte"))
    with pytest.raises(DataError, match=r"expected this name, found train-images\.idx3-ubyte; rename it"):
        load_dataset("mnist", tmp_path)
    path.with_name("train-images.idx3-ubyte").rename(path.with_name(f"{path.name}.gz"))
    with pytest.raises(DataError, match=r"expected the unpacked file, found train-images-idx3-ubyte\.gz; unpack it"):
        load_dataset("mnist", tmp_path)
    path.with_name(f"{path.name}.gz").rename(path)
    path.write_bytes(gzip.compress(path.read_bytes()))
    (status,) = [status for status in data_status(tmp_path) if status.name == "mnist"]
    assert status.state == "damaged"
    assert "compressed with gzip; unpack it" in str(status.problem)


def test_swapped_files_are_named(tmp_path: Path, files: Any) -> None:
    files.mnist(tmp_path)
    images = tmp_path / "MNIST/raw/train-images-idx3-ubyte"
    images.write_bytes((tmp_path / "MNIST/raw/train-labels-idx1-ubyte").read_bytes())
    with pytest.raises(DataError, match=r"\(magic number 2051\), found magic number 2049; is the file misnamed\?"):
        load_dataset("mnist", tmp_path)


def test_bytes_after_the_images_are_refused(tmp_path: Path, files: Any) -> None:
    files.mnist(tmp_path)
    with (tmp_path / "MNIST/raw/train-images-idx3-ubyte").open("ab") as file:
        file.write(b"x")
    with pytest.raises(DataError, match="promises 12 x 28 x 28 bytes, and 9409 follow"):
        load_dataset("mnist", tmp_path)


def test_binarised_images_are_refused(tmp_path: Path, files: Any) -> None:
    images, _ = files.mnist(tmp_path)
    files.idx(tmp_path / "MNIST/raw/train-images-idx3-ubyte", images[:12] > 127)
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte: expected bytes in .*, found only 0 and 1,"):
        load_dataset("mnist", tmp_path)


def test_a_copy_of_training_images_is_no_test_set(tmp_path: Path, files: Any) -> None:
    images, labels = files.mnist(tmp_path)
    for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
        files.idx(tmp_path / f"MNIST/raw/t10k-{kind}-ubyte", values[2:6])
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte: expected other images .*, found all 4 among them"):
        load_dataset("mnist", tmp_path)
