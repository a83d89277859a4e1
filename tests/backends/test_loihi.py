"""The emulator against integers in plain Python, its two engines against each other, and its promises on memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import bl_neuro as bl
from bl_neuro.backends.loihi.target import LoihiTarget
from bl_neuro.layers import Layer
from bl_neuro.testing.fixed_point import random_fixed_point

DECAYS = st.sampled_from([0, 1, 2, 2048, 4095, 4096]) | st.integers(0, 4096)
WEIGHTS = st.sampled_from([-256, -254, 0, 2, 254]) | st.integers(-128, 127).map(lambda half: 2 * half)


def toward_zero(value: int, keep: int) -> int:
    product = abs(value) * keep // 4096
    return -product if value < 0 else product


def neuron(sums: Sequence[int], du: int, dv: int, threshold: int, bias: int) -> tuple[list[int], int, int]:
    """Spikes, last u and last v of a neuron given these sums, in Python integers, apart from the emulator."""
    u = v = 0
    spikes = []
    for total in sums:
        u = toward_zero(u, 4096 - du) + 64 * total
        if u > 2**23:
            u -= 2**24
        elif u <= -(2**23):
            u += 2**24
        v = toward_zero(v, 4096 - dv) + u + 64 * bias
        v = max(-(2**23) + 1, min(2**23 - 1, v))
        spikes.append(int(v > 64 * threshold))
        if spikes[-1]:
            v = 0
    return spikes, u, v


def opened(network: bl.Network, **options: Any) -> LoihiTarget:
    target = bl.open_target(network, "loihi", **options)
    assert isinstance(target, LoihiTarget)
    return target


def spikes_of(network: bl.Network, seed: int, steps: int = 20, batch: int = 6) -> torch.Tensor:
    """Samples of every density, one of them silent, one full, one of few changes from step to step."""
    rng = np.random.default_rng(seed)
    density = np.array([0.0, 1.0, 0.02, 0.3, 0.8, 0.1])[:batch].reshape(1, batch, *[1] * len(network.input_shape))
    x = rng.random((steps, batch, *network.input_shape)) < density
    x[1:, 5] = x[0, 5] ^ (rng.random((steps - 1, *network.input_shape)) < 0.01)
    return torch.from_numpy(x)


@given(
    st.lists(WEIGHTS, min_size=2, max_size=12), DECAYS, DECAYS,
    st.sampled_from([0, 1, 100, 20000, 131071, 131072]), st.integers(-(2**15), 2**15 - 1), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_a_neuron_is_that_of_the_integers(
    weights: list[int], du: int, dv: int, threshold: int, bias: int, seed: int
) -> None:
    matrix = np.array([weights, [-254] + [254] * (len(weights) - 1)])  # mixed signs, which hold even values exactly
    cell = bl.CubaLIF(threshold, du / 4096, dv / 4096, bias)
    network = bl.Network((len(weights),), [bl.Dense(matrix, cell)], arithmetic="loihi")
    x = np.random.default_rng(seed).random((30, 1, len(weights))) < 0.5
    response = opened(network).run_with_states(x)
    assert response.states is not None
    for row in range(2):
        fired, u, v = neuron((x[:, 0] @ matrix[row]).tolist(), du, dv, threshold, bias)
        assert response.spikes[:, 0, row].tolist() == fired
        assert [state[0, row].item() for state in response.states[0]] == [u, v]


def test_the_current_wraps_and_the_voltage_saturates() -> None:
    weight = np.full((2, 788), 254)
    weight[1] = -254
    network = bl.Network((788,), [bl.Dense(weight, bl.CubaLIF(131072, 0, 0))], arithmetic="loihi")
    response = opened(network).run_with_states(torch.ones(1, 1, 788, dtype=torch.bool))
    assert response.states is not None
    fired, u, v = neuron([788 * 254], 0, 0, 131072, 0)
    assert u < 0, "it has wrapped"
    assert [state[0, 0].item() for state in response.states[0]] == [u, v]
    assert not response.spikes.any()
    assert fired == [0]


def wrapping_conv(seed: int) -> bl.Network:
    """Sums that leave 24 bits, currents that never decay and leave 32."""
    weight = np.random.default_rng(seed).integers(2**19, 2**20, (4, 2, 3, 3))
    return bl.Network((2, 6, 6), [bl.Conv(weight, bl.CubaLIF(100, 0.0, 0.5))], arithmetic="loihi")


@pytest.mark.parametrize("network", [*map(random_fixed_point, range(24)), wrapping_conv(0), wrapping_conv(1)])
def test_both_engines_are_one(network: bl.Network) -> None:
    x = spikes_of(network, 7)
    same_on_both_engines(network, x)


def test_both_engines_are_one_where_input_currents_leave_32_bits() -> None:
    layers: list[Layer] = [bl.Input(1, bl.CubaLIF(1000, 0.0, 0.5)), bl.Dense([[2.0, -2.0]], bl.CubaLIF(1, 1.0, 0.25))]
    same_on_both_engines(bl.Network((2,), layers, arithmetic="loihi"), torch.full((12, 3, 2), 2.0**23))


def same_on_both_engines(network: bl.Network, x: torch.Tensor) -> None:
    kernel, plain = opened(network), opened(network, engine="torch")
    for start in ("aligned", "cold"):
        one, other = kernel.run_with_states(x, start=start), plain.run_with_states(x, start=start)
        assert one.layers is not None
        assert other.layers is not None
        assert one.states is not None
        assert other.states is not None
        for actual, expected in zip(one.layers, other.layers, strict=True):
            assert torch.equal(actual, expected)
        for found_pair, expected_pair in zip(one.states, other.states, strict=True):
            assert all(map(torch.equal, found_pair, expected_pair))
        assert one.membrane is not None
        assert other.membrane is not None
        assert torch.equal(one.membrane, other.membrane)


@pytest.mark.parametrize("seed", [0, 1, 2, 5])
def test_threads_batching_and_held_frames_do_not_change_answers(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from bl_neuro.backends.loihi import target as target_module

    network = random_fixed_point(seed)
    x = spikes_of(network, seed)
    held = x[:1].expand(20, *x.shape[1:])
    whole, still = opened(network, threads=1).run(x), opened(network).run(held.clone())
    monkeypatch.setattr(target_module, "PIECE_VALUES", 1)
    for threads in (1, 3):
        target = opened(network, threads=threads)
        assert torch.equal(target.run(x).spikes, whole.spikes)
        assert torch.equal(target.run(held).spikes, still.spikes)


def test_a_delay_of_all_synapses_delays_the_answer() -> None:
    weight = np.random.default_rng(3).integers(-60, 90, (5, 8)) * 2
    cell = bl.CubaLIF(200, 0.5, 0.25)
    plain, late = (bl.Network((8,), [bl.Dense(weight, cell, delay=d)], arithmetic="loihi") for d in (None, 3))
    x = torch.from_numpy(np.random.default_rng(4).random((20, 4, 8)) < 0.4).double()
    answers, gradients = [], []
    for network in (plain, late):
        inputs = x.clone().requires_grad_()
        response = opened(network).run(inputs)
        assert response.membrane is not None
        weighted = response.membrane * torch.arange(20.0).sub(3 if network is late else 0).clamp(min=0)[:, None, None]
        weighted[:17].sum().backward() if network is plain else weighted.sum().backward()
        answers.append(response.spikes.detach())
        gradients.append(inputs.grad)
    assert torch.equal(answers[1][3:], answers[0][:-3])
    assert not answers[1][:3].any()
    assert gradients[0] is not None
    assert gradients[1] is not None
    assert torch.allclose(gradients[0], gradients[1])


def test_recurrent_synapses_arrive_one_step_later() -> None:
    rng = np.random.default_rng(5)
    layer = bl.Dense(
        2 * rng.integers(-60, 90, (6, 8)), bl.CubaLIF(300, 1, 0.25), recurrent=2 * rng.integers(-90, 60, (6, 6))
    )
    network = bl.Network((8,), [layer], arithmetic="loihi")
    target = opened(network)
    x = rng.random((12, 2, 8)) < 0.4
    fed_back = np.zeros((12, 2, 6), int)
    assert layer.recurrent is not None
    weight, recurrent = layer.weight.astype(int), layer.recurrent.astype(int)
    for sample in range(2):
        for step in range(12):  # a spike arrives one step later
            for row in range(6):
                sums = x[: step + 1, sample] @ weight[row]
                sums[1:] += fed_back[:step, sample] @ recurrent[row]
                fed_back[step, sample, row] = neuron(sums.tolist(), 4096, 1024, 300, 0)[0][-1]
    assert np.array_equal(target.run(x).spikes.numpy(), fed_back)
    assert fed_back.any()
    assert bl.WhiteBox(target) is not None


def test_input_neurons_take_real_values() -> None:
    layers: list[Layer] = [
        bl.Input(40, bl.CubaLIF(25, 1, 0.25), bias=36),
        bl.Dense([[20, -30], [-8, 60]], bl.CubaLIF(30, 1, 0.5)),
    ]
    network = bl.Network((2,), layers, arithmetic="loihi")
    x = np.random.default_rng(6).uniform(-1, 1, (9, 3, 2))
    response = opened(network).run(x, layers=True)
    assert response.layers is not None
    for sample in range(3):
        for row in range(2):
            sums = [int(40 * value + 36) for value in x[:, sample, row]]
            assert response.layers[0][:, sample, row].tolist() == neuron(sums, 4096, 1024, 25, 0)[0]
    with pytest.raises(bl.InputError, match="finite"):
        opened(network).run(np.full((1, 1, 2), np.nan))
    with pytest.raises(bl.InputError, match=r"current: expected weight \* x \+ bias within"):
        opened(network).run(np.full((1, 1, 2), 1e9))


@pytest.mark.parametrize("options", [
    {"engine": "wheels"}, {"device": "abacus"}, {"threads": 0}, {"threads": True}, {"threads": 1.5},
])  # fmt: skip
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(bl.InputError, match=next(iter(options))):
        opened(random_fixed_point(1), **options)


def test_memory_is_bounded_by_the_answer_and_a_few_batches() -> None:
    """A batch of 4,000 needs no more than its answer and what a batch of a hundredth needs."""
    rng = np.random.default_rng(7)
    layers = [bl.Dense(2 * rng.integers(-60, 60, (256, 784)), bl.CubaLIF(2000, 1, 0.25))]
    layers.append(bl.Dense(2 * rng.integers(-60, 60, (10, 256)), bl.CubaLIF(2000, 1, 0.25)))
    target = opened(bl.Network((784,), layers, arithmetic="loihi"), threads=1)
    frame = torch.from_numpy(rng.random((1, 4000, 784)) < 0.1)
    x = frame.expand(25, -1, -1)  # a copy of it for every step would be 78 MB, its states 256 times 100,000

    def peak(batch: int) -> int:
        tracemalloc.start()
        target.run(x[:, :batch])
        return tracemalloc.get_traced_memory()[1]

    target.run(x[:, :10])
    small, large = peak(200), peak(4000)
    tracemalloc.stop()
    assert large < small + 2**21, "NumPy's share does not grow with the batch"


def test_other_settings_of_torch_change_no_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Global settings of torch for speed: convolutions that round, bfloat16."""
    network = random_fixed_point(3, conv=True)
    x = spikes_of(network, 3)
    x = x | (torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) < 0.6)  # dense: the whole product
    target = opened(network, engine="torch")
    expected = target.run(x, layers=True).layers
    assert expected is not None
    with torch.backends.mkldnn.flags(enabled=False), torch.autocast("cpu", torch.bfloat16):
        for other in (target, opened(network)):
            actual = other.run(x, layers=True).layers
            assert actual is not None
            assert all(map(torch.equal, actual, expected))


