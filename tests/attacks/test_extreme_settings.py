"""Numbers at the edge of what floats hold: a setting is refused, or what comes of it are rates."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from bl_neuro import BlackBox, CubaLIF, Dense, Flatten, InputError, Network, WhiteBox
from bl_neuro.attacks import AnnBox, Attack, BrainLeaksV2, BrainLeaksV2Gradient, CmaEs, GradientInversion, Inversions
from bl_neuro.attacks.by_name import ATTACKS
from bl_neuro.testing.reference_target import ReferenceTarget
from bl_neuro.training import AnnTwin

EXTREMES = (math.inf, -math.inf, math.nan, 1e300, 1e6, 1024.0, 0.1, 1e-200, 5e-324, 0.0, -1.0)
KINDS: dict[str, type[Attack[Any]]] = {**ATTACKS, "ann": GradientInversion}
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
    if attack.name != "ann":
        target = ReferenceTarget(sure_network())
        box = WhiteBox(target) if attack.access == "white_box" else BlackBox(target, "scores")
    return attack(box, classes=[0, 1], steps=4)


def are_rates(found: Inversions) -> bool:
    held = [found.trace.rates, *([] if found.rates is None else [found.rates])]
    return all(bool(((rates >= 0) & (rates <= 1)).all()) for rates in held)


@pytest.mark.parametrize(("name", "setting"), SETTINGS)
def test_is_refused_or_gives_rates(name: str, setting: str) -> None:
    if name == "cma_es":
        pytest.importorskip("cmaes")
    quick = {"queries": 8, "warm_start": 8, "population": 4} if KINDS[name].access == "black_box" else {"iterations": 3}
    refused = []
    for value in EXTREMES:
        try:
            attack = KINDS[name](**quick, **{setting: value})
        except InputError as error:
            refused.append(str(error))
            continue
        assert are_rates(inverted(attack)), value
    assert len(refused) >= 3
    assert all(setting in said for said in refused)


def test_a_class_the_network_is_sure_of_costs_nothing() -> None:
    found = inverted(BrainLeaksV2Gradient(sparsity=0.0))
    assert float(found.trace.objective.max()) == 0.0
    assert are_rates(found)


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
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
def test_says_what_would_do(kind: type[Attack[Any]], changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        kind(**changes)


def test_each_attack_has_settings_to_try() -> None:
    assert {name for name, _ in SETTINGS} == set(KINDS) - {"transfer"}
