"""The datasets that are known by name: what they are, where they are expected, and how to get them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from bl_neuro.data.root import VARIABLE, data_root
from bl_neuro.errors import DataError


@dataclass(frozen=True)
class Known:
    """A published dataset.

    folder: where it is expected under the data root. samples: how many there are in all. url, instructions: where to
    get it and where to put it.
    """

    name: str
    source: str
    folder: str
    samples: int
    url: str
    instructions: str

    def need(self, root: str | Path | None) -> Path:
        """Its folder under `root` (see `data_root`).

        Raises:
            DataError: it is not there; the message says how to get it.
        """
        base = data_root(root)
        if base is None:
            raise DataError(
                f"{self.name}: expected a data root, found none; name one (--root) or set {VARIABLE}. "
                f"{self.how_to_get('<root>')}"
            )
        if not (base / self.folder).is_dir():
            raise self.missing(base, f"no folder {base / self.folder}")
        return base / self.folder

    def missing(self, base: Path, found: str) -> DataError:
        """What to raise where it is not under the data root `base`."""
        return DataError(f"{self.name}: expected {base / self.folder}, found {found}. {self.how_to_get(base)}")

    def how_to_get(self, base: Path | str) -> str:
        """Where to download it and where to put it."""
        return f"Get it from {self.url}: {self.instructions.format(root=base)}"


MNIST = Known(
    name="mnist",
    source="MNIST (LeCun, Bottou, Bengio and Haffner, 1998)",
    folder="MNIST",
    samples=70_000,
    url="https://yann.lecun.com/exdb/mnist/ (mirror: https://ossci-datasets.s3.amazonaws.com/mnist/)",
    instructions="unpack the four .gz files into {root}/MNIST/raw, "
    "or run: python -c \"import torchvision; torchvision.datasets.MNIST('{root}', download=True)\"",
)


def completeness(found: int, published: int) -> str:
    """How much of a published dataset was found, in words."""
    return f"all {published:,}" if found == published else f"subset: {found:,} of {published:,}"


def need_extra(module: str) -> Any:
    """A module of the optional dependencies for data.

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
