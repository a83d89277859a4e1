"""The user's own images in folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bl_neuro import DataError, InputError
from bl_neuro.data import folder, in_class_order, load_folder, official_split
from bl_neuro.data import folder as image_files

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, size=(6, 5), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, size=(6, 5, 3), dtype=np.uint8)


def test_a_folder_of_images_a_class(tmp_path: Path, files: Any) -> None:
    for name in ("b/2.png", "b/1.PNG", "a/x.pgm"):
        files.image(tmp_path / name, GREY)
    files.image(tmp_path / "a/y.png", GREY[::-1])
    for name in (".hidden/z.png", "a/.DS_Store", "b/Thumbs.db", "README"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("not an image")
    data = load_folder(tmp_path)
    assert data.class_names == ("a", "b")
    assert data.labels.tolist() == [0, 0, 1, 1]
    assert data.pixels.dtype == np.uint8
    assert np.array_equal(data.pixels[:, 0], [GREY, GREY[::-1], GREY, GREY])
    assert (data.name, data.completeness, data.held_out) == (tmp_path.name, "all 4 found", None)


def test_classes_that_are_numbers_are_in_their_order(tmp_path: Path, files: Any) -> None:
    for name in ("10", "9", "1"):
        files.image(tmp_path / name / "1.png", GREY)
    assert load_folder(tmp_path).class_names == ("1", "9", "10")


def test_the_map_from_outputs_to_classes(tmp_path: Path, files: Any) -> None:
    for value, name in enumerate(("ant", "bee", "cat")):
        files.image(tmp_path / name / "1.png", np.full((2, 2), value))
    data = in_class_order(load_folder(tmp_path), ["cat", "ant", "bee"])
    assert data.class_names == ("cat", "ant", "bee")
    assert data.labels.tolist() == [1, 2, 0]
    assert data.class_means()[:, 0, 0, 0].tolist() == [2 / 255, 0, 1 / 255]
    for names in (["cat", "ant"], ["cat", "ant", "ant"], ["cat", "ant", "dog"]):
        with pytest.raises(InputError, match="class_names: expected cat, ant, bee in the order of the outputs, found"):
            in_class_order(data, names)


def test_train_and_test_folders(tmp_path: Path, files: Any) -> None:
    for part, count in (("train", 4), ("test", 2)):
        for name in ("a", "b"):
            for number in range(count):
                files.image(tmp_path / part / name / f"{number}.png", GREY)
    data = load_folder(tmp_path)
    assert data.class_names == ("a", "b")
    assert data.held_out is not None
    assert data.held_out.sum() == 4
    assert official_split(data, 0).sizes() == {"target": 4, "evaluator": 4, "test": 4}


def test_train_and_test_can_be_classes(tmp_path: Path, files: Any) -> None:
    for name in ("train", "test"):
        files.image(tmp_path / name / "1.png", GREY)
    assert load_folder(tmp_path).class_names == ("test", "train")


def test_colour(tmp_path: Path, files: Any) -> None:
    files.image(tmp_path / "a/1.png", COLOUR)
    assert np.array_equal(load_folder(tmp_path, colour=True).pixels, COLOUR.transpose(2, 0, 1)[None])
    luma = COLOUR @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(load_folder(tmp_path).pixels[0, 0], luma, atol=1)


def test_sizes_must_agree_unless_one_is_given(tmp_path: Path, files: Any) -> None:
    files.image(tmp_path / "a/1.png", GREY)
    files.image(tmp_path / "a/2.jpg", GREY[:3])
    with pytest.raises(DataError, match=r"2\.jpg: expected 6 x 5 as the first image, found 3 x 5; give a size"):
        load_folder(tmp_path)
    assert load_folder(tmp_path, size=(4, 2)).input_shape == (1, 4, 2)
    for size in ((0, 4), (4, 5000)):
        with pytest.raises(InputError, match=r"size: expected height and width in 1\.\.4096"):
            load_folder(tmp_path, size=size)


def test_every_problem_is_named(tmp_path: Path, files: Any) -> None:
    files.image(tmp_path / "a/good.png", GREY)
    whole = (tmp_path / "a/good.png").read_bytes()
    (tmp_path / "a/cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "a/text.jpg").write_text("not an image")
    (tmp_path / "a/page.html").write_text("<html>")
    (tmp_path / "a/folder").mkdir()
    files.image(tmp_path / "a/deep.png", GREY)
    from PIL import Image

    Image.fromarray(GREY.astype(np.uint16)).save(tmp_path / "a/deep.png")
    with pytest.raises(DataError) as raised:
        load_folder(tmp_path)
    message = str(raised.value)
    for name in (
        "cut.png: expected a PNG",
        "text.jpg: expected a PNG",
        "page.html: expected a name",
        "folder: expected",
    ):
        assert name in message
    assert "deep.png: expected 8 bits per channel" in message
    assert "good.png" not in message


def test_very_many_problems_are_counted(tmp_path: Path, files: Any) -> None:
    for number in range(15):
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / f"a/{number:02d}.png").write_text("not an image")
    with pytest.raises(DataError, match=r"09\.png: .*; and 5 more$"):
        load_folder(tmp_path)


def test_bounds(tmp_path: Path, files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        files.image(tmp_path / f"a/{number}.png", GREY)
    monkeypatch.setattr(folder, "MOST_BYTES", 60)
    with pytest.raises(DataError, match="expected at most 60 bytes of pixels in all; give a smaller `size`"):
        load_folder(tmp_path)
    monkeypatch.setattr(image_files, "MOST_PIXELS", 20)
    with pytest.raises(DataError, match="expected at most 20 pixels, found 5 x 6"):
        load_folder(tmp_path)


def test_no_classes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a folder with one subfolder of images per class, found nothing"):
        load_folder(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="expected a folder with one subfolder of images per class, found a file"):
        load_folder(tmp_path / "file")
    with pytest.raises(DataError, match=r"expected a folder for each of 1\.\.10000 classes, found 0"):
        load_folder(tmp_path)
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="expected images, found none"):
        load_folder(tmp_path)
