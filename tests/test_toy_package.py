"""Parts of another package work everywhere, found through entry points alone: see tests/toy_package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.attacks import ATTACKS, Attack
from bl_neuro.cli import run
from bl_neuro.data import data_status, dataset_names, load_dataset
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.provenance import versions
from bl_neuro.experiment.session import Audit
from bl_neuro.layers import Conv, Dense
from bl_neuro.mitigations import MITIGATIONS, Mitigation
from bl_neuro.network import Network
from bl_neuro.reference import ReferenceRun, simulate
from bl_neuro.registries import registries
from bl_neuro.testing.attack_contract import BlackBoxAttackContract, WhiteBoxAttackContract
from bl_neuro.testing.backend_contract import BackendContract
from bl_neuro.testing.evaluator_contract import EvaluatorContract
from bl_neuro.testing.mitigation_contract import MitigationContract
from bl_neuro.testing.random_networks import Spikes, random_dense
from bl_neuro.training import TargetPlan, plan_for

pytestmark = pytest.mark.usefixtures("toy_package")
PARTS = {
    "substrates": ["toy", "toy_eighths"],
    "attacks": ["toy_ascent", "toy_draws"],
    "evaluators": ["toy_linear"],
    "mitigations": ["toy_even"],
    "datasets": ["toy_bars"],
}
PACKAGE = "toy-bl-neuro 1.2"
EXPERIMENT = Path(__file__).parent / "toy_package" / "experiment.toml"
MIXED = """\
name = "mixed"
seeds = 1
substrates = ["toy", "loihi"]
baselines = []
verify = ["loihi", "toy"]

[dataset]
name = "digits"

[[evaluators]]
kind = "conv"

[[evaluators]]
kind = "toy_linear"

[[attacks]]
attack = "v2"
reveals = ["counts"]

[[attacks]]
attack = "toy_draws"
reveals = ["counts"]
substrates = ["loihi"]

[[attacks]]
attack = "transfer"
reveals = ["counts"]
substrates = ["loihi"]
twin = "toy"

