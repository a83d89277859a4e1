"""Converts files of event recordings to frames and collects them in one dataset."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import BoolArray, SpikeArray
from bl_neuro.checks import MAX_STEPS
from bl_neuro.data.events import EventDataset, pack
from bl_neuro.data.source import DatasetSource, LoadOptions
from bl_neuro.errors import DataError
from bl_neuro.files import atomic_path, cache_folder
from bl_neuro.strangers.budget import MOST_EVENTS, need_memory
from bl_neuro.strangers.door import read_bytes
from bl_neuro.strangers.npy import read_npy


@dataclass(frozen=True)
class Recording:
    """A file with one recording, its class, and whether it belongs to the official test set."""

    path: Path
    label: int
    held_out: bool


def gather(
    source: type[DatasetSource],
    folder: Path,
    recordings: Sequence[Recording],
    read: Callable[[Path, Sensor], Events],
    framing: Framing,
    class_names: tuple[str, ...],
    options: LoadOptions,
) -> EventDataset:
    """The dataset of `recordings` as frames, which are cached.

    Every call reads and hashes all recordings to find out whether the cached frames are theirs.

    read: function that reads the events of a file, given the sensor. options: cache and progress; see `LoadOptions`.

    Raises:
        DataError: a recording is damaged or has no spikes after denoising, or all frames exceed the memory budget.
    """
    width = -(-int(np.prod(framing.input_shape)) // 8)
    identities = [_identity(folder, recording.path) for recording in recordings]

    def make() -> SpikeArray:
        framed: list[SpikeArray] = []
        most_steps, bytes_on_disk = 0, sum(int(size) for _, size, _ in identities)
        for recording in recordings:
            frames = to_frames(read(recording.path, framing.sensor), framing)
            if not frames.any():
                raise DataError(f"{recording.path}: expected events, found only noise, of which no frame is left")
            most_steps = max(most_steps, len(frames))
            need_memory(folder, len(recordings) * most_steps * width, bytes_on_disk)
            framed.append(pack(frames))
            if options.progress is not None:
                options.progress(len(framed), len(recordings))
        return _side_by_side(framed)

    held_out = np.array([recording.held_out for recording in recordings])
    made_of = [asdict(framing), identities]
    return EventDataset(
        name=source.name,
        source=source.citation,
        packed=cached_frames(source.name, made_of, (len(recordings), width), make, options.cache),
        labels=np.array([recording.label for recording in recordings], dtype=np.int64),
        class_names=class_names,
        input_shape=framing.input_shape,
        held_out=held_out if held_out.any() else None,
        completeness=source.completeness(len(recordings)),
        dt_s=framing.window_us / 1e6,
    )


def _side_by_side(framed: list[SpikeArray]) -> SpikeArray:
    """Recordings (T_i, bytes) as one array (N, T, bytes), padded with empty frames. Empties the list."""
    packed = np.zeros((len(framed), max(map(len, framed)), framed[0].shape[1]), dtype=np.uint8)
    for row in reversed(packed):
        frames = framed.pop()
        row[: len(frames)] = frames
    return packed


def _identity(folder: Path, path: Path) -> list[str | int]:
    """Name, size and digest of a recording. Its time would not do: archives may give all files the same time."""
    content = read_bytes(path, MOST_BYTES)
    return [path.relative_to(folder).as_posix(), len(content), hashlib.sha256(content).hexdigest()]


EVENT = np.dtype([("x", np.int64), ("y", np.int64), ("t", np.int64), ("p", np.int64)])
"""An event: column, row, time in microseconds, polarity."""
Events = npt.NDArray[np.void]

EVENT_BYTES = 5
OVERFLOW_ROW = 240
"""The row that marks an overflow of the clock."""
OVERFLOW_US = 2**13
CLOCK_US = 2**23
"""The clock of 5-byte events starts anew after this time."""
MOST_BYTES = 2**27
"""Maximum size of a recording in bytes; see also `MOST_EVENTS`."""


@dataclass(frozen=True)
class Sensor:
    """Width and height of an event camera, and the maximum duration of its recordings."""

    width: int
    height: int
    most_seconds: int


def read_events(path: Path, sensor: Sensor) -> Events:
    """Reads a file of 5-byte events, in order of time.

    An event consists of x, y, and a 24-bit big-endian number whose highest bit is the polarity and whose other bits are
    microseconds. Row 240 is not a pixel: it adds 8,192 us to all following times. Source: Orchard et al. 2015, and
    their event-Python.

    Raises:
        DataError: the file is damaged: incomplete or no events, events outside the sensor, too long a recording, or one
            whose clock starts anew.
    """
    return parse_events(read_bytes(path, MOST_BYTES), sensor, str(path))


def parse_events(content: bytes, sensor: Sensor, where: str) -> Events:
    """The events in the content of a file of 5-byte events; see `read_events`. where: its name in errors."""
    if len(content) % EVENT_BYTES or not content:
        raise DataError(f"{where}: expected events of {EVENT_BYTES} bytes, found {len(content)} bytes")
    _need_count(len(content) // EVENT_BYTES, where)
    x, y, high, middle, low = np.frombuffer(content, dtype=np.uint8).reshape(-1, EVENT_BYTES).T.astype(np.int64)
    overflow = y == OVERFLOW_ROW
    times = (((high & 127) << 16 | middle << 8 | low) + OVERFLOW_US * np.cumsum(overflow))[~overflow]
    _need_one_turn(times, where)
    return _checked(x[~overflow], y[~overflow], times, high[~overflow] >> 7, sensor, where)


def _need_one_turn(times: npt.NDArray[np.int64], where: str) -> None:
    """Checks that the clock did not start anew: in the order of the file, no time is more than half a turn earlier."""
    steps_back = np.flatnonzero(np.diff(times) < -CLOCK_US // 2)
    if len(steps_back):
        before, after = times[steps_back[0]], times[steps_back[0] + 1]
        raise DataError(
            f"{where}: expected times in order, found {after} us after {before} us: the clock, which counts to "
            f"{CLOCK_US} us, started anew; cut the recording into parts of at most {CLOCK_US / 1e6:.1f} s"
        )


def read_event_array(path: Path, sensor: Sensor) -> Events:
    """Reads a `.npy` file (n, 4) of x, y, polarity and milliseconds, as tonic writes gestures.

    Raises:
        DataError: the file is damaged, or a value is not whole; see `read_events`.
    """
    try:
        values = read_npy(read_bytes(path, MOST_BYTES))
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    if values.ndim != 2 or values.shape[1] != 4 or not len(values):
        raise DataError(f"{path}: expected events (n, 4), found {values.shape}")
    _need_count(len(values), str(path))
    if not (np.isfinite(values).all() and (np.abs(values) < 2**31).all()):
        raise DataError(f"{path}: expected finite coordinates and times, found NaN or infinity")
    _need_whole(values, path)
    x, y, polarity, times = values.astype(np.int64).T
    if not np.isin(polarity, (0, 1)).all():
        raise DataError(f"{path}: expected polarities 0 and 1, found {polarity.min()}..{polarity.max()}")
    return _checked(x, y, 1000 * times, polarity, sensor, str(path))


def _need_whole(values: npt.NDArray[Any], path: Path) -> None:
    if values.dtype.kind != "f":
        return
    fractions = np.flatnonzero((np.floor(values) != values).any(axis=1))
    if len(fractions):
        raise DataError(
            f"{path}: expected whole numbers for x, y, polarity and milliseconds, found {len(fractions)} events with "
            f"fractions, the first at index {fractions[0]}: {values[fractions[0]].tolist()}; round them"
        )


def _need_count(count: int, where: str) -> None:
    if count > MOST_EVENTS:
        raise DataError(f"{where}: expected at most {MOST_EVENTS} events, found {count}; cut the recording")


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
            f"{where}: expected events on a sensor of {sensor.width} x {sensor.height}, found {len(outside)} events "
            f"outside it, the first at ({x[first]}, {y[first]})"
        )
    seconds = (times.max() - times.min()) / 1e6
    if seconds > sensor.most_seconds:
        raise DataError(f"{where}: expected at most {sensor.most_seconds} s, found {seconds:.0f} s")
    events = np.empty(len(x), dtype=EVENT)
    for name, values in zip(("x", "y", "t", "p"), (x, y, times, polarity)):
        events[name] = values
    return events[np.argsort(times, kind="stable")]


@dataclass(frozen=True)
class Framing:
    """Parameters of the conversion of events to frames.

    denoise_us: an event is dropped if no neighbouring pixel had an event within this time before; like tonic, events at
    times below denoise_us are never dropped. window_us: duration of a frame. merged: merge both polarities in one
    frame, or use only polarity 0 (after denoising with both).
    """

    sensor: Sensor
    denoise_us: int
    window_us: int
    merged: bool

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of a frame."""
        return (1, self.sensor.height, self.sensor.width)


