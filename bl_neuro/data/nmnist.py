"""N-MNIST: MNIST's digits, recorded by an event camera that makes three saccades."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from bl_neuro.data.events import EventDataset
from bl_neuro.data.recordings import Framing, Recording, Sensor, gather, read_events
from bl_neuro.data.source import DatasetSource, Kind, LoadOptions
from bl_neuro.errors import DataError
from bl_neuro.strangers.door import files_in_subfolders

NMNIST_FRAMING = Framing(sensor=Sensor(34, 34, most_seconds=1), denoise_us=40_000, window_us=3_000, merged=False)
"""The BrainLeaks authors' frames."""


class NMnist(DatasetSource):
    """N-MNIST as frames (1, 34, 34) of 3 ms, one polarity, about 102 per recording. Test recordings are `held_out`.

    The data root contains `NMNIST/Train/<digit>/*.bin` and `NMNIST/Test`. If files are missing, the rest is loaded and
    called a subset. Frames are cached (see `bl_neuro.files.cache_folder`), since computing them takes about 1 ms
    per recording.
    """

    name: ClassVar[str] = "nmnist"
    title: ClassVar[str] = "N-MNIST"
    kind: ClassVar[Kind | None] = "events"
    citation: ClassVar[str] = "N-MNIST (Orchard, Jayawant, Cohen and Thakor, 2015)"
    official_test: ClassVar[bool | None] = True
    samples: ClassVar[int | None] = 70_000
    classes = 10
    folder: ClassVar[str | None] = "NMNIST"
    url: ClassVar[str] = "https://www.garrickorchard.com/datasets/n-mnist"
    placing: ClassVar[str] = (
        "unpack Train.zip and Test.zip into {root}/NMNIST, so that there are {root}/NMNIST/Train/0/*.bin, "
        "or run: python -c \"import tonic; [tonic.datasets.NMNIST('{root}', train=part) for part in (True, False)]\""
    )

    @classmethod
    def load(cls, options: LoadOptions) -> EventDataset:
        """See `DatasetSource.load`."""
        folder = cls.need_folder(options.root)
        recordings = nmnist_recordings(folder)
        if not recordings:
            raise cls.missing(folder.parent, "no recordings Train/<digit>/*.bin")
        return gather(cls, folder, recordings, read_events, NMNIST_FRAMING, tuple("0123456789"), options)

    @classmethod
    def count(cls, folder: Path) -> int:
        """Number of available recordings."""
        return len(nmnist_recordings(folder))


def nmnist_recordings(folder: Path) -> list[Recording]:
    """The available recordings: first the training set, then the test set, each ordered by file name.

    Raises:
        DataError: a folder is not named after a digit.
    """
    recordings = []
    for part, held_out in (("Train", False), ("Test", True)):
        paths = files_in_subfolders(folder / part, ".bin")
        for path in sorted(paths, key=lambda path: (path.name, path.parent.name)):
            if path.parent.name not in set("0123456789"):
                raise DataError(f"{path}: expected a folder named after a digit, found {path.parent.name!r}")
            recordings.append(Recording(path, int(path.parent.name), held_out))
    return recordings
