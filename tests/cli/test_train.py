"""`bl-neuro train` beyond its defaults: other data and targets, several evaluators, an interrupted run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import bl_neuro as bl
from bl_neuro.api import train as train_module
from bl_neuro.training import load_ann_twin, load_evaluator

QUICK = ["--proxy-epochs", 2, "--spiking-epochs", 1, "--steps", 4]


def answered(result: Any) -> Any:
    assert result.code == 0, result.err
    return json.loads(result.out)


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    """Squares and crosses, 8x8."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    images = rng.random((60, 1, 8, 8)) * 0.3
    images[labels == 0, 0, 2:6, 2:6] = 1
    images[labels == 1, 0, 3:5] = images[labels == 1, 0, :, 3:5] = 1
    np.savez(tmp_path / "shapes.npz", images=images, labels=labels)
    return tmp_path / "shapes.npz"


def test_a_device_that_slayer_does_not_use_is_refused(call: Callable[..., Any], npz: Path, tmp_path: Path) -> None:
    result = call("train", npz, "--out", tmp_path / "out", "--slayer", "--device", "cuda")
    assert result.code == 2
    assert "device: SLAYER trains on the CPU; expected 'auto' or 'cpu' with slayer, found 'cuda'" in result.err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_everything_at_once(call: Callable[..., Any], npz: Path, tmp_path: Path) -> None:
    options = ["--conv", "4c3-6c3s2", "--hidden", "7", "--neuron", "authors", "--evaluators", "conv,spiking", "--twin"]
    out = tmp_path / "out"
    facts = answered(call("train", npz, "--out", out, *QUICK, *options, "--noise", 0.1, "--json"))
    network = bl.load(facts["target"])
    assert network.shapes == ((4, 6, 6), (6, 2, 2), (24,), (7,), (2,))
    assert network.layers[0].neuron.reset == "subtract_delayed"  # type: ignore[union-attr]
    assert (facts["plan"]["noise"], facts["steps"], facts["through"]) == ("0.1", 4, "canonical")
    judges = [load_evaluator(evaluator["file"]) for evaluator in facts["evaluators"]]
    assert [(judge.name, judge.spiking) for judge in judges] == [("conv", False), ("spiking", True)]
    assert load_ann_twin(facts["twin"]["file"]).hidden == (7,)
    assert sorted(path.name for path in out.iterdir()) == [
        "evaluator-spiking.safetensors",
        "evaluator.safetensors",
        "target.safetensors",
        "training.json",
        "twin.safetensors",
    ]


def test_events(call: Callable[..., Any], tmp_path: Path) -> None:
    frames = np.random.default_rng(0).random((40, 6, 1, 8, 8)) < 0.1
    np.savez(tmp_path / "events.npz", frames=frames.astype(np.uint8), labels=np.arange(40) % 2)
    options = ["--spiking-epochs", 1, "--steps", 6, "--hidden", "5", "--evaluators", ""]
    facts = answered(call("train", tmp_path / "events.npz", "--out", tmp_path / "out", *options, "--json"))
    assert bl.load(facts["target"]).shapes == ((64,), (5,), (2,))
    assert facts["evaluators"] == []
    assert facts["plan"]["proxy_epochs"] == "0"