def test_a_convolution_of_many_taps_is_left_to_the_product(monkeypatch: pytest.MonkeyPatch) -> None:
    from bl_neuro.backends.loihi import kernel_layers

    network = random_fixed_point(6, conv=True)
    x = spikes_of(network, 6)
    expected = opened(network).run(x).spikes
    monkeypatch.setattr(kernel_layers, "MAX_TAPS", 1)
    assert torch.equal(opened(network).run(x).spikes, expected)


def test_states_are_asked_for_like_answers() -> None:
    network = random_fixed_point(1)
    x = spikes_of(network, 1)
    target = opened(network)
    with pytest.raises(bl.InputError, match="start: expected 'aligned' or 'cold'"):
        target.run_with_states(x, start="bogus")  # type: ignore[arg-type]
    target.close()
    with pytest.raises(bl.TargetClosed):
        target.run_with_states(x)


@pytest.mark.parametrize("weight", [np.zeros((2, 3)), [[-1]], [[-256]], [np.arange(257)]])
def test_weights_that_netx_turns_into_zeros_are_refused(weight: Any) -> None:
    weight = np.asarray(weight)
    network = bl.Network(weight.shape[1:], [bl.Dense(weight, bl.CubaLIF(3, 1.0, 0.25))], arithmetic="loihi")
    with pytest.raises(bl.Unsupported, match="netx"):
        opened(network)


