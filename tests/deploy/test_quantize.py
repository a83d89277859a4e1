"""From float networks to Loihi's integers: exact values, losses and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import bl_neuro as bl
from bl_neuro.backends import find_backend
from bl_neuro.deploy.loihi_weights import survives_encoding
from bl_neuro.deploy.quantize import FixedPointLayer, fixed_network, quantization_problems, quantize
from bl_neuro.deploy.scale import largest_mantissa, rounding_loss
from bl_neuro.network import Network
from bl_neuro.neuron import CubaLIF
from bl_neuro.testing.fixed_point import effective_network
from bl_neuro.testing.random_networks import random_conv, random_dense, random_pooled

FINITE = st.floats(-10, 10, allow_subnormal=False)


def dense(weight: Any, **neuron: Any) -> Network:
    weight = np.atleast_2d(np.asarray(weight, dtype=float))
    return Network((weight.shape[1],), [bl.Dense(weight, CubaLIF(**neuron))])


def only(network: Network) -> FixedPointLayer:
    (layer,) = quantize(network).layers
    return layer


def check_ranges(layer: FixedPointLayer, most: int = 4095) -> None:
    assert layer.weight.dtype == np.int64
    assert not (layer.weight % 2).any()
    assert np.abs(layer.weight).max() <= 254
    assert 1 <= layer.threshold <= most
    for decay in (layer.current_decay, layer.voltage_decay):
        assert decay.min() >= 0
        assert decay.max() <= 4096
    if layer.bias is not None:
        assert np.abs(layer.bias).max() < 2**15


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("make", [random_dense, random_conv])
def test_random_networks_stay_in_range(make: Any, seed: int) -> None:
    fixed = quantize(make(seed))
    assert [layer.index for layer in fixed.layers] == ([0, 1, 2] if make is random_dense else [0, 1, 3])
    for layer in fixed.layers:
        check_ranges(layer)
        assert 0 < layer.weight_loss < 0.02
        assert 0 < layer.decay_loss <= 0.5 / 4096


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(
    weight=arrays.arrays(np.float64, (3, 4), elements=FINITE),
    threshold=arrays.arrays(np.float64, 3, elements=st.floats(0.1, 10)),
)
def test_any_matrix_is_rounded_by_at_most_one_or_refused(weight: Any, threshold: Any) -> None:
    network = dense(weight, threshold=threshold)
    if quantization_problems(network):
        with pytest.raises(bl.Unsupported, match="layer 0: weight"):
            quantize(network)
        return
    layer = only(network)
    check_ranges(layer)
    assert survives_encoding(layer.weight)
    exact = weight / threshold[:, None] * layer.threshold
    assert np.abs(layer.weight - exact).max() <= 1 + 1e-9
    if (layer.weight == weight).all():
        return  # these were Loihi's integers to begin with, and are kept
    first = network.layers[0]
    assert isinstance(first, bl.Dense)
    assert 2 * layer.threshold > largest_mantissa(first, (3,)), "one of the upper half"


def old_rule(weight: Any) -> int:
    """The mantissa that was once taken: the largest at which the weights fit."""
    return int(min(254 / np.abs(weight).max(), 4095))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [1.0, 0.2, 0.03, 60.0])
@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.slow
def test_the_scale_loses_no_more_than_the_largest_and_no_other_loses_less(seed: int, size: float, biases: bool) -> None:
    rng = np.random.default_rng(seed)
    weight, bias = rng.normal(0, size, (5, 7)), rng.normal(0, 0.3, 5) if biases else np.zeros(5)
    (layer,) = dense(weight, bias=bias).layers
    assert isinstance(layer, bl.Dense)
    threshold = only(dense(weight, bias=bias)).threshold
    losses = [rounding_loss(layer, (5,), mantissa) for mantissa in range(1, old_rule(weight) + 1)]
    assert losses[threshold - 1] <= losses[-1] + 1e-12, "the old rule's"
    assert losses[threshold - 1] <= min(losses) + 1e-12, "any"


def test_the_scale_is_found_on_a_sample_of_a_large_layer() -> None:
    weight = np.random.default_rng(0).normal(0, 0.2, (300, 300))
    (layer,) = dense(weight).layers
    assert isinstance(layer, bl.Dense)
    rounded = only(dense(weight))
    largest = largest_mantissa(layer, (300,))
    losses = {mantissa: rounding_loss(layer, (300,), mantissa) for mantissa in range(largest // 2, largest + 1)}
    assert losses[rounded.threshold] <= losses[largest]
    assert losses[rounded.threshold] <= min(losses.values()) * 1.001
    assert rounded.weight_loss == pytest.approx(losses[rounded.threshold])


def test_a_grid_is_found() -> None:
    """The largest mantissa would round multiples of a sixteenth; one that 32 divides does not."""
    weight = np.random.default_rng(0).integers(-16, 17, (6, 8)) / 16
    layer = only(dense(weight))
    assert layer.threshold == 224
    assert layer.weight_loss < 1e-15


def test_biases_limit_the_scale() -> None:
    layer = only(dense([[1.0, 0.3]], bias=200.0))
    assert layer.threshold <= 32767 // 200
    assert layer.bias is not None
    assert layer.bias.tolist() == [200 * layer.threshold]


@pytest.mark.parametrize("make", [random_dense, random_conv])
def test_the_fixed_network_is_the_rounded_one_in_loihis_arithmetic(make: Any) -> None:
    network = make(3)
    fixed, stated = quantize(network), fixed_network(network)
    assert stated.arithmetic == "loihi"
    assert fixed_network(stated) is stated
    again = quantize(stated)
    for one, two in zip(fixed.layers, again.layers):
        assert one.weight.tolist() == two.weight.tolist()
        assert (one.threshold, one.shape) == (two.threshold, two.shape)
        for name in ("current_decay", "voltage_decay", "bias"):
            assert np.array_equal(getattr(one, name), getattr(two, name))
        assert two.weight_loss == two.decay_loss == two.bias_loss == 0


def test_rows_are_scaled_to_one_threshold_without_rounding_it() -> None:
    threshold = np.array([0.5, 1.0, 3.0])
    relative = np.array([[1.0, -0.5], [0.25, 0.75], [-1.0, 0.5]])
    layer = only(dense(relative * threshold[:, None], threshold=threshold))
    assert layer.threshold == 248, "the largest that holds quarters exactly"
    assert layer.weight.tolist() == [[248, -124], [62, 186], [-248, 124]]
    np.testing.assert_allclose(layer.row_scale, 248 / threshold)
    np.testing.assert_allclose(layer.effective_weight, layer.weight * threshold[:, None] / 248)


@pytest.mark.parametrize("factor", [0.125, 2.0, 1024.0])
def test_only_the_ratio_to_the_threshold_matters(factor: float) -> None:
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(4, 5)), rng.normal(size=4)
    plain = only(dense(weight, threshold=1.0, bias=bias))
    scaled = only(dense(factor * weight, threshold=factor, bias=factor * bias))
    assert plain.bias is not None
    assert scaled.bias is not None
    assert plain.threshold == scaled.threshold
    assert plain.weight.tolist() == scaled.weight.tolist()
    assert plain.bias.tolist() == scaled.bias.tolist()


def test_weights_that_fit_lose_nothing() -> None:
    layer = only(dense([[1.0, -64 / 254], [2 / 254, 0.0]], current_decay=[0.0, 1.0], voltage_decay=0.25))
    assert layer.weight.tolist() == [[254, -64], [2, 0]]
    assert layer.weight_loss == pytest.approx(0, abs=1e-15)
    assert layer.decay_loss == 0
    assert layer.current_decay.tolist() == [0, 4096]
    assert layer.voltage_decay.tolist() == 1024
    assert layer.bias is None


def test_losses_are_computed_as_documented() -> None:
    layer = only(dense([[1.0, 0.5 + 1 / 254]], voltage_decay=0.3))
    assert layer.weight.tolist() == [[254, 128]]
    error = 0.5 + 1 / 254 - 128 / 254
    power = np.sqrt((1 + (0.5 + 1 / 254) ** 2) / 2)
    assert layer.weight_loss == pytest.approx(abs(error) / np.sqrt(2) / power, abs=1e-12)
    assert layer.decay_loss == pytest.approx(abs(round(0.3 * 4096) / 4096 - 0.3))


def test_small_weights_that_lose_nothing_stop_at_slayers_largest_threshold() -> None:
    layer = only(dense([[0.01, -0.002]]))
    assert layer.threshold == 4000, "at which they are exact; it may be up to 4095"
    assert layer.weight.tolist() == [[40, -8]]


def small_weights(current_decay: float = 0.2) -> Network:
    """A layer like one of Norse's default `LIFCell`s: weights far below the threshold, which is 10."""
    weight = np.random.default_rng(0).uniform(-1, 1, (300, 784)) / 28
    return dense(weight, threshold=10.0, current_decay=current_decay, voltage_decay=0.1)


