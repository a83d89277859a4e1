"""Wrong input to a command: exit code 2, a message of one line, and no other output."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

from bl_neuro import Conv, CubaLIF, Dense, Network, save
from bl_neuro.training import ConvEvaluator


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, models: Path) -> dict[str, str]:
    """Paths of valid and invalid files, by the names used in the tests."""
    folder = tmp_path_factory.mktemp("places")
    target = models / "target.safetensors"
    (folder / "file").write_text("in the way")
    (folder / "text.safetensors").write_text("not a network")
    (folder / "attacked").mkdir()
    (folder / "attacked" / "attack.json").write_text("{}")
    with safe_open(str(target), framework="numpy") as file:
        facts = file.metadata()
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    arrays["layers.1.weight"] = np.full_like(arrays["layers.1.weight"], np.nan)
    save_file(arrays, folder / "nan.safetensors", metadata=facts)
    (folder / "half.safetensors").write_bytes(target.read_bytes()[:-100])
    save(Network((1, 2, 2), [Conv(np.ones((2, 1, 1, 1)), CubaLIF())]), folder / "image.safetensors")
    save(Network((4,), [Dense(np.ones((1, 4)), CubaLIF())]), folder / "one.safetensors")
    save(Network((12,), [Dense(np.ones((2, 12)), CubaLIF())]), folder / "flat.safetensors")
    save(Network((2,), [Dense(np.ones((2, 2)), CubaLIF(reset="subtract"))]), folder / "subtract.safetensors")
    (folder / "words.npy").write_text("not an array")
    np.save(folder / "thin.npy", np.zeros((3, 2, 7)))
    np.save(folder / "three.npy", np.zeros((3, 2, 1, 8, 8)))
    np.save(folder / "nan-input.npy", np.full((3, 2, 1, 8, 8), np.nan))
    for name, shape, classes in (("small", (1, 4, 4), 10), ("few", (1, 8, 8), 3)):
        with torch.random.fork_rng():
            ConvEvaluator(shape, classes).save(folder / f"{name}-evaluator.safetensors")
    return {
        "target": str(target),
        "evaluator": str(models / "evaluator.safetensors"),
        "folder": str(folder),
        "missing": str(folder / "none.safetensors"),
        "below_a_file": str(folder / "file" / "out"),
        "file": str(folder / "file"),
        "attacked": str(folder / "attacked"),
        **{path.stem: str(path) for kind in ("safetensors", "npy") for path in folder.glob(f"*.{kind}")},
    }


ATTACK = "attack {target} --steps 4"
VERIFY = "verify {target} --backends snntorch,norse"
WRONG = {
    # any command
    "unknown command": ("steal {target}", "steal"),
    "unknown option": ("doctor --fast", "--fast"),
    "an option without a value": (f"{ATTACK} --seed", "--seed"),
    "an argument too many": ("doctor {target}", "unexpected extra argument"),
    # attack
    "no model": ("attack", "Missing argument 'model'"),
    "a model that is not there": ("attack {missing}", "none.safetensors: expected a model file, found nothing"),
    "a folder": ("attack {folder}", "found a folder"),
    "a text": ("attack {text}", "not a readable safetensors file"),
    "half a model": ("attack {half}", "not a readable safetensors network"),
    "NaN weights": ("attack {nan}", "layer 1: weight: expected finite numbers, found nan"),
    "an evaluator for a model": ("attack {evaluator}", "expected a network"),
    "an image as output": ("attack {image}", "expected a vector as"),
    "a neuron it cannot hold": ("attack {subtract} --backend snntorch", "layer 0: reset 'subtract'"),
    "unknown substrate": (f"{ATTACK} --backend nurse", "found 'nurse'; did you mean 'norse'"),
    "unknown attack": (
        f"{ATTACK} --attack v3",
        "attack: expected one of v1, .*, ann, found 'v3'",
    ),
    "unknown reveals": (f"{ATTACK} --reveals weights", "reveals: expected one of membrane, .*, found 'weights'"),
    "unknown reveals for v1": (f"{ATTACK} --attack v1 --reveals weights", "reveals: expected one of"),
    "what v1 would be shown": (f"{ATTACK} --attack v1 --reveals counts", "reveals: attack v1 uses gradients"),
    "a budget for v1": (f"{ATTACK} --attack v1 --budget 7", "budget: attack v1 uses gradients instead of queries"),
    "a budget for v2_gradient": (f"{ATTACK} --attack v2_gradient --budget 7", "budget: attack v2_gradient uses"),
    "a twin for v2": (f"{ATTACK} --twin norse", "twin: attack v2 does not use a copy of the network"),
    "images for v2": (f"{ATTACK} --auxiliary mnist", "auxiliary: attack v2 does not use images of the attacker"),
    "no images for a prior": (
        f"{ATTACK} --attack brep_prior",
        "expected images of the attacker, such as a public data",
    ),
    "an unknown twin": (f"{ATTACK} --attack transfer --twin nurse", "found 'nurse'; did you mean 'norse'"),
    "too few queries to try each": (
        f"{ATTACK} --attack transfer --budget 5",
        "budget: 5 queries are too few .* at least 10",
    ),
    "a preset for a peer": (
        f"{ATTACK} --attack random --preset mnist",
        "preset: attack random has no presets; leave it out",
    ),
    "no such preset": (
        f"{ATTACK} --attack v1 --preset mnist",
        r"preset: expected a preset of attack v1 \(events\), found 'mnist'",
    ),
    "sides of an image": (f"{ATTACK} --image-shape 8,8", "image_shape: inputs .* are already images; leave it out"),
    "a blur on no image": ("attack {flat} --attack v1 --blur 2", "blur: inputs .* are not images"),
    "a blur below nothing": (f"{ATTACK} --blur=-1", "blur: expected at least 0"),
    "no budget": (f"{ATTACK} --budget 0", "budget: expected at least 1 query, found 0"),
    "negative budget": (f"{ATTACK} --budget -5", "budget: expected at least 1 query, found -5"),
    "half a query": (f"{ATTACK} --budget 2.5", "--budget"),
    "a class too high": (f"{ATTACK} --classes 3,10", r"classes: expected whole numbers in 0\.\.9, found 10"),
    "a class below 0": (f"{ATTACK} --classes=-1", r"classes: expected whole numbers in 0\.\.9, found -1"),
    "a class of words": (f"{ATTACK} --classes three", "--classes: expected comma-separated whole numbers"),
    "an empty class": (f"{ATTACK} --classes 1,,2", "--classes: expected comma-separated whole numbers, found '1,,2'"),
    "no class": (f"{ATTACK} --classes=", "--classes"),
    "no steps": ("attack {target} --steps 0", "steps: expected a whole number"),
    "too many steps": ("attack {target} --steps 1000000", "steps: expected a whole number"),
    "negative seed": (f"{ATTACK} --seed -1", "seed: expected a whole number of at least 0, found -1"),
    "a seed of words": (f"{ATTACK} --seed lucky", "--seed"),
    "no window": (f"{ATTACK} --window 0", "window: expected above 0"),
    "a window that is NaN": (f"{ATTACK} --window nan", "window: expected above 0"),
    "a window on no image": ("attack {flat} --window 2", "window: inputs .* are not images"),
    "pictures of words": (
        "attack {flat} --image-shape large",
        "image_shape: expected 2 values, comma-separated",
    ),
    "pictures of another size": ("attack {flat} --image-shape 5,5", "do not match the inputs"),
    "no evaluator": (f"{ATTACK} --evaluator {{missing}}", "none.safetensors: could not be read"),
    "a model for an evaluator": (f"{ATTACK} --evaluator {{target}}", "expected an evaluator"),
    "an evaluator of other pictures": (
        f"{ATTACK} --evaluator {{small-evaluator}}",
        "evaluator: expected images of shape",
    ),
    "an evaluator of fewer classes": (
        f"{ATTACK} --evaluator {{few-evaluator}}",
        "found one with 3",
    ),
    "patience for gradients": (
        f"{ATTACK} --attack v1 --patience 3",
        "--patience: attack v1 does not have this setting",
    ),
    "an unknown setting": (f"{ATTACK} --set querys=3", "querys: expected one of blur, .*; did you mean 'queries'"),
    "a setting of another type": (f"{ATTACK} --set queries=many", "queries: expected a whole number, found 'many'"),
    "a setting without a value": (f"{ATTACK} --set queries", "--set: expected NAME=VALUE, found 'queries'"),
    "a setting out of range": (f"{ATTACK} --set floor=0.9", "floor: expected between 0 and 0.5"),
    "a range for spikes": (f"{ATTACK} --input-range 0,1", "input_range: only for networks with current inputs"),
    "half a range": (f"{ATTACK} --input-range 1", "input_range: expected two values"),
    "an unknown dataset to recognise": (f"{ATTACK} --dataset cats", "dataset: expected one of digits"),
    "one output": ("attack {one}", "this network has 1 output, and an attack needs at least two classes"),
    "one output, with gradients": ("attack {one} --attack v1", "this network has 1 output, and an attack needs"),
    "a network that spikes for ann": (f"{ATTACK} --attack ann", "of a network that does not spike"),
    "an attack into the folder of another": (f"{ATTACK} --out {{attacked}}", "attack.json: already exists"),
    "nowhere to write": (f"{ATTACK} --out {{below_a_file}}", "expected a writable folder"),
    # train
    "unknown dataset": ("train imagenet --out {folder}", "expected one of digits"),
    "no place for what is trained": ("train digits", "--out"),
    "nowhere to write what is trained": (
        "train digits --out {below_a_file}",
        "expected a writable folder",
    ),
    "a file where a folder goes": ("train digits --out {file}", "expected a writable folder"),
    "training with a negative seed": ("train digits --out {folder} --seed -1", "seed: expected"),
    "training for no steps": ("train digits --out {folder} --steps 0", "steps: expected"),
    "training for too many steps": ("train digits --out {folder} --steps 1000000000", "steps: expected"),
    "layers of words": (
        "train digits --out {folder} --hidden many",
        "--hidden: expected comma-separated whole numbers",
    ),
    "a missing layer": ("train digits --out {folder} --hidden 1,,2", "--hidden: expected .* found '1,,2'"),
    "an empty layer": ("train digits --out {folder} --hidden 16,0", "hidden: expected at least 1"),
    "layers beyond any memory": (
        "train digits --out {folder} --hidden 10000000000",
        "hidden: expected layers with at most",
    ),
    # export
    "exporting nothing": ("export {missing} {folder}/out.net", "found nothing"),
    "exporting NaN": ("export {nan} {folder}/out.net", "expected finite numbers"),
    "exporting over what is there": ("export {target} {flat}", "already exists"),
    "exporting to another kind": ("export {target} {folder}/out.hdf5", "expected a name ending in .net"),
    "exporting to nowhere": ("export {target} {below_a_file}/out.net", "could not be written"),
    "exporting what Loihi cannot hold": ("export {subtract} {folder}/out.net", "layer 0: reset"),
    # inspect
    "inspecting nothing": ("inspect {missing}", "found nothing"),
    "inspecting a text": ("inspect {text}", "not a readable safetensors file"),
    "inspecting blocks of another kind": ("inspect {target} --layers 1", "only for a .net file"),
    # verify
    "verifying nothing": ("verify {missing}", "found nothing"),
    "verifying on one substrate": (f"{VERIFY} --backends snntorch", "expected at least two to compare, found snntorch"),
    "verifying on no substrate": (f"{VERIFY} --backends=,", "--backends: expected comma-separated names of substrates"),
    "verifying on an unknown one": (f"{VERIFY} --backends snntorch,nurse", "found 'nurse'; did you mean 'norse'"),
    "verifying what one cannot hold": ("verify {subtract} --backends norse,snntorch", "layer 0: reset 'subtract'"),
    "verifying for no steps": ("verify {target} --steps 0", "steps: expected a whole number"),
    "verifying for too many steps": ("verify {target} --steps 1000000", "steps: expected a whole number"),
    "verifying no samples": (f"{VERIFY} --batch 0", "batch: expected a whole number"),
    "verifying more than memory": (f"{VERIFY} --batch 1000000000", "steps x batch: expected at most"),
    "verifying with a negative seed": (f"{VERIFY} --seed -1", "seed: expected a whole number"),
    "starting somehow": (f"{VERIFY} --start warm", "start: expected aligned or cold, found 'warm'"),
    "verifying with no input": (f"{VERIFY} --input {{missing}}", "found nothing"),
    "verifying with another kind of input": (f"{VERIFY} --input {{target}}", r"ending in \.npy or \.npz"),
    "verifying with a text": (f"{VERIFY} --input {{words}}", "not a readable NumPy file"),
    "verifying with inputs of another shape": (f"{VERIFY} --input {{thin}}", "spikes: expected shape"),
    "verifying with NaN": (f"{VERIFY} --input {{nan-input}}", "expected only 0 and 1, found nan"),
    "verifying for other steps than given": (
        "verify {target} --steps 5 --input {three}",
        "steps: expected 3, the steps of the given inputs",
    ),
    "nowhere to draw": (f"{VERIFY} --out {{below_a_file}}", "expected a writable folder"),
    # demo
    "a demo nowhere": ("demo --out {below_a_file}", "expected a writable folder"),
    "a demo of another seed": ("demo --out {folder} --seed 1", "--seed"),
    "a demo by no process": ("demo --out {folder} --jobs 0", "--jobs: expected at least 1, found 0"),
}


@pytest.mark.parametrize("what", WRONG)
def test_errors_are_one_line(
    what: str, call: Callable[..., Any], places: dict[str, str], needs: Callable[[str], None]
) -> None:
    words, message = WRONG[what]
    needs("snntorch")
    before = sorted(Path(places["folder"]).iterdir())
    one_line(call(*[word.format(**places) for word in words.split()]), message)
    assert sorted(Path(places["folder"]).iterdir()) == before


def one_line(result: Any, message: str) -> None:
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1
    assert result.err.endswith("\n")
    assert re.search(message, result.err), result.err


@pytest.mark.slow
@pytest.mark.parametrize("what", ["unknown option", "NaN weights", "an evaluator of fewer classes"])
def test_errors_are_one_line_in_a_process(what: str, command: Callable[..., Any], places: dict[str, str]) -> None:
    words, message = WRONG[what]
    one_line(command(*[word.format(**places) for word in words.split()]), message)


def test_lava_shows_no_membrane(call: Callable[..., Any], places: dict[str, str], needs: Callable[[str], None]) -> None:
    needs("lava")
    one_line(
        call("attack", places["target"], "--backend", "lava", "--reveals", "scores"), "needs the membrane potential"
    )
    one_line(
        call("attack", places["target"], "--backend", "lava", "--attack", "v1"), "expected a differentiable target"
    )
