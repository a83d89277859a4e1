"""The user's own arrays, images or frames of spikes, from an NPZ file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import BoolArray
from bl_neuro.checks import MAX_STEPS
from bl_neuro.data.events import EventDataset, pack
from bl_neuro.data.samples import Dataset, scale_problem
from bl_neuro.data.source import DatasetSource, Kind, LoadOptions
from bl_neuro.errors import DataError
from bl_neuro.files import expanded
from bl_neuro.strangers.archive import DAMAGE, Archive
from bl_neuro.strangers.budget import need_memory
from bl_neuro.strangers.door import exists, is_folder, printable_name, regular_file

MOST_CLASSES = 10_000
MOST_NAME = 200
KINDS = {"images": "biuf", "frames": "biuf", "labels": "iu", "class_names": "U", "held_out": "b"}
BLOCK_VALUES = 2**22
"""Number of values that are checked at a time, which bounds the memory for it."""


class NpzFile(DatasetSource):
    """The user's own arrays; see `load_npz`."""

    name: ClassVar[str] = "npz"
    title: ClassVar[str] = "an .npz file"
    kind: ClassVar[Kind | None] = None
    by_path: ClassVar[bool] = True

    @classmethod
    def takes(cls, path: Path) -> bool:
        """Accepts files by their suffix, even if they do not exist."""
        return path.suffix.lower() == ".npz"

    @classmethod
    def load(cls, options: LoadOptions) -> Dataset | EventDataset:
        """See `DatasetSource.load`."""
        return load_npz(options.path or "")


def load_npz(path: str | Path) -> Dataset | EventDataset:
    """Loads images or frames of spikes from a file written by `numpy.savez`.

    The arrays are: `images` (N, H, W) or (N, C, H, W), bytes (uint8) in 0..255, or bool, other integers or floats in
    0..1; or `frames` (N, T, H, W) or (N, T, C, H, W) of 0 and 1. Bytes of only 0 and 1 are refused, since 1 may mean
    white or 1/255. `labels` (N,), integers from 0: class k is output k of a network. Optionally `class_names` (text)
    and `held_out` (N,) of bool, true for test samples. C is at most 4.

    Raises:
        DataError: the file is missing, damaged, too large or has other contents; all problems are listed.
    """
    source = expanded(path)
    if is_folder(source) or not exists(source):
        raise DataError(f"{source}: expected an .npz file, found {'a folder' if exists(source) else 'nothing'}")
    try:
        arrays = _arrays(source)
        problems = _problems(arrays)
    except DAMAGE as error:
        raise DataError(f"{source}: cannot be read as an NPZ file ({str(error) or type(error).__name__})") from error
    values = arrays.get("images", arrays.get("frames"))
    if problems or values is None:
        raise DataError(f"{source}: " + "; ".join(problems))
    if "images" in arrays and values.dtype != np.uint8:
        need_memory(source, 8 * values.size, source.stat().st_size)  # kept as float64
    labels = arrays["labels"].astype(np.int64)
    names = arrays.get("class_names", np.arange(labels.max() + 1))
    described: Any = {
        "name": printable_name(source.stem),
        "source": f"arrays in the file {printable_name(source.name)}",
        "labels": labels,
        "class_names": tuple(printable_name(str(name)) for name in names),
        "held_out": arrays.get("held_out"),
        "completeness": f"all {len(labels):,} found",
    }
    if "frames" in arrays:
        frames = values if values.ndim == 5 else values[:, :, None]
        return EventDataset(packed=pack(frames), input_shape=frames.shape[2:], **described)
    images = values if values.ndim == 4 else values[:, None]
    return Dataset(pixels=images if images.dtype == np.uint8 else images.astype(np.float64, copy=False), **described)


def _arrays(source: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays by name, after a check that they fit the memory budget."""
    with regular_file(source) as file:
        archive = Archive(file, source)
        names = sorted(archive.members)
        if not set(names) <= set(KINDS):
            raise ValueError(f"expected arrays of {', '.join(KINDS)}, found {', '.join(names)[:MOST_NAME]}")
        archive.need_memory(names)
        return {name: archive.array(name, KINDS[name]) for name in names}


def _problems(arrays: dict[str, npt.NDArray[Any]]) -> list[str]:
    """All problems of the arrays."""
    given = [name for name in ("images", "frames") if name in arrays]
    if len(given) != 1:
        return [f"expected images or frames, found {' and '.join(given) or 'neither'}"]
    if "labels" not in arrays:
        return ["expected labels, found none"]
    check = _image_problems if given == ["images"] else _frame_problems
    values, labels = arrays[given[0]], arrays["labels"]
    return check(values) + _label_problems(labels, len(values) if values.ndim else 0, arrays)


def _image_problems(images: npt.NDArray[Any]) -> list[str]:
    if images.ndim not in (3, 4) or (images.ndim == 4 and not 1 <= images.shape[1] <= 4) or not images.size:
        return [f"images: expected (N, H, W), or (N, C, H, W) with at most 4 channels, found {images.shape}"]
    if images.dtype == np.uint8:
        problem = scale_problem(images)
        return [f"images: {problem}, or save them as bool; save floats if 1/255 is meant"] if problem else []
    if not (images.min() >= 0 and images.max() <= 1):
        return [f"images: expected bytes (uint8), or values in 0..1, found {images.min()}..{images.max()}"]
    return []


def _frame_problems(frames: npt.NDArray[Any]) -> list[str]:
    if frames.ndim not in (4, 5) or (frames.ndim == 5 and not 1 <= frames.shape[2] <= 4) or not frames.size:
        return [f"frames: expected (N, T, H, W), or (N, T, C, H, W) with at most 4 channels, found {frames.shape}"]
    problems = []
    if frames.shape[1] > MAX_STEPS:
        problems.append(f"frames: expected at most {MAX_STEPS} steps, found {frames.shape[1]}")
    if not all(((block == 0) | (block == 1)).all() for block in _blocks(frames)):
        problems.append(f"frames: expected only 0 and 1, found {frames.min()}..{frames.max()}")
    return problems


def _blocks(values: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """The values in flat pieces."""
    flat = values.reshape(-1)
    return (flat[start : start + BLOCK_VALUES] for start in range(0, flat.size, BLOCK_VALUES))


def _label_problems(labels: npt.NDArray[Any], count: int, arrays: dict[str, npt.NDArray[Any]]) -> list[str]:
    if labels.shape != (count,) or not count:
        return [f"labels: expected one for each of {count} samples, found {labels.shape}"]
    problems = []
    names: npt.NDArray[np.str_] | None = arrays.get("class_names")
    classes = MOST_CLASSES if names is None else min(len(names), MOST_CLASSES) if names.ndim == 1 else 0
    if not 0 <= labels.min() <= labels.max() < classes:
        problems.append(f"labels: expected 0..{classes - 1}, found {labels.min()}..{labels.max()}")
    if names is not None and (
        names.ndim != 1 or len({printable_name(name) for name in names.tolist()}) != names.size or not names.size
    ):
        problems.append("class_names: expected one name for each class, all different")
    elif names is not None and len(names) > MOST_CLASSES:
        problems.append(f"class_names: expected at most {MOST_CLASSES} names, found {len(names)}")
    elif names is not None and max(map(len, names.tolist())) > MOST_NAME:
        problems.append(f"class_names: expected at most {MOST_NAME} letters")
    held_out: BoolArray | None = arrays.get("held_out")
    if held_out is not None and held_out.shape != (count,):
        problems.append(f"held_out: expected one for each of {count} samples, found {held_out.shape}")
    return problems
