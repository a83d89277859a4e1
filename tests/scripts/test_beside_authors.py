"""The authors' figures beside an audit's, and the inversions that they published."""

from __future__ import annotations

import importlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bl_neuro.data import load_dataset
from bl_neuro.errors import DataError
from bl_neuro.experiment.findings.models import Findings
from bl_neuro.training import train_evaluator

script: Any = importlib.import_module("beside_authors")
RESULTS = Path(__file__).parents[2] / "results"


@pytest.fixture(scope="module")
def findings() -> Findings:
    return Findings.from_json((RESULTS / "audit-mnist" / "results.json").read_bytes())


def test_their_figures_stand_above_ours(findings: Findings) -> None:
    lines = script.table(findings, ["| last |"]).splitlines()
    row = next(row for row in findings.own_rows if row.attack == "v1")
    first = next(number for number, line in enumerate(lines) if line.startswith("| v1 | | | *authors'* | 1.0 | 0.931"))
    name, judged = next(iter(row.evaluators.items()))
    assert f"| {name} | {judged.attack_accuracy.value:.3f} [" in lines[first + 1]
    assert lines[-1] == "| last |"
    assert "the authors' target 0.966, evaluator 0.984; our evaluators `conv` 0." in "\n".join(lines)
    assert not any(line.startswith("| v2 | | | *authors'*") for line in lines)  # they have no black-box attack


def test_their_inversions_are_judged_by_the_audits_evaluators(
    findings: Findings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluator = train_evaluator(load_dataset("digits"), epochs=0)
    asked: list[tuple[str, tuple[int, ...]]] = []

    def probabilities(values: Any) -> Any:
        asked.append(("", np.shape(values)))
        return np.eye(10)

    monkeypatch.setattr(evaluator, "probabilities", probabilities)
    monkeypatch.setattr(script, "_evaluator", lambda store, address: evaluator)
    for name in ("MNIST_ANN_Inverted", "MNIST_SNN_Inverted_BL1", "MNIST_SNN_Inverted_BL2"):
        torch.save(torch.rand(script.ARCHIVES[name].shape), tmp_path / name)
    rows = list(script.judged_archives(findings, None, tmp_path))
    assert len(rows) == 3 * len(findings.evaluators)
    assert rows[0] == "| *authors'* inversions, ann | | | conv | 1.000 | 1.000 |"
    assert {shape for _, shape in asked} == {(10, 1, 28, 28)}


def test_the_authors_files_are_read_without_unpickling(tmp_path: Path) -> None:
    name = "MNIST_ANN_Inverted"
    values = np.random.default_rng(0).random((10, 1, 1, 28, 28), dtype=np.float32)
    torch.save(torch.from_numpy(values), tmp_path / name)
    np.testing.assert_array_equal(script.read_inversions(tmp_path, name)[0], values[:, 0].astype(np.float64))


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_other_files_are_refused(tmp_path: Path, content: bytes | None) -> None:
    name = "MNIST_ANN_Inverted"
    if content is None:
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(f"{name}/data/0", b"too short")
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        script.read_inversions(tmp_path, name)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected the authors' MNIST_ANN_Inverted"):
        script.read_inversions(tmp_path, "MNIST_ANN_Inverted")
