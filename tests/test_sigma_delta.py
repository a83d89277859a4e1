"""Sigma-delta neurons and networks: what they accept, how they mix with others, and that files keep them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro import Conv, CubaLIF, Delta, Dense, Flatten, Input, Network, NetworkError, Sigma, SigmaDelta
from bl_neuro.backends import find_backend
from bl_neuro.deploy.ladder import ladder
from bl_neuro.testing.random_sigma_delta import random_sigma_delta


def network(*layers: Any, **options: Any) -> Network:
    return Network((3,), [Input(64, Delta(6)), *layers], **options)


def dense(neuron: Any, **options: Any) -> Dense:
    return Dense(np.full((2, 3), 10), neuron, **options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Delta(-1), "threshold: expected a whole number in 0..524287, found -1"),
        (lambda: Delta(0.5), "threshold: expected whole numbers in -524287..524287, found 0.5"),
        (lambda: Delta([1, 2]), r"threshold: expected one number, found shape \(2,\)"),
        (lambda: SigmaDelta(2**19), "threshold: expected whole numbers"),
        (lambda: SigmaDelta(6, bias=[0, -(2**19)]), "bias: expected whole numbers in -524287..524287, found -524288"),
        (lambda: SigmaDelta(6, bias=float("nan")), "bias: expected finite numbers"),
        (lambda: SigmaDelta(6, activation="tanh"), "activation: expected one of relu, unit, found 'tanh'"),  # type: ignore[arg-type]
        (lambda: Input(64, SigmaDelta(6)), "expected a CubaLIF or Delta, found SigmaDelta"),  # type: ignore[arg-type]
        (lambda: dense(Delta(6)), "expected a CubaLIF, SigmaDelta or Sigma, found Delta"),
        (lambda: network(dense(CubaLIF())), "layer 1: neuron: expected sigma-delta neurons .* found CubaLIF"),
        (
            lambda: network(dense(Sigma()), Dense(np.ones((1, 2)), Sigma())),
            "layer 1: neuron: expected Sigma as",
        ),
        (lambda: Network((3,), [dense(Sigma())]), "layer 0: expected Input with Delta neurons"),
        (lambda: network(dense(Sigma(), recurrent=np.ones((2, 2)))), "layer 1: recurrent: not supported"),
        (lambda: network(dense(SigmaDelta(6, bias=[1, 2, 3]))), r"layer 1: bias: .* found shape \(3,\)"),
        (lambda: network(dense(Sigma()), arithmetic="real"), "layer 0: arithmetic: expected 'loihi' for sigma-delta"),
        (lambda: network(dense(Sigma()), readout="spikes"), "readout: expected 'values', found 'spikes'"),
        (lambda: Network((3,), [dense(CubaLIF())], readout="values"), "readout: expected 'spikes' or 'membrane'"),
        (
            lambda: Network((1, 1, 1), [Input(1, Delta()), Conv(np.full((1, 1, 1, 1), 2**28), SigmaDelta())]),
            "layer 1: weight: expected whole numbers",
        ),
        (
            lambda: Network((129, 1, 1), [Input(1, Delta()), Conv(np.full((1, 129, 1, 1), 2**20), SigmaDelta())]),
            "layer 1: weight: expected magnitudes that add up to at most 134217728 for a neuron, found 135266304",
        ),
    ],
)
def test_refuses(make: Any, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        make()


def test_takes_loihis_arithmetic_and_its_own_readout() -> None:
    made = network(dense(SigmaDelta(6, bias=[0, 1])))
    assert (made.arithmetic, made.readout, made.input_kind, made.is_sigma_delta) == ("loihi", "values", "current", True)
    assert made.has_bias
    assert not network(dense(Sigma())).has_bias


@pytest.mark.parametrize("change", [SigmaDelta(7), SigmaDelta(6, 1), SigmaDelta(6, activation="unit"), Sigma()])
def test_fingerprint_changes_with_the_neurons(change: Any) -> None:
    assert network(dense(change)) != network(dense(SigmaDelta(6)))
    assert network(dense(SigmaDelta(6))) == network(dense(SigmaDelta(6)))


@pytest.mark.parametrize("seed", range(6))
def test_safetensors_keeps_everything(tmp_path: Path, seed: int) -> None:
    made = random_sigma_delta(seed, unit=True)
    bl.save(made, tmp_path / "network.safetensors")
    assert bl.load(tmp_path / "network.safetensors") == made


def test_float_substrates_refuse_by_name_and_reason() -> None:
    made = Network((1, 2, 2), [Input(64, Delta()), Flatten(), Dense(np.ones((2, 4)), Sigma())])
    for name in ("snntorch", "norse", "slayer"):
        problems = find_backend(name).problems(made)
        assert [problem.split(":")[:2] for problem in problems] == [["layer 0", " neuron Delta"]]


def test_what_computes_spikes_refuses_it(tmp_path: Path) -> None:
    with pytest.raises(bl.Unsupported, match="NIR has no neurons that send graded messages"):
        bl.save(network(dense(Sigma())), tmp_path / "network.nir")
    with pytest.raises(bl.Unsupported, match="computes spikes, not the messages"):
        bl.reference.simulate(network(dense(Sigma())), np.zeros((1, 1, 3)))


def test_the_ladder_has_its_last_rung_only() -> None:
    made = network(dense(SigmaDelta(6, bias=3)))
    assert [(rung.name, rung.network == made) for rung in ladder(made)] == [("state", True)]
