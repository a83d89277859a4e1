"""`bl-neuro verify`: what it prints, draws and returns."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.backends import Response
from bl_neuro.backends.registry import BACKENDS
from bl_neuro.testing.random_networks import random_dense
from bl_neuro.testing.reference_target import ReferenceBackend, ReferenceTarget
from bl_neuro.testing.registered import registered

PNG = b"\x89PNG\r\n\x1a\n"


class WrongTarget(ReferenceTarget):
    def _run(self, spikes: Any, layers: bool, start: Any) -> Response:
        response = super()._run(spikes, layers, start)
        if response.layers is not None:
            response.layers[0][:] = 1 - response.layers[0]
        return response


class Right(ReferenceBackend):
    """Two backends that should agree; `wrong` does not."""

    name = "right"

    @classmethod
    def problems(cls, network: bl.Network) -> list[str]:
        return ["layer 0: out of my reach"] if network.readout == "membrane" else []


class Wrong(Right):
    name = "wrong"
    target = WrongTarget


class Alike(Right):
    name = "alike"


class Other(Right):
    name = "other"
    arithmetic = None
    target = WrongTarget


@pytest.fixture
def only() -> Iterator[Callable[..., None]]:
    """Registers these backends and no others."""
    with ExitStack() as stack:
        yield lambda *backends: stack.enter_context(registered(BACKENDS, *backends, only=True))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    bl.save(random_dense(3, (6, 5, 4)), path)
    return path


def test_a_broken_promise_is_exit_code_1(model: Path, only: Any, call: Callable[..., Any]) -> None:
    only(Right, Wrong)
    result = call("verify", model)
    assert (result.code, result.err) == (1, "")
    assert "BROKEN: wrong and right should be identical and are not." in result.out
    assert "wrong-right" in result.out
    assert "at fault" in result.out
    facts = json.loads(call("verify", model, "--json").out)
    assert facts["broken"] == [["wrong", "right"]]


def test_differences_without_a_promise_are_no_failure(model: Path, only: Any, call: Callable[..., Any]) -> None:
    only(Right, Other)
    result = call("verify", model)
    assert result.code == 0
    assert "These substrates do not promise identical spikes." in result.out
    assert "other does not declare its arithmetic" in result.out


def test_unsupported_substrates_are_listed_with_the_reason(tmp_path: Path, only: Any, call: Callable[..., Any]) -> None:
    only(Right, Wrong)
    network = random_dense(3, (6, 5, 4))
    path = tmp_path / "membrane.safetensors"
    bl.save(bl.Network(network.input_shape, network.layers, readout="membrane"), path)
    result = call("verify", path)
    assert result.code == 2
    assert "expected at least two" in result.err
    assert "right: layer 0: out of my reach; wrong: layer 0: out of my reach" in result.err


@pytest.mark.slow
def test_pictures_are_drawn(model: Path, only: Any, call: Callable[..., Any], tmp_path: Path) -> None:
    only(Right, Wrong, Other)
    result = call("verify", model, "--out", tmp_path / "pictures", "--all-pairs", "--batch", 1)
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert len(names) == 2  # `other` and `wrong` are wrong alike, and identical pairs have no picture
    assert not any({"other", "wrong"} <= set(name.removesuffix(".png").split("-")) for name in names)
    assert all((tmp_path / "pictures" / name).read_bytes().startswith(PNG) for name in names)
    assert all(name in result.out for name in names)
    first = [(tmp_path / "pictures" / name).read_bytes() for name in names]
    again = ("verify", model, "--out", tmp_path / "pictures", "--all-pairs", "--batch", 1)
    refused = call(*again)
    assert (refused.code, refused.out) == (2, "")
    assert "already exists; choose another name, or overwrite it with --force" in refused.err
    assert call(*again, "--force").code == 1
    assert first == [(tmp_path / "pictures" / name).read_bytes() for name in names]


def test_it_prints_how_many_neurons_spiked(tmp_path: Path, only: Any, call: Callable[..., Any]) -> None:
    only(Right, Alike)
    first = random_dense(3, (6, 5, 4)).layers[0]
    silent = bl.Dense(np.ones((4, 5)), bl.CubaLIF(threshold=1e6))
    bl.save(bl.Network((6,), [first, silent]), tmp_path / "model.safetensors")
    output = call("verify", tmp_path / "model.safetensors").out
    assert "Spikes on alike" in output
    assert "5 of 5" in output
    assert "0 of 4" in output
    assert "Layer 1 never spiked: only the membrane potential of the output was compared there." in output
    assert "Layer 0 never" not in output
    facts = json.loads(call("verify", tmp_path / "model.safetensors", "--json").out)
    assert facts["silent_layers"] == [1]


def test_silent_networks_do_not_prove_promises(tmp_path: Path, only: Any, call: Callable[..., Any]) -> None:
    only(Right, Alike)
    silent = bl.Dense(np.ones((4, 6)), bl.CubaLIF(threshold=1e6))
    bl.save(bl.Network((6,), [silent]), tmp_path / "model.safetensors")
    result = call("verify", tmp_path / "model.safetensors")
    assert "No layer ever spiked, so no promise was tested." in result.out
    assert "are kept" not in result.out


def test_given_inputs_are_among_what_is_compared(
    model: Path, only: Any, call: Callable[..., Any], tmp_path: Path
) -> None:
    only(Right, Other)
    np.save(tmp_path / "mine.npy", np.ones((7, 2, 6), np.uint8))
    facts = json.loads(call("verify", model, "--input", tmp_path / "mine.npy", "--batch", 1, "--json").out)
    assert facts["steps"] == 7
    assert facts["pairs"][0]["inputs"][-1]["name"] == "given"
    assert facts["pairs"][0]["inputs"][-1]["samples"] == 2
    assert [facts["seed"], facts["start"]] == [0, "aligned"]


def test_the_same_seed_gives_the_same_figures(model: Path, only: Any, call: Callable[..., Any]) -> None:
    only(Right, Other)
    runs = [json.loads(call("verify", model, "--json", "--seed", seed).out) for seed in (3, 3, 4)]
    for run in runs:
        del run["seconds"]
    assert runs[0] == runs[1]
    assert runs[0]["pairs"] != runs[2]["pairs"]


def test_networks_with_biases_state_their_start(model: Path, only: Any, call: Callable[..., Any]) -> None:
    only(Right, Other)
    assert "different spikes: --start cold" in call("verify", model, "--batch", 1).out
    assert "different spikes: --start aligned" in call("verify", model, "--batch", 1, "--start", "cold").out


@pytest.mark.slow
@pytest.mark.lava
def test_all_five_on_an_exported_digits_network(
    command: Callable[..., Any], models: Path, tmp_path: Path, needs: Callable[[str], None]
) -> None:
    for name in ("snntorch", "norse", "slayer", "lava"):
        needs(name)
    assert command("export", models / "target.safetensors", tmp_path / "model.net").code == 0
    result = command("verify", tmp_path / "model.net", "--json", timeout=60)
    assert result.code == 0, result.err
    facts = json.loads(result.out)
    assert set(facts["substrates"]) >= {"snntorch", "norse", "slayer", "loihi", "lava"}
    assert facts["broken"] == []
    promised = {pair["substrate"] for pair in facts["pairs"] if pair["reference"] == "lava" and pair["promised"]}
    assert promised == {"slayer", "loihi"}
    assert all(pair["exact"] for pair in facts["pairs"] if pair["promised"])
    assert all(pair["identical"] / pair["bins"] > 0.95 for pair in facts["pairs"])
