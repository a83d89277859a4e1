"""The attribution ladder: each rung differs from the one before only in the parameters it names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.backends import find_backend
from bl_neuro.deploy.ladder import RUNGS, Rung, ladder
from bl_neuro.deploy.quantize import fixed_network, quantize
from bl_neuro.network import Network
from bl_neuro.reference import simulate
from bl_neuro.testing.fixed_point import effective_network, simulate_fixed_point
from bl_neuro.testing.random_networks import random_conv, random_dense, random_spikes

MAKERS = [random_dense, random_conv]
SUBSTRATES = [
    pytest.param("snntorch", marks=pytest.mark.snntorch),
    pytest.param("norse", marks=pytest.mark.norse),
]


def named(network: Network) -> dict[str, Rung]:
    return {rung.name: rung for rung in ladder(network)}


def changed(one: Network, other: Network) -> set[str]:
    """Names of the parameters in which two networks differ."""
    assert one.structure() == other.structure()
    first, second = one.arrays(), other.arrays()
    assert first.keys() == second.keys()
    return {name.split(".")[-1] for name in first if not np.array_equal(first[name], second[name])}


@pytest.mark.parametrize("make", MAKERS)
def test_the_rungs(make: Any) -> None:
    network = make(0)
    rungs = ladder(network)
    assert tuple(rung.name for rung in rungs) == RUNGS
    assert [rung.arithmetic for rung in rungs] == ["real", "real", "real", "loihi"]
    assert rungs[0].network is network
    assert rungs[3].network is rungs[2].network, "only what runs it differs"
    assert rungs[3].network == fixed_network(network)
    assert all(rung.network.readout == network.readout for rung in rungs)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("seed", range(3))
def test_the_first_step_rounds_weights_and_nothing_else(make: Any, seed: int) -> None:
    network = make(seed)
    weights = named(network)["weights"].network
    assert changed(network, weights) == {"weight"}
    for layer in quantize(network).layers:
        held = weights.layers[layer.index]
        assert isinstance(held, (bl.Dense, bl.Conv))
        scale = layer.row_scale.reshape(-1, *[1] * (held.weight.ndim - 1))
        np.testing.assert_allclose(held.weight * scale, layer.weight, atol=1e-9)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("seed", range(3))
def test_the_second_step_rounds_decays_and_biases_and_nothing_else(make: Any, seed: int) -> None:
    network = make(seed)
    rungs = named(network)
    in_float_units = effective_network(quantize(network))
    assert changed(rungs["weights"].network, in_float_units) == {"current_decay", "voltage_decay", "bias"}
    decays = rungs["decays"].network.arrays()
    for name, value in in_float_units.arrays().items():
        if name.endswith("decay"):
            assert np.array_equal(decays[name], value), name
            assert np.abs(value - network.arrays()[name]).max() <= 0.5 / 4096
    spikes = random_spikes(network, seed)
    scaled, plain = simulate(rungs["decays"].network, spikes), simulate(in_float_units, spikes)
    assert np.array_equal(scaled.spikes, plain.spikes), "the units do not matter"
    np.testing.assert_allclose(scaled.membrane, plain.membrane, atol=1e-9)


@pytest.mark.parametrize("make", MAKERS)
def test_the_last_step_is_the_fixed_point_of_loihi(make: Any) -> None:
    network = make(1)
    spikes = random_spikes(network, 1)
    with bl.open_target(named(network)["state"].network, "loihi") as target:
        actual = target.run(spikes)
    theirs = simulate_fixed_point(quantize(network), spikes)
    assert np.array_equal(actual.spikes.numpy(), theirs.spikes)
    with bl.open_target(network, "loihi") as target:
        assert np.array_equal(target.run(spikes).spikes.numpy(), theirs.spikes), "as the float network there"


def without_rounding(seed: int, decays: tuple[float, float]) -> Network:
    """Decays of 0 and 1: no state is ever rounded."""
    rng = np.random.default_rng(seed)
    layers = []
    for inner, out in ((20, 30), (30, 10)):
        neuron = bl.CubaLIF(rng.uniform(0.3, 0.6, out), rng.choice([0.0, 1.0], out), rng.choice(decays, out))
        layers.append(bl.Dense(rng.normal(0.05, 0.2, (out, inner)), neuron))
    return Network((20,), layers)


@pytest.mark.parametrize("substrate", SUBSTRATES)
@pytest.mark.parametrize("seed", range(3))
def test_where_no_state_is_rounded_the_last_two_rungs_are_one(substrate: str, seed: int) -> None:
    network = without_rounding(seed, (1.0, 1.0) if substrate == "norse" else (0.0, 1.0))  # it cannot express 0
    rungs = named(network)
    spikes = random_spikes(network, seed)
    with bl.open_target(rungs["decays"].network, substrate) as real, bl.open_target(network, "loihi") as fixed:
        one, other = real.run(spikes), fixed.run(spikes)
    assert np.array_equal(one.spikes.numpy(), other.spikes.numpy())
    assert one.spikes.any()
    assert one.membrane is not None
    assert other.membrane is not None
    np.testing.assert_allclose(one.membrane.numpy(), other.membrane.numpy(), atol=1e-9)


def test_a_state_that_is_rounded_shows() -> None:
    network = random_dense(0)
    rungs, spikes = named(network), random_spikes(network, 0)
    real = simulate(rungs["decays"].network, spikes).membrane
    with bl.open_target(rungs["state"].network, "loihi") as target:
        membrane = target.run(spikes).membrane
    assert membrane is not None
    assert 0 < np.median(np.abs(membrane.numpy() - real)) < 0.05


def test_a_network_in_loihis_arithmetic_is_the_same_on_every_rung() -> None:
    weight = 2 * np.random.default_rng(0).integers(-100, 101, (6, 8))
    network = Network((8,), [bl.Dense(weight, bl.CubaLIF(200, 0.5, 0.25, 8))])
    rungs = ladder(network)
    spikes = random_spikes(network, 0)
    assert changed(network, rungs[1].network) == set()
    assert [simulate(rung.network, spikes).spikes.tolist() for rung in rungs[:3]] == (
        [simulate(network, spikes).spikes.tolist()] * 3
    )


def test_an_exported_network_has_the_last_two_rungs() -> None:
    exported = fixed_network(random_dense(2))
    rungs = ladder(exported)
    assert [rung.name for rung in rungs] == ["decays", "state"]
    assert all(rung.network is exported for rung in rungs)


@pytest.mark.parametrize("substrate", [*SUBSTRATES, "loihi"])
def test_substrates_run_the_rungs_of_their_arithmetic(substrate: str) -> None:
    network = random_dense(0)
    backend = find_backend(substrate)
    rungs = [rung for rung in ladder(network) if rung.arithmetic == backend.arithmetic]
    assert len(rungs) == (1 if substrate == "loihi" else 3)
    spikes = random_spikes(network, 0)
    for rung in rungs:
        with bl.open_target(rung.network, substrate) as target:
            actual = target.run(spikes).spikes.numpy()
        if rung.arithmetic == "real":
            assert np.array_equal(actual, simulate(rung.network, spikes).spikes)


def test_refuses_what_loihi_cannot_hold() -> None:
    network = Network((2,), [bl.Dense([[1.0, 2.0]], bl.CubaLIF(reset="subtract"))])
    with pytest.raises(bl.Unsupported, match="layer 0: reset 'subtract'"):
        ladder(network)
