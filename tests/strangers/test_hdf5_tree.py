from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from bl_neuro.strangers.hdf5_file import first_refusal
from bl_neuro.strangers.hdf5_tree import MAX_CHUNKS, tree_in
from bl_neuro.strangers.reading_child import Rejected
from bl_neuro.strangers.tree_frames import MAX_CONSTANT_VALUES, Tree, encoded_tree

Build = Callable[[h5py.File], Any]


MOST_BYTES = 2**26


def read_tree(path: Path, most_bytes: int = MOST_BYTES) -> Tree:
    """What the child process reads, read in this process."""
    with path.open("rb") as file:
        tree = tree_in(file, path.stat().st_size, most_bytes, chunks=True)
    refusal = first_refusal(tree)
    if refusal is not None:
        raise Rejected(refusal)
    return tree


def written(folder: Path, build: Build, **options: Any) -> Path:
    path = folder / "file.nir"
    with h5py.File(path, "w", **options) as file:
        build(file)
    return path


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_it_reads_what_was_written(tmp_path: Path, libver: str) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "plain": rng.normal(size=(7, 5)),
        "scalar": np.float32(3.5),
        "packed": rng.normal(size=(40, 30)).astype(np.float32),
        "shuffled": rng.integers(-9, 9, (33, 21, 3)),
        "bools": np.array([True, False]),
        "empty": np.empty((0, 3)),
    }

    def build(file: h5py.File) -> None:
        for name in ("plain", "scalar", "bools", "empty"):
            file[f"a/{name}"] = arrays[name]
        file.create_dataset("a/packed", data=arrays["packed"], compression="gzip")
        file.create_dataset("a/shuffled", data=arrays["shuffled"], compression=9, shuffle=True, chunks=(16, 16, 2))
        file.create_dataset("b/word", data="Zürich", dtype=h5py.string_dtype())
        file.create_dataset("b/pairs", data=[("a", "b"), ("b", "")], dtype=h5py.string_dtype())
        file.create_dataset("b/fixed", data=np.array([b"ab", b"c"]))

    tree = read_tree(written(tmp_path, build, libver=libver))
    assert tree["b"] == {"word": "Zürich", "pairs": [["a", "b"], ["b", ""]], "fixed": ["ab", "c"]}
    for name, array in arrays.items():
        if name == "bools":  # HDF5 keeps them as an enumeration of bytes
            continue
        assert np.array_equal(tree["a"][name], np.asarray(array))
        assert tree["a"][name].dtype == np.asarray(array).dtype


def test_one_value_throughout_takes_no_room(tmp_path: Path) -> None:
    """As exporters write the parameter that all neurons of a large image share: it packs a thousand to one."""
    shape = (64, 128, 129)

    def build(file: h5py.File) -> None:
        file.create_dataset("same", data=np.full(shape, 0.25), compression="gzip")
        file.create_dataset("all but one", data=np.where(np.arange(40000) < 39999, 2, 3), compression="gzip")
        file.create_dataset("then", data=np.repeat([1.5, 2.5], [40000, 30000]), compression="gzip", chunks=(5000,))

    tree = read_tree(written(tmp_path, build))
    assert (tree["same"].shape, tree["same"].strides) == (shape, (0, 0, 0))
    assert (tree["same"] == 0.25).all()
    assert tree["all but one"].tolist() == [2] * 39999 + [3]
    assert np.array_equal(tree["then"], np.repeat([1.5, 2.5], [40000, 30000]))


def linked(file: h5py.File) -> None:
    file["there"] = h5py.ExternalLink("/etc/passwd", "/")


def looped(file: h5py.File) -> None:
    file.create_group("a")["b"] = file["/"]


