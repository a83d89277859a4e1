"""HDF5 files made in memory: where a disk is full, HDF5 crashes as it closes a file that it could not write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4


def hdf5_image(fill: Callable[[Any], None]) -> bytes:
    """The bytes of a file that `fill(file)` puts together; any number of threads may make one at the same time."""
    import h5py

    # HDF5 knows open files by their name, those in memory too
    with h5py.File(uuid4().hex, "w", driver="core", backing_store=False) as file:
        fill(file)
        file.flush()
        image: bytes = file.id.get_file_image()
    return image
