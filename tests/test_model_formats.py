"""Model files of every format: chosen by the suffix, written whole or not at all."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import bl_neuro as bl
from bl_neuro import ModelFileError, Network
from bl_neuro.testing.random_networks import random_dense


@contextmanager
def small_disk() -> Iterator[None]:
    """No file may grow beyond 2,000 bytes, as on a disk that is full. Nothing of pytest's may be written meanwhile."""
    kept, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, kept[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("suffix", [".safetensors", ".net", ".nir"])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, suffix: str) -> None:
    """HDF5 itself crashes, or leaves a file open, where a disk is full."""
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"old")
    with pytest.raises(ModelFileError, match="could not be written"), small_disk():
        bl.save(random_dense(1, filtered=False), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_suffix_says_the_format(tmp_path: Path) -> None:
    network = random_dense(1, filtered=False)
    for suffix in (".safetensors", ".nir"):
        bl.save(network, tmp_path / f"model{suffix}")
        assert bl.load(tmp_path / f"model{suffix}") == network
    bl.save(network, tmp_path / "model.net")
    assert bl.load(tmp_path / "model.net").arithmetic == "loihi"
    (tmp_path / "model.onnx").write_bytes(b"something else")
    with pytest.raises(ModelFileError, match=r"expected a name ending in \.safetensors, \.net or \.nir"):
        bl.load(tmp_path / "model.onnx")


@pytest.mark.parametrize("suffix", [".safetensors", ".net", ".nir"])
def test_impossible_file_names_are_refused(tmp_path: Path, small_network: Network, suffix: str) -> None:
    long = tmp_path / ("a" * 5000 + suffix)
    with pytest.raises(ModelFileError, match="expected a model file, found nothing"):
        bl.load(long)
    with pytest.raises(ModelFileError, match="could not be written"):
        bl.save(small_network, long)
    for name in (f"a\0{suffix}", f"a\ud800{suffix}"):
        with pytest.raises(bl.InputError, match="is not a valid file name"):
            bl.load(tmp_path / name)
        with pytest.raises(bl.InputError, match="is not a valid file name"):
            bl.save(small_network, tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".safetensors", ".nir"])
def test_only_net_files_have_blocks_to_count(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    bl.save(random_dense(1, filtered=False), path)
    with pytest.raises(bl.InputError, match=r"layers: only for a \.net file"):
        bl.load(path, layers=1)


@pytest.mark.parametrize("suffix", [".net", ".nir"])
def test_threads_write_at_the_same_time(tmp_path: Path, small_network: Network, suffix: str) -> None:
    paths = [tmp_path / f"{number}{suffix}" for number in range(32)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda path: bl.save(small_network, path), paths))
    assert len({path.read_bytes() for path in paths}) == 1


@pytest.mark.parametrize("path", [None, 5])
def test_values_that_are_not_paths_are_refused(path: Any) -> None:
    with pytest.raises(bl.InputError, match="path: expected the name of a file"):
        bl.load(path)
    with pytest.raises(bl.InputError, match="path: expected the name of a file"):
        bl.save(random_dense(1), path)


def test_weights_without_a_network_point_to_what_reads_them(tmp_path: Path) -> None:
    save_file({"fc.weight": np.eye(2)}, tmp_path / "w.safetensors")
    (tmp_path / "w.pt").write_bytes(b"PK\x03\x04 and more")
    for name in ("w.safetensors", "w.pt"):
        with pytest.raises(bl.ModelFileError, match=r"bl_neuro\.from_state_dict"):
            bl.load(tmp_path / name)


@pytest.mark.parametrize("suffix", [".safetensors", ".net", ".nir"])
def test_what_is_no_file_is_named(tmp_path: Path, suffix: str) -> None:
    os.mkfifo(tmp_path / f"pipe{suffix}")
    (tmp_path / f"folder{suffix}").mkdir()
    (tmp_path / f"link{suffix}").symlink_to(tmp_path / f"pipe{suffix}")
    for name, kind in (("pipe", "a named pipe"), ("link", "a named pipe"), ("folder", "a folder")):
        with pytest.raises(ModelFileError, match=f"expected a model file, found {kind}"):
            bl.load(tmp_path / f"{name}{suffix}")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="there is no file here whose reading fails")
def test_a_file_whose_reading_fails_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").symlink_to("/proc/self/mem")
    with pytest.raises(ModelFileError, match=r"model\.safetensors: could not be read \("):
        bl.load(tmp_path / "model.safetensors")
