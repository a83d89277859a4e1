"""The examples of docs/serving.md, as printed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import bl_neuro as bl
from bl_neuro.experiment.experiment_file import read_experiment
from bl_neuro.training import TargetPlan

pytestmark = pytest.mark.slow

DOCS = (Path(__file__).parents[3] / "docs" / "serving.md").read_text()


def block(language: str, number: int = 0) -> str:
    return re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL)[number]


def test_an_attack_of_five_lines(start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = TargetPlan(hidden=(16,), steps=6, proxy_epochs=2, spiking_epochs=1)
    server = start(bl.training.train_target(bl.data.load_dataset("digits"), plan), "--token", "me:a-token-long-enough")
    code = (
        block("python")
        .replace("http://127.0.0.1:8000/v2/models/target", server.url)
        .replace("...", "a-token-long-enough")
    )
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "serving.md", "exec"), {})
    assert bl.attacks.load_inversions(tmp_path / "inversions.safetensors").queries == 7_040


def test_an_experiment(tmp_path: Path) -> None:
    path = tmp_path / "served.toml"
    path.write_text(block("toml"))
    (endpoint,) = read_experiment(path).endpoints
    assert (endpoint.name, endpoint.tested) == ("chip", 200)
