"""Real Lava: the shipped contract, and the same spikes as SLAYER.

Opening one takes seconds, so there are no more of them than there are things to find out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.backends import find_backend, missing_reason
from bl_neuro.backends.lava.target import LavaTarget
from bl_neuro.data import load_dataset, three_way_split
from bl_neuro.data.encoders import rate_encode
from bl_neuro.network import Network
from bl_neuro.testing.backend_contract import BackendContract
from bl_neuro.testing.random_networks import random_dense, random_spikes
from bl_neuro.training import TargetPlan, train_target

pytestmark = pytest.mark.lava


@pytest.fixture(autouse=True, scope="module")
def _needs_lava() -> None:
    reason = missing_reason(find_backend("lava"))
    if reason:
        pytest.skip(f"substrate 'lava': {reason}")


class TestLava(BackendContract):
    substrate = "lava"
    dense_networks = 10
    conv_networks = 4
    cold_batch = 2


@pytest.fixture
def slayer_here(needs: Callable[[str], None]) -> None:
    """Lava may run in another Python; SLAYER has to be in this one."""
    needs("slayer")


def digits() -> tuple[Network, np.ndarray]:
    """A network trained on digits, briefly, and digits it has not seen, rate coded."""
    split = three_way_split(load_dataset("digits"), seed=0)
    plan = TargetPlan(hidden=(64,), steps=20, proxy_epochs=20, spiking_epochs=2)
    network = train_target(split.target, plan, seed=0)
    return network, rate_encode(split.test.images[:70], plan.steps, np.random.default_rng(0))


@pytest.mark.slayer
@pytest.mark.usefixtures("slayer_here")
def test_a_trained_network_spikes_as_on_slayer_in_every_layer() -> None:
    network, spikes = digits()
    with bl.open_target(network, "slayer") as slayer, bl.open_target(network, "lava") as lava:
        expected, actual = slayer.run(spikes, layers=True), lava.run(spikes, layers=True)
    assert expected.layers is not None
    assert actual.layers is not None
    assert isinstance(lava, LavaTarget)
    assert spikes.shape[1] % lava.timing.replicas > 0, "the last round is not full"
    assert spikes.shape[1] > lava.timing.replicas > 1
    for number, (ours, wanted) in enumerate(zip(actual.layers, expected.layers)):
        assert ours.equal(wanted), f"layer {number}"
        assert 0 < wanted.mean() < 1


@pytest.mark.slayer
@pytest.mark.usefixtures("slayer_here")
@pytest.mark.parametrize(("replicas", "batch"), [(1, 3), (3, 7)])
def test_replicas_change_nothing(replicas: int, batch: int) -> None:
    network = random_dense(20, biases=False)
    spikes = random_spikes(network, 20, steps=15, batch=batch)
    with bl.open_target(network, "slayer") as slayer, bl.open_target(network, "lava", replicas=replicas) as lava:
        assert isinstance(lava, LavaTarget)
        assert lava.timing.replicas == replicas
        assert lava.run(spikes).spikes.equal(slayer.run(spikes).spikes)
        assert lava.run(spikes[:, :1]).spikes.equal(slayer.run(spikes[:, :1]).spikes)


def one_sided(sign: int, zeros: bool) -> Network:
    """All weights of the middle layer have one sign; biases keep inhibited neurons firing."""
    rng = np.random.default_rng(30)
    first, last = rng.normal(0.2, 0.5, (10, 8)), rng.normal(0.2, 0.5, (5, 12))
    middle = sign * (0.05 + np.abs(rng.normal(0, 0.2, (12, 10))))
    if zeros:
        middle[rng.random((12, 10)) < 0.3] = 0
    neuron = bl.CubaLIF(bias=0.0 if sign > 0 else 0.7)
    return Network((8,), [bl.Dense(first, bl.CubaLIF()), bl.Dense(middle, neuron), bl.Dense(last, bl.CubaLIF())])


@pytest.mark.slayer
@pytest.mark.usefixtures("slayer_here")
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("zeros", "replicas"), [(False, None), (False, 1), (True, 1)])
def test_weights_of_one_sign(sign: int, zeros: bool, replicas: int | None) -> None:
    network = one_sided(sign, zeros)
    spikes = random_spikes(network, 30, steps=15, batch=3)
    with bl.open_target(network, "slayer") as slayer, bl.open_target(network, "lava", replicas=replicas) as lava:
        expected, actual = slayer.run(spikes, layers=True), lava.run(spikes, layers=True)
    assert isinstance(lava, LavaTarget)
    assert (lava.timing.replicas > 1) == (replicas is None)
    assert 0 < expected.spikes.mean() < 1
    assert actual.layers is not None
    assert expected.layers is not None
    assert all(ours.equal(wanted) for ours, wanted in zip(actual.layers, expected.layers))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"deadline_s": 0}, "deadline_s: expected seconds above 0"),
        ({"deadline_s": float("nan")}, "deadline_s"),
        ({"deadline_s": "soon"}, "deadline_s: .*'soon'"),
        ({"replicas": 0}, r"replicas: expected a whole number in 1\.\.\d+, found 0"),
        ({"replicas": 1.5}, "replicas"),
        ({"replicas": "many"}, "replicas: .*'many'"),
        ({"replicas": True}, "replicas"),
        ({"replicas": 10**6}, r"replicas: .* in 1\.\.\d+, found 1000000"),
        ({"runtimes": 0}, r"runtimes: .* in 1\.\.64, found 0"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(bl.InputError, match=message):
        bl.open_target(random_dense(20), "lava", **options)


def test_convolutions_have_no_replicas() -> None:
    weight = np.ones((2, 1, 2, 2))
    network = Network((1, 4, 4), [bl.Conv(weight, bl.CubaLIF())])
    with pytest.raises(bl.Unsupported, match=r"'lava'.*replicas 2: .*expected 1"):
        bl.open_target(network, "lava", replicas=2)
