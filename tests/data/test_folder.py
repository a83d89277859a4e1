"""The user's own images in folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bl_neuro import DataError, InputError
from bl_neuro.data import in_class_order, load_folder, official_split
from bl_neuro.strangers import budget, png

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
    assert "deep.png: expected a PNG, JPEG or PGM image (expected 8 bits per channel, found 16)" in message
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
    monkeypatch.setattr(budget, "SLACK_BYTES", 60)
    monkeypatch.setattr(budget, "GROWTH", 0)
    with pytest.raises(DataError, match=r"expected at most 60 bytes of values, .* found 90; .* BL_NEURO_READ_MIB=1$"):
        load_folder(tmp_path)
    monkeypatch.setenv("BL_NEURO_READ_MIB", "1")
    assert len(load_folder(tmp_path).labels) == 3
    monkeypatch.setattr(png, "MOST_PIXELS", 20)
    with pytest.raises(DataError, match=r"expected 1\.\.20 pixels, found 6 x 5"):
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
    with pytest.raises(DataError, match="expected images in the folder of each class, found none for 'a'; remove"):
        load_folder(tmp_path)


@pytest.mark.parametrize("name", ["__MACOSX", ".hidden", "$RECYCLE.BIN", "@eaDir", "FOUND.000"])
def test_folders_of_archivers_are_no_classes(name: str, tmp_path: Path, files: Any) -> None:
    for place in ("a/1.png", "b/1.png", f"{name}/._1.png", "a/._1.png"):
        files.image(tmp_path / place, GREY)
    assert load_folder(tmp_path).class_names == ("a", "b")
    for part in ("train", "test"):
        for place in (f"{part}/a/1.png", f"{part}/{name}/1.png", f"{name}/train/1.png"):
            files.image(tmp_path / "parts" / place, GREY)
    assert load_folder(tmp_path / "parts").class_names == ("a",)


def test_empty_folders_and_images_beside_the_classes_are_refused(tmp_path: Path, files: Any) -> None:
    for place in ("a/1.png", "c/1.png", "left.png"):
        files.image(tmp_path / place, GREY)
    (tmp_path / "b").mkdir()
    with pytest.raises(DataError, match=r"found 'left\.png' beside them; .*found none for 'b'; remove folders"):
        load_folder(tmp_path)


def test_a_class_without_training_images_is_refused(tmp_path: Path, files: Any) -> None:
    for place in ("train/a/1.png", "test/a/1.png", "test/b/1.png"):
        files.image(tmp_path / place, GREY)
    with pytest.raises(DataError, match="train: expected images in the folder of each class, found none for 'b'"):
        load_folder(tmp_path)


def test_pipes_and_links_out_of_the_folder_are_refused(tmp_path: Path, files: Any) -> None:
    files.image(tmp_path / "own/a/1.png", GREY)
    files.image(tmp_path / "other/1.png", GREY)
    os.mkfifo(tmp_path / "own/a/2.png")
    (tmp_path / "own/a/3.png").symlink_to(tmp_path / "other/1.png")
    (tmp_path / "own/a/4.png").symlink_to("1.png")
    with pytest.raises(DataError, match=r"2\.png: expected a file, found a named pipe; .*3\.png: expected a file in"):
        load_folder(tmp_path / "own")
    (tmp_path / "own/b").symlink_to(tmp_path / "other")
    with pytest.raises(DataError, match=r"own/b: expected a file in .*own, found a link"):
        load_folder(tmp_path / "own")


def test_a_class_folder_that_cannot_be_read_is_named(
    tmp_path: Path, files: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        files.image(tmp_path / name / "1.png", GREY)
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"b: expected a folder that can be read \(Permission denied\)"):
        load_folder(tmp_path)


def test_names_that_are_not_utf8_become_printable(tmp_path: Path, files: Any) -> None:
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/digits-\xe9"))
    for name in (b"caf\xe9", b"caf\xc3\xa9", b"line\nbreak"):
        files.image(root / os.fsdecode(name) / "1.png", GREY)
    data = load_folder(root)
    assert set(data.class_names) == {r"caf\xe9", "café", r"line\nbreak"}
    assert (data.name, data.source) == (r"digits-\xe9", r"images in the folder digits-\xe9")
    files.image(root / r"caf\xe9" / "1.png", GREY)
    with pytest.raises(DataError, match="expected class names that differ in print"):
        load_folder(root)


def test_few_small_files_cannot_take_gigabytes(tmp_path: Path) -> None:
    """80 blank images of 4096 x 4096 pixels take 1.3 GB; their headers are enough to refuse them."""
    (tmp_path / "a").mkdir()
    Image.new("L", (4096, 4096)).save(tmp_path / "a/00.png")
    for number in range(1, 80):
        (tmp_path / f"a/{number:02d}.png").hardlink_to(tmp_path / "a/00.png")
    with pytest.raises(DataError, match=r"expected at most 2.* bytes of values, .* found 1342177280; if you trust"):
        load_folder(tmp_path)


def test_a_class_that_is_a_link_to_nowhere_is_refused(tmp_path: Path, files: Any) -> None:
    """Without it, every later class would have another label."""
    for name in ("a", "c"):
        files.image(tmp_path / name / "1.png", GREY)
        files.image(tmp_path / "parts/train" / name / "1.png", GREY)
        files.image(tmp_path / "parts/test" / name / "1.png", GREY)
    (tmp_path / "parts/test/b").symlink_to("/not/mounted/b")
    with pytest.raises(DataError, match="test/b: expected a file or folder, found a link to /not/mounted/b"):
        load_folder(tmp_path / "parts")
    (tmp_path / "b").symlink_to("/not/mounted/b")
    with pytest.raises(DataError, match="b: expected a file or folder, found a link to /not/mounted/b"):
        load_folder(tmp_path)


@pytest.mark.parametrize(
    "parts", [("Train", "Test"), ("train", "valid"), ("training", "testing"), ("train", "test", "val")]
)
def test_parts_of_other_names_are_explained(parts: tuple[str, ...], tmp_path: Path, files: Any) -> None:
    for part in parts:
        files.image(tmp_path / part / "a/1.png", GREY)
    with pytest.raises(
        DataError, match=f"{parts[0]}/a: expected an image .*, found a folder; .* exactly two .* 'train' and 'test'"
    ):
        load_folder(tmp_path)


def test_images_of_only_0_and_1_are_refused(tmp_path: Path, files: Any) -> None:
    """A mask that was saved without a factor of 255 is nearly black."""
    files.image(tmp_path / "a/1.png", np.zeros((2, 2)))
    assert not load_folder(tmp_path).pixels.any()
    files.image(tmp_path / "b/1.png", np.eye(2))
    with pytest.raises(DataError, match=r"expected bytes in 0\.\.255, found only 0 and 1, .*; multiply them by 255"):
        load_folder(tmp_path)


def test_white_pixels_that_scaling_makes_faint_are_no_ones(tmp_path: Path) -> None:
    pixels = np.zeros((64, 64), np.uint8)
    pixels[0, :2] = 255
    (tmp_path / "a").mkdir()
    Image.fromarray(pixels).save(tmp_path / "a" / "1.png")
    assert load_folder(tmp_path, size=(4, 4)).pixels.max() >= 1
    Image.fromarray(pixels // 255).save(tmp_path / "a" / "1.png")
    with pytest.raises(DataError, match="found only 0 and 1"):
        load_folder(tmp_path)
