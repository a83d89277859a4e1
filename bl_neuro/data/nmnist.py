"""N-MNIST: MNIST's digits before an event camera that makes three saccades."""

from __future__ import annotations

from pathlib import Path

from bl_neuro.data.catalogue import NMNIST
from bl_neuro.data.events import EventDataset
from bl_neuro.data.recordings import Framing, Progress, Recording, Sensor, gather, read_events
from bl_neuro.errors import DataError

NMNIST_FRAMING = Framing(sensor=Sensor(34, 34, most_seconds=1), denoise_us=40_000, window_us=3_000, merged=False)
"""The BrainLeaks authors' frames."""


def load_nmnist(
    root: str | Path | None = None, *, cache: str | Path | None = None, progress: Progress | None = None
) -> EventDataset:
    """N-MNIST as frames (1, 34, 34) of 3 ms, one polarity, about 102 a recording; its test recordings are `held_out`.

    root: the folder that holds `NMNIST/Train/<digit>/*.bin` and `NMNIST/Test`; BL_NEURO_DATA by default. Any part of
    them is taken, and said to be a subset. cache: where frames are kept (see `bl_neuro.files.cache_folder`);
    framing takes 24 ms a recording the first time, which progress is told. Source: Orchard et al. 2015.

    Raises:
        DataError: there are no recordings (the message says how to get them), or one is damaged.
    """
    folder = NMNIST.need(root)
    found = nmnist_recordings(folder)
    if not found:
        raise NMNIST.missing(folder.parent, "no recordings Train/<digit>/*.bin")
    names = tuple("0123456789")
    return gather(NMNIST, folder, found, read_events, NMNIST_FRAMING, names, cache, progress)


def nmnist_recordings(folder: Path) -> list[Recording]:
    """The recordings that are there: training first, each part in the order of the files' names.

    Raises:
        DataError: a recording lies in a folder that is no digit.
    """
    found = []
    for part, held_out in (("Train", False), ("Test", True)):
        for path in sorted((folder / part).glob("*/*.bin"), key=lambda path: (path.name, path.parent.name)):
            if path.parent.name not in set("0123456789"):
                raise DataError(f"{path}: expected a folder named after a digit, found {path.parent.name!r}")
            found.append(Recording(path, int(path.parent.name), held_out))
    return found
