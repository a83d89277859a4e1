"""Pooling as part of the synapses behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro import AveragePool, Conv, CubaLIF, Dense, Flatten, Network, SumPool, Unsupported
from bl_neuro.deploy.folded_pooling import with_folded_pooling
from bl_neuro.layers import Layer
from bl_neuro.reference import simulate

RNG = np.random.default_rng(0)


def conv(out: int, inner: int, size: Any = 3, threshold: float = 1.0, **geometry: Any) -> Conv:
    height, width = np.broadcast_to(size, 2)
    return Conv(RNG.normal(0.2, 0.6, (out, inner, height, width)), CubaLIF(threshold, 0.7, 0.3), **geometry)


def dense(inner: int) -> Dense:
    return Dense(RNG.normal(0.1, 0.5, (3, inner)), CubaLIF(1.0, 1.0, 0.4, 0.1))


@pytest.mark.parametrize(
    "layers",
    [
        [SumPool(2), conv(3, 2, (2, 3), 2.0, stride=(1, 2)), Flatten(), dense(18)],
        [conv(4, 2), AveragePool((1, 2)), conv(4, 2, 2, padding=1, groups=2), AveragePool(2), conv(2, 4, 1, 0.3)],
        [AveragePool((2, 1), (1, 3)), Flatten(), dense(2 * 8 * 4)],
        [AveragePool(3, 1), AveragePool(2), Flatten(), dense(2 * 3 * 4)],
    ],
)
def test_the_spikes_are_the_same(layers: list[Layer]) -> None:
    network = Network((2, 9, 10), layers)
    folded = with_folded_pooling(network)
    assert not any(isinstance(layer, (SumPool, AveragePool)) for layer in folded.layers)
    spikes = np.random.default_rng(1).random((20, 3, 2, 9, 10)) < 0.3
    expected, own = simulate(network, spikes), simulate(folded, spikes)
    assert all((left == right).all() for left, right in zip(expected.layer_spikes, own.layer_spikes, strict=True))
    assert all(0.01 < layer.mean() < 0.99 for layer in own.layer_spikes)
    assert with_folded_pooling(folded) is folded


@pytest.mark.parametrize(
    ("pool", "shape"), [(SumPool(3, 2), (1, 9, 9)), (SumPool(2), (1, 9, 8)), (SumPool(2, 3), (1, 9, 9))]
)
def test_pooling_that_padding_would_change_is_refused(pool: SumPool, shape: tuple[int, ...]) -> None:
    network = Network(shape, [pool, conv(1, 1, padding=1)])
    if (pool.size, pool.stride) == ((2, 2), (3, 3)):
        assert len(with_folded_pooling(network).layers) == 1  # windows that skip pixels sum zeros outside as well
        return
    with pytest.raises(Unsupported, match=r"layer 0: SumPool .*: its windows overlap, or leave pixels out"):
        with_folded_pooling(network)


def test_a_net_file_holds_a_network_with_pooling(tmp_path: Path) -> None:
    network = Network((1, 8, 8), [conv(2, 1), SumPool(2), Flatten(), dense(18)])
    bl.save(network, tmp_path / "n.net")
    exported = bl.load(tmp_path / "n.net")
    assert [str(layer).split(",")[0] for layer in exported.layers] == ["Conv 1 -> 2", "Flatten", "Dense 72 -> 3"]
    assert bl.export(network, tmp_path / "again.net").layers[-1].kind == "Dense 72 -> 3"
