"""Frames kept on disk, so that recordings are framed once. What is found is checked, and made anew if anything is off.

A file is a safetensors file of one array, `packed`; its header says which recordings and settings it was made of (a
hash) and what the array's bytes hash to.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bl_neuro.arrays import SpikeArray
from bl_neuro.checks import MAX_STEPS
from bl_neuro.files import atomic_path, cache_folder

FORMAT = "bl-neuro/frames/1"


def cached_frames(
    name: str, made_of: Any, shape: tuple[int, int], make: Callable[[], SpikeArray], cache: str | Path | None = None
) -> SpikeArray:
    """Packed frames (N, T, bytes) from the cache, or those that `make` returns, which are then kept.

    name: begins the file's name. made_of: all that decides what `make` returns, as JSON holds it. shape: N and bytes.
    cache: the folder (see `cache_folder`); one that cannot be written to is logged and does no harm.
    """
    key = hashlib.sha256(json.dumps([FORMAT, made_of], sort_keys=True).encode()).hexdigest()
    path = cache_folder(cache) / f"{name}-{key[:32]}.safetensors"
    found = _read(path, key, shape)
    if found is None:
        found = make()
        _write(path, key, found)
    return found


def _read(path: Path, key: str, shape: tuple[int, int]) -> SpikeArray | None:
    """What is in the file, if it is whole and what was asked for."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(str(path), framework="numpy") as file:
            facts = file.metadata() or {}
            header = file.get_slice("packed")
            count, steps, width = header.get_shape()
            if (facts.get("key"), header.get_dtype(), (count, width)) != (key, "U8", shape) or steps > MAX_STEPS:
                return None
            packed: SpikeArray = file.get_tensor("packed")
    except (OSError, SafetensorError, ValueError):
        return None
    return packed if _checksum(packed) == facts.get("sha256") else None


def _write(path: Path, key: str, packed: SpikeArray) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        with atomic_path(path) as temporary:
            save_file({"packed": packed}, temporary, metadata={"key": key, "sha256": _checksum(packed)})
    except (OSError, SafetensorError) as error:
        logging.getLogger(__name__).warning("%s: frames are not kept (%s)", path, error)


def _checksum(packed: SpikeArray) -> str:
    return hashlib.sha256(packed.data).hexdigest()
