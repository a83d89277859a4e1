"""An HDF5 file as bytes, made in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4


def hdf5_image(fill: Callable[[Any], None]) -> bytes:
    """The bytes of an HDF5 file that `fill(file)` writes, built in memory. Safe to call from several threads."""
    import h5py

    # a unique name, since HDF5 identifies open files by name, even in memory
    with h5py.File(uuid4().hex, "w", driver="core", backing_store=False) as file:
        fill(file)
        file.flush()
        image: bytes = file.id.get_file_image()
    return image
