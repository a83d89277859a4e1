"""`bl-neuro membership` on a model file and on an endpoint."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.data import load_dataset
from bl_neuro.data.samples import Samples
from bl_neuro.membership.halves import random_half
from bl_neuro.testing.served import Server

SAMPLES = 100


def memorise(samples: Samples, seed: int) -> bl.Network:
    """A linear network that memorises its samples."""
    images = samples.images.reshape(len(samples.labels), -1)
    images = images + 1e-3 * np.random.default_rng(seed).normal(size=images.shape)
    weight = np.linalg.lstsq(images, 2 * np.eye(10)[samples.labels] - 0.5, 1e-2)[0]
    return bl.Network((1, 8, 8), [bl.Flatten(), bl.Dense(weight.T, bl.CubaLIF(1.0, 1.0, 0.3))])


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, needs: Callable[[str], None]) -> dict[str, Any]:
    """A target, its members, the attacked samples, and a folder of shadow networks."""
    needs("snntorch")
    folder = tmp_path_factory.mktemp("membership")
    data: Any = load_dataset("digits").subset(np.arange(SAMPLES))
    mask = random_half(data.labels, 99)
    bl.save(memorise(data.subset(np.flatnonzero(mask)), 99), folder / "target.safetensors")
    np.save(folder / "members.npy", np.flatnonzero(mask))
    (folder / "samples.txt").write_text(" ".join(map(str, range(SAMPLES))))
    bl.train_shadows(data, memorise, out=folder / "shadows", networks=10)
    names = {
        "target": "target.safetensors", "members": "members.npy", "samples": "samples.txt", "shadows": "shadows",
    }  # fmt: skip
    return {"folder": folder, **{name: str(folder / file) for name, file in names.items()}}


def words(places: dict[str, Any], *more: object) -> list[object]:
    common = ["--dataset", "digits", "--samples", places["samples"], "--backend", "snntorch"]
    return [places["target"], *common, "--steps", 12, "--asks", 2, *more]


def test_a_model_file(places: dict[str, Any], call: Callable[..., Any], tmp_path: Path) -> None:
    given = ["--shadows", places["shadows"], "--members", places["members"], "--reveals", "scores"]
    result = call("membership", *words(places, *given, "--budget", 200, "--out", tmp_path / "a.json"))
    assert result.code == 0, result.err
    assert result.err == ""
    facts = json.loads((tmp_path / "a.json").read_text())
    assert facts["measures"]["auc"] > 0.7
    assert (facts["queries"], facts["shadows"], facts["substrate"]) == (200, 10, "snntorch")
    assert f"{facts['measures']['auc']:.3f}" in result.out
    assert result.out.startswith("The model takes samples in the encoding ")
    assert result.out.endswith(f"Written: {tmp_path / 'a.json'}\n")
    again = call("membership", *words(places, *given, "--json"))
    assert json.loads(again.out) == facts


def test_shadow_networks_are_trained_first(
    places: dict[str, Any], call: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "shadows"
    settings = ["--set", "hidden=[8]", "--set", "proxy_epochs=1", "--set", "spiking_epochs=0"]
    arguments = words(places, "--shadows", folder, "--train-shadows", 8, *settings, "--json", "--attack", "rmia")
    result = call("membership", *arguments)
    assert result.code == 0, result.err
    assert json.loads(result.out)["shadows"] == 8
    output: Any = bl.load_shadows(folder).networks[0].layers[-1]
    assert output.weight.shape == (10, 8)

    def fails(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("bl_neuro.membership.shadow_training.train_all_by_plan", fails)
    assert call("membership", *arguments).out == result.out


WRONG = {
    "no shadows": ("", "shadows: attack lira compares the model with shadow networks"),
    "shadows of other samples": (
        "--shadows {shadows} --samples {folder}/members.npy",
        "--samples: expected the 100 samples among which the members of the shadow networks are known, found 4",
    ),
    "no folder": ("--train-shadows 8", "--train-shadows: expected a folder for these networks"),
    "settings without training": ("--shadows {shadows} --set hidden=[8]", "--set: settings of a training apply only"),
    "an unknown setting": ("--shadows {folder}/new --train-shadows 8 --set hiden=[8]", "did you mean 'hidden'"),
    "a small budget": ("--shadows {shadows} --budget 199", "expected at least 200 remaining queries"),
    "an unknown attack": ("--shadows {shadows} --attack knn", "attack: expected one of lira"),
    "an unknown ask": ("--shadows {shadows} --ask loud", "ask: expected one of plain"),
    "no such folder": ("--shadows {folder}/nowhere", "shadows.json: expected a file that can be read"),
    "an existing file": ("--shadows {shadows} --out {samples}", "already exists"),
    "a token for a file": ("--shadows {shadows} --token a", "--token: not applicable to a file"),
    "no such members": ("--shadows {shadows} --members {folder}/none.txt", "found nothing there"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_options(what: str, places: dict[str, Any], call: Callable[..., Any]) -> None:
    more, message = WRONG[what]
    result = call("membership", *words(places, *more.format(**places).split()))
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert message in result.err


@pytest.mark.slow
def test_an_endpoint(places: dict[str, Any], call: Callable[..., Any]) -> None:
    pytest.importorskip("starlette", reason="the server needs bl-neuro[serve]")
    server = Server(Path(places["target"]), "--backend", "loihi", "--reveals", "counts", "--budget", "200")
    more = ["--backend", "loihi", "--shadows", places["shadows"], "--members", places["members"], "--json"]
    try:
        result = call("membership", server.url, *words(places, *more)[1:])
        assert result.code == 0, result.err
        refused = call("membership", server.url, *words(places, *more)[1:])
    finally:
        server.end()
    facts = json.loads(result.out)
    assert facts["queries"] == 200
    assert facts["measures"]["auc"] > 0.6
    assert (refused.code, "budget is spent" in refused.err) == (2, True)
    local = call("membership", *words(places, *more, "--reveals", "counts"))
    assert json.loads(local.out)["scores"] == facts["scores"]