[[mitigations]]
kind = "toy_even"
attacks = ["v2"]
"""
"""Parts of bl-neuro and of the other package."""


class TestBackend(BackendContract):
    substrate = "toy"


class TestBackendWithItsOwnArithmetic(BackendContract):
    substrate = "toy_eighths"

    def oracle(self, network: Network, spikes: Spikes, start: str) -> ReferenceRun:
        layers = [
            replace(layer, weight=np.round(8 * layer.weight) / 8) if isinstance(layer, (Dense, Conv)) else layer
            for layer in network.layers
        ]
        return simulate(Network(network.input_shape, layers), spikes, start)


class TestBlackBoxAttack(BlackBoxAttackContract):
    @property
    def attack(self) -> Attack[Any]:  # type: ignore[override]
        return ATTACKS.find("toy_draws")()


class TestWhiteBoxAttack(WhiteBoxAttackContract):
    @property
    def attack(self) -> Attack[Any]:  # type: ignore[override]
        return ATTACKS.find("toy_ascent")()


@pytest.mark.slow
class TestEvaluator(EvaluatorContract):
    kind = "toy_linear"


class TestMitigation(MitigationContract):
    @property
    def mitigation(self) -> Mitigation:  # type: ignore[override]
        return MITIGATIONS.find("toy_even")()


def command(*words: str) -> subprocess.CompletedProcess[str]:
    """`bl-neuro` in a process of its own, which finds the package as any process does."""
    return subprocess.run([sys.executable, "-m", "bl_neuro", *words], capture_output=True, text=True, timeout=240)


@pytest.mark.parametrize("kind", PARTS)
def test_every_part_is_found_through_its_entry_point(kind: str) -> None:
    registry = registries()[kind]
    assert list(registry.names)[len(registry.ours) :] == PARTS[kind]
    for name in PARTS[kind]:
        assert registry.find(name).__module__.startswith("toy_bl_neuro.")
        assert registry.package(name) == PACKAGE
    assert registry.broken() == {}


@pytest.mark.slow
def test_doctor_shows_them_with_their_package() -> None:
    done = command("doctor", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["versions"]["toy-bl-neuro"] == "1.2"
    toy = {kind: [part for part in facts[kind] if part["package"] == PACKAGE] for kind in PARTS}
    assert {kind: [part["name"] for part in toy[kind]] for kind in PARTS if kind != "substrates"} == {
        kind: names for kind, names in PARTS.items() if kind != "substrates"
    }
    assert [(part["substrate"], part["works"]) for part in toy["substrates"]] == [
        ("toy", True),
        ("toy_eighths", True),
    ]
    assert all(part["works"] and part["title"] for parts in toy.values() for part in parts)


@pytest.mark.slow
def test_doctor_fails_where_a_package_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installs: Any) -> None:
    groups = {
        "bl_neuro.backends": {"chip": "a_missing_module:Chip", "loihi": "toy_bl_neuro.backend:ToyBackend"},
        "bl_neuro.datasets": {"toy_bars": "builtins:dict"},
    }
    installs(tmp_path, "another", "0.1", groups)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]]))
    done = command("doctor")
    assert done.returncode == 1
    text = " ".join(done.stdout.split())
    assert "chip broken another 0.1 substrate 'chip': a_missing_module:Chip cannot be loaded" in text
    assert "loihi broken another 0.1 substrate 'loihi': another 0.1 adds it, but this name is built into" in text
    assert "dataset 'toy_bars': another 0.1 and toy-bl-neuro 1.2 add a part of this name" in text
    assert json.loads(command("doctor", "--json").stdout)["substrates"][-1]["broken"]


@pytest.mark.slow
def test_inspect_and_the_support_table_show_the_substrate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import support_table

    bl.save(random_dense(0, (4, 3)), tmp_path / "model.safetensors")
    assert run(["inspect", str(tmp_path / "model.safetensors"), "--json"]) == 0
    substrates = json.loads(capsys.readouterr().out)["substrates"]
    assert substrates["toy"] == {"holds": True, "installed": True, "problems": []}
    monkeypatch.setattr(sys, "argv", ["support_table.py"])
    assert support_table.main() == 0
    assert "| `lava` | `toy` | `toy_eighths` |" in capsys.readouterr().out


def test_its_substrate_is_compared_with_ours(tmp_path: Path) -> None:
    bl.save(random_dense(0, (4, 3)), tmp_path / "model.safetensors")
    assert run(["verify", str(tmp_path / "model.safetensors"), "--backends", "toy,loihi"]) == 0


def test_an_arithmetic_of_its_own_promises_nothing_beside_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bl.save(random_dense(0, (4, 3)), tmp_path / "model.safetensors")
    words = ["verify", str(tmp_path / "model.safetensors"), "--backends", "toy,toy_eighths,loihi", "--all-pairs"]
    assert run([*words, "--json"]) == 0
    pairs = {(pair["substrate"], pair["reference"]): pair for pair in json.loads(capsys.readouterr().out)["pairs"]}
    assert not any(pair["promised"] for pair in pairs.values())
    cause = "different arithmetics: toy_eighths computes in weights of whole eighths and toy computes in floating point"
    assert pairs["toy_eighths", "toy"]["causes"] == [cause]


def test_its_dataset_is_loaded_with_its_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert dataset_names()[-1] == "toy_bars"
    data = load_dataset("toy_bars")
    assert (data.name, data.input_shape, data.completeness) == ("toy_bars", (1, 6, 6), "all 180")
    plan = TargetPlan(hidden=(16,), steps=10, spiking_epochs=10)
    assert plan_for("toy_bars") == plan_for(data) == plan
    status = data_status()[-1]
    assert (status.name, status.state, status.how_to_get) == ("toy_bars", "complete", "comes with toy-bl-neuro")
    assert run(["data", "status"]) == 0
    assert "toy_bars" in capsys.readouterr().out


@pytest.mark.slow
def test_a_target_and_its_evaluator_are_trained_on_it(tmp_path: Path) -> None:
    words = ["train", "toy_bars", "--out", str(tmp_path), "--evaluators", "toy_linear", "--json"]
    assert run(words) == 0
    facts = json.loads((tmp_path / "training.json").read_text())
    assert (facts["dataset"], facts["steps"]) == ("toy_bars", 10)
    assert [evaluator["name"] for evaluator in facts["evaluators"]] == ["toy_linear"]


def test_cells_that_use_them_depend_on_the_version_of_their_package(toy_package: Path, tmp_path: Path) -> None:
    (tmp_path / "mixed.toml").write_text(MIXED)
    metadata = toy_package / "toy_bl_neuro-1.2.dist-info" / "METADATA"
    kept = metadata.read_text()

    def cells() -> list[Cell]:
        return Audit.of(str(tmp_path / "mixed.toml"), tmp_path / "out").cells

    before = cells()
    try:
        metadata.write_text(kept.replace("Version: 1.2", "Version: 1.3"))
        assert versions()["toy-bl-neuro"] == "1.3"
        after = cells()
    finally:
        metadata.write_text(kept)
    assert [cell.label for cell in before] == [cell.label for cell in after]
    stated = {cell.label for cell in before if "packages" in cell.definition}
    assert {tuple(cell.definition["packages"]) for cell in before if cell.label in stated} == {(PACKAGE,)}
    assert stated == {
        "evaluator evaluator toy_linear",
        "verification target trained seed 0 substrate loihi, toy",
        "accuracy target trained seed 0 substrate toy",
        "attack target trained seed 0 substrate toy attack v2 reveals counts restart 0",
        "attack target trained seed 0 substrate loihi attack toy_draws reveals counts restart 0",
        "attack target trained seed 0 substrate loihi attack transfer reveals counts restart 0",
        "attack target trained seed 0 substrate loihi attack v2 reveals counts restart 0 mitigation toy_even 2",
        "service target trained seed 0 substrate loihi reveals counts mitigation toy_even 2",
    }
    same = {old.label for old, new in zip(before, after) if old.address == new.address}
    assert same == {
        "evaluator evaluator conv",
        "target target trained seed 0",
        "accuracy target trained seed 0 substrate loihi",
        "attack target trained seed 0 substrate loihi attack v2 reveals counts restart 0",
        "judgement target trained seed 0 substrate loihi attack v2 reveals counts restart 0 evaluator conv",
        "service target trained seed 0 substrate loihi reveals counts",
    }


def test_all_cells_on_its_dataset_depend_on_the_version_of_its_package(tmp_path: Path) -> None:
    for cell in Audit.of(str(EXPERIMENT), tmp_path).cells:
        assert cell.definition["data"]["packages"] == [PACKAGE]


@pytest.mark.slow
def test_a_model_file_is_audited_by_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bl.save(random_dense(0, (36, 3)), tmp_path / "model.safetensors")
    words = ["audit", str(tmp_path / "model.safetensors"), "--dataset", "toy_bars", "--substrates", "toy", "--json"]
    words += ["--attacks", "toy_draws", "--evaluators", "toy_linear", "--restarts", "1", "--out", str(tmp_path / "out")]
    assert run(words) == 0
    findings = json.loads(capsys.readouterr().out)
    assert {(row["substrate"], row["attack"], row["reveals"]) for row in findings["rows"]} == {
        ("toy", "toy_draws", "counts"),
        ("toy", "toy_draws", "label"),
    }
    assert [evaluator["name"] for evaluator in findings["evaluators"]] == ["toy_linear"]
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "--attacks toy_draws --evaluators toy_linear" in report


@pytest.mark.slow
def test_an_experiment_of_them_runs_through_the_audit(tmp_path: Path) -> None:
    audit = bl.audit(EXPERIMENT, out=tmp_path / "out", progress=None)
    assert [failure.error for failure in audit.failures] == []
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    rows = {(row["substrate"], row["attack"], row["reveals"]) for row in results["rows"]}
    assert rows == {
        ("toy", "toy_draws", "counts"),
        ("toy_eighths", "toy_draws", "counts"),
        ("loihi", "toy_draws", "counts"),
        ("loihi", "toy_ascent", "gradient"),
    }
    trained = [row["target_accuracy"]["least"] for row in results["rows"] if row["target"] == "trained"]
    assert min(trained) > 0.6  # three classes
    assert [evaluator["name"] for evaluator in results["evaluators"]] == ["toy_linear"]
    assert {(it["mitigation"], it["substrate"], it["attack"]) for it in results["mitigations"]} == {
        ("toy_even", "toy", "toy_draws")
    }
    assert results["arithmetic"] == {"toy": "real", "toy_eighths": "toy_eighths", "loihi": "loihi"}
    compared = {name for verdict in results["verdicts"] for name in (*verdict["first"], *verdict["second"])}
    assert compared == {"toy", "toy_eighths", "loihi"}
    report = audit.report.read_text(encoding="utf-8")
    for title in ("toy draws", "toy ascent", "multiples of 2"):
        assert title in report
