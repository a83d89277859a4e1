"""The compiled layers of the emulator against the readable engine, at the borders of tiles, words and integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import bl_neuro as bl
from bl_neuro.backends.loihi import kernel_layers
from bl_neuro.backends.loihi.kernel_engine import KernelEngine, pack
from bl_neuro.backends.loihi.program import compile_network
from bl_neuro.backends.loihi.torch_engine import TorchEngine

DENSITIES = (0.02, 0.5, 0.97)


def assert_engines_agree(network: bl.Network, seed: int, lead: int = 0) -> None:
    """Every spike, voltage and final state, for spikes of several densities and a frame that is held."""
    programs = compile_network(network)
    kernels, plain = KernelEngine(programs), TorchEngine(programs, torch.device("cpu"))
    generator = torch.Generator().manual_seed(seed)
    for density in DENSITIES:
        spikes = (torch.rand(5, 3, *network.input_shape, generator=generator) < density).to(torch.uint8)
        for inputs in (spikes, spikes[:1].expand_as(spikes)):
            frames, valid = pack(inputs)
            assert valid
            records = [True] * len(programs)
            for actual, expected in zip(
                kernels.run(frames, lead, records), plain.run(inputs.flatten(2), lead, records), strict=True
            ):
                assert torch.equal(actual.spikes, expected.spikes)
                assert actual.voltage is not None
                assert expected.voltage is not None
                assert torch.equal(actual.voltage, expected.voltage)
                assert torch.equal(actual.current, expected.current)
                assert torch.equal(actual.final_voltage, expected.final_voltage)


def weights(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> Any:
    """Weights of both signs, 8 bits; only positive, with odd ones; extremes alone; or few bits."""
    if kind == "positive":
        return rng.integers(0, 256, shape)
    if kind == "extreme":
        return rng.choice([-256, 254], shape)
    return 2 * rng.integers(-128, 128, shape) if kind == "mixed" else 64 * rng.integers(-3, 4, shape)


@settings(max_examples=25, deadline=None)
@given(
    inputs=st.sampled_from([1, 8, 63, 64, 65, 300]),
    hidden=st.sampled_from([1, 15, 32, 33, 64, 65, 129, 200]),
    kind=st.sampled_from(["positive", "extreme", "mixed", "few bits"]),
    lead=st.integers(0, 1),
    decay=st.sampled_from([0.25, 1.0]),
    seed=st.integers(0, 2**16),
)
def test_dense_layers_are_exact(inputs: int, hidden: int, kind: str, lead: int, decay: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layers = [
        bl.Dense(weights(rng, (hidden, inputs), kind) + 2 * np.eye(hidden, inputs, dtype=int) * (kind == "few bits"),
                 bl.CubaLIF(int(rng.integers(1, 2000)), decay, 0.25, bias=rng.integers(-99, 99, hidden))),
        bl.Dense(weights(rng, (4, hidden), "mixed"), bl.CubaLIF(100, decay, 0.125)),
    ]  # fmt: skip
    assert_engines_agree(bl.Network((inputs,), layers, arithmetic="loihi"), seed, lead)


@settings(max_examples=25, deadline=None)
@given(
    channels=st.sampled_from([(1, 1, 1), (1, 12, 1), (2, 6, 2), (3, 5, 1), (4, 40, 1), (2, 64, 1), (6, 6, 6)]),
    kernel=st.sampled_from([(1, 1), (3, 3), (5, 5), (2, 4)]),
    stride=st.sampled_from([(1, 1), (2, 2), (1, 3)]),
    padding=st.sampled_from([(0, 0), (1, 2)]),
    dilation=st.sampled_from([(1, 1), (2, 1), (1, 2)]),
    image=st.sampled_from([(9, 10), (12, 9)]),
    kind=st.sampled_from(["extreme", "mixed"]),
    lookup=st.sampled_from(["always", "never", "where it pays"]),
    seed=st.integers(0, 2**16),
)
def test_convolutions_are_exact(
    channels: tuple[int, int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    image: tuple[int, int],
    kind: str,
    lookup: str,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    inner, outer, groups = channels
    neuron = bl.CubaLIF(int(rng.integers(20, 900)), 1.0, 0.25, bias=int(rng.integers(-9, 9)))
    shared: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation}
    first = bl.Conv(weights(rng, (outer, inner // groups, *kernel), kind), neuron, groups=groups, **shared)
    probe = bl.Network((inner, *image), [first], arithmetic="loihi")
    shape = probe.shapes[0]
    second = bl.Conv(weights(rng, (3, outer, 1, 2), "mixed"), neuron)
    size = 3 * shape[1] * (shape[2] - 1)
    layers: list[Any] = [first, second, bl.Flatten(), bl.Dense(weights(rng, (3, size), "mixed"), neuron)]
    costs = {"always": (10**9, 0), "never": (0, 0), "where it pays": (20, 2)}[lookup]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel_layers, "EVENT_COST", costs[0] or 1e-9)
        patch.setattr(kernel_layers, "TAP_COST", costs[1])
        assert_engines_agree(bl.Network((inner, *image), layers, arithmetic="loihi"), seed)


def test_sums_of_24_bits_wrap_in_convolutions() -> None:
    weight = np.full((1, 60, 24, 24), 254)
    network = bl.Network((60, 24, 24), [bl.Conv(weight, bl.CubaLIF(1000, 1.0, 0.25))], arithmetic="loihi")
    assert compile_network(network)[0].largest_sum >= 2**23
    assert_engines_agree(network, 0)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int8, torch.float32, torch.float64])
def test_spikes_of_all_types_are_packed_alike(dtype: torch.dtype) -> None:
    spikes = torch.rand(4, 3, 150, generator=torch.Generator().manual_seed(1)) < 0.3
    words, valid = pack(spikes.to(dtype))
    assert valid
    assert words.words.tolist() == pack(spikes)[0].words.tolist()
    bits = np.unpackbits(words.words.view(np.uint8), axis=2, bitorder="little")[..., :150]
    assert (bits.transpose(1, 0, 2) == spikes.numpy()).all()


@pytest.mark.parametrize(
    ("dtype", "value"),
    [(torch.uint8, 2), (torch.int8, -1), (torch.float32, float("nan")), (torch.float32, 0.5), (torch.float64, -1.0)],
)
@pytest.mark.parametrize("place", [0, 63, 64, 149])
def test_a_value_that_is_no_spike_is_named(dtype: torch.dtype, value: float, place: int) -> None:
    network = bl.Network((150,), [bl.Dense(np.full((2, 150), 2), bl.CubaLIF(9, 1.0, 0.5))], arithmetic="loihi")
    spikes = torch.zeros(4, 3, 150, dtype=dtype)
    spikes[2, 1, place] = value
    with bl.open_target(network, "loihi") as target:
        with pytest.raises(bl.InputError, match=rf"expected only 0 and 1, found .* at index \(2, 1, {place}\)"):
            target.run(spikes)
        box = bl.BlackBox(target, budget=10)
        with pytest.raises(bl.InputError, match="expected only 0 and 1"):
            box.query(spikes)
        assert box.spent == 0


def test_an_input_that_another_target_accepted_is_checked_again() -> None:
    wide = bl.Network((784,), [bl.Dense(np.full((40, 784), 2), bl.CubaLIF(9, 1.0, 0.5))], arithmetic="loihi")
    narrow = bl.Network((8,), [bl.Dense(np.full((2, 8), 2), bl.CubaLIF(9, 1.0, 0.5))], arithmetic="loihi")
    accepted = bl.open_target(wide, "loihi").accept(torch.ones(3, 2, 784))
    with pytest.raises(bl.InputError, match="expected shape"):
        bl.open_target(narrow, "loihi").run(accepted)
    other = bl.open_target(wide, "loihi", engine="torch")
    assert torch.equal(other.run(accepted).spikes, other.run(accepted.spikes).spikes)


def test_an_accepted_input_is_not_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    network = bl.Network((8,), [bl.Dense(np.full((2, 8), 2), bl.CubaLIF(9, 1.0, 0.5))], arithmetic="loihi")
    spikes = torch.ones(4, 3, 8)
    for substrate in ("loihi", "snntorch"):
        with bl.open_target(network, substrate) as target:
            accepted = target.accept(spikes)
            expected = target.run(spikes).spikes
            with monkeypatch.context() as patch:
                patch.setattr(type(target), "_checked", None)  # a check would fail
                assert torch.equal(target.run(accepted).spikes, expected)
            assert target.samples == 6
