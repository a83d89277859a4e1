"""scikit-learn's handwritten digits: 1,797 images of 8 x 8 pixels, included in the package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from bl_neuro.data.samples import Dataset
from bl_neuro.data.source import DatasetSource, Kind, LoadOptions
from bl_neuro.interrupts import interrupts_held


class Digits(DatasetSource):
    """The digits as images (N, 1, 8, 8) in 0..1."""

    name: ClassVar[str] = "digits"
    title: ClassVar[str] = "scikit-learn's digits"
    kind: ClassVar[Kind | None] = "images"
    citation: ClassVar[str] = "scikit-learn's copy of the UCI optical digits test set (Alpaydin and Kaynak, 1998)"
    official_test: ClassVar[bool | None] = False
    samples: ClassVar[int | None] = 1_797
    classes = 10
    placing: ClassVar[str] = "comes with scikit-learn"
    target_plan: ClassVar[Mapping[str, Any]] = {"steps": 20}
    attack_settings: ClassVar[Mapping[str, Mapping[str, Any]]] = {"v2": {"window": 3.0, "contrast": "mixed"}}

    @classmethod
    def load(cls, options: LoadOptions) -> Dataset:
        """See `DatasetSource.load`."""
        with interrupts_held():
            from sklearn.datasets import load_digits

        bunch = load_digits()
        return Dataset(
            name=cls.name,
            source=cls.citation,
            pixels=np.asarray(bunch.images, dtype=np.float64)[:, None] / 16.0,
            labels=np.asarray(bunch.target, dtype=np.int64),
            class_names=tuple(str(name) for name in bunch.target_names),
            completeness=cls.completeness(len(bunch.target)),
        )
