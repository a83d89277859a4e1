"""What the contract suite of attacks looks at: well-formed inversions, the same twice, and the world untouched."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bl_neuro.attacks import Inversions
from bl_neuro.attacks.base import View
from bl_neuro.network import Network


def assert_well_formed(found: Inversions, shapes: View) -> None:
    """Asserts everything that `Inversions` and `Trace` say of shapes, types and ranges; `shapes` are the target's."""
    count, shape = len(found.classes), shapes.input_shape
    assert found.spikes.dtype == torch.uint8
    assert found.spikes.shape[1:] == (count, *shape)
    assert int(found.spikes.max()) <= 1
    assert not found.classes.is_floating_point()
    assert 0 <= int(found.classes.min()) <= int(found.classes.max()) < shapes.classes
    assert isinstance(found.queries, int)
    if found.rates is not None:
        steps = found.spikes.shape[:1] if found.rates.dim() == found.spikes.dim() else ()
        assert_fractions(found.rates, (*steps, count, *shape))
    generations = len(found.trace.queries)
    assert bool((found.trace.queries.diff() > 0).all())
    assert generations == 0 or int(found.trace.queries[0]) > 0
    assert found.trace.objective.shape == (generations, count)
    assert bool(found.trace.objective.isfinite().all())
    assert_fractions(found.trace.rates, (generations, count, *shape))
    assert_fractions(found.images, (count, *shape))


def assert_fractions(values: Tensor, shape: tuple[int, ...]) -> None:
    """Asserts that `values` have this shape and lie in 0..1."""
    assert tuple(values.shape) == shape
    assert bool(((values >= 0) & (values <= 1)).all())


def assert_same(one: Inversions, other: Inversions) -> None:
    """Asserts that two runs gave the same in every detail."""
    for first, second in zip(_tensors(one), _tensors(other)):
        assert torch.equal(first, second)
    assert (one.queries, one.status, one.attack, one.seed) == (other.queries, other.status, other.attack, other.seed)


def _tensors(found: Inversions) -> list[Tensor]:
    trace = found.trace
    rates = [] if found.rates is None else [found.rates]
    return [found.spikes, found.classes, *rates, trace.queries, trace.objective, trace.rates]


def recomputed_fingerprint(network: Network) -> str:
    """The fingerprint of what the network holds now; its own is remembered from the first time."""
    return Network(network.input_shape, network.layers, network.readout).fingerprint


def global_chance() -> tuple[Any, ...]:
    """The states of Python's, NumPy's and torch's global generators."""
    legacy = repr(np.random.get_state())  # noqa: NPY002 - looked at, not drawn from
    return random.getstate(), legacy, bytes(torch.get_rng_state().numpy())
