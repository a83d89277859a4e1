"""All calls of a target, of boxes of it, and of attacks on them, with inputs, for tests of what they have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bl_neuro.access import REVEALS, BlackBox, WhiteBox
from bl_neuro.attacks import AnnBox, Attack, AuxiliaryBox, TransferBox
from bl_neuro.attacks.registry import ATTACKS
from bl_neuro.backends import Target
from bl_neuro.layers import Conv, Dense, Flatten
from bl_neuro.network import Network
from bl_neuro.neuron import CubaLIF
from bl_neuro.testing.reference_target import EasyAnn, ReferenceTarget

STEPS, CLASSES = 6, (2, 0)
SMALL: dict[str, dict[str, Any]] = {
    "v1": {"iterations": 2},
    "v2_gradient": {"iterations": 2, "samples": 2},
    "v2": {"queries": 8, "warm_start": 4, "population": 4},
    "cma_es": {"queries": 8, "warm_start": 4, "population": 4},
    "one_plus_one": {"queries": 4, "warm_start": 4},
    "random": {"queries": 4, "warm_start": 4},
    "gamin": {"queries": 4, "updates": 2},
    "brep": {"queries": 8, "warm_start": 4, "points": 3},
    "brep_prior": {"queries": 8, "warm_start": 4, "points": 3, "training_steps": 4},
    "generative_prior": {"queries": 8, "warm_start": 4, "population": 4, "training_steps": 4},
    "transfer": {"candidates": 2},
    "ann": {"iterations": 3},
}
"""Settings of every attack that make it short."""


def network() -> Network:
    """A convolution and a dense layer with weights that lower precision rounds."""
    rng = np.random.default_rng(8)
    conv = Conv(rng.normal(0.2, 0.5, (4, 1, 3, 3)), CubaLIF(current_decay=0.6, voltage_decay=0.2), padding=1)
    return Network((1, 6, 6), [conv, Flatten(), Dense(rng.normal(0.02, 0.15, (3, 144)), CubaLIF(voltage_decay=0.1))])


NETWORK, ANN = network(), EasyAnn()
TWIN = ReferenceTarget(NETWORK)
SPIKES = (np.random.default_rng(9).random((STEPS, 3, 1, 6, 6)) < 0.4).astype(np.uint8)

IMAGES = np.random.default_rng(10).random((5, 1, 6, 6))


def weighed(response: Any) -> Tensor:
    """An objective that depends on spikes and membrane."""
    total: Tensor = (response.membrane.double().softmax(2) * (1 + response.spikes)).sum((0, 2))
    return total


def boxes(target: Target) -> dict[str, Callable[[], Any]]:
    """What attacks take, by the name of its type."""
    return {
        "WhiteBox": lambda: WhiteBox(target),
        "BlackBox": lambda: BlackBox(target),
        "AnnBox": lambda: AnnBox(ANN),
        "AuxiliaryBox": lambda: AuxiliaryBox(BlackBox(target), IMAGES),
        "TransferBox": lambda: TransferBox(WhiteBox(TWIN), BlackBox(target)),
    }


def calls(target: Target) -> dict[str, Callable[[], Any]]:
    """All calls of a target, of boxes of it, and of attacks on them."""
    spikes = torch.from_numpy(SPIKES)
    entry_points: dict[str, Callable[[], Any]] = {
        "run": lambda: target.run(spikes),
        "cold": lambda: target.run(SPIKES, start="cold"),
    }
    for reveals in REVEALS if target.reveals_membrane else ("spikes", "counts", "label"):
        entry_points[reveals] = partial(BlackBox(target, reveals).query, SPIKES)
    if target.differentiable:
        white = WhiteBox(target)
        entry_points["white box"] = lambda: white.run(SPIKES)
        entry_points["gradient"] = lambda: white.gradient(spikes, weighed)
    for name in ATTACKS.ours:
        attack: Attack[Any] = ATTACKS.find(name)(**SMALL[name])
        kind = attack.box_type().__name__
        if kind != "WhiteBox" or target.differentiable:
            entry_points[name] = partial(attack, boxes(target)[kind](), classes=CLASSES, steps=STEPS, seed=3)
    return entry_points


def results(target: Target) -> dict[str, Any]:
    """All that a user can have of a target: responses, answers, gradients, and the inversions of every attack."""
    return {name: call() for name, call in calls(target).items()}