def test_a_folder_of_images_scaled(call: Callable[..., Any], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("dark", "light"):
        (tmp_path / "own" / name).mkdir(parents=True)
        for number in range(12):
            pixels = (rng.random((12, 10)) * 120 + (120 if name == "light" else 0)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "own" / name / f"{number}.png")
    arguments = ["train", tmp_path / "own", "--out", tmp_path / "out", "--size", "6x5", *QUICK, "--evaluators", ""]
    result = call(*arguments)
    assert result.code == 0, result.err
    assert "test accuracy" in result.out
    assert bl.load(tmp_path / "out" / "target.safetensors").input_shape == (1, 6, 5)


@pytest.mark.slayer
def test_through_slayer(call: Callable[..., Any], npz: Path, tmp_path: Path, needs: Callable[[str], None]) -> None:
    needs("slayer")
    options = ["--hidden", "6", "--slayer", "--evaluators", "", *QUICK]
    facts = answered(call("train", npz, "--out", tmp_path / "out", *options, "--json"))
    assert bl.load(facts["target"]).arithmetic == "loihi"
    assert facts["through"] == "slayer"
    assert facts["measured_on"] in ("loihi", "slayer")


@pytest.mark.slow
def test_a_run_cut_short_goes_on(
    call: Callable[..., Any], npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["train", npz, "--hidden", "6", *QUICK, "--seed", 3, "--json", "--out"]
    whole = answered(call(*arguments, tmp_path / "whole"))
    with monkeypatch.context() as patch:
        patch.setattr(train_module, "train_evaluator", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        assert call(*arguments, tmp_path / "cut").code == 130
    kept = tmp_path / "cut" / "unfinished" / "target.safetensors"
    assert kept.exists()
    assert not (tmp_path / "cut" / "target.safetensors").exists()
    assert answered(call(*arguments, tmp_path / "cut"))["fingerprint"] == whole["fingerprint"]
    assert not kept.parent.exists()


def test_another_training_is_not_taken_for_the_one_cut_short(
    call: Callable[..., Any], npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["train", npz, "--hidden", "6", *QUICK, "--out", tmp_path / "cut"]
    with monkeypatch.context() as patch:
        patch.setattr(train_module, "train_evaluator", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        call(*arguments)
    result = call(*arguments, "--seed", 9)
    assert result.code == 2
    assert "another training" in " ".join(result.err.split())


def test_one_class_is_too_few(call: Callable[..., Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "squares.npz", images=np.zeros((20, 8, 8)), labels=np.zeros(20, dtype=np.int64))
    result = call("train", tmp_path / "squares.npz", "--out", tmp_path / "out", *QUICK)
    assert result.code == 2
    assert "squares: expected samples of at least 2 classes to train on, found 1 ('0')" in " ".join(result.err.split())
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--evaluators", "conv,oracle"], "evaluators: expected names among conv, spiking"),
        (["--neuron", "other"], "neuron: expected one of canonical, authors"),
        (["--conv", "12c"], "conv: expected text such as 12c5s2p1"),
        (["--conv", "4c9"], "does not fit"),
        (["--split", "none"], "split: expected one of auto"),
        (["--split", "official"], "the loaded samples contain no official test set"),
        (["--split", "shared"], "the loaded samples contain no official test set"),
        (["--size", "8"], "size: expected (height, width)"),
        (["--size", "8x8"], "size: expected a dataset that can be scaled (att_faces, a folder"),
        (["--device", "abacus"], "device: expected auto, cpu or cuda"),
        (["--proxy-epochs", "-1"], "proxy_epochs: expected at least 0"),
        (["--noise", "2"], "noise"),
        (["--steps", "0"], "steps: expected"),
        (["--slayer", "--neuron", "authors"], "neuron: expected canonical"),
        (["--seed", "-1"], "seed: expected"),
    ],
)
def test_refuses(options: list[str], message: str, call: Callable[..., Any], npz: Path, tmp_path: Path) -> None:
    result = call("train", npz, "--out", tmp_path / "out", *options)
    assert result.code == 2
    assert message in " ".join(result.err.split())


def test_a_finished_training_is_overwritten_only_with_force(
    call: Callable[..., Any], npz: Path, tmp_path: Path
) -> None:
    arguments = ["train", npz, "--hidden", "6", *QUICK, "--evaluators", "", "--out", tmp_path]
    (tmp_path / "unfinished-notes.txt").write_text("mine")
    assert call(*arguments).code == 0
    before = (tmp_path / "target.safetensors").read_bytes()
    result = call(*arguments, "--seed", 9)
    assert (result.code, result.out) == (2, "")
    assert "target.safetensors: already exists; choose another name, or overwrite it with --force" in result.err
    assert (tmp_path / "target.safetensors").read_bytes() == before
    assert call(*arguments, "--seed", 9, "--force").code == 0
    assert (tmp_path / "target.safetensors").read_bytes() != before


def test_checkpoints_are_removed_and_other_files_beside_them_kept(
    call: Callable[..., Any], npz: Path, tmp_path: Path
) -> None:
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "novel.txt").write_text("mine")
    assert call("train", npz, "--hidden", "6", *QUICK, "--evaluators", "", "--out", tmp_path).code == 0
    assert [path.name for path in (tmp_path / "unfinished").iterdir()] == ["novel.txt"]
    result = call("train", npz, "--hidden", "6", *QUICK, "--evaluators", "", "--out", tmp_path)
    assert "target.safetensors: already exists" in result.err, "the folder alone is no interrupted training"
