"""The published datasets that are known by name: where they are expected, and how to get them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from bl_neuro.errors import DataError


@dataclass(frozen=True)
class Published:
    """A published dataset.

    folder: where it is expected under the data root. samples, classes: how many there are. url, placing: where to get it
    and what to do with it, {root} standing for the data root.
    """

    name: str
    source: str
    folder: str
    samples: int
    classes: int
    url: str
    placing: str

    def need(self, root: str | Path | None) -> Path:
        """Its folder under `root` (see `data_root`).

        Raises:
            DataError: it is not there; the message says how to get it.
        """
        base = data_root(root)
        if base is None:
            raise DataError(
                f"{self.name}: expected a data root, found none; name one or set {VARIABLE}. {self.how_to_get()}"
            )
        if not (base / self.folder).is_dir():
            raise self.missing(base, "no such folder")
        return base / self.folder

    def missing(self, base: Path, found: str) -> DataError:
        """What to raise where it is not under the data root `base`."""
        return DataError(f"{self.name}: looked in {base / self.folder}, found {found}. {self.how_to_get(base)}")

    def how_to_get(self, base: Path | str = "<data root>") -> str:
        """Where to download it and what to do with it."""
        return f"Get it from {self.url}: {self.placing.format(root=base)}"


MNIST = Published(
    name="mnist",
    source="MNIST (LeCun, Bottou, Bengio and Haffner, 1998)",
    folder="MNIST",
    samples=70_000,
    classes=10,
    url="https://yann.lecun.com/exdb/mnist/ (mirror: https://ossci-datasets.s3.amazonaws.com/mnist/)",
    placing="unpack the four .gz files into {root}/MNIST/raw, "
    "or run: python -c \"import torchvision; torchvision.datasets.MNIST('{root}', download=True)\"",
)
ATT_FACES = Published(
    name="att_faces",
    source="AT&T (ORL) Database of Faces, Olivetti Research Laboratory (Samaria and Harter, 1994)",
    folder="att_faces",
    samples=400,
    classes=40,
    url="https://cam-orl.co.uk/facedatabase.html",
    placing="unpack att_faces.zip into {root}/att_faces, so that there are {root}/att_faces/s1/1.pgm to s40/10.pgm",
)
NMNIST = Published(
    name="nmnist",
    source="N-MNIST (Orchard, Jayawant, Cohen and Thakor, 2015)",
    folder="NMNIST",
    samples=70_000,
    classes=10,
    url="https://www.garrickorchard.com/datasets/n-mnist",
    placing="unpack Train.zip and Test.zip into {root}/NMNIST, so that there are {root}/NMNIST/Train/0/*.bin, "
    "or run: python -c \"import tonic; [tonic.datasets.NMNIST('{root}', train=part) for part in (True, False)]\"",
)
DVS_GESTURE = Published(
    name="dvs_gesture",
    source="DVS128 gestures (Amir et al., 2017)",
    folder="DVSGesture",
    samples=1_219,  # those of class "other" are left out
    classes=10,
    url="https://research.ibm.com/interactive/dvsgesture/ (cut into gestures by tonic)",
    placing="run: python -c \"import tonic; [tonic.datasets.DVSGesture('{root}', train=part) for part in (True, "
    'False)]", or put recordings <name>.bs2 (5 bytes an event, as N-MNIST) and a labels*.txt with lines '
    "'<file> <number of the gesture, from 1> <name>' into {root}/DVSGesture",
)
PUBLISHED = {each.name: each for each in (MNIST, ATT_FACES, NMNIST, DVS_GESTURE)}
"""The published datasets by name."""


def completeness(found: int, published: int) -> str:
    """How much of a published dataset was found, in words."""
    return f"all {published:,}" if found == published else f"subset: {found:,} of {published:,}"


VARIABLE = "BL_NEURO_DATA"


def data_root(root: str | Path | None = None) -> Path | None:
    """The folder that holds the datasets: `root`, or what the environment variable BL_NEURO_DATA says, or None."""
    named = root if root is not None else os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else None


def need_extra(module: str) -> Any:
    """The module of that name.

    Raises:
        DataError: it is not installed, or does not import.
    """
    try:
        return import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise DataError(
            f'{name} is needed for this data ({error}); install it with: pip install "bl-neuro[data]"'
        ) from error
