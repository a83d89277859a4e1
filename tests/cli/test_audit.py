"""`bl-neuro audit`, on a given model: planned, run, run again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.slow

GIVEN = """\
name = "given"
steps = 8
classes = [3, 1]
substrates = ["loihi"]
baselines = []

[dataset]
name = "digits"

[model]
file = "target.safetensors"
class_map = [1, 0, 2, 3, 4, 5, 6, 7, 8, 9]

[[evaluators]]
kind = "conv"
epochs = 1

[[attacks]]
attack = "v2"
reveals = ["counts", "scores"]
settings = { queries = 16, warm_start = 20 }
"""


@pytest.fixture
def given(models: Path, tmp_path: Path) -> Path:
    (tmp_path / "target.safetensors").write_bytes((models / "target.safetensors").read_bytes())
    file = tmp_path / "given.toml"
    file.write_text(GIVEN)
    return file


def test_a_given_model_is_planned_audited_and_not_audited_again(call: Callable[..., Any], given: Path) -> None:
    out = given.parent / "out"
    planned = call("audit", given, "--plan", "--out", out)
    assert planned.code == 0
    assert "0 of 7 cells are done. Time left with one process: " in planned.out
    assert "This is estimated from a reference machine, scaled by a short calibration on this one, for 7 cells." in (
        " ".join(planned.out.split())
    )
    assert not out.exists()  # a plan writes nothing

    result = call("audit", given, "--out", out, "--json")
    assert result.code == 0, result.err
    findings = json.loads(result.out)
    assert findings["cells"] == {"planned": 7, "done": 7}
    assert [row["reveals"] for row in findings["rows"]] == ["counts", "scores"]
    assert {row["target"] for row in findings["rows"]} == {"given"}
    for row in findings["rows"]:
        assert row["queries_per_class"] == row["budget_per_class"] == 26
        assert row["evaluators"]["conv"]["attack_accuracy"]["n"] == 2
        assert row["target_accuracy"]["value"] > 0.5  # outputs 0 and 1 mean each other's class, the others their own
        assert row["target_accuracy"]["value"] < 0.8
    assert json.loads((out / "results.json").read_text())["rows"] == findings["rows"]
    assert findings["report"] == str(out / "report.html")

    assert f"Made by `bl-neuro audit {given.name}`" in (out / "summary.md").read_text()
    results = (out / "results.json").read_bytes()
    again = call("audit", given, "--out", out, "--jobs", 2)
    assert again.code == 0
    assert (out / "results.json").read_bytes() == results
    assert (
        "Does the substrate change what this model gives away? Not compared. This audit has one substrate" in again.out
    )
    assert "Means and 95% intervals over restarts" in again.out
    assert "7 of 7 cells are done" in again.out
    planned = json.loads(call("audit", given, "--plan", "--out", out, "--json").out)
    assert (planned["cells"], planned["done"], planned["seconds_left"]) == (7, 7, 0)


def test_mismatched_options_are_an_error_of_one_line(call: Callable[..., Any], given: Path) -> None:
    given.write_text(GIVEN.replace("class_map = [1, 0,", "class_map = [1, 1,"))
    result = call("audit", given, "--plan")
    assert (result.code, result.out) == (2, "")
    assert "class_map: expected a class in 0..9 for each of 10 outputs, each once" in result.err
    given.write_text(GIVEN.replace('["loihi"]', '["lohi"]'))
    result = call("audit", given)
    assert result.code == 2
    assert result.err.startswith(f"error: {given}: line 4: substrates.0: expected one of snntorch, ")
    assert call("audit", given, "--jobs", "0").err.startswith("error: --jobs: expected at least 1")
    assert "experiments are TOML files or one of att_faces, demo, digits, " in call("audit", "nowhere").err


def test_a_scheduler_that_does_not_answer_is_an_error_of_one_line(
    call: Callable[..., Any], given: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed", reason="needs Dask: pip install 'bl-neuro[dask]'")
    monkeypatch.setattr("bl_neuro.experiment.running.dask_cluster.CONNECT_S", 1)
    result = call("audit", given, "--out", given.parent / "out", "--scheduler", "tcp://127.0.0.1:1")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: scheduler: expected the address of a Dask scheduler that answers")
    assert len(result.err.splitlines()) == 1


def test_a_strangers_model_is_recognised_and_planned(call: Callable[..., Any], models: Path) -> None:
    file = models / "target.safetensors"
    result = call(
        "audit", file, "--dataset", "digits", "--steps", "8", "--plan", "--verify-on", "none", "--out", models / "none"
    )
    assert result.code == 0, result.err
    assert result.out.startswith("target.safetensors: takes samples in the encoding ")
    assert (
        "between substrates that this plan detects with a power of 80%, in percentage points, over restarts"
        in result.out
    )
    asked = json.loads(
        call("audit", file, "--dataset", "digits", "--steps", "8", "--class-map", "1,0,2,3,4,5,6,7,8,9",
             "--encoder", "rate", "--queries", "32", "--restarts", "1", "--plan", "--json").out
    )["experiment"]  # fmt: skip
    assert asked["model"]["class_map"] == [1, 0, 2, 3, 4, 5, 6, 7, 8, 9]
    assert asked["model"]["encoder"] == "rate"
    assert (asked["restarts"], asked["attacks"][1]["settings"]["queries"]) == (1, 32)
    assert "--dataset: a model file needs the dataset" in call("audit", file, "--plan").err
    assert "only for model files, but digits is an experiment" in call("audit", "digits", "--steps", "3").err
    wrong = call("audit", file, "--dataset", "digits", "--class-map", "a,b", "--plan")
    assert "--class-map: expected comma-separated whole numbers, found 'a,b'" in wrong.err


def test_unknown_training_data_is_stated(call: Callable[..., Any], given: Path) -> None:
    folder, out = given.parent, given.parent / "out"
    result = call("audit", given, "--out", out)
    assert result.code == 0, result.err
    results = json.loads((out / "results.json").read_text())
    assert (results["overlap"]["state"], results["overlap"]["shared"]) == ("not known", None)
    texts = {name: (out / name).read_text() for name in ("report.html", "summary.md")}
    for text in (*texts.values(), " ".join(result.out.split())):
        assert "not known how much of it the evaluators share" in text
        assert "never saw" not in text.replace("a network that never saw the data", "")
    assert "Class mean of the dataset digits, class 3" in texts["report.html"]
    assert "training picture" not in texts["report.html"]

    used = np.arange(0, 1797, 2)
    np.save(folder / "used.npy", used)
    given.write_text(GIVEN.replace("[model]", '[model]\ntrained_on = "used.npy"'))
    assert call("audit", given, "--out", out).code == 0
    overlap = json.loads((out / "results.json").read_text())["overlap"]
    assert (overlap["state"], overlap["shared"], overlap["target_samples"]) == ("none", 0, len(used))
    assert overlap["evaluator_samples"] + overlap["test_samples"] == 1797 - len(used)
    for name in ("report.html", "summary.md"):
        text = (out / name).read_text()
        assert "states that the model was trained on the 899 samples of digits that used.npy lists" in text
        assert "0 of these are among the stated training data" in text
    assert "Mean training picture of class 3" in (out / "report.html").read_text()


def test_trained_on_is_an_option_of_a_model_file(call: Callable[..., Any], models: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "used.npy", np.arange(900))
    model = ("audit", models / "target.safetensors", "--dataset", "digits", "--plan", "--json", "--verify-on", "none")
    result = call(*model, "--trained-on", tmp_path / "used.npy")
    assert result.code == 0, result.err
    part = json.loads(result.out)["experiment"]["model"]
    assert not Path(part["trained_on"]).is_absolute()
    assert (models / part["trained_on"]).resolve() == (tmp_path / "used.npy").resolve()
    result = call(*model, "--trained-on", "train")
    assert result.code == 2
    assert "trained_on: digits has no official training set" in result.err
    result = call(*model, "--trained-on", tmp_path / "none.npy")
    assert (result.code, result.out) == (2, "")
    assert (
        f"trained_on: expected 'train' or a file of sample indices, found nothing at {tmp_path}/none.npy" in result.err
    )
    assert call("audit", "digits", "--plan", "--trained-on", "train").code == 2
