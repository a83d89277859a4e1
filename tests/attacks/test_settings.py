"""Settings are converted to their types; invalid values are refused by name."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from bl_neuro import BlackBox, CubaLIF, Dense, Flatten, InputError, Network, WhiteBox
from bl_neuro.attacks import (
    ATTACKS,
    AnnBox,
    Attack,
    BrainLeaksV1,
    BrainLeaksV2,
    BrainLeaksV2Gradient,
    CmaEs,
    GradientInversion,
    Inversions,
    TransferAttack,
)
from bl_neuro.attacks.auxiliary_box import AuxiliaryBox
from bl_neuro.attacks.input_form import TimeSegments
from bl_neuro.attacks.moving_pattern import MovingPattern
from bl_neuro.settings import setting_names
from bl_neuro.testing.reference_target import ReferenceTarget
from bl_neuro.training import AnnTwin


def test_equivalent_settings_are_equal() -> None:
    given = BrainLeaksV2(queries=np.int64(16), population=4.0, blur=1, patience=3.0, image_shape=[8, 8.0])  # type: ignore[arg-type]
    assert given == BrainLeaksV2(queries=16, population=4, blur=1.0, patience=3, image_shape=(8, 8))
    assert [type(given.queries), type(given.population), type(given.blur), type(given.image_shape)] == [
        *(int, int, float, tuple)
    ]
    assert MovingPattern(path=[[0, 0], [1, 2]]) == MovingPattern(path=((0.0, 0.0), (1.0, 2.0)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
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
def test_wrong_types_are_refused_by_name(kind: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind(**changes)


@pytest.mark.parametrize(
    ("name", "setting"),
    [(name, field.name) for name in ATTACKS for field in fields(ATTACKS.find(name))],  # type: ignore[arg-type]
)
def test_every_setting_checks_its_type(name: str, setting: str) -> None:
    with pytest.raises(InputError, match=f"{setting}: expected"):
        ATTACKS.find(name)(**{setting: object()})


EXTREMES = (math.inf, -math.inf, math.nan, 1e300, 1e6, 1024.0, 0.1, 1e-200, 5e-324, 0.0, -1.0)
KINDS: dict[str, type[Attack[Any]]] = {name: ATTACKS.find(name) for name in ATTACKS}
SETTINGS = [
    (name, field.name)
    for name, kind in KINDS.items()
    for field in fields(kind)  # type: ignore[arg-type]
    if str(field.type).startswith("float")
]


def sure_network() -> Network:
    """A network whose output is as sure as floats can be: its softmax is exactly 1."""
    rng = np.random.default_rng(0)
    hidden = Dense(rng.normal(size=(8, 36)), CubaLIF())
    return Network((1, 6, 6), [Flatten(), hidden, Dense(200 * rng.normal(size=(3, 8)), CubaLIF())])


def inverted(attack: Attack[Any]) -> Inversions:
    box: Any = AnnBox(AnnTwin((1, 6, 6), (8,), 3))
    if attack.access != "ann":
        target = ReferenceTarget(sure_network())
        shown: Any = "scores" if "scores" in attack.reveals else attack.reveals[0]
        box = WhiteBox(target) if attack.access == "white_box" else BlackBox(target, shown)
    if "auxiliary" in attack.needs:
        box = AuxiliaryBox(box, np.random.default_rng(0).random((8, 1, 6, 6)))
    return attack(box, classes=[0, 1], steps=4)


def are_rates(inversions: Inversions) -> bool:
    held = [inversions.trace.rates, *([] if inversions.rates is None else [inversions.rates])]
    return all(bool(((rates >= 0) & (rates <= 1)).all()) for rates in held)


@pytest.mark.parametrize(("name", "setting"), SETTINGS)
@pytest.mark.slow
def test_extreme_settings_are_refused_or_give_valid_rates(name: str, setting: str) -> None:
    if name == "cma_es":
        pytest.importorskip("cmaes")
    few = {"queries": 8, "warm_start": 8, "population": 4, "training_steps": 4, "iterations": 3}
    quick = {key: value for key, value in few.items() if key in setting_names(KINDS[name])}
    refused = []
    for value in EXTREMES:
        try:
            attack = KINDS[name](**quick, **{setting: value})
        except InputError as error:
            refused.append(str(error))
            continue
        assert are_rates(inverted(attack)), value
    assert len(refused) >= 3
    assert all(setting in message for message in refused)


def test_a_certain_class_has_zero_cost() -> None:
    inversions = inverted(BrainLeaksV2Gradient(sparsity=0.0))
    assert float(inversions.trace.objective.max()) == 0.0
    assert are_rates(inversions)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (CmaEs, {"sigma": math.inf}, "sigma: expected above 0, at most 1000, found inf"),
        (BrainLeaksV2Gradient, {"learning_rate": math.inf}, "learning_rate: expected above 0, at most 1e\\+06"),
        (BrainLeaksV2Gradient, {"sparsity": math.inf}, "sparsity: expected at least 0, at most 1e\\+06"),
        (GradientInversion, {"learning_rate": math.inf}, "learning_rate: expected above 0, at most 1e\\+06"),
        (BrainLeaksV2, {"image_shape": (0, 0)}, "image_shape: expected height and width of at least 1 pixel"),
        (BrainLeaksV2, {"image_shape": (-2, -8)}, "image_shape: expected height and width of at least 1 pixel"),
        (BrainLeaksV2, {"blur": 1e9}, "blur: expected at least 0 pixels, at most 1024, found 1000000000"),
    ],
)
def test_errors_state_the_accepted_values(kind: type[Attack[Any]], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind(**changes)


def test_each_attack_has_settings_to_try() -> None:
    assert {name for name, _ in SETTINGS} == set(KINDS) - {"transfer"}
