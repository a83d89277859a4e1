"""Layers: shapes as torch computes them, and refused arguments."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given
from hypothesis import strategies as st

from bl_neuro import AveragePool, Conv, CubaLIF, Dense, Flatten, NetworkError, SumPool

NEURON = CubaLIF()
WRONG: Any = "2"
HALF: Any = 1.5


def kernels(out: int = 2, inner: int = 1, height: int = 3, width: int = 3) -> np.ndarray[Any, Any]:
    return np.ones((out, inner, height, width))


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Conv, tuple[int, int, int]]:
    """A convolution and an image that it may or may not fit."""
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    groups = draw(st.integers(1, 3))
    inner, out = draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    layer = Conv(
        kernels(out, inner, *draw(pair)),
        NEURON,
        draw(pair),
        draw(st.tuples(*[st.integers(0, 2)] * 2)),
        draw(pair),
        groups,
    )
    return layer, (inner * groups, draw(st.integers(1, 9)), draw(st.integers(1, 9)))


@given(convolutions())
def test_convolution_has_torchs_shape(drawn: tuple[Conv, tuple[int, int, int]]) -> None:
    layer, shape = drawn
    weight, image = torch.from_numpy(layer.weight.copy()), torch.zeros(1, *shape, dtype=torch.float64)
    try:
        expected = F.conv2d(image, weight, None, layer.stride, layer.padding, layer.dilation, layer.groups).shape[1:]
    except RuntimeError:  # the window does not fit
        with pytest.raises(NetworkError, match="does not fit an input of shape"):
            layer.output_shape(shape)
        return
    assert layer.output_shape(shape) == tuple(expected)


@given(st.tuples(*[st.integers(1, 4)] * 2), st.tuples(*[st.integers(1, 4)] * 2), st.tuples(*[st.integers(1, 9)] * 3))
def test_pooling_has_torchs_shape(size: tuple[int, int], stride: tuple[int, int], shape: tuple[int, int, int]) -> None:
    assume(size[0] <= shape[1] and size[1] <= shape[2])
    expected = tuple(F.avg_pool2d(torch.zeros(1, *shape), size, stride).shape[1:])
    assert SumPool(size, stride).output_shape(shape) == expected
    assert AveragePool(size, stride).output_shape(shape) == expected


def test_pooling_strides_by_its_size_unless_told() -> None:
    assert SumPool(2).stride == (2, 2)
    assert AveragePool((2, 3)).stride == (2, 3)
    assert SumPool(2, 1).output_shape((1, 4, 4)) == (1, 3, 3)


def test_pooling_does_not_reach_beyond_the_image() -> None:
    with pytest.raises(NetworkError, match="3x3 does not fit"):
        SumPool(3).output_shape((1, 2, 4))


def test_flatten_and_dense() -> None:
    assert Flatten().output_shape((2, 3, 4)) == (24,)
    assert Flatten().output_shape((5,)) == (5,)
    assert Dense(np.ones((7, 5)), NEURON).output_shape((5,)) == (7,)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dense(np.ones(3), NEURON), r"weight: expected shape \(out, in\), found \(3,\)"),
        (lambda: Dense(np.ones((0, 3)), NEURON), "weight: expected shape"),
        (lambda: Dense([[1.0], [1.0, 2.0]], NEURON), "weight: expected numbers"),
        (lambda: Dense([[np.nan]], NEURON), "weight: expected finite numbers"),
        (lambda: Dense(np.ones((1, 1)), WRONG), "neuron: expected a CubaLIF, SigmaDelta or Sigma, found str"),
        (lambda: Conv(np.ones((3, 3)), NEURON), "weight: expected shape"),
        (lambda: Conv(kernels(), WRONG), "neuron: expected a CubaLIF"),
        (lambda: Conv(kernels(3), NEURON, groups=2), "groups: expected a divisor of 3 output channels, found 2"),
        (lambda: Conv(kernels(), NEURON, groups=0), "groups: expected a divisor"),
        (lambda: Conv(kernels(), NEURON, groups=WRONG), "groups: expected a divisor"),
        (lambda: Conv(kernels(), NEURON, groups=HALF), "groups: expected a divisor"),
        (lambda: SumPool(0), "size: expected a whole number in 1..65536, or two, found 0"),
        (lambda: SumPool(2, 0), "stride: expected a whole number"),
        (lambda: AveragePool((2, 2, 2)), "size: expected a whole number"),
        (lambda: AveragePool(None), "size: expected a whole number"),
    ],
)
def test_refuses(make: Any, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        make()


@pytest.mark.parametrize("name", ["stride", "padding", "dilation"])
@pytest.mark.parametrize(
    "value", [-1, 0.5, (1,), (1, 2, 3), "2", None, True, float("nan"), float("inf"), 2**17, 10**400]
)
def test_refuses_geometry(name: str, value: Any) -> None:
    with pytest.raises(NetworkError, match=f"{name}: expected a whole number"):
        Conv(kernels(), NEURON, **{name: value})


@pytest.mark.parametrize("value", [2, 2.0, (2, 2), [2, 2], np.array(2), np.array([2, 2]), np.int8(2), torch.tensor(2)])
def test_takes_geometry_however_written(value: Any) -> None:
    assert Conv(kernels(), NEURON, stride=value).stride == (2, 2)


def test_padding_may_be_nothing_but_strides_may_not() -> None:
    assert Conv(kernels(), NEURON, padding=0).padding == (0, 0)
    with pytest.raises(NetworkError, match="dilation"):
        Conv(kernels(), NEURON, dilation=0)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Dense(np.ones((2, 4)), NEURON), (5,), r"Dense expects an input of shape \(4,\), found \(5,\)$"),
        (Dense(np.ones((2, 4)), NEURON), (1, 2, 2), "put a Flatten before it"),
        (Conv(kernels(), NEURON), (9,), "Conv expects an input of shape"),
        (Conv(kernels(2, 2), NEURON), (1, 5, 5), r"Conv expects 2 input channels, found 1 in \(1, 5, 5\)"),
        (Conv(kernels(2, 1), NEURON, groups=2), (1, 5, 5), "Conv expects 2 input channels, found 1"),
        (SumPool(2), (4,), "SumPool expects an input of shape"),
        (AveragePool(2), (4,), "AveragePool expects an input of shape"),
    ],
)
def test_refuses_inputs_that_do_not_fit(layer: Any, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        layer.output_shape(shape)


@pytest.mark.parametrize("layer", [Dense(np.ones((2, 4)), NEURON), Conv(kernels(), NEURON)])
def test_weights_are_copies_that_cannot_be_written(layer: Any) -> None:
    with pytest.raises(ValueError, match="read-only"):
        layer.weight[...] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        layer.weight = np.zeros((2, 4))
    given = np.ones((2, 4))
    dense = Dense(given, NEURON)
    given[...] = 5
    assert (dense.weight == 1).all()
