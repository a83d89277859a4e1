"""Loading any dataset by name, and the status of datasets."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bl_neuro import DataError, InputError
from bl_neuro.data import DATASETS, DataStatus, data_status, dataset_names, load_dataset, load_folder, load_npz


@pytest.fixture
def small_root(tmp_path: Path, files: Any) -> Path:
    """A data root with a few samples of every dataset."""
    files.mnist(tmp_path)
    files.faces(tmp_path, people=(1, 2))
    files.nmnist(tmp_path)
    (tmp_path / "DVSGesture").mkdir()
    (tmp_path / "DVSGesture/1.bs2").write_bytes(files.events(files.moving_dot(0, 128, pause=20_000)))
    (tmp_path / "DVSGesture/labels.txt").write_text("1.bs2 1 clapping\n")
    return tmp_path


@pytest.mark.parametrize("name", dataset_names())
def test_every_dataset_offers_the_same(name: str, small_root: Path) -> None:
    if name == "mnist":
        pytest.importorskip("torchvision", reason="torchvision is not installed")
    if name in ("nmnist", "dvs_gesture"):
        pytest.importorskip("tonic", reason="tonic is not installed")
    data = load_dataset(name, small_root)
    count = len(data.labels)
    assert data.name == name
    assert data.source
    assert data.completeness.startswith("all" if name == "digits" else "subset")
    assert data.labels.dtype == np.int64
    assert data.images.shape == (count, *data.input_shape)
    assert 0 <= data.images.min() < data.images.max() <= 1
    index = np.array([0, count - 1])
    assert np.array_equal(data.images_at(index), data.images[index])
    part = data.subset(index)
    assert np.array_equal(part.images, data.images[index])
    assert (part.class_names, part.completeness, part.input_shape) == (
        data.class_names,
        data.completeness,
        data.input_shape,
    )
    spikes = data.spikes(index, 6, np.random.default_rng(0))
    assert spikes.dtype == np.uint8
    assert spikes.shape == (6, 2, *data.input_shape)
    assert spikes.max() == 1
    if set(data.labels.tolist()) == set(range(data.classes)):
        expected = [data.images[data.labels == label].mean(axis=0) for label in range(data.classes)]
        np.testing.assert_allclose(data.class_means(), expected)
    else:
        with pytest.raises(DataError, match=rf"{name}: class \d has no samples, so it has no mean image"):
            data.class_means()


def test_a_users_own_data_can_be_loaded(tmp_path: Path, files: Any) -> None:
    np.savez(tmp_path / "own.npz", images=np.zeros((2, 3, 3), np.uint8), labels=[0, 1])
    assert load_dataset(str(tmp_path / "own.npz")).name == "own"
    for number in range(2):
        files.image(tmp_path / f"pictures/{number}/a.png", np.full((4, 4), 9 * number))
    assert load_dataset(str(tmp_path / "pictures")).input_shape == (1, 4, 4)
    assert load_dataset(str(tmp_path / "pictures"), size=(2, 2)).input_shape == (1, 2, 2)


def test_a_name_means_the_dataset_even_where_a_folder_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    assert len(load_dataset("digits").labels) == 1797


def test_size_scales_faces_and_is_refused_for_datasets_of_one_size(small_root: Path) -> None:
    assert load_dataset("att_faces", small_root, size=(56, 46)).input_shape == (1, 56, 46)
    for name in ("digits", "mnist", "nmnist", "own.npz"):
        with pytest.raises(
            InputError, match=rf"size: expected .* \(att_faces, a folder of images per class\), found {name}"
        ):
            load_dataset(name, small_root, size=(4, 4))


@pytest.mark.parametrize("name", ["mist", "", "no/such/folder"])
def test_unknown_names(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=rf"expected one of digits, mnist, .*, an \.npz file or a folder .*'{name}'"):
        load_dataset(name)


def test_a_missing_package_is_named(small_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for loaded in [name for name in sys.modules if name.split(".")[0] == "PIL"]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DataError, match=r'PIL is needed for this data .*: pip install "bl-neuro\[data\]"'):
        load_dataset("att_faces", small_root)


def by_name(root: Path | None) -> dict[str, DataStatus]:
    return {status.name: status for status in data_status(root)}


def test_available_datasets_are_listed(small_root: Path) -> None:
    statuses = by_name(small_root)
    assert tuple(statuses) == dataset_names()
    assert {name: (status.state, status.found) for name, status in statuses.items()} == {
        "digits": ("complete", 1797),
        "mnist": ("subset", 16),
        "att_faces": ("subset", 20),
        "nmnist": ("subset", 15),
        "dvs_gesture": ("subset", 1),
    }
    assert statuses["mnist"].folder == str(small_root / "MNIST")


def test_missing_datasets_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for root, place in ((None, "<data root>"), (tmp_path, str(tmp_path))):
        for name, status in by_name(root).items():
            if name != "digits":
                assert (status.state, status.found, status.problem) == ("missing", 0, None)
                assert status.how_to_get.startswith("Get it from https://")
                assert place in status.how_to_get
    assert by_name(None)["mnist"].folder is None


def test_complete_and_damaged_datasets_are_told_apart(tmp_path: Path, files: Any) -> None:
    files.faces(tmp_path, people=range(1, 41))
    (tmp_path / "MNIST/raw").mkdir(parents=True)
    (tmp_path / "NMNIST/Train/eleven").mkdir(parents=True)
    (tmp_path / "NMNIST/Train/eleven/1.bin").write_bytes(b"")
    statuses = by_name(tmp_path)
    assert statuses["att_faces"].state == "complete"
    assert load_dataset("att_faces", tmp_path).completeness == "all 400"
    assert statuses["mnist"].state == statuses["nmnist"].state == "damaged"
    assert "no raw/train-images-idx3-ubyte" in (statuses["mnist"].problem or "")
    assert "expected a folder named after a digit" in (statuses["nmnist"].problem or "")


def test_instructions_have_the_root_in_them() -> None:
    for name in dataset_names():
        source = DATASETS.find(name)
        text = source.how_to_get(Path("/data"))
        assert source.folder is None or "/data/" in text or "'/data'" in text
        assert "{" not in text


def test_a_path_starts_at_the_folder_that_is_given(tmp_path: Path, files: Any) -> None:
    np.savez(tmp_path / "own.npz", images=np.zeros((2, 3, 3), np.uint8), labels=[0, 1])
    files.image(tmp_path / "npz/1/a.png", np.full((4, 4), 9))
    assert load_dataset("own.npz", folder=tmp_path).name == "own"
    assert load_dataset(str(tmp_path / "own.npz"), folder="/elsewhere").name == "own"
    assert load_dataset("npz", folder=tmp_path).name == "npz"  # a source is called so, but no dataset
    with pytest.raises(DataError, match=r"expected an \.npz file, found nothing"):
        load_dataset("own.npz", folder=tmp_path / "npz")


@pytest.mark.parametrize("name", [5, None, b"digits", ["digits"]], ids=repr)
def test_other_objects_than_text_and_paths_are_refused(name: Any) -> None:
    with pytest.raises(InputError, match="dataset: expected text or a Path, found"):
        load_dataset(name)
    for load in (load_npz, load_folder):
        with pytest.raises(InputError, match="path: expected text or a Path, found"):
            load(name)


@pytest.mark.parametrize("name", ["a" * 5000, "a" * 300, "a/" * 3000, "a" * 300 + ".npz"], ids=range(4))
def test_paths_that_no_file_can_have(name: str) -> None:
    for load in (load_dataset, load_npz, load_folder):
        with pytest.raises(DataError, match=r"expected a file or folder that can be read \(File name too long"):
            load(name)
    with pytest.raises(DataError, match=r"expected a file or folder that can be read \(File name too long"):
        load_dataset("mnist", name)
    assert {status.state for status in data_status(name)} == {"complete", "damaged"}


def test_a_folder_that_cannot_be_searched_is_named(tmp_path: Path, files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    files.mnist(tmp_path)
    stat = os.stat

    def refuse(path: Any, *arguments: Any, **options: Any) -> Any:
        if str(path).startswith(str(tmp_path / "MNIST/raw/")):
            raise PermissionError(13, "Permission denied")
        return stat(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", refuse)
    for load, path in ((load_npz, tmp_path / "MNIST/raw/own.npz"), (partial(load_dataset, "mnist"), tmp_path)):
        with pytest.raises(DataError, match=r"expected a file or folder that can be read \(Permission denied\)"):
            load(path)


def test_a_path_is_never_the_name_of_a_dataset(tmp_path: Path, files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    files.image(tmp_path / "digits/1/a.png", np.full((4, 4), 9))
    monkeypatch.chdir(tmp_path)
    assert len(load_dataset(Path("digits")).labels) == 1


def test_suffixes_in_upper_case(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", images=np.zeros((2, 3, 3), np.uint8), labels=[0, 1])
    (tmp_path / "own.npz").rename(tmp_path / "OWN.NPZ")
    assert load_dataset(tmp_path / "OWN.NPZ").name == "OWN"
