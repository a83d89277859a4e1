"""Behaviour that is specific to snnTorch and Norse."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch

import bl_neuro as bl
from bl_neuro.backends import find_backend, missing_reason
from bl_neuro.backends.declaration import Start
from bl_neuro.backends.target import Target
from bl_neuro.network import Network
from bl_neuro.neuron import Reset
from bl_neuro.reference import simulate
from bl_neuro.testing.random_networks import random_dense, random_spikes

BOTH = [pytest.param("snntorch", marks=pytest.mark.snntorch), pytest.param("norse", marks=pytest.mark.norse)]


def opened(network: Network, substrate: str, **options: str) -> Target:
    reason = missing_reason(find_backend(substrate))
    if reason:
        pytest.skip(f"substrate '{substrate}': {reason}")
    return bl.open_target(network, substrate, **options)


@pytest.mark.parametrize("substrate", BOTH)
def test_float32_is_an_option(substrate: str) -> None:
    network = random_dense(400)
    spikes = random_spikes(network, 0)
    response = opened(network, substrate, precision="float32").run(spikes, layers=True)
    assert response.spikes.dtype == torch.float32
    assert response.membrane is not None
    assert response.membrane.dtype == torch.float32
    assert (response.spikes.numpy() == simulate(network, spikes).spikes).mean() > 0.99


@pytest.mark.parametrize("substrate", BOTH)
def test_an_unknown_precision_is_refused(substrate: str) -> None:
    with pytest.raises(bl.InputError, match="precision: expected one of float64, float32, found 'int4'"):
        opened(random_dense(400), substrate, precision="int4")


@pytest.mark.slow
@pytest.mark.parametrize("substrate", BOTH)
def test_a_dropped_target_is_freed(substrate: str) -> None:
    """snnTorch keeps a list of every neuron ever made."""
    target = opened(random_dense(400), substrate)
    target.run(random_spikes(target.network, 0, steps=3))
    cells = [weakref.ref(module) for module in _modules(target)]
    assert cells
    del target
    gc.collect()
    assert [cell() for cell in cells] == [None] * len(cells)


def _modules(target: Target) -> list[torch.nn.Module]:
    groups = [group for value in vars(target).values() if isinstance(value, dict) for group in value.values()]
    return [part for group in groups for part in group if isinstance(part, torch.nn.Module)]


def coarse(seed: int) -> Network:
    """One layer of eighths with decimal decays, where voltages often equal their threshold to the last bit."""
    rng = np.random.default_rng(seed)
    weight = np.round(rng.normal(0.1, 1, (40, 12)) * 2.8) / 8
    neuron = bl.CubaLIF(
        threshold=rng.choice([0.5, 0.75, 1.0, 1.25], 40),
        current_decay=rng.choice([1.0, 0.5, 0.3, 0.1], 40),
        voltage_decay=rng.choice([0.1, 0.2, 0.3, 0.7], 40),
        bias=rng.choice([0.0, 0.125, -0.125], 40),
    )
    return Network((12,), [bl.Dense(weight, neuron)])


def wired(seed: int = 0, reset: Reset = "zero") -> Network:
    """Recurrent synapses, delays, and biases of currents."""
    rng = np.random.default_rng(seed)
    hidden = bl.CubaLIF(1.0, rng.uniform(0.3, 1, 9), rng.uniform(0.1, 0.9, 9), rng.normal(0, 0.1, 9), reset)
    loops, biases = rng.normal(0, 0.6, (9, 9)), rng.normal(0, 0.3, (2, 9))
    delay = rng.integers(0, 6, (4, 9))
    return Network(
        (8,),
        [
            bl.Dense(rng.normal(0.1, 0.8, (9, 8)), hidden, recurrent=loops, current_bias=biases[0]),
            bl.Dense(rng.normal(0.1, 0.8, (4, 9)), bl.CubaLIF(1.0, 0.5), delay=delay, current_bias=biases[1, :4]),
        ],
    )


@pytest.mark.parametrize("substrate", BOTH)
@pytest.mark.parametrize("start", ["aligned", "cold"])
def test_recurrent_synapses_delays_and_biases_of_currents(substrate: str, start: Start) -> None:
    spikes = random_spikes(wired(), 0)
    response = opened(wired(), substrate).run(spikes, layers=True, start=start)
    assert response.layers is not None
    reference = simulate(wired(), spikes, start)
    for layer, expected in zip(response.layers, reference.layer_spikes):
        assert (layer.numpy() == expected).all()
        assert 0.02 < expected.mean() < 0.98
    held = torch.from_numpy(np.ones((1, 2, 8))).expand(12, 2, 8)  # one frame, whose delayed part still starts later
    assert (opened(wired(), substrate).run(held).spikes.numpy() == simulate(wired(), held.numpy()).spikes).all()


@pytest.mark.snntorch
def test_the_delayed_reset_of_snntorch_with_recurrent_synapses() -> None:
    network = wired(reset="subtract_delayed")
    spikes = random_spikes(network, 0)
    assert (opened(network, "snntorch").run(spikes).spikes.numpy() == simulate(network, spikes).spikes).all()


@pytest.mark.parametrize("substrate", ["snntorch", "norse"])
@pytest.mark.parametrize("seed", [*range(10), 11, 33, 34, 43, 46, 49])  # the latter tie where rounding differs
def test_ties_are_decided_as_in_the_reference(substrate: str, seed: int) -> None:
    """Norse's voltage is the decay times ours, and rounds differently: rounding must not decide."""
    spikes = random_spikes(coarse(seed), seed, batch=16)
    response = opened(coarse(seed), substrate).run(spikes)
    assert np.array_equal(response.spikes.numpy(), simulate(coarse(seed), spikes).spikes)


def test_rounding_errors_at_the_threshold_do_not_fire() -> None:
    network = Network((1,), [bl.Dense([[0.3]], bl.CubaLIF(threshold=0.6, current_decay=1.0, voltage_decay=0.0))])
    spikes = np.ones((2, 1, 1))
    assert not simulate(network, spikes).spikes.any()  # 0.3 + 0.3 is 0.6
    above = Network((1,), [bl.Dense([[0.3000001]], bl.CubaLIF(threshold=0.6, current_decay=1.0, voltage_decay=0.0))])
    assert simulate(above, spikes).spikes[:, 0, 0].tolist() == [False, True]
