"""Assertions about inversions and about what an attack must leave unchanged."""

from __future__ import annotations

import random
import re
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bl_neuro.attacks import Inversions
from bl_neuro.attacks.base import View
from bl_neuro.network import Network

STEPS = 5
CLASSES = (0, 1, 2)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""Names that an experiment file can state."""
DECLARED = ("name", "title", "access", "needs", "reveals", "modules", "extra")
"""What an attack's class declares beside its settings."""


def assert_well_formed(inversions: Inversions, shapes: View) -> None:
    """Asserts everything that `Inversions` and `Trace` say of shapes, types and ranges; `shapes` are the target's."""
    count, shape = len(inversions.classes), shapes.input_shape
    assert inversions.spikes.dtype == torch.uint8
    assert inversions.spikes.shape[1:] == (count, *shape)
    assert int(inversions.spikes.max()) <= 1, "spikes: expected 0 and 1"
    assert not inversions.classes.is_floating_point()
    assert 0 <= int(inversions.classes.min()) <= int(inversions.classes.max()) < shapes.classes
    assert isinstance(inversions.queries, int)
    if inversions.rates is not None:
        steps = inversions.spikes.shape[:1] if inversions.rates.dim() == inversions.spikes.dim() else ()
        assert_fractions("rates", inversions.rates, (*steps, count, *shape))
    generations = len(inversions.trace.queries)
    assert bool((inversions.trace.queries.diff() > 0).all())
    assert generations == 0 or int(inversions.trace.queries[0]) > 0
    assert inversions.trace.objective.shape == (generations, count)
    assert bool(inversions.trace.objective.isfinite().all())
    assert_fractions("trace.rates", inversions.trace.rates, (generations, count, *shape))
    assert_fractions("images", inversions.images, (count, *shape))


def assert_fractions(name: str, values: Tensor, shape: tuple[int, ...]) -> None:
    """Asserts that `values` have this shape and lie in 0..1."""
    assert tuple(values.shape) == shape, f"{name}: expected shape {shape}, found {tuple(values.shape)}"
    assert bool(((values >= 0) & (values <= 1)).all()), f"{name}: expected values in 0..1"


def assert_same(one: Inversions, other: Inversions) -> None:
    """Asserts that two runs gave the same in every detail."""
    for first, second in zip(_tensors(one), _tensors(other)):
        assert torch.equal(first, second)
    assert (one.queries, one.status, one.attack, one.seed) == (other.queries, other.status, other.attack, other.seed)


def _tensors(inversions: Inversions) -> list[Tensor]:
    trace = inversions.trace
    rates = [] if inversions.rates is None else [inversions.rates]
    return [inversions.spikes, inversions.classes, *rates, trace.queries, trace.objective, trace.rates]


def recomputed_fingerprint(network: Network) -> str:
    """The fingerprint of what the network holds now; its own is remembered from the first time."""
    return Network(network.input_shape, network.layers, network.readout).fingerprint


def global_chance() -> tuple[Any, ...]:
    """The states of Python's, NumPy's and torch's global generators."""
    legacy = repr(np.random.get_state())  # noqa: NPY002 - looked at, not drawn from
    return random.getstate(), legacy, bytes(torch.get_rng_state().numpy())
