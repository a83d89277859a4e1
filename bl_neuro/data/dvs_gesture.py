"""DVS128 gestures: hand and arm gestures of 29 people, recorded by an event camera."""

from __future__ import annotations

import codecs
import logging
import os
import re
from pathlib import Path
from typing import ClassVar

from bl_neuro.data.events import EventDataset
from bl_neuro.data.recordings import (
    Events,
    Framing,
    Recording,
    Sensor,
    gather,
    read_event_array,
    read_events,
)
from bl_neuro.data.source import DatasetSource, Kind, LoadOptions
from bl_neuro.errors import DataError
from bl_neuro.strangers.door import entries, files_in_subfolders, printable_name, read_bytes

GESTURES = (
    "hand clapping",
    "right hand wave",
    "left hand wave",
    "right arm clockwise",
    "right arm counter-clockwise",
    "left arm clockwise",
    "left arm counter-clockwise",
    "arm roll",
    "air drums",
    "air guitar",
)
"""The ten gestures, in the dataset's order. The eleventh, "other", is left out, as by the BrainLeaks authors."""
OTHER = len(GESTURES)
DVS_GESTURE_FRAMING = Framing(
    sensor=Sensor(128, 128, most_seconds=60), denoise_us=100_000, window_us=50_000, merged=True
)
"""The BrainLeaks authors' frames."""
MOST_LABEL_BYTES = 2**20


class DvsGesture(DatasetSource):
    """The gestures as frames (1, 128, 128) of 50 ms, both polarities merged. Test recordings are `held_out`.

    The data root contains `DVSGesture` with either recordings as stored by tonic (`ibmGestureTrain/<user>/<class>.npy`
    and `ibmGestureTest`), or `<name>.bs2` files of 5-byte events with a `labels*.txt`, which have no test set. If files
    are missing, the rest is loaded and called a subset. Frames are cached (see `bl_neuro.files.cache_folder`), since
    computing them takes about 20 ms per recording.
    """

    name: ClassVar[str] = "dvs_gesture"
    title: ClassVar[str] = "DVS128 gestures"
    kind: ClassVar[Kind | None] = "events"
    citation: ClassVar[str] = "DVS128 gestures (Amir et al., 2017)"
    samples: ClassVar[int | None] = 1_219  # those of class "other" are left out
    classes = 10
    folder: ClassVar[str | None] = "DVSGesture"
    url: ClassVar[str] = "https://research.ibm.com/interactive/dvsgesture/ (cut into gestures by tonic)"
    placing: ClassVar[str] = (
        "run: python -c \"import tonic; [tonic.datasets.DVSGesture('{root}', train=part) for part in (True, "
        'False)]", or put recordings <name>.bs2 (5 bytes an event, as N-MNIST) and a labels*.txt with lines '
        "'<file> <number of the gesture, from 1> <name>' into {root}/DVSGesture"
    )

    @classmethod
    def load(cls, options: LoadOptions) -> EventDataset:
        """See `DatasetSource.load`."""
        folder = cls.need_folder(options.root)
        recordings = gesture_recordings(folder)
        if not recordings:
            raise cls.missing(folder.parent, "no recordings")
        return gather(cls, folder, recordings, _read, DVS_GESTURE_FRAMING, GESTURES, options)

    @classmethod
    def count(cls, folder: Path) -> int:
        """Number of available recordings of the ten gestures."""
        return len(gesture_recordings(folder))


def gesture_recordings(folder: Path) -> list[Recording]:
    """The available recordings of the ten gestures; those of tonic if there are any.

    Raises:
        DataError: a label is missing or invalid.
    """
    recordings = [
        Recording(path, label, held_out)
        for part, held_out in (("ibmGestureTrain", False), ("ibmGestureTest", True))
        for path in files_in_subfolders(folder / part, ".npy")
        if (label := _label(path.stem, 0, path)) != OTHER
    ]
    return recordings or _plain_recordings(folder)


def _plain_recordings(folder: Path) -> list[Recording]:
    paths = [path for path in entries(folder) if path.suffix.lower() == ".bs2"]
    paths.sort(key=lambda path: (len(path.stem), path.stem))
    if not paths:
        return []
    labels = _labels(folder)
    missing = sorted(labels.keys() - {path.name for path in paths})
    if missing:
        logging.getLogger(__name__).warning(
            "%s: %d recordings have a label and no file, such as %s", folder, len(missing), printable_name(missing[0])
        )
    unknown = [path.name for path in paths if path.name not in labels]
    if unknown:
        raise DataError(f"{folder}: expected a label for each recording, found none for {', '.join(unknown[:5])}")
    return [Recording(path, labels[path.name], False) for path in paths if labels[path.name] != OTHER]


def _labels(folder: Path) -> dict[str, int]:
    """The class of each file, from lines `<file> <number of the gesture, from 1> <name>`."""
    files = [path for path in entries(folder) if re.fullmatch(r"labels.*\.txt", path.name, re.IGNORECASE | re.DOTALL)]
    if len(files) != 1:
        raise DataError(f"{folder}: expected one labels*.txt for the .bs2 files, found {len(files)}")
    content = read_bytes(files[0], MOST_LABEL_BYTES)
    lines = content.removeprefix(codecs.BOM_UTF8).splitlines()  # bytes, since text is also cut at U+0085 and others
    rows = [[os.fsdecode(word) for word in line.split()] for line in lines if not line.startswith(b"#")]
    labels: dict[str, int] = {}
    for row in filter(None, rows):
        if len(row) < 2:
            raise DataError(f"{files[0]}: expected '<file> <number of the gesture> <name>', found {' '.join(row)!r}")
        label = _label(row[1], 1, files[0])
        if labels.setdefault(row[0], label) != label:
            raise DataError(f"{files[0]}: expected one gesture for {row[0]}, found {labels[row[0]] + 1} and {row[1]}")
    return labels


def _label(text: str, first: int, where: Path) -> int:
    """The class, 0..10, of a gesture number that starts at `first`."""
    known = {str(first + label): label for label in range(OTHER + 1)}
    if text not in known:
        raise DataError(f"{where}: expected a gesture {first}..{first + OTHER}, found {text[:20]!r}")
    return known[text]


def _read(path: Path, sensor: Sensor) -> Events:
    return (read_event_array if path.suffix.lower() == ".npy" else read_events)(path, sensor)