def outside(file: h5py.File) -> None:
    file.create_dataset("x", (8,), "u1", external=[("/etc/passwd", 0, 8)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource("other.h5", "x", (4,))
    file.create_virtual_dataset("x", layout)


def huge(file: h5py.File) -> None:
    file.create_dataset("x", (2**40,), "f8", chunks=(1024,))


def hollow(file: h5py.File) -> None:
    file.create_dataset("x", (1000,), "f8")


def many_bombs(file: h5py.File) -> None:
    for index in range(3):
        file.create_dataset(f"x{index}", data=np.zeros(MAX_CONSTANT_VALUES // 2, "u1"), compression=9)
    file.create_dataset("x3", data=np.zeros(MOST_BYTES + 2**23, "u1"), compression=9)


def bomb(file: h5py.File) -> None:
    """A tenth of a megabyte, 80 MB as the numbers that its bytes become."""
    values = np.zeros(MOST_BYTES // 8 + 2**21, "u1")
    values[-1] = 1
    file.create_dataset("x", data=values, compression=9)


def twice(file: h5py.File) -> None:
    file["x"] = np.arange(3)
    file["y"] = file["x"]


def skipped_filter(file: h5py.File) -> None:
    dataset = file.create_dataset("x", (64,), "u1", chunks=(64,), compression=9)
    dataset.id.write_direct_chunk((0,), bytes(64), filter_mask=1)


def wide_chunk(file: h5py.File) -> None:
    file.create_dataset("x", (1, 10), "f8", maxshape=(None, None), chunks=(2**20, 100), compression=9)


def deep(file: h5py.File) -> None:
    file.create_group("a/" * 20)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (linked, "/there: a link, which is not followed"),
        (looped, "each object once"),
        (outside, "lie in other files"),
        (virtual, "lie in other files"),
        (huge, "in total more than the"),
        (hollow, "of which the file contains 0 bytes"),
        (many_bombs, "in total more than the"),
        (bomb, "in total more than the"),
        (wide_chunk, "in total more than the"),
        (twice, "/y: expected each object once"),
        (skipped_filter, "/x: a chunk that skips filters"),
        (deep, "nested at most"),
        (lambda file: file.create_dataset("x", data=[1 + 1j]), "expected integers, floats or strings"),
        (lambda file: file.create_dataset("x", data=np.array([(1, 2.0)], "i4,f8")), "expected integers"),
        (lambda file: file.create_dataset("x", data=np.zeros(99), compression="lzf"), "expected only gzip and shuffle"),
        (lambda file: file.create_dataset("x", data="a" * 300, dtype=h5py.string_dtype()), "found 300"),
        (lambda file: file.create_dataset("x", data=h5py.Empty("f8")), "contains no values"),
        (lambda file: file.create_dataset("x", (2,), h5py.vlen_dtype("f8")), "expected integers"),
    ],
)
def test_unsupported_features_are_refused(tmp_path: Path, build: Build, message: str) -> None:
    with pytest.raises(Rejected, match=message):
        read_tree(written(tmp_path, build))


def test_a_chunk_that_unpacks_to_more_than_it_states_is_refused(tmp_path: Path) -> None:
    import zlib

    def build(file: h5py.File) -> None:
        dataset = file.create_dataset("x", (64,), "u1", chunks=(64,), compression=9)
        dataset.id.write_direct_chunk((0,), zlib.compress(bytes(2**20), 9))

    with pytest.raises(Rejected, match="a chunk of 65 bytes; expected 64"):
        read_tree(written(tmp_path, build))


def test_damaged_heaps_of_strings_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, lambda file: file.create_dataset("x", data=["ab"] * 5, dtype=h5py.string_dtype()))
    whole = path.read_bytes()
    heap = whole.index(b"GCOL")
    for offset, value in ((0, b"X"), (8, b"\xff" * 8), (24, b"\xff" * 8), (16, b"\x09"), (40, b"\0" * 16)):
        at = heap + offset
        path.write_bytes(whole[:at] + value + whole[at + len(value) :])
        with pytest.raises(Rejected, match="/x: "):
            read_tree(path)


def packed(file: h5py.File) -> None:
    file.create_dataset("x", data=np.full(1000, 7, "u1"), chunks=(1000,), compression=9)


def packed_size(path: Path) -> int:
    with h5py.File(path) as file:
        return int(file["x"].id.get_storage_size())


COSTS: dict[str, tuple[Build, Callable[[Path], int]]] = {
    "values as float64": (lambda file: file.create_dataset("x", data=np.zeros(100, "u1")), lambda path: 800),
    "a heap of strings": (
        lambda file: file.create_dataset("x", data=["ab"] * 5, dtype=h5py.string_dtype()),
        lambda path: 4096,
    ),
    "a chunk, packed and not": (packed, lambda path: 1000 + packed_size(path)),
}


@pytest.mark.parametrize("what", COSTS)
def test_everything_is_taken_from_one_budget(what: str, tmp_path: Path) -> None:
    build, cost = COSTS[what]
    path = written(tmp_path, build)
    assert "x" in read_tree(path, cost(path))
    with pytest.raises(Rejected, match=r"/x: .* in total more than the \d+ that a file with \d+ bytes on the disk may"):
        read_tree(path, cost(path) - 1)


def test_the_chunks_of_all_arrays_are_counted_together(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="/x: a chunk that the file does not contain"):
        read_tree(written(tmp_path, lambda file: file.create_dataset("x", (MAX_CHUNKS,), "u1", chunks=(1,))))

    def shared(file: h5py.File) -> None:
        file.create_dataset("x", data=np.zeros(3, "u1"), chunks=(1,))
        file.create_dataset("y", (MAX_CHUNKS - 2,), "u1", chunks=(1,))

    with pytest.raises(Rejected, match=f"/y: expected at most {MAX_CHUNKS} chunks in total"):
        read_tree(written(tmp_path, shared))


def test_names_that_are_not_text_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, lambda file: file.create_dataset("name-of-values", data=[1]))
    path.write_bytes(path.read_bytes().replace(b"name-of-values", b"name\xff\xfe-values\0"))
    with pytest.raises(Rejected, match=r"name.*expected a name in UTF-8"):
        read_tree(path)
    with path.open("rb") as file:
        assert encoded_tree(tree_in(file, path.stat().st_size, MOST_BYTES, chunks=True))
