"""Networks that netx runs, on real Lava: every spike and final state equals the emulator's.

One simulation answers all samples of a test, so that what one leaves behind would show in the next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.backends import find_backend
from bl_neuro.backends.lava.target import LavaTarget
from bl_neuro.layers import Layer
from bl_neuro.loihi_numbers import MAX_DRIVE
from bl_neuro.network import Network

pytestmark = pytest.mark.lava
STEPS, BATCH = 9, 5
SILENT = bl.CubaLIF(2**17, 0.0, 1.0)


@pytest.fixture(autouse=True)
def _needs_both(needs: Callable[[str], None]) -> None:
    needs("lava")
    needs("loihi")


class Maker:
    """Layers in Loihi's integers, random, that spike in about a third of all bins."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(1)

    def weight(self, *shape: int) -> Any:
        return self.rng.integers(-60, 90, shape) * 2

    def neuron(self, size: int, bias: bool) -> bl.CubaLIF:
        current_decay, voltage_decay = (self.rng.integers(200, 4097, size) / 4096 for _ in range(2))
        return bl.CubaLIF(300, current_decay, voltage_decay, self.rng.integers(-60, 200, size) if bias else 0.0)

    def dense(self, inner: int, out: int, bias: bool, **parts: Any) -> bl.Dense:
        return bl.Dense(self.weight(out, inner), self.neuron(out, bias), **parts)

    def delay(self, most: int, *shape: int) -> Any:
        return self.rng.integers(0, most + 1, shape)


def plain(make: Maker, bias: bool) -> Network:
    layers = [make.dense(8, 10, bias), make.dense(10, 6, bias), bl.Dense(make.weight(3, 6), SILENT)]
    return Network((8,), layers, arithmetic="loihi")


def delayed(make: Maker, bias: bool) -> Network:
    """Delays in a full matrix, a row and a column; the last ones reach beyond the sample."""
    layers = [
        make.dense(8, 10, bias, delay=make.delay(4, 10, 8)),
        make.dense(10, 6, bias, delay=make.delay(12, 6, 1)),
        make.dense(6, 3, bias, delay=make.delay(3, 1, 6)),
    ]
    return Network((8,), layers, arithmetic="loihi")


def recurrent(make: Maker, bias: bool) -> Network:
    layers = [make.dense(8, 10, bias, recurrent=make.weight(10, 10)), make.dense(10, 3, bias)]
    return Network((8,), layers, arithmetic="loihi")


def convolutional(make: Maker, bias: bool) -> Network:
    first = bl.Conv(make.weight(3, 2, 3, 2), make.neuron(3, bias), padding=(1, 0))
    second = bl.Conv(make.weight(4, 3, 2, 2), make.neuron(4, bias), stride=2)
    return Network((2, 6, 7), [first, second, bl.Flatten(), make.dense(36, 3, bias)], arithmetic="loihi")


def driven(make: Maker, bias: bool) -> Network:
    layers: list[Layer] = [bl.Input(70, make.neuron(8, False), -30), make.dense(8, 6, bias), make.dense(6, 3, bias)]
    return Network((8,), layers, arithmetic="loihi")


def driven_images(make: Maker, bias: bool) -> Network:
    conv = bl.Conv(make.weight(3, 2, 3, 2), make.neuron(3, bias))
    layers: list[Layer] = [bl.Input(70, make.neuron(2, False), -30), conv, bl.Flatten(), make.dense(72, 3, bias)]
    return Network((2, 6, 7), layers, arithmetic="loihi")


def inputs(network: Network, batch: int = BATCH) -> Any:
    rng = np.random.default_rng(2)
    shape = (STEPS, batch, *network.input_shape)
    if network.input_kind == "current":
        return rng.normal(0, 3, shape)
    return (rng.random(shape) < 0.4).astype(np.uint8)


CASES = [
    (plain, True, "aligned"), (plain, True, "cold"), (delayed, False, "aligned"), (delayed, True, "aligned"),
    (recurrent, True, "cold"), (recurrent, True, "aligned"), (convolutional, True, "cold"),
    (driven, True, "cold"), (driven, False, "aligned"), (driven_images, True, "aligned"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "bias", "start"), CASES)
def test_spikes_and_states_are_the_emulators(kind: Any, bias: bool, start: Any) -> None:
    network = kind(Maker(), bias)
    x = inputs(network)
    with bl.open_target(network, "loihi") as emulator, bl.open_target(network, "lava", runtimes=1) as lava:
        expected, actual = emulator.run_with_states(x, start), lava.run_with_states(x, start)
    assert actual.layers is not None
    assert expected.layers is not None
    assert actual.states is not None
    assert expected.states is not None
    assert len(actual.layers) == len(actual.states) == len(expected.states)
    assert actual.spikes.equal(expected.spikes)
    for number, (ours, wanted) in enumerate(zip(actual.layers, expected.layers)):
        assert ours.equal(wanted), f"layer {number}"
    for number, (state, expected_state) in enumerate(zip(actual.states, expected.states)):
        assert state[0].equal(expected_state[0]), f"current of layer {number}"
        assert state[1].equal(expected_state[1]), f"voltage of layer {number}"
    assert any(state.any() for pair in expected.states for state in pair)
    assert 0.01 < actual.layers[0].mean() < 0.99


def test_states_do_not_change_what_a_run_answers() -> None:
    network = delayed(Maker(), True)
    x = inputs(network, 3)
    with bl.open_target(network, "lava", runtimes=1) as lava:
        spikes = lava.run(x, layers=True).spikes
        assert lava.run_with_states(x).spikes.equal(spikes)
        assert lava.run(x, layers=True).states is None
        assert isinstance(lava, LavaTarget)
        assert lava.timing.restarts == 0


def test_large_currents_do_not_overflow_sixteen_bits() -> None:
    network = Network((3,), [bl.Input(1000, bl.CubaLIF(2**16, 1.0, 0.5))], arithmetic="loihi")
    x = np.array([[[10.0, -40.0, 100.0]]] * 3)
    with bl.open_target(network, "loihi") as emulator, bl.open_target(network, "lava", runtimes=1) as lava:
        expected, actual = emulator.run_with_states(x), lava.run_with_states(x)
        assert actual.spikes.equal(expected.spikes)
        assert actual.states is not None
        assert expected.states is not None
        assert actual.states[0][0].equal(expected.states[0][0])
        assert actual.states[0][0].tolist() == [[640_000, -2_560_000, 6_400_000]]
        with pytest.raises(bl.InputError, match=f"within {MAX_DRIVE}"):
            lava.run(x * 1e4)
        assert lava.run(x).spikes.equal(expected.spikes), "the target itself is still good"


def test_layers_that_netx_cannot_read_are_refused_by_name() -> None:
    neuron = bl.CubaLIF(300, 1.0, 0.5)
    layers: list[Layer] = [bl.Input([1, 2], neuron), bl.Dense([[2, 4]], neuron), bl.Dense([[0]], neuron)]
    problems = find_backend("lava").problems(Network((2,), layers, arithmetic="loihi"))
    assert len(problems) == 2
    assert problems[0].startswith("layer 0: weight")
    assert problems[1].startswith("layer 2: weight")
    both = bl.Dense([[2, 4]], neuron, delay=1, recurrent=[[2]])
    problems = find_backend("lava").problems(Network((2,), [both], arithmetic="loihi"))
    assert any("delay" in problem for problem in problems)
