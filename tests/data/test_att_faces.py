"""AT&T's faces from PGM files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from bl_neuro import DataError, InputError
from bl_neuro.data import load_dataset, official_split, shared_split


def test_photographs_are_read_in_the_order_of_people(tmp_path: Path, files: Any) -> None:
    files.faces(tmp_path)
    faces: Any = load_dataset("att_faces", tmp_path)
    assert faces.input_shape == (1, 112, 92)
    assert faces.pixels.dtype == np.uint8
    assert faces.class_names == tuple(f"s{person}" for person in range(1, 41))
    assert faces.labels.tolist() == [0] * 10 + [1] * 10 + [9] * 10  # the person's number, though others are missing
    expected = [20 * person + number for person in (1, 2, 10) for number in range(1, 11)]
    assert faces.pixels[:, 0, 50, 50].tolist() == expected
    assert faces.completeness == "subset: 30 of 400"


def test_the_authors_test_on_photographs_8_and_9(tmp_path: Path, files: Any) -> None:
    files.faces(tmp_path)
    split = shared_split(cast(Any, load_dataset("att_faces", tmp_path)))
    assert split.sizes() == {"target": 24, "evaluator": 24, "test": 6}
    assert "the target's own samples" in split.note
    numbers = split.test.pixels[:, 0, 0, 0] - 20 * (split.test.labels + 1)
    assert sorted(set(numbers.tolist())) == [8, 9]
    # ImageFolder, which the authors index, sorts names as text
    assert sorted(str(number) for number in range(1, 11))[8:] == ["8", "9"]


def test_an_evaluator_can_have_photographs_of_its_own(tmp_path: Path, files: Any) -> None:
    files.faces(tmp_path, people=(1, 2, 3))
    split = official_split(cast(Any, load_dataset("att_faces", tmp_path)), 3, target=15, evaluator=9)
    assert split.sizes() == {"target": 15, "evaluator": 9, "test": 6}
    for part, images in ((split.target, 5), (split.evaluator, 3), (split.test, 2)):
        assert np.bincount(part.labels).tolist() == [images] * 3
    seen = [set(map(tuple, part.pixels[:, 0, 0].tolist())) for part in (split.target, split.evaluator, split.test)]
    assert len(set.union(*seen)) == sum(map(len, seen)) == 30


def test_scaling_averages_over_the_area_of_a_pixel(tmp_path: Path, files: Any) -> None:
    values = np.random.default_rng(0).integers(0, 256, size=(112, 92))
    for number in range(1, 11):
        files.pgm(tmp_path / f"att_faces/s1/{number}.pgm", values)
    faces: Any = load_dataset("att_faces", tmp_path, size=(56, 46))
    assert faces.input_shape == (1, 56, 46)
    np.testing.assert_allclose(faces.pixels[0, 0], values.reshape(56, 2, 46, 2).mean(axis=(1, 3)), atol=1)
    with pytest.raises(InputError, match="size: expected height and width of at most"):
        load_dataset("att_faces", tmp_path, size=(224, 184))


def test_other_files_are_not_counted(tmp_path: Path, files: Any) -> None:
    files.faces(tmp_path, people=(1,))
    for name in ("s1/11.pgm", "s1/01.pgm", "s41/1.pgm", "s0/1.pgm", "README", "s1/1.txt"):
        path = tmp_path / "att_faces" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("not a photograph")
    assert len(load_dataset("att_faces", tmp_path).labels) == 10


def test_missing_and_damaged(tmp_path: Path, files: Any) -> None:
    (tmp_path / "att_faces").mkdir()
    with pytest.raises(DataError, match=r"att_faces, found no photographs .* Get it from https://"):
        load_dataset("att_faces", tmp_path)
    files.faces(tmp_path, people=(1,))
    files.pgm(tmp_path / "att_faces/s1/3.pgm", np.zeros((92, 112)))
    with pytest.raises(DataError, match=r"3\.pgm: expected a photograph of height and width \(112, 92\)"):
        load_dataset("att_faces", tmp_path)
    (tmp_path / "att_faces/s1/3.pgm").write_bytes(b"P5\n92 112\n255\nshort")
    with pytest.raises(DataError, match=r"3\.pgm: expected a PNG, JPEG or PGM image"):
        load_dataset("att_faces", tmp_path)


def test_a_person_who_is_a_link_to_nowhere_is_refused(tmp_path: Path, files: Any) -> None:
    """Without this person, every later one would have another label."""
    files.faces(tmp_path, people=(1, 3))
    (tmp_path / "att_faces/s2").symlink_to("/not/mounted/s2")
    with pytest.raises(DataError, match="s2: expected a file or folder, found a link to /not/mounted/s2"):
        load_dataset("att_faces", tmp_path)


def test_suffixes_in_upper_case_are_read(tmp_path: Path, files: Any) -> None:
    files.faces(tmp_path, people=(1, 2))
    (tmp_path / "att_faces/s1/1.pgm").rename(tmp_path / "att_faces/s1/1.PGM")
    assert load_dataset("att_faces", tmp_path).completeness == "subset: 20 of 400"
