"""Each command once from end to end, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

import bl_neuro as bl
from bl_neuro.api.doctor import CPU_FEATURES
from bl_neuro.attacks import load_inversions
from bl_neuro.testing.random_networks import random_dense
from bl_neuro.training import load_evaluator

pytestmark = pytest.mark.slow
PNG = b"\x89PNG\r\n\x1a\n"


def done(result: Any) -> Any:
    """The JSON that a command printed, its only output."""
    assert result.code == 0, result.err
    assert result.err == ""
    return json.loads(result.out)


def test_version_and_help(command: Callable[..., Any]) -> None:
    assert command("--version").out == f"bl-neuro {bl.__version__}\n"
    help_ = command("--help")
    assert help_.code == 0
    assert all(word in help_.out for word in ("demo", "doctor", "train", "attack", "inspect", "verify", "export"))
    assert command().out.strip() == help_.out.strip()


def test_doctor_tries_every_substrate(command: Callable[..., Any]) -> None:
    facts = done(command("doctor", "--json"))
    assert [row["substrate"] for row in facts["substrates"]] == list(bl.available_substrates())
    assert {"snntorch", "norse", "slayer", "loihi", "lava"} <= {row["substrate"] for row in facts["substrates"]}
    assert facts["versions"]["bl-neuro"] == bl.__version__
    assert {"python", "numpy", "torch", "h5py"} <= set(facts["versions"])
    assert int(facts["machine"]["cores"]) >= 1
    assert facts["machine"]["cpu"] is None or set(facts["machine"]["cpu"]) <= set(CPU_FEATURES)
    for row in facts["substrates"]:
        reason = bl.backends.missing_reason(bl.backends.find_backend(row["substrate"]))
        assert row["works"] == (reason is None), row["advice"]
        assert row["advice"] == (reason or "")
        assert (row["seconds"] is None) == (reason is not None)
        assert row["access"] == ("black box" if row["substrate"] == "lava" else "white box")


def test_train(command: Callable[..., Any], tmp_path: Path) -> None:
    arguments = ["train", "digits", "--hidden", "16,12", "--steps", 4, "--seed", 5, "--out", tmp_path / "new", "--json"]
    facts = done(command(*arguments))
    network = bl.load(tmp_path / "new" / "target.safetensors")
    assert network.fingerprint == facts["fingerprint"]
    assert network.shapes == ((64,), (16,), (12,), (10,))
    assert (facts["dataset"], facts["seed"], facts["steps"]) == ("digits", 5, 4)
    assert sum(facts["splits"].values()) == 1797
    assert load_evaluator(facts["evaluators"][0]["file"]).classes == 10
    assert facts["evaluators"][0]["accuracy"] > 0.9
    saved = json.loads((tmp_path / "new" / "training.json").read_text())
    assert saved == {name: value for name, value in facts.items() if name in saved}
    assert "already exists" in command(*arguments).err
    assert done(command(*arguments, "--force"))["fingerprint"] == facts["fingerprint"]


@pytest.mark.parametrize("attack", ["v1", "v2"])
def test_attack(
    attack: str, command: Callable[..., Any], models: Path, tmp_path: Path, needs: Callable[..., None]
) -> None:
    needs("snntorch")
    arguments = [
        *["attack", models / "target.safetensors", "--backend", "snntorch", "--attack", attack, "--steps", 8],
        *["--classes", "3,0,3", "--seed", 2, "--json", "--evaluator", models / "evaluator.safetensors"],
        *([] if attack == "v1" else ["--budget", 601]),
    ]
    facts = done(command(*arguments, "--out", tmp_path))
    assert (facts["attack"], facts["substrate"], facts["status"], facts["seed"]) == (attack, "snntorch", "completed", 2)
    assert facts["reveals"] == ("gradient" if attack == "v1" else "counts")
    assert facts["fingerprint"] == bl.load(models / "target.safetensors").fingerprint
    assert facts["queries"] == (3 * 11 if attack == "v1" else 300 + 3 * 100)  # the warm start takes half of 601
    assert facts["queries_per_class"] == facts["queries"] / 3
    assert [row["class"] for row in facts["inversions"]] == [3, 0, 3]
    assert sum(row["target_answers"] == row["class"] for row in facts["inversions"]) >= 2
    assert all(0 <= row["evaluator_confidence"] <= 1 for row in facts["inversions"])
    with safe_open(str(tmp_path / "inversions.safetensors"), framework="numpy") as file:
        spikes, classes = file.get_tensor("spikes"), file.get_tensor("classes")
    assert spikes.shape == (8, 3, 1, 8, 8)
    assert classes.tolist() == [3, 0, 3]
    assert [path.name for path in tmp_path.glob("*.png")] == ["contact-sheet.png"]
    assert (tmp_path / "contact-sheet.png").read_bytes().startswith(PNG)
    assert json.loads((tmp_path / "attack.json").read_text()) == facts
    again = done(command(*arguments))
    assert again["inversions"] == facts["inversions"]


@pytest.mark.parametrize("count", range(1, 11))
def test_the_smallest_budget_it_names_is_enough(
    count: int, call: Callable[..., Any], models: Path, needs: Callable[..., None]
) -> None:
    needs("snntorch")
    options = ["--classes", ",".join(map(str, range(count))), "--steps", 2, "--json"]
    result = call("attack", models / "target.safetensors", *options, "--budget", 1)
    least = int(result.err.rsplit("at least ", 1)[1])
    assert call("attack", models / "target.safetensors", *options, "--budget", least - 1).code == 2
    facts = done(call("attack", models / "target.safetensors", *options, "--budget", least))
    assert facts["queries"] <= least
    assert facts["status"] == "completed"


@pytest.mark.parametrize("attack", ["v2_gradient", "one_plus_one", "random", "cma_es", "transfer"])
def test_other_attacks(attack: str, call: Callable[..., Any], models: Path, needs: Callable[..., None]) -> None:
    needs("snntorch")
    if attack == "cma_es":
        pytest.importorskip("cmaes")
    white = attack == "v2_gradient"
    arguments = [
        *["attack", models / "target.safetensors", "--backend", "loihi", "--attack", attack, "--steps", 4],
        *["--classes", "3,0", "--blur", 0.5, "--window", 3, "--json", *([] if white else ["--budget", 61])],
    ]
    facts = done(call(*arguments))
    assert (facts["attack"], facts["settings"].get("blur", 0.5)) == (attack, 0.5)
    assert (facts["reveals"], facts["budget"]) == (("gradient", None) if white else ("counts", 61))
    if attack == "transfer":
        assert facts["twin"] == "snntorch"
        assert facts["settings"]["attack"]["window"] == 3
        assert facts["queries"] == 2 * 16
    elif not white:
        assert facts["queries"] == 30 + 2 * 14
    assert done(call(*arguments)) == facts


def test_attacks_with_ready_made_settings(call: Callable[..., Any], models: Path, needs: Callable[..., None]) -> None:
    needs("snntorch")
    arguments = ["attack", models / "target.safetensors", "--steps", 4, "--classes", "1", "--json"]

    def settings(attack: str, preset: str, *more: Any) -> dict[str, Any]:
        return done(call(*arguments, "--attack", attack, "--preset", preset, *more))["settings"]

    assert settings("v1", "events")["sparsity"] > 0
    assert settings("v2", "events", "--budget", 60)["form"]["name"] == "segments"
    assert settings("v2_gradient", "nmnist")["cost"] == "log_score"
    assert settings("transfer", "events")["attack"]["sparsity"] > 0
    mnist = settings("v2", "mnist", "--budget", 60, "--blur", 0.5)
    assert (mnist["pen"], mnist["window"], mnist["blur"]) == (1.4, 6.0, 0.5)
    assert (mnist["warm_start"], mnist["queries"]) == (30, 30)


def test_attack_prints_a_table(call: Callable[..., Any], models: Path, needs: Callable[..., None]) -> None:
    needs("snntorch")
    words = ["attack", models / "target.safetensors", "--backend", "snntorch", "--steps", 4, "--budget", 100]
    result = call(*words, "--classes", "7")
    assert (result.code, result.err) == (0, "")
    assumed, title, *_ = result.out.splitlines()
    assert assumed == "Assumptions about inputs: neighbouring pixels agree (blur of 0.6 pixels)."
    assert title == "v2 on snntorch, 100 queries, completed"
    assert "target answers" in result.out


def test_attack_prints_its_assumptions(
    call: Callable[..., Any], models: Path, tmp_path: Path, needs: Callable[..., None]
) -> None:
    needs("snntorch")
    words = ["attack", models / "target.safetensors", "--steps", 2, "--classes", "1"]
    small = [*words, "--budget", 20, "--preset", "mnist"]
    facts = done(call(*small, "--window", 3, "--out", tmp_path, "--json"))
    assert facts["assumptions"][1] == "the object is in the middle (window of 3 pixels)"
    assert facts["assumptions"][-1] == "what suits images of 28 x 28 pixels suits these of 8 x 8"
    assert json.loads((tmp_path / "attack.json").read_text())["assumptions"] == facts["assumptions"]
    assert "; what suits images of 28 x 28 pixels suits these of 8 x 8.\n" in call(*small).out
    assert done(call(*words, "--attack", "v1", "--preset", "events", "--json"))["assumptions"] == [
        "neighbouring steps agree (blur of 2 steps)"
    ]
    assert call(*words, "--attack", "v1").out.startswith("The attack assumes nothing about inputs.\n")


def test_attack_refuses_a_folder_that_holds_another_attack(
    call: Callable[..., Any], models: Path, tmp_path: Path, needs: Callable[..., None]
) -> None:
    needs("snntorch")
    words = ["attack", models / "target.safetensors", "--attack", "v1", "--steps", 2, "--out", tmp_path]
    assert call(*words, "--classes", "3,0").code == 0
    (tmp_path / "inversion-notes.png").write_text("mine")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    result = call(*words, "--classes", "7")
    assert (result.code, result.out) == (2, "")
    assert "attack.json: already exists; choose another name, or overwrite it with --force" in result.err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert call(*words, "--classes", "7", "--force").code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "attack.json",
        "contact-sheet.png",
        "inversion-notes.png",
        "inversions.safetensors",
    ]
    assert load_inversions(tmp_path / "inversions.safetensors").classes.tolist() == [7]


@pytest.mark.parametrize("reveals", ["membrane", "scores", "spikes", "label"])
def test_attack_with_other_answers(
    reveals: str, call: Callable[..., Any], models: Path, needs: Callable[..., None]
) -> None:
    needs("norse")
    options = ["--backend", "norse", "--reveals", reveals, "--budget", 50, "--steps", 4, "--classes", "1", "--json"]
    assert done(call("attack", models / "target.safetensors", *options))["reveals"] == reveals


def test_export(command: Callable[..., Any], models: Path, tmp_path: Path) -> None:
    facts = done(command("export", models / "target.safetensors", tmp_path / "model.net", "--json"))
    assert (tmp_path / "model.net").read_bytes().startswith(b"\x89HDF")
    assert [layer["layer"] for layer in facts["layers"]] == [1, 2]
    assert all(0 < layer["weight_rms_error"] < 0.05 for layer in facts["layers"])
    assert all(0 < layer["current_bound"] <= layer["voltage_bound"] for layer in facts["layers"])
    result = command("export", models / "target.safetensors", tmp_path / "again.net")
    assert f"Written: {tmp_path / 'again.net'}" in result.out
    assert (tmp_path / "again.net").exists()


def test_export_does_not_overwrite_without_force(call: Callable[..., Any], models: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.net").write_text("years of work")
    result = call("export", models / "target.safetensors", tmp_path / "mine.net")
    assert (result.code, result.out) == (2, "")
    assert "already exists; choose another name, or overwrite it with --force" in result.err
    assert (tmp_path / "mine.net").read_text() == "years of work"
    assert call("export", models / "target.safetensors", tmp_path / "mine.net", "--force").code == 0
    assert bl.load(tmp_path / "mine.net").arithmetic == "loihi"


@pytest.mark.parametrize("suffix", ["nir", "safetensors"])
def test_export_to_formats_that_round_nothing(suffix: str, call: Callable[..., Any], tmp_path: Path) -> None:
    if suffix == "nir":
        pytest.importorskip("nir", reason="nir is not installed")
    network = random_dense(2, (4, 3, 2), biases=False, filtered=False)
    bl.save(network, tmp_path / "in.safetensors")
    result = call("export", tmp_path / "in.safetensors", tmp_path / f"out.{suffix}")
    assert result.code == 0, result.err
    assert "Nothing is rounded." in result.out
    assert bl.load(tmp_path / f"out.{suffix}").shapes == network.shapes


def test_runs_as_a_module_too() -> None:
    words = [sys.executable, "-m", "bl_neuro", "--version"]
    assert subprocess.run(words, capture_output=True, text=True).stdout == f"bl-neuro {bl.__version__}\n"
