"""Settings become plain values of their types; what cannot is refused by name, never by a bare traceback."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from bl_neuro.attacks import BrainLeaksV1, BrainLeaksV2, GradientInversion, TransferAttack
from bl_neuro.attacks.by_name import ATTACKS
from bl_neuro.attacks.moving_pattern import MovingPattern
from bl_neuro.attacks.time_segments import TimeSegments
from bl_neuro.errors import InputError


def test_what_means_the_same_is_the_same() -> None:
    given = BrainLeaksV2(queries=np.int64(16), population=4.0, blur=1, patience=3.0, image_shape=[8, 8.0])  # type: ignore[arg-type]
    assert given == BrainLeaksV2(queries=16, population=4, blur=1.0, patience=3, image_shape=(8, 8))
    assert [type(given.queries), type(given.population), type(given.blur), type(given.image_shape)] == [
        *(int, int, float, tuple)
    ]
    assert MovingPattern(path=[[0, 0], [1, 2]]) == MovingPattern(path=((0.0, 0.0), (1.0, 2.0)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        (BrainLeaksV2, {"queries": "16"}, "queries: expected a whole number, found '16'"),
        (BrainLeaksV2, {"patience": "3"}, "patience: expected a whole number, or None, found '3'"),
        (BrainLeaksV2, {"blur": "1"}, "blur: expected a number, found '1'"),
        (BrainLeaksV2, {"blur": True}, "blur: expected a number, found True"),
        (BrainLeaksV2, {"window": [3.0]}, r"window: expected a number, or None, found \[3.0\]"),
        (BrainLeaksV2, {"probe_densities": 0.3}, "probe_densities: expected 2 values, found 0.3"),
        (BrainLeaksV2, {"probe_densities": (0.1, None)}, "probe_densities: expected a number"),
        (BrainLeaksV2, {"image_shape": (8, 8, 1)}, "image_shape: expected 2 values, or None"),
        (BrainLeaksV2, {"image_shape": 64}, "image_shape: expected 2 values, or None, found 64"),
        (BrainLeaksV2, {"contrast": 1}, "contrast: expected one of others, mixed, found 1"),
        (BrainLeaksV2, {"queries": 2.5, "floor": None}, "queries: .*; floor: expected a number, found None"),
        (BrainLeaksV1, {"objective": ["membrane"]}, "objective: expected one of membrane"),
        (GradientInversion, {"clip": 1}, "clip: expected True or False, found 1"),
        (TransferAttack, {"candidates": "4"}, "candidates: expected a whole number, found '4'"),
        (MovingPattern, {"path": 3}, "path: expected several values, found 3"),
        (MovingPattern, {"path": [(0, "a"), (1, 1)]}, "path: expected a number"),
        (MovingPattern, {"contrast": "high"}, "contrast: expected a number, found 'high'"),
        (
            TimeSegments,
            {"count": None, "density": "x"},
            "count: expected .*; density: expected a number",
        ),
    ],
)
def test_what_is_of_another_type_is_refused_by_name(kind: Any, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        kind(**changes)


@pytest.mark.parametrize(
    ("name", "setting"),
    [(name, field.name) for name, kind in ATTACKS.items() for field in fields(kind)],  # type: ignore[arg-type]
)
def test_no_setting_of_an_attack_takes_just_anything(name: str, setting: str) -> None:
    with pytest.raises(InputError, match=f"{setting}: expected"):
        ATTACKS[name](**{setting: object()})
