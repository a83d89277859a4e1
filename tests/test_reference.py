"""The reference simulation, against cases computed by hand and torch's convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from bl_neuro import AveragePool, Conv, CubaLIF, Dense, Flatten, Network, SumPool
from bl_neuro.reference import run_neurons, simulate
from bl_neuro.testing.reference_target import ReferenceTarget


def trace(neuron: CubaLIF, drive: list[float]) -> tuple[list[int], list[float]]:
    """Spikes and membrane of one neuron under `drive`."""
    spikes, membrane = run_neurons(neuron, np.reshape(np.array(drive, dtype=np.float64), (-1, 1, 1)), (1,))
    return spikes.reshape(-1).astype(int).tolist(), membrane.reshape(-1).tolist()


# du = 1/2, dv = 1/4, threshold 2, drive 2 2 2 0 0:  u = 2, 3, 3.5, 1.75, 0.875
CASES = {
    # v: 2 (a tie: no spike), 1.5+3=4.5 *, 0+3.5 *, 0+1.75, 1.3125+.875=2.1875 *
    "zero": ([0, 1, 1, 0, 1], [2, 4.5, 3.5, 1.75, 2.1875]),
    # v: 2, 4.5 * ->2.5, 1.875+3.5=5.375 * ->3.375, 2.53125+1.75=4.28125 * ->2.28125, 1.7109375+.875=2.5859375 *
    "subtract": ([0, 1, 1, 1, 1], [2, 4.5, 5.375, 4.28125, 2.5859375]),
    # v: 2, 4.5 *, 3.375+3.5-2=4.875 *, 3.65625+1.75-2=3.40625 *, 2.5546875+.875-2=1.4296875
    "subtract_delayed": ([0, 1, 1, 1, 0], [2, 4.5, 4.875, 3.40625, 1.4296875]),
}


@pytest.mark.parametrize("reset", CASES)
def test_each_reset_by_hand(reset: Any) -> None:
    spikes, membrane = trace(CubaLIF(2.0, 0.5, 0.25, 0.0, reset), [2, 2, 2, 0, 0])
    assert spikes == CASES[reset][0]
    assert membrane == [voltage / 2 for voltage in CASES[reset][1]]


def test_a_tie_is_no_spike() -> None:
    rounded = np.nextafter(1.0, 2)  # a tie that rounding lifted is one still
    assert trace(CubaLIF(voltage_decay=1.0), [1.0, rounded, 1.0 + 1e-11])[0] == [0, 0, 1]


def test_bias_enters_the_voltage_and_not_the_current() -> None:
    # u = 1, 0.5, 0.25 (no bias in it);  v = 1.5, 0.75+0.5+0.5 = 1.75, 0.875+0.25+0.5 = 1.625
    spikes, membrane = trace(CubaLIF(threshold=10.0, current_decay=0.5, voltage_decay=0.5, bias=0.5), [1, 0, 0])
    assert spikes == [0, 0, 0]
    assert membrane == [0.15, 0.175, 0.1625]


def test_decays_of_one_remember_nothing_and_of_zero_everything() -> None:
    assert trace(CubaLIF(10.0, 1.0, 1.0), [3, 2, 1])[1] == [0.3, 0.2, 0.1]
    assert trace(CubaLIF(100.0, 0.0, 0.0), [1, 1, 1])[1] == [0.01, 0.03, 0.06]


def test_each_neuron_has_parameters_of_its_own() -> None:
    neuron = CubaLIF(threshold=[1.0, 2.0], voltage_decay=[0.0, 1.0], bias=[0.0, 1.0])
    spikes, membrane = run_neurons(neuron, np.full((2, 1, 2), 0.75), (2,))
    assert membrane[:, 0].tolist() == [[0.75, 0.875], [1.5, 0.875]]
    assert spikes[:, 0].tolist() == [[False, False], [True, False]]


def test_layers_pass_spikes_on_within_a_step() -> None:
    network = Network((1,), [Dense([[2.0]], CubaLIF(voltage_decay=1.0)), Dense([[3.0]], CubaLIF(voltage_decay=1.0))])
    seen = simulate(network, np.array([1, 0, 1]).reshape(3, 1, 1))
    assert [spikes.reshape(-1).tolist() for spikes in seen.layer_spikes] == [[True, False, True]] * 2
    assert seen.membrane.reshape(-1).tolist() == [3.0, 0.0, 3.0]


def test_samples_of_a_batch_do_not_meet(image_network: Network) -> None:
    spikes = np.random.default_rng(0).integers(0, 2, (6, 3, 2, 6, 6))
    together = simulate(image_network, spikes)
    for sample in range(3):
        alone = simulate(image_network, spikes[:, sample : sample + 1])
        for whole, part in zip(together.layer_spikes, alone.layer_spikes):
            assert np.array_equal(whole[:, sample : sample + 1], part)


def test_cold_start_runs_biases_before_the_first_input() -> None:
    # The bias of 0.75 makes v 0.75, 1.5*, 0.75, 1.5*, ... Layer 0 has run one such step before input 0, layer 1 two;
    # layer 1 counts what layer 0 sent, one bit a step.
    first = CubaLIF(threshold=1.0, voltage_decay=0.0, bias=0.75)
    count = CubaLIF(threshold=100.0, voltage_decay=0.0)
    network = Network((1,), [Dense([[0.0]], first), Dense([[1.0]], count)])
    nothing = np.zeros((4, 1, 1))
    aligned, cold = simulate(network, nothing), simulate(network, nothing, start="cold")
    assert aligned.layer_spikes[0].reshape(-1).tolist() == [False, True, False, True]
    assert cold.layer_spikes[0].reshape(-1).tolist() == [True, False, True, False]
    assert (aligned.membrane * 100).reshape(-1).tolist() == [0, 1, 1, 2]
    assert (cold.membrane * 100).reshape(-1).tolist() == [1, 1, 2, 2]


def test_cold_start_gives_each_layer_one_more_step() -> None:
    clock = CubaLIF(threshold=100.0, voltage_decay=0.0, bias=1.0)
    network = Network((1,), [Dense([[0.0]], clock)] * 3)
    seen = simulate(network, np.zeros((2, 1, 1)), start="cold")
    assert [(membrane * 100).reshape(-1).tolist() for membrane in seen.layer_membranes] == [[2, 3], [3, 4], [4, 5]]


def test_cold_and_aligned_agree_without_biases() -> None:
    rng = np.random.default_rng(1)
    network = Network((5,), [Dense(rng.normal(size=(4, 5)), CubaLIF()), Dense(rng.normal(size=(3, 4)), CubaLIF())])
    spikes = rng.integers(0, 2, (7, 2, 5))
    assert np.array_equal(simulate(network, spikes).membrane, simulate(network, spikes, start="cold").membrane)


@given(st.integers(0, 10**6))
def test_convolution_is_torchs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups, inner, out = rng.integers(1, 4), rng.integers(1, 3), rng.integers(1, 3)
    geometry = {"stride": tuple(rng.integers(1, 4, 2)), "padding": tuple(rng.integers(0, 3, 2))}
    geometry["dilation"] = tuple(rng.integers(1, 3, 2))
    weight = rng.normal(size=(out * groups, inner, *rng.integers(1, 4, 2)))
    images = rng.integers(0, 2, (2, 3, inner * groups, *rng.integers(5, 9, 2))).astype(np.float64)
    layer = Conv(weight, CubaLIF(threshold=1e6, voltage_decay=1.0), groups=int(groups), **geometry)
    seen = simulate(Network(images.shape[2:], [layer]), images)
    options: dict[str, Any] = {name: getattr(layer, name) for name in ("stride", "padding", "dilation", "groups")}
    expected = F.conv2d(torch.from_numpy(images).flatten(0, 1), torch.from_numpy(weight), None, **options)
    np.testing.assert_allclose(seen.membrane.reshape(expected.shape) * 1e6, expected, rtol=1e-9, atol=1e-12)


@given(st.integers(0, 10**6))
def test_pooling_is_torchs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size, stride = tuple(rng.integers(1, 4, 2)), tuple(rng.integers(1, 4, 2))
    images = rng.integers(0, 2, (2, 3, 2, *rng.integers(4, 8, 2))).astype(np.float64)
    average = F.avg_pool2d(torch.from_numpy(images).flatten(0, 1), tuple(map(int, size)), tuple(map(int, stride)))
    for pool, scale in ((SumPool(size, stride), int(size[0] * size[1])), (AveragePool(size, stride), 1)):
        channels = Conv(np.eye(2)[:, :, None, None], CubaLIF(threshold=1e6, voltage_decay=1.0))
        seen = simulate(Network(images.shape[2:], [pool, channels]), images)
        np.testing.assert_allclose(seen.membrane.reshape(average.shape) * 1e6, average * scale, rtol=1e-9)


def test_flatten_at_the_end_flattens_the_output() -> None:
    network = Network((1, 2, 2), [Conv([[[[2.0]]], [[[0.5]]]], CubaLIF()), Flatten()])
    seen = simulate(network, np.ones((3, 1, 1, 2, 2)))
    assert seen.spikes.shape == seen.membrane.shape == (3, 1, 8)
    assert seen.spikes[0, 0].tolist() == [True] * 4 + [False] * 4


@pytest.mark.parametrize("start", ["aligned", "cold"])
def test_the_test_double_agrees_with_the_reference(start: Any, small_network: Network, image_network: Network) -> None:
    rng = np.random.default_rng(2)
    for network in (small_network, image_network):
        spikes = rng.integers(0, 2, (6, 4, *network.input_shape))
        oracle, answer = simulate(network, spikes, start), ReferenceTarget(network).run(spikes, True, start)
        assert answer.layers is not None
        assert answer.membrane is not None
        assert np.array_equal(oracle.spikes, answer.spikes)
        np.testing.assert_allclose(oracle.membrane, answer.membrane, rtol=1e-12, atol=1e-12)
        for one, other in zip(oracle.layer_spikes, answer.layers, strict=True):
            assert np.array_equal(one, other)
