"""The user's own arrays: documented content is read, other content is refused by name."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from bl_neuro import DataError
from bl_neuro.data import Dataset, EventDataset, load_npz
from bl_neuro.strangers import budget

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, size=(6, 5, 4), dtype=np.uint8)
FRAMES = (RNG.random((6, 3, 2, 5, 4)) < 0.5).astype(np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def saved(folder: Path, compressed: bool = False, **arrays: Any) -> Path:
    (np.savez_compressed if compressed else np.savez)(folder / "own.npz", **arrays)
    return folder / "own.npz"


@pytest.mark.parametrize("compressed", [False, True])
def test_images(tmp_path: Path, compressed: bool) -> None:
    data = load_npz(saved(tmp_path, compressed, images=IMAGES, labels=LABELS))
    assert isinstance(data, Dataset)
    assert np.array_equal(data.pixels, IMAGES[:, None])
    assert data.labels.tolist() == LABELS.tolist()
    assert (data.name, data.class_names, data.held_out) == ("own", ("0", "1", "2"), None)
    assert data.completeness == "all 6 found"


def test_every_optional_array_is_read(tmp_path: Path) -> None:
    images = RNG.random((6, 3, 5, 4)).astype(np.float32)
    held_out = np.array([True, False] * 3)
    names = ["cat", "dog", "ø", "none of them"]
    path = saved(tmp_path, images=images, labels=LABELS.astype(np.uint8), class_names=names, held_out=held_out)
    data = load_npz(path)
    assert data.class_names == tuple(names)
    assert data.labels.dtype == np.int64
    assert data.held_out is not None
    assert np.array_equal(data.held_out, held_out)
    assert np.array_equal(data.images, images.astype(np.float64))


@pytest.mark.parametrize("frames", [FRAMES, FRAMES[:, :, 0], FRAMES.astype(bool), FRAMES.astype(float)])
def test_frames(tmp_path: Path, frames: np.ndarray) -> None:
    data = load_npz(saved(tmp_path, frames=frames, labels=LABELS))
    assert isinstance(data, EventDataset)
    expected = frames if frames.ndim == 5 else frames[:, :, None]
    assert np.array_equal(data.frames_at(slice(None)), expected)
    assert data.input_shape == expected.shape[2:]


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_arrays_give_a_dataset_or_a_typed_error(tmp_path: Path, data: st.DataObject) -> None:
    shapes = st_numpy.array_shapes(min_dims=0, max_dims=6, min_side=0, max_side=4)
    dtypes = st.sampled_from(["?", "u1", "i8", "f4", "f8", "<U3", "c8", "S2"])
    arrays = st.builds(lambda dtype, shape: (dtype, shape), dtypes, shapes).flatmap(
        lambda kind: st_numpy.arrays(*kind, elements=None)
    )
    names = st.sampled_from(["images", "frames", "labels", "class_names", "held_out", "extra"])
    content: dict[str, Any] = data.draw(st.dictionaries(names, arrays, max_size=4))
    path = saved(tmp_path, **content)
    try:
        samples = load_npz(path)
    except DataError as error:
        assert str(error).startswith(str(path))  # noqa: PT017
        return
    assert len(samples.labels) == len(samples.images) > 0
    assert samples.images.min() >= 0
    assert samples.images.max() <= 1
    assert samples.labels.max() < samples.classes


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(noise=st.binary(max_size=40), place=st.floats(0, 1), removed=st.integers(0, 40), compressed=st.booleans())
def test_a_mutated_file_gives_a_dataset_or_a_typed_error(
    tmp_path: Path, noise: bytes, place: float, removed: int, compressed: bool
) -> None:
    path = saved(tmp_path, compressed, images=IMAGES, labels=LABELS, class_names=["a", "b", "c"])
    content = path.read_bytes()
    start = int(place * len(content))
    path.write_bytes(content[:start] + noise + content[start + removed :])
    try:
        assert load_npz(path).images.shape[1:] == (1, 5, 4)
    except DataError as error:
        assert str(error).startswith(str(path))  # noqa: PT017


IMAGE_PROBLEM = r"images: expected \(N, H, W\), or \(N, C, H, W\) with at most 4 channels, found"
PROBLEMS: list[tuple[dict[str, Any], str]] = [
    ({"labels": LABELS}, "expected images or frames, found neither"),
    ({"images": IMAGES, "frames": FRAMES, "labels": LABELS}, "expected images or frames, found images and frames"),
    ({"images": IMAGES}, "expected labels, found none"),
    ({"images": IMAGES, "labels": LABELS, "weights": LABELS}, "expected arrays of images, frames, .* found .*weights"),
    ({"images": IMAGES[0], "labels": LABELS}, rf"{IMAGE_PROBLEM} \(5, 4\)"),
    ({"images": np.zeros((6, 28, 28, 3)), "labels": LABELS}, rf"{IMAGE_PROBLEM} \(6, 28, 28, 3\)"),
    ({"images": IMAGES.astype(int), "labels": LABELS}, r"images: expected bytes \(uint8\), or values in 0\.\.1"),
    ({"images": np.full((6, 2, 2), np.nan), "labels": LABELS}, "images: expected bytes"),
    ({"images": IMAGES, "labels": LABELS[:5]}, r"labels: expected one for each of 6 samples, found \(5,\)"),
    ({"images": IMAGES, "labels": LABELS - 1}, r"labels: expected 0\.\.9999, found -1\.\.1"),
    ({"images": IMAGES, "labels": LABELS * 10**6}, r"labels: expected 0\.\.9999, found 0\.\.2000000"),
    ({"images": IMAGES, "labels": LABELS.astype(float)}, "labels: expected an array of integers, found float64"),
    ({"images": IMAGES, "labels": LABELS, "class_names": ["a", "b"]}, r"labels: expected 0\.\.1, found 0\.\.2"),
    ({"images": IMAGES, "labels": LABELS, "class_names": ["a", "b", "a"]}, "class_names: expected one name for each"),
    ({"images": IMAGES, "labels": LABELS, "class_names": ["a", "b", "c" * 999]}, "class_names: expected at most 200"),
    ({"images": IMAGES, "labels": LABELS, "class_names": [1, 2, 3]}, "class_names: expected an array of text"),
    ({"images": IMAGES, "labels": LABELS, "held_out": [True]}, "held_out: expected one for each of 6 samples"),
    ({"images": IMAGES, "labels": LABELS, "held_out": [1] * 6}, "held_out: expected an array of bool, found int64"),
    ({"frames": FRAMES * 3, "labels": LABELS}, r"frames: expected only 0 and 1, found 0\.\.3"),
    ({"frames": FRAMES[0, 0], "labels": LABELS}, r"frames: expected \(N, T, H, W\), or"),
    ({"frames": np.zeros((1, 2**16 + 1, 1, 1), np.uint8), "labels": [0]}, "frames: expected at most 65536 steps"),
]


@pytest.mark.parametrize(("arrays", "message"), PROBLEMS, ids=range(len(PROBLEMS)))
def test_problems_are_named(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=rf"own\.npz: .*{message}"):
        load_npz(saved(tmp_path, **arrays))


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {
        "images": IMAGES.astype(int),
        "labels": LABELS,
        "class_names": ["a", "b"],
        "held_out": [True],
    }
    with pytest.raises(DataError, match=r"images: .*; labels: .*; held_out: "):
        load_npz(saved(tmp_path, **arrays))


def zipped(folder: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(folder / "own.npz", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return folder / "own.npz"


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return pytest.fail, ("unpickled",)

    np.savez(tmp_path / "own.npz", images=np.array([Trap()], dtype=object), labels=LABELS)
    with pytest.raises(DataError, match="images: expected an array of bool, integers or floats, found object"):
        load_npz(tmp_path / "own.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"not a zip file"])
def test_not_a_zip_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "own.npz").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as an NPZ file"):
        load_npz(tmp_path / "own.npz")


def test_members_that_are_not_arrays_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read as an NPZ file \(images: the magic string"):
        load_npz(zipped(tmp_path, {"images.npy": b"something else"}))
    with pytest.raises(DataError, match="expected at most 64 arrays of different names, found 2"):
        load_npz(zipped(tmp_path, {"images.npy": b"one", "images": b"two"}))


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, compressed=True, images=np.zeros((100, 50, 50), np.uint8), labels=np.zeros(100, int))
    assert path.stat().st_size < 2000
    monkeypatch.setattr(budget, "SLACK_BYTES", 100_000)
    with pytest.raises(DataError, match=r"expected at most 1\d{5} bytes of values, .* set BL_NEURO_READ_MIB=1$"):
        load_npz(path)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.npz: expected an \.npz file, found nothing"):
        load_npz(tmp_path / "none.npz")
    with pytest.raises(DataError, match=r"expected an \.npz file, found a folder"):
        load_npz(tmp_path)


@pytest.mark.slow
def test_an_archive_that_unpacks_to_more_than_its_budget_is_refused(tmp_path: Path) -> None:
    images = np.zeros((512, 1024, 1024), np.uint8)  # pages that are only read take no memory
    path = saved(tmp_path, compressed=True, images=images, labels=np.zeros(512, int))
    assert path.stat().st_size < 2**20
    with pytest.raises(
        DataError, match=r"own\.npz: expected at most \d+ bytes of values, .* set BL_NEURO_READ_MIB=513$"
    ):
        load_npz(path)


def test_small_floats_count_as_they_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, images=np.zeros((100, 50, 50), np.float16), labels=np.zeros(100, int))
    monkeypatch.setattr(budget, "SLACK_BYTES", 0)
    monkeypatch.setattr(budget, "GROWTH", 2)
    with pytest.raises(DataError, match="found 2000000; if you trust"):
        load_npz(path)


@pytest.mark.parametrize("change", [lambda data: data + b"x", lambda data: b"x" + data, lambda data: data[:-1]])
def test_bytes_around_the_archive_are_refused(change: Any, tmp_path: Path) -> None:
    path = saved(tmp_path, images=IMAGES, labels=LABELS)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match="cannot be read as an NPZ file"):
        load_npz(path)


def test_an_archive_of_thousands_of_arrays_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="its list of contents is too long"):
        load_npz(zipped(tmp_path, {f"{number}.npy": b"" for number in range(5000)}))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_archives_packed_as_numpy_does_not_are_refused(method: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "own.npz", "w", method) as archive:
        archive.writestr("images.npy", b"")
    with pytest.raises(DataError, match="images: compressed by a method that NumPy does not use"):
        load_npz(tmp_path / "own.npz")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "own.npz")
    with pytest.raises(DataError, match=r"own\.npz: expected a"):
        load_npz(tmp_path / "own.npz")


def test_class_names_become_printable(tmp_path: Path) -> None:
    names = ["caf\udce9", "b\nc", "d"]
    assert load_npz(saved(tmp_path, images=IMAGES, labels=LABELS, class_names=names)).class_names == (
        r"caf\xe9",
        r"b\nc",
        "d",
    )
    with pytest.raises(DataError, match="class_names: expected one name for each class, all different"):
        load_npz(saved(tmp_path, images=IMAGES, labels=LABELS, class_names=["caf\udce9", r"caf\xe9", "d"]))


@pytest.mark.parametrize("images", [IMAGES > 127, (IMAGES > 127).astype(np.int8), (IMAGES > 127).astype(float)])
def test_bytes_of_only_0_and_1_are_refused(images: np.ndarray, tmp_path: Path) -> None:
    """As bytes, 1 is 1/255; as anything else, 1 is white."""
    data: Any = load_npz(saved(tmp_path, images=images, labels=LABELS))
    assert data.images.max() == 1
    with pytest.raises(DataError, match=r"images: expected bytes .*, found only 0 and 1, .* save them as bool"):
        load_npz(saved(tmp_path, images=images.astype(np.uint8), labels=LABELS))
    white: Any = load_npz(saved(tmp_path, images=images.astype(np.uint8) * 255, labels=LABELS))
    assert np.array_equal(white.images, data.images)


def test_black_images_are_read(tmp_path: Path) -> None:
    assert not load_npz(saved(tmp_path, images=IMAGES * 0, labels=LABELS)).images.any()


def test_names_do_not_lift_the_limit_of_classes(tmp_path: Path) -> None:
    names = [str(number) for number in range(10_001)]
    with pytest.raises(DataError, match="class_names: expected at most 10000 names, found 10001"):
        load_npz(saved(tmp_path, images=IMAGES, labels=LABELS, class_names=names))
    assert load_npz(saved(tmp_path, images=IMAGES, labels=LABELS, class_names=names[:-1])).classes == 10_000


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, images=IMAGES, labels=LABELS, class_names=np.full(3, "\U0010ffff"))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["class_names.npy"] = members["class_names.npy"].replace(b"\xff\xff\x10\0", b"\xff\xff\xff\x7f")
    with pytest.raises(DataError, match=r"own\.npz: .*class_names: damaged: expected text"):
        load_npz(zipped(tmp_path, members))
