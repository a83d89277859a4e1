"""Quantisation-aware training through SLAYER: the deployed network is the trained one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import bl_neuro as bl
from bl_neuro import InputError, Network
from bl_neuro.data import Split
from bl_neuro.training import ConvSpec, TargetPlan, measure_accuracy, slayer_target, train_slayer_target

pytestmark = pytest.mark.slayer
STEPS = 12


@pytest.fixture(scope="module", params=["dense", pytest.param("conv", marks=pytest.mark.slow)])
def trained(
    request: pytest.FixtureRequest, split: Split, needs: Callable[[str], None]
) -> tuple[Network, Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]]:
    """A network, and the run of SLAYER's blocks that it was trained through."""
    needs("slayer")
    rows: list[slayer_target._Row] = []

    class Seen(slayer_target._Row):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            rows.append(self)

    conv = (ConvSpec(6, 3, 1, 1), ConvSpec(8, 3, 2)) if request.param == "conv" else ()
    plan = TargetPlan(
        hidden=(32,), conv=conv, steps=STEPS, proxy_epochs=30, spiking_epochs=1, spiking_rate=3e-4, batch=32
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slayer_target, "_Row", Seen)
        network = train_slayer_target(split.target, plan)
    return network, rows[0].run


@pytest.mark.slow
def test_learns_and_is_in_loihis_arithmetic(trained: tuple[Network, object], split: Split) -> None:
    network, _ = trained
    assert network.arithmetic == "loihi"
    with bl.open_target(network, "loihi") as target:
        assert measure_accuracy(target, split.test, STEPS, seed=0) > 0.85


@pytest.mark.slow
def test_spikes_on_loihi_as_it_did_in_training(
    trained: tuple[Network, Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]], split: Split
) -> None:
    network, run = trained
    spikes = split.test.spikes(slice(50), STEPS, np.random.default_rng(0))
    with torch.no_grad():
        fired, membrane = run(torch.from_numpy(spikes).float())
    for substrate in ("loihi", "slayer"):
        with bl.open_target(network, substrate) as target:
            response = target.run(spikes)
        assert torch.equal(response.spikes.double(), fired.double())
        assert response.membrane is not None
        torch.testing.assert_close(response.membrane.double(), membrane.double())
    assert fired.any()


@pytest.mark.slow
def test_the_exported_file_holds_the_same_integers(trained: tuple[Network, object], tmp_path: Path) -> None:
    network, _ = trained
    bl.save(network, tmp_path / "model.net")
    again = bl.load(tmp_path / "model.net")
    for name, array in network.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)


def test_comes_from_its_seed_alone(few: Split, tiny: TargetPlan, needs: Callable[[str], None]) -> None:
    needs("slayer")
    state = torch.get_rng_state()
    first = train_slayer_target(few.target, tiny, seed=2)
    assert train_slayer_target(few.target, tiny, seed=2) == first
    assert train_slayer_target(few.target, tiny, seed=3) != first
    assert torch.equal(torch.get_rng_state(), state)


def test_refuses_a_neuron_that_loihi_has_not(few: Split) -> None:
    with pytest.raises(InputError, match="neuron: expected canonical"):
        train_slayer_target(few.target, TargetPlan(neuron="authors"))
