"""`bl-neuro inspect`: the content of a model, and the substrates that can run it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.backends import available_substrates, find_backend
from bl_neuro.testing.random_networks import random_pooled

WEIGHT = np.array([[3, -20, 0], [40, 5, -6]])
STATED = bl.Network(
    (3,),
    [
        bl.Input(2, bl.CubaLIF(50, 1, 0.25), bias=1),
        bl.Dense(WEIGHT, bl.CubaLIF(700, 0.5, [0.25, 0], bias=[0, -9]), delay=[[0, 5, 2]]),
    ],
    arithmetic="loihi",
)


def inspected(network: bl.Network, folder: Path, call: Callable[..., Any], name: str = "model.safetensors") -> Any:
    bl.save(network, folder / name)
    result = call("inspect", folder / name, "--json")
    assert (result.code, result.err) == (0, "")
    return json.loads(result.out)


def test_values_and_limits_of_a_network_in_loihis_arithmetic(tmp_path: Path, call: Callable[..., Any]) -> None:
    facts = inspected(STATED, tmp_path, call)
    assert facts["fingerprint"] == STATED.fingerprint
    assert (facts["arithmetic"], facts["input_kind"], facts["readout"]) == ("loihi", "current", "spikes")
    assert (facts["parameters"], facts["neurons"], facts["input_shape"]) == (6, 5, [3])
    inputs, dense = facts["layers"]
    assert (inputs["weight"], inputs["input_bias"], inputs["threshold"]) == ([2, 2], [1, 1], [50, 50])
    assert (dense["weight"], dense["weights"], dense["weights_not_zero"]) == ([-20, 40], 6, 5)
    assert (dense["delay"], dense["voltage_decay"], dense["bias"]) == ([0, 5], [0, 0.25], [-9, 0])
    held = facts["loihi"]["layers"][1]
    assert (held["weight"], held["threshold"]) == ([-20, 40], 700)
    assert (held["current_decay"], held["voltage_decay"]) == ([2048] * 2, [0, 1024])
    assert held["current_bound"] == 64 * 51 * 2
    assert (held["voltage_bound"], held["fits_24_bits"]) == (None, False)
    assert held["weight_exact"]


@pytest.mark.slow
def test_layers_that_cannot_spike_are_listed(tmp_path: Path, call: Callable[..., Any]) -> None:
    layers = [bl.Dense(np.ones((2, 3)), bl.CubaLIF(1e4)), bl.Dense(np.ones((2, 2)), bl.CubaLIF())]
    assert inspected(bl.Network((3,), layers), tmp_path, call)["silent_layers"] == [0]
    printed = call("inspect", tmp_path / "model.safetensors").out
    assert "Layer 0: no neuron can spike within 100 time steps." in printed
    assert "Layer 1:" not in printed


def test_problems_of_each_substrate_are_listed(tmp_path: Path, call: Callable[..., Any]) -> None:
    facts = inspected(random_pooled(1), tmp_path, call)
    assert list(facts["substrates"]) == list(available_substrates())
    for name, answer in facts["substrates"].items():
        problems = find_backend(name).problems(random_pooled(1))
        assert answer["holds"] == (not problems)
        assert answer["problems"][: len(problems)] == problems
    assert not facts["substrates"]["lava"]["holds"]
    assert any("SumPool" in problem for problem in facts["loihi"]["problems"])
    assert facts["loihi"]["layers"] == []


def test_inspect_prints_tables(tmp_path: Path, call: Callable[..., Any]) -> None:
    bl.save(STATED, tmp_path / "model.safetensors")
    result = call("inspect", tmp_path / "model.safetensors")
    assert (result.code, result.err) == (0, "")
    for words in ("arithmetic loihi, takes current 3", "delays up to 5", "vThMant", "700", "not bounded", "snntorch"):
        assert words in result.out
    assert STATED.fingerprint in result.out


def test_counts_and_limits_are_in_words(tmp_path: Path, call: Callable[..., Any]) -> None:
    bl.save(bl.Network((1,), [bl.Dense([[2]], bl.CubaLIF(20, 1, 1))], arithmetic="loihi"), tmp_path / "one.net")
    output = call("inspect", tmp_path / "one.net").out
    assert "1 weight, 1 neuron, " in output
    assert "Integers on Loihi: decays are fractions of 4096, thresholds are at most 131071, and states lie" in output
    assert "exact in 8 bits" in output


def test_a_bound_beyond_24_bits_is_marked(tmp_path: Path, call: Callable[..., Any]) -> None:
    wide = bl.Dense(254 * np.ones((2, 700)), bl.CubaLIF(200, 0.5, 0.25))
    bl.save(bl.Network((700,), [wide], arithmetic="loihi"), tmp_path / "model.safetensors")
    output = call("inspect", tmp_path / "model.safetensors").out
    assert "* beyond 24 bits: Loihi wraps the current and clips the voltage there" in output
    bl.save(bl.Network((3,), [bl.Dense([[2, 4, 6]], bl.CubaLIF(20, 1, 1))], arithmetic="loihi"), tmp_path / "b.net")
    assert "* beyond" not in call("inspect", tmp_path / "b.net").out


@pytest.mark.parametrize("name", ["model.net", "model.safetensors"])
def test_net_files_are_inspected_too(name: str, tmp_path: Path, call: Callable[..., Any]) -> None:
    layers = [bl.Dense(2 * np.ones((4, 3)), bl.CubaLIF(9, 1, 0.25)), bl.Dense(np.ones((2, 4)), bl.CubaLIF(9, 1, 0.25))]
    network = bl.Network((3,), layers, arithmetic="loihi")
    facts = inspected(network, tmp_path, call, name)
    assert facts["fingerprint"] == network.fingerprint
    prefix = call("inspect", tmp_path / name, "--layers", 1, "--json")
    if name.endswith(".net"):
        assert len(json.loads(prefix.out)["layers"]) == 1
    else:
        assert prefix.code == 2
        assert "only for a .net file" in prefix.err
