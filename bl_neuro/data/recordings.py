"""Files of recordings, framed and gathered into one dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bl_neuro.arrays import SpikeArray
from bl_neuro.data.catalogue import Published, completeness
from bl_neuro.data.event_file import Events, Sensor
from bl_neuro.data.event_frames import Framing, to_frames
from bl_neuro.data.events import EventDataset, pack
from bl_neuro.data.frame_cache import cached_frames

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Recording:
    """A file with one recording, its class, and whether it is of the authors' test set."""

    path: Path
    label: int
    held_out: bool


def gather(
    published: Published,
    folder: Path,
    recordings: Sequence[Recording],
    read: Callable[[Path, Sensor], Events],
    framing: Framing,
    class_names: tuple[str, ...],
    cache: str | Path | None,
    progress: Progress | None,
) -> EventDataset:
    """The dataset of `recordings`, framed, from the cache where they were framed before.

    read: reads the events of a file, given the sensor. progress: called with (recordings framed, of).

    Raises:
        DataError: a recording is damaged, or tonic is needed and not installed.
    """

    def make() -> SpikeArray:
        framed = []
        for done, recording in enumerate(recordings, 1):
            framed.append(pack(to_frames(read(recording.path, framing.sensor), framing)))
            if progress is not None:
                progress(done, len(recordings))
        return _side_by_side(framed)

    held_out = np.array([each.held_out for each in recordings])
    width = -(-int(np.prod(framing.input_shape)) // 8)
    made_of = [asdict(framing), [_identity(folder, each.path) for each in recordings]]
    return EventDataset(
        name=published.name,
        source=published.source,
        packed=cached_frames(published.name, made_of, (len(recordings), width), make, cache),
        labels=np.array([each.label for each in recordings], dtype=np.int64),
        class_names=class_names,
        input_shape=framing.input_shape,
        held_out=held_out if held_out.any() else None,
        completeness=completeness(len(recordings), published.samples),
        dt_s=framing.window_us / 1e6,
    )


def _side_by_side(framed: list[SpikeArray]) -> SpikeArray:
    """Recordings (T_i, bytes) as one array (N, T, bytes); the shorter end in empty frames."""
    packed = np.zeros((len(framed), max(1, *map(len, framed)), framed[0].shape[1]), dtype=np.uint8)
    for row, frames in zip(packed, framed):
        row[: len(frames)] = frames
    return packed


def _identity(folder: Path, path: Path) -> list[str | int]:
    facts = path.stat()
    return [path.relative_to(folder).as_posix(), facts.st_size, facts.st_mtime_ns]