@pytest.mark.slow
def test_small_weights_go_beyond_slayers_thresholds_where_they_lose_much() -> None:
    network = small_weights()
    (source,) = network.layers
    assert isinstance(source, bl.Dense)
    layer = only(network)
    assert rounding_loss(source, (300,), 4095) > 0.05
    assert layer.weight_loss < 0.02
    assert 4095 < layer.threshold < 2**17 - 1
    check_ranges(layer, most=2**17 - 2)
    (problem,) = find_backend("slayer").problems(network)
    assert problem.startswith("layer 0: threshold: SLAYER is exact for 1..4095")
    for name in ("loihi", "lava"):
        assert find_backend(name).problems(network) == []


@pytest.mark.slow
@pytest.mark.parametrize("current_decay", [1.0, 0.5, 0.05, 0.01, 0.0])
def test_no_input_makes_a_current_wrap_for_the_sake_of_small_weights(current_decay: float) -> None:
    layer = only(small_weights(current_decay))
    if layer.threshold > 4095:
        strongest = max(np.maximum(sign * layer.weight, 0).sum(axis=1).max() for sign in (1, -1))
        assert 64 * strongest * 4096 / layer.current_decay < 2**23
    else:
        assert current_decay < 0.05


@pytest.mark.parametrize("smallest", [-64 / 4095, -128 / 100, -32 / 4095])
@pytest.mark.parametrize("other", [-0.001, 0.0])
def test_inhibition_alone_avoids_powers_of_two(smallest: float, other: float) -> None:
    """netx would scale them up to -256, which Lava clips."""
    layer = only(dense([[smallest, other]]))
    check_ranges(layer)
    assert survives_encoding(layer.weight)
    assert abs(layer.weight[0, 0] - smallest * layer.threshold) <= 1


