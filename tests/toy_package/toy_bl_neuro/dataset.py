"""Pictures of bars, made up on the spot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from bl_neuro.data import Dataset, DatasetSource, LoadOptions
from bl_neuro.data.source import Kind


class ToyBars(DatasetSource):
    """180 noisy pictures (1, 6, 6) of an upright, a lying or a slanting bar; the last 45 are `held_out`."""

    name: ClassVar[str] = "toy_bars"
    title: ClassVar[str] = "toy bars"
    kind: ClassVar[Kind | None] = "images"
    citation: ClassVar[str] = "toy-bl-neuro (made up)"
    official_test: ClassVar[bool | None] = True
    samples: ClassVar[int | None] = 180
    placing: ClassVar[str] = "comes with toy-bl-neuro"
    target_plan: ClassVar[Mapping[str, Any]] = {"hidden": (16,), "steps": 10, "spiking_epochs": 10}

    @classmethod
    def load(cls, options: LoadOptions) -> Dataset:
        """See `DatasetSource.load`."""
        rng = np.random.default_rng(0)
        labels = np.arange(180) % 3
        pixels = 0.2 * rng.random((180, 1, 6, 6))
        for image, label, place in zip(pixels[:, 0], labels, rng.integers(0, 5, 180)):
            if label == 0:
                image[:, place : place + 2] = 0.9
            elif label == 1:
                image[place : place + 2] = 0.9
            else:
                image[np.eye(6, dtype=bool)] = 0.9
        names = ("upright", "lying", "slanting")
        return Dataset(cls.name, cls.citation, pixels, labels, names, np.arange(180) >= 135, cls.completeness(180))
