"""Options for facts that a model file does not state, in every command that takes a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.testing.handmade_net import conv, dense, write


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A `.net` file whose first block is a convolution: nothing in it states the shape of the image."""
    flat = {"type": "flatten", "shape": [24]}
    weight = np.arange(48).reshape(2, 24) - 24
    return write(tmp_path / "bare.net", conv(), flat, dense(weight=weight))


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A NIR file of another package that does not state its time step."""
    nir = pytest.importorskip("nir", reason="nir is not installed")
    ones = np.ones(2)
    neuron = nir.LIF(tau=4 * ones, r=4 * ones, v_leak=0 * ones, v_threshold=ones, v_reset=0 * ones)
    nir.write(tmp_path / "foreign.nir", nir.NIRGraph.from_list(nir.Linear(np.array([[1.0, -0.5, 0.25]] * 2)), neuron))
    return tmp_path / "foreign.nir"


@pytest.mark.slow
def test_the_shape_of_the_input(bare: Path, call: Callable[..., Any], tmp_path: Path) -> None:
    result = call("inspect", bare)
    assert result.code == 2
    assert "--input-shape CHANNELS,HEIGHT,WIDTH" in result.err
    shape = ("--input-shape", "1,4,5")
    facts = json.loads(call("inspect", bare, *shape, "--json").out)
    assert facts["input_shape"] == [1, 4, 5]
    assert call("export", bare, tmp_path / "stated.net", *shape).code == 0
    assert bl.load(tmp_path / "stated.net").fingerprint == facts["fingerprint"]
    verified = call("verify", bare, *shape, "--backends", "loihi,snntorch", "--steps", 4, "--batch", 1, "--json")
    assert json.loads(verified.out)["model"] == str(bare)
    assert call("attack", bare, *shape, "--attack", "v1", "--steps", 3, "--json").code == 0


def test_the_convention_of_a_nir_file(foreign: Path, call: Callable[..., Any], tmp_path: Path) -> None:
    result = call("inspect", foreign)
    assert result.code == 2
    assert "convention" in result.err
    options = ("--convention", "nir", "--dt", "1.0")
    facts = json.loads(call("inspect", foreign, *options, "--json").out)
    assert facts["layers"][0]["voltage_decay"] == [0.25, 0.25]
    exported = json.loads(call("export", foreign, tmp_path / "mine.safetensors", *options, "--json").out)
    assert exported["fingerprint"] == facts["fingerprint"]
    snntorch = call("inspect", foreign, "--convention", "snntorch", "--dt", "1.0", "--reset", "zero", "--json")
    assert json.loads(snntorch.out)["layers"][0]["reset"] == "zero"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--input-shape", "four"), "--input-shape: expected comma-separated whole numbers, found 'four'"),
        (("--input-shape", "4,5"), "input_shape: expected"),
        (("--convention", "nir"), "convention: only for a .nir file"),
        (("--dt", "0.5", "--reset", "zero"), "dt, reset: only for a .nir file"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    options: tuple[str, ...], message: str, bare: Path, call: Callable[..., Any]
) -> None:
    result = call("inspect", bare, *options)
    assert (result.code, result.out) == (2, "")
    assert message in result.err


def test_export_opens_the_first_blocks_and_states_the_fingerprint_of_the_file_it_writes(
    call: Callable[..., Any], tmp_path: Path
) -> None:
    broken = write(tmp_path / "broken.net", dense(), {"type": "pool"})
    facts = json.loads(call("export", broken, tmp_path / "first.net", "--layers", 1, "--json").out)
    assert bl.load(tmp_path / "first.net").fingerprint == facts["fingerprint"]
    real = bl.Network((3,), [bl.Dense(np.array([[0.3, -0.2, 0.1]]), bl.CubaLIF())])
    bl.save(real, tmp_path / "real.safetensors")
    facts = json.loads(call("export", tmp_path / "real.safetensors", tmp_path / "real.net", "--json").out)
    assert bl.load(tmp_path / "real.net").fingerprint == facts["fingerprint"] != real.fingerprint


def test_export_says_what_slayer_cannot_hold(call: Callable[..., Any], tmp_path: Path) -> None:
    """Weights far below the threshold take one of Loihi's large thresholds, at which SLAYER is not exact."""
    weight = np.random.default_rng(0).uniform(-1, 1, (20, 200)) / 28
    for name, threshold in (("small", 10.0), ("plain", 0.5)):
        network = bl.Network((200,), [bl.Dense(weight, bl.CubaLIF(threshold, 0.2, 0.1))])
        bl.save(network, tmp_path / f"{name}.safetensors")
        output = call("export", tmp_path / f"{name}.safetensors", tmp_path / f"{name}.net").out
        assert ("SLAYER cannot hold it: the threshold of layer 0 is above 4095" in output) == (name == "small")
        options = ("--force", "--json")
        facts = json.loads(call("export", tmp_path / f"{name}.safetensors", tmp_path / f"{name}.net", *options).out)
        assert facts["layers"][0]["slayer_holds"] == (name == "plain")