def test_biases_are_rounded_in_the_units_of_the_weights() -> None:
    layer = only(dense([[1.0], [0.5]], threshold=[1.0, 2.0], bias=[0.1, -3.0 + 1e-3]))
    exact = np.array([0.1, (-3.0 + 1e-3) / 2])
    assert layer.bias is not None
    assert layer.bias.tolist() == np.round(exact * layer.threshold).tolist()
    assert layer.bias_loss == pytest.approx(np.sqrt(((layer.bias / layer.threshold - exact) ** 2).mean()))
    assert 0 < layer.bias_loss <= 0.5 / layer.threshold


def test_a_convolution_keeps_a_threshold_a_channel() -> None:
    weight = np.ones((2, 1, 2, 2)) * np.array([1.0, 0.5])[:, None, None, None]
    neuron = CubaLIF(threshold=[1.0, 0.5], bias=[0.0, 0.25])
    (layer,) = quantize(Network((1, 3, 3), [bl.Conv(weight, neuron)])).layers
    assert (layer.weight == layer.threshold).all()
    assert layer.bias is not None
    assert layer.bias.shape == (2, 2, 2)
    assert layer.bias[1].tolist() == [[layer.threshold / 2] * 2] * 2


@pytest.mark.parametrize("make", [random_dense, random_conv])
def test_the_effective_network_has_the_rounded_parameters(make: Any) -> None:
    fixed = quantize(make(7))
    rounded = effective_network(fixed)
    for layer in fixed.layers:
        effective = rounded.layers[layer.index]
        assert isinstance(effective, (bl.Dense, bl.Conv))
        scale = layer.row_scale.reshape(-1, *[1] * (layer.weight.ndim - 1))
        np.testing.assert_allclose(effective.weight * scale, layer.weight, atol=1e-9)
        assert (effective.neuron.current_decay * 4096).tolist() == layer.current_decay.tolist()
        assert (effective.neuron.voltage_decay * 4096).tolist() == layer.voltage_decay.tolist()
        units = layer.threshold / effective.neuron.expanded("threshold", layer.shape)
        assert layer.bias is not None
        np.testing.assert_allclose(effective.neuron.bias * units, layer.bias, atol=1e-9)


