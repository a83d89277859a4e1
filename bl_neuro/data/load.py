"""One call for every dataset that is known by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bl_neuro.data.digits import load_digits
from bl_neuro.data.mnist import load_mnist
from bl_neuro.data.samples import Samples
from bl_neuro.errors import DataError

DATASETS: dict[str, Callable[[str | Path | None], Samples]] = {
    "digits": lambda root: load_digits(),
    "mnist": load_mnist,
}
"""The datasets by name."""


def load_dataset(name: str, root: str | Path | None = None) -> Samples:
    """The dataset called `name`. root: the folder that holds downloaded data; BL_NEURO_DATA by default.

    Raises:
        DataError: no dataset is called so, or it is missing (the message says how to get it) or damaged.
    """
    if name not in DATASETS:
        raise DataError(f"dataset: expected one of {', '.join(DATASETS)}, found {name!r}")
    return DATASETS[name](root)