def test_the_gradient_is_what_a_spike_adds_to_the_membrane() -> None:
    """One step, no spikes: odd weights whose sums are rounded down, so that the two differ by less than a unit."""
    weight = np.random.default_rng(5).integers(-127, 127, (6, 9)) | 1
    network = bl.Network((9,), [bl.Dense(weight, bl.CubaLIF(4000, 1.0, 0.25))], arithmetic="loihi")
    target = opened(network)
    x = torch.zeros(1, 1, 9, requires_grad=True)
    for row in range(6):
        response = target.run(x)
        assert response.membrane is not None
        (gradient,) = torch.autograd.grad(response.membrane[0, 0, row], x)
        single = torch.eye(9)[None]
        added = target.run(single).membrane
        assert added is not None
        assert torch.allclose(gradient[0, 0], added[0, :, row], atol=1.5 / 4000)
        assert gradient.abs().max() > 20 / 4000


def test_the_gradient_of_a_cold_start_belongs_to_the_step_of_its_input() -> None:
    layer = bl.Dense([[100, -60], [40, 80]], bl.CubaLIF(4000, 0.5, 0.25, [3, -2]))
    network = bl.Network((2,), [layer], arithmetic="loihi")
    target = opened(network)
    gradients = []
    for start in ("aligned", "cold"):
        x = torch.zeros(5, 1, 2, requires_grad=True)
        response = target.run(x, start=start)
        assert response.membrane is not None
        response.membrane[3].sum().backward()
        assert x.grad is not None
        gradients.append(x.grad)
    assert gradients[0] is not None
    assert gradients[1] is not None
    assert torch.allclose(gradients[0], gradients[1])  # nothing spikes: the lead shifts no input
    assert gradients[1][3].abs().min() > 0
    assert not gradients[1][4].any()


def test_the_gradient_through_input_neurons_has_their_gain() -> None:
    gradients = []
    for gain in (64, 128):
        layers: list[Layer] = [
            bl.Input(gain, bl.CubaLIF(100_000, 1.0, 0.25)),
            bl.Dense([[2.0]], bl.CubaLIF(1, 1.0, 0.25)),
        ]
        target = opened(bl.Network((1,), layers, arithmetic="loihi"))
        x = torch.zeros(3, 1, 1, requires_grad=True)
        response = target.run(x)
        assert response.membrane is not None
        response.membrane.sum().backward()
        assert x.grad is not None
        gradients.append(x.grad)
    assert gradients[0].abs().min() > 0
    assert torch.allclose(2 * gradients[0], gradients[1])