REFUSED: dict[str, tuple[Network, str]] = {
    "subtract": (dense([[1.0]], reset="subtract"), "layer 0: reset 'subtract': Loihi resets to zero only"),
    "delayed": (dense([[1.0]], reset="subtract_delayed"), "layer 0: reset 'subtract_delayed'"),
    "no weights": (dense([[0.0, 0.0]]), "layer 0: weight: every value is zero"),
    "weights too large": (dense([[255.0, 1.0]]), "layer 0: weight: expected magnitudes up to 254 times the threshold"),
    "threshold too small": (
        dense([[1.0]], threshold=1e-310),
        "layer 0: weight: expected magnitudes up to 254 times the threshold",
    ),
    "weights too small": (dense([[1e-6, 1e-7]]), "layer 0: weight: every value is so small"),
    "inhibition of a power of two": (dense([[-128.0, -1.0]]), "layer 0: weight: Loihi's encoding .* does not preserve"),
    "hardly a weight": (dense([[5e-324]], threshold=2.0), "layer 0: weight: every value is so small"),
    "bias too large": (dense([[1.0]], bias=4e4), "layer 0: bias: expected magnitudes up to 32767 times the threshold"),
    "bias beyond integers": (dense([[1.0]], bias=1e30), "layer 0: bias: expected magnitudes up to 32767 times"),
    "bias beyond floats": (
        dense([[1e-5]], threshold=1e-5, bias=-1e305),
        "layer 0: bias: expected magnitudes up to 32767 times",
    ),
    "pooling": (random_pooled(0), "layer 1: SumPool: netx has no pooling; .*layer 2: AveragePool"),
    "a threshold a neuron": (
        Network((1, 2, 2), [bl.Conv(np.ones((1, 1, 1, 1)), CubaLIF(threshold=[[[1.0, 1.0], [1.0, 2.0]]]))]),
        "layer 0: threshold: expected at most one value per channel",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_networks_that_loihi_cannot_hold_are_refused(what: str) -> None:
    network, message = REFUSED[what]
    with pytest.raises(bl.Unsupported, match=message):
        quantize(network)
    assert quantization_problems(network)


def test_every_problem_is_listed_at_once() -> None:
    neuron = CubaLIF(reset="subtract", bias=1e9)
    network = Network((2,), [bl.Dense([[1e5, 0]], neuron), bl.Dense([[0.0]], CubaLIF())])
    problems = quantization_problems(network)
    assert [problem.split(":")[0] + problem.split(":")[1][:7] for problem in problems] == [
        "layer 0 reset ",
        "layer 0 weight",
        "layer 0 bias",
        "layer 1 weight",
    ]


def test_one_threshold_for_every_neuron_of_an_image_is_fine() -> None:
    network = Network((1, 2, 2), [bl.Conv(np.ones((1, 1, 1, 1)), CubaLIF(threshold=np.full((1, 2, 2), 2.0)))])
    assert quantize(network).layers[0].threshold == 508
