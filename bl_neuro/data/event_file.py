"""Recordings of event cameras, as arrays of events: the 5-byte files of N-MNIST, and tonic's arrays of gestures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bl_neuro.errors import DataError
from bl_neuro.numpy_file import read_npy

EVENT = np.dtype([("x", np.int64), ("y", np.int64), ("t", np.int64), ("p", np.int64)])
"""An event: column, row, time in microseconds, polarity."""
Events = npt.NDArray[np.void]

EVENT_BYTES = 5
OVERFLOW_ROW = 240
"""The row that marks an overflow of the clock."""
OVERFLOW_US = 2**13
MOST_BYTES = 2**27
"""Largest recording that is read: 26 million events."""


@dataclass(frozen=True)
class Sensor:
    """An event camera's pixels, and how long its longest recording may be."""

    width: int
    height: int
    most_seconds: int


def read_events(path: Path, sensor: Sensor) -> Events:
    """The events of a 5-byte file, in order of time.

    An event is x, y, and a big-endian number of 24 bits: polarity in the highest, microseconds in the others. Row 240
    is no pixel: it adds 8,192 us to the times from there on. Source: Orchard et al. 2015, and their event-Python.

    Raises:
        DataError: the file is damaged: not whole events, none, off the sensor, or too long.
    """
    return parse_events(_bytes(path), sensor, str(path))


def parse_events(content: bytes, sensor: Sensor, where: str) -> Events:
    """The events of a 5-byte file's content; see `read_events`. where: what errors call it."""
    if len(content) % EVENT_BYTES or not content:
        raise DataError(f"{where}: expected events of {EVENT_BYTES} bytes, found {len(content)} bytes")
    x, y, high, middle, low = np.frombuffer(content, dtype=np.uint8).reshape(-1, EVENT_BYTES).T.astype(np.int64)
    overflow = y == OVERFLOW_ROW
    times = ((high & 127) << 16 | middle << 8 | low) + OVERFLOW_US * np.cumsum(overflow)
    return _checked(x[~overflow], y[~overflow], times[~overflow], high[~overflow] >> 7, sensor, where)


def read_event_array(path: Path, sensor: Sensor) -> Events:
    """The events of a `.npy` file (n, 4) of x, y, polarity and milliseconds, as tonic writes gestures.

    Raises:
        DataError: the file is damaged, as in `read_events`.
    """
    try:
        values = read_npy(_bytes(path))
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    if values.ndim != 2 or values.shape[1] != 4 or not len(values):
        raise DataError(f"{path}: expected events (n, 4), found {values.shape}")
    if not (np.isfinite(values).all() and (np.abs(values) < 2**31).all()):
        raise DataError(f"{path}: expected coordinates and times, found numbers that are none")
    x, y, polarity, times = values.astype(np.int64).T
    if not np.isin(polarity, (0, 1)).all():
        raise DataError(f"{path}: expected polarities 0 and 1, found {polarity.min()}..{polarity.max()}")
    return _checked(x, y, 1000 * times, polarity, sensor, str(path))


def _bytes(path: Path) -> bytes:
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise DataError(f"{path}: expected at most {MOST_BYTES} bytes, found {size}")
    return path.read_bytes()


def _checked(
    x: npt.NDArray[Any],
    y: npt.NDArray[Any],
    times: npt.NDArray[Any],
    polarity: Any,
    sensor: Sensor,
    where: str,
) -> Events:
    if not len(x):
        raise DataError(f"{where}: expected events, found none")
    outside = np.flatnonzero((x < 0) | (x >= sensor.width) | (y < 0) | (y >= sensor.height))
    if len(outside):
        first = outside[0]
        raise DataError(
            f"{where}: expected events on a sensor of {sensor.width} x {sensor.height}, found {len(outside)} off it, "
            f"the first at ({x[first]}, {y[first]})"
        )
    seconds = (times.max() - times.min()) / 1e6
    if seconds > sensor.most_seconds:
        raise DataError(f"{where}: expected at most {sensor.most_seconds} s, found {seconds:.0f} s")
    events = np.empty(len(x), dtype=EVENT)
    for name, values in zip(("x", "y", "t", "p"), (x, y, times, polarity)):
        events[name] = values
    return events[np.argsort(times, kind="stable")]
