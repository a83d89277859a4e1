"""Datasets of other packages: required declarations and supported features."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bl_neuro import DataError, InputError, PluginError
from bl_neuro.data import DATASETS, Dataset, DatasetSource, LoadOptions, data_status, dataset_names, load_dataset
from bl_neuro.testing.registered import entry_point, registered


class Stripes(DatasetSource):
    """Comes with its package."""

    name = "stripes"
    title = "stripes"
    kind = "images"
    scalable = True
    placing = "comes with stripes-package"

    @classmethod
    def load(cls, options: LoadOptions) -> Dataset:
        height, width = options.size or (4, 4)
        pixels = np.zeros((2, 1, height, width))
        pixels[1, :, ::2] = 1
        return Dataset(cls.name, "made up", pixels, np.array([0, 1]), ("plain", "striped"), None, cls.completeness(2))


class Downloaded(Stripes):
    """Has to be downloaded, and is of no known size."""

    name = "downloaded"
    folder = "Stripes"
    url = "https://example.org/stripes"
    placing = "unpack it into {root}/Stripes"

    @classmethod
    def count(cls, folder: Path) -> int:
        if (folder / "broken").exists():
            raise DataError("broken")
        return len(list(folder.glob("*.txt")))


class TextFile(Stripes):
    """The user's own data, one pixel a line."""

    name = "text"
    title = "a .pixels file"
    by_path = True
    scalable = False

    @classmethod
    def takes(cls, path: Path) -> bool:
        return path.suffix == ".pixels"

    @classmethod
    def load(cls, options: LoadOptions) -> Dataset:
        assert options.path is not None
        pixels = np.array([float(line) for line in options.path.read_text().split()]).reshape(-1, 1, 1, 1)
        return Dataset(options.path.stem, "own", pixels, np.arange(len(pixels)), tuple(map(str, range(len(pixels)))))


@pytest.fixture(autouse=True)
def others() -> Iterator[None]:
    with registered(DATASETS, Stripes, Downloaded, TextFile):
        yield


def test_it_is_loaded_by_its_name() -> None:
    assert dataset_names()[-2:] == ("downloaded", "stripes")
    data = load_dataset("stripes", size=(6, 2))
    assert (data.name, data.input_shape, data.completeness) == ("stripes", (1, 6, 2), "all 2")


def test_a_kind_of_file_is_loaded_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "mine.pixels").write_text("0 0.5 1")
    assert load_dataset("mine.pixels", folder=tmp_path).images.ravel().tolist() == [0, 0.5, 1]
    with pytest.raises(InputError, match=r"\(att_faces, a folder of .*, downloaded, stripes\), found mine\.pixels"):
        load_dataset("mine.pixels", size=(2, 2), folder=tmp_path)
    with pytest.raises(DataError, match=r"stripes, an \.npz file, a folder .* or a \.pixels file, found 'x'"):
        load_dataset("x")


def test_the_status_of_a_plugin_dataset_is_listed(tmp_path: Path) -> None:
    def state() -> Any:
        statuses = {status.name: status for status in data_status(tmp_path)}
        return statuses["downloaded"]

    own = next(status for status in data_status(tmp_path) if status.name == "stripes")
    assert (own.state, own.found, own.how_to_get) == ("complete", None, "comes with stripes-package")
    assert (state().state, state().found, state().published) == ("missing", 0, None)
    assert state().how_to_get == f"Get it from https://example.org/stripes: unpack it into {tmp_path}/Stripes"
    (tmp_path / "Stripes").mkdir()
    (tmp_path / "Stripes/1.txt").write_text("")
    assert (state().state, state().found) == ("complete", 1)
    (tmp_path / "Stripes/broken").write_text("")
    assert (state().state, state().problem) == ("damaged", "broken")


def test_a_broken_plugin_is_left_out_of_lists_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = entry_point("broken", ImportError("no module named x"))
    monkeypatch.setitem(DATASETS._added, "broken", (broken,))
    assert "broken" not in dataset_names()
    assert load_dataset("stripes").classes == 2
    with pytest.raises(PluginError, match=r"dataset 'broken': .* cannot be loaded: ImportError: no module named x"):
        load_dataset("broken")