def to_frames(events: Events, framing: Framing) -> SpikeArray:
    """The frames (T, 1, H, W) of a recording: 1 if the pixel had at least one event in the window.

    events: in order of time. The first window starts at the first event after denoising. An incomplete last window is
    dropped, unless it is the only one. T is 0 if no event is left. The frames equal those of tonic's transforms
    `MergePolarities`, `Denoise` and `ToFrame`.
    """
    events = events[_near_others(events, framing.denoise_us)] if len(events) else events
    if not len(events):
        return np.zeros((0, *framing.input_shape), dtype=np.uint8)
    since_first = events["t"] - events["t"][0]
    steps = max(1, int(since_first[-1]) // framing.window_us)
    step = since_first // framing.window_us
    used = step < steps if framing.merged else (step < steps) & (events["p"] == 0)
    frames = np.zeros((steps, *framing.input_shape), dtype=np.uint8)
    frames[step[used], 0, events["y"][used], events["x"][used]] = 1
    return frames


NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1))


def _near_others(events: Events, denoise_us: int) -> BoolArray:
    """Whether a neighbouring pixel had an event less than `denoise_us` before each event; see `Framing`."""
    width, height, count = int(events["x"].max()) + 1, int(events["y"].max()) + 1, len(events)
    # the events of each pixel one after the other, so that both keys and queries ascend
    number = np.argsort(events["x"] * height + events["y"], kind="stable")
    x, y, times = (events[name][number] for name in ("x", "y", "t"))
    pixel = x * height + y
    keys = pixel * count + number
    near = np.zeros(count, dtype=np.bool_)
    for right, down in NEIGHBOURS:
        inside = (x + right >= 0) & (x + right < width) & (y + down >= 0) & (y + down < height)
        neighbour = pixel + (right * height + down)
        latest = np.searchsorted(keys, neighbour * count + number) - 1
        seen = (latest >= 0) & (pixel[latest] == neighbour)
        near |= inside & (np.where(seen, times[latest], 0) + denoise_us > times)
    in_order = np.empty(count, dtype=np.bool_)
    in_order[number] = near
    return in_order


FORMAT = "bl-neuro/frames/1"


def cached_frames(
    name: str, made_of: Any, shape: tuple[int, int], make: Callable[[], SpikeArray], cache: str | Path | None = None
) -> SpikeArray:
    """Packed frames (N, T, bytes) from the cache; if they are missing, calls `make` and caches the result.

    name: prefix of the file name. made_of: everything that the result of `make` depends on, JSON-ready. shape: N and
    bytes. cache: the folder (see `cache_folder`); if it is not writable, this is logged and the frames are not cached.
    """
    key = hashlib.sha256(json.dumps([FORMAT, made_of], sort_keys=True).encode()).hexdigest()
    folder = cache_folder(cache)
    if folder is None:
        logging.getLogger(__name__).warning("frames of %s are not kept: no home folder; set BL_NEURO_CACHE", name)
        return make()
    path = folder / f"{name}-{key[:32]}.safetensors"
    frames = _read(path, key, shape)
    if frames is None:
        frames = make()
        _write(path, key, frames)
    return frames


def _read(path: Path, key: str, shape: tuple[int, int]) -> SpikeArray | None:
    """The contents of the cache file, or None if it is damaged or was made from something else."""
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
