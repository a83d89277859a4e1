"""Files that the objects of the caller are written to, so that an audit can refer to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.lib.npyio import NpzFile

from bl_neuro.arrays import IntArray
from bl_neuro.data import Dataset
from bl_neuro.errors import BlNeuroError, ReportError
from bl_neuro.files import atomic_path
from bl_neuro.model_file import load, save
from bl_neuro.network import Network

MODEL, DATA, TRAINED_ON = "model.safetensors", "data.npz", "trained_on.npy"


class GivenFiles:
    """Writes objects to files of a folder. Never changes a file that is already there.

    As a context manager, it removes the files it has written unless `keep` was called.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._written: list[Path] = []

    def model(self, network: Network) -> Path:
        """Writes a network. Raises ReportError if the file cannot be written or holds another network."""
        return self._write(MODEL, lambda path: save(network, path), lambda path: load(path) == network)

    def data(self, data: Dataset) -> Path:
        """Writes a dataset. Raises ReportError if the file cannot be written or holds another dataset."""
        arrays: dict[str, Any] = {
            "images": data.pixels,
            "labels": data.labels,
            "class_names": np.array(data.class_names),
        }
        if data.held_out is not None:
            arrays["held_out"] = data.held_out

        def same(path: Path) -> bool:
            content = np.load(path, allow_pickle=False)
            if not isinstance(content, NpzFile):
                return False
            with content as file:
                return set(file) == set(arrays) and all(np.array_equal(file[name], arrays[name]) for name in arrays)

        return self._write(DATA, lambda path: np.savez(path, **arrays), same)

    def indices(self, indices: IntArray) -> Path:
        """Writes indices of samples. Raises ReportError if the file cannot be written or holds other indices."""
        return self._write(
            TRAINED_ON,
            lambda path: np.save(path, indices, allow_pickle=False),
            lambda path: np.array_equal(np.load(path, allow_pickle=False), indices),
        )

    def keep(self) -> None:
        """Keeps the files that were written."""
        self._written.clear()

    def __enter__(self) -> GivenFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for path in self._written:
            path.unlink(missing_ok=True)

    def _write(self, name: str, write: Callable[[Path], object], same: Callable[[Path], bool]) -> Path:
        path = self.folder / name
        try:
            if not path.exists():
                with atomic_path(path) as temporary:
                    write(temporary)
                self._written.append(path)
            elif not _holds(path, same):
                raise ReportError(
                    f"{path}: expected a free name or a file of the object that is audited, found another file; choose "
                    "another folder with out (--out)"
                )
        except OSError as error:
            raise ReportError(f"{path}: could not be written ({error})") from error
        return path


def _holds(path: Path, same: Callable[[Path], bool]) -> bool:
    try:
        return same(path)
    except (BlNeuroError, BadZipFile, EOFError, ValueError):
        return False
