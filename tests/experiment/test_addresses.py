"""The content addresses of the shipped experiments: changing one invalidates every committed result of it.

A changed hash is either a mistake, or a decision that belongs in the changelog. The hash of an experiment covers the
addresses of all its cells, in order. Datasets that have to be downloaded are replaced by small ones of the same name
and shape, so that the addresses depend on no file of this machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from bl_neuro.data import Dataset, EventDataset, load_dataset
from bl_neuro.experiment import material
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.experiment_file import experiment_path, read_experiment
from bl_neuro.experiment.material import Material, Place
from bl_neuro.experiment.plan import plan_cells

PINNED: dict[str, tuple[int, str]] = {
    "demo": (91, "1072f3f1afc11fe26321bc4f7b12876b4370013d4d79f04c8c061919937626fc"),
    "digits": (8907, "c8c8296ebe62222c7c952e983a1e6376d5d41762a99f2fb3975f26d1241ae775"),
    "digits-clean": (818, "dbe921c6941ced606686f7723aa51e173475b76b74e1b808d4dc902169867766"),
    "secrets-digits": (2061, "088c7bee00cf0e8fc8b5c5f6262c6fb26618b008dad9fca0b70c9b2d4f208a2c"),
    "secrets-canaries-digits": (565, "82e7f3deeddbd2e2a63aabfa23b575bedca2b337be21f031c0244c5216f9576d"),
    "mnist": (802, "d6dfa0ca157e9fd9d0c789395bfa2a8a170f26b7ff68217e016adb696278d294"),
    "att_faces": (107, "e2a7c6ea88c59d99967bdc9b441b680d282d551d819db6f65c0a932fa9ba1658"),
    "nmnist": (958, "792df8af968513301fc5630324e39d148393cb0feb44caa0276963c2fff07383"),
}
"""Experiment: its number of cells without baselines, and the SHA-256 of their addresses."""
WITH_BASELINES: dict[str, tuple[int, str]] = {
    "demo": (14, "12b395a3a136d71f53a9bb9edf20ff61ba8da41d6a70579b4b85d4708e301122"),
    "digits": (6, "703f77a2bcd24aa0a33d90f91ef0a54eba3ebb7179c4bd6f9ba5fc4474347301"),
    "digits-clean": (27, "98eda6ed6ec70502281a3fbeae4cd3dc0a40d1147ce0baffb24131fbfe2f8195"),
    "secrets-digits": (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    "secrets-canaries-digits": (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    "mnist": (33, "2d5eef4af6fa80ac7f5f7911e5b06ebe47352ca904af86de0397ba5b4c905c2c"),
    "att_faces": (39, "e33928a8c020ed51ec88068a50b314cf5087eac3b9571f429c10ff188abe1a12"),
    "nmnist": (15, "6cd7d7a4e2cf7e0d94881785a899e32ad77cdfdf1cf6a8d71b71ad448023b101"),
}
"""The same of the cells that baselines add."""


def pinned(cells: Sequence[Cell]) -> tuple[int, str]:
    addresses = "\n".join(cell.address for cell in cells)
    return len(cells), hashlib.sha256(addresses.encode()).hexdigest()


def stand_in(name: str, *args: Any, **options: Any) -> Dataset | EventDataset:
    """The digits themselves, and for the other datasets 20 samples of each class, every fifth of them held out."""
    if name == "digits":
        return load_dataset(name)
    classes, shape = {"mnist": (10, (1, 28, 28)), "att_faces": (40, (1, 112, 92)), "nmnist": (10, (1, 34, 34))}[name]
    labels = np.arange(20 * classes) % classes
    described: dict[str, Any] = {"labels": labels, "class_names": tuple(map(str, range(classes)))}
    described["held_out"] = np.arange(len(labels)) // classes % 5 == 4
    if name == "nmnist":
        packed = np.arange(len(labels) * 3 * 145, dtype=np.int64).reshape(len(labels), 3, 145) % 251
        return EventDataset(name, "made up", packed.astype(np.uint8), input_shape=shape, **described)
    pixels = np.arange(len(labels) * np.prod(shape)).reshape(len(labels), *shape) % 253
    return Dataset(name, "made up", pixels.astype(np.uint8), **described)


@pytest.mark.slow
@pytest.mark.parametrize("name", PINNED)
def test_the_cells_of_a_shipped_experiment_keep_their_addresses(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(material, "load_dataset", stand_in)
    experiment = read_experiment(experiment_path(name))
    cells = plan_cells(experiment, Material(experiment, Place(experiment_path(name).parent)))
    count, _ = PINNED[name]
    pictures = [cell for cell in cells if cell.kind.startswith("baseline")]
    others = [cell for cell in cells if not cell.kind.startswith("baseline")]
    assert pinned(others[:count]) == PINNED[name]
    assert pinned(pictures + others[count:]) == WITH_BASELINES[name]
