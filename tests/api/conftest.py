"""A small experiment that was audited once, through Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import bl_neuro as bl
from bl_neuro.api.result import AuditResult

FILE = """\
name = "small"
baselines = []
seeds = 1
steps = 4
classes = [0, 7]
substrates = ["loihi"]

[dataset]
name = "digits"

[target]
hidden = [8]
proxy_epochs = 1
spiking_epochs = 1

[[evaluators]]
kind = "conv"
epochs = 1

[[attacks]]
attack = "v1"
settings = { iterations = 2 }

[[attacks]]
attack = "v2"
reveals = ["counts", "label"]
settings = { queries = 16, warm_start = 20, window = 3.0 }
"""


@pytest.fixture(scope="session")
def small() -> Callable[..., bl.Experiment]:
    """Makes the experiment of `FILE` in Python, with changes."""

    def make(**changes: object) -> bl.Experiment:
        values: dict[str, object] = {
            "name": "small",
            "baselines": [],
            "dataset": "digits",
            "seeds": 1,
            "steps": 4,
            "classes": [0, 7],
            "substrates": ["loihi"],
            "target": {"hidden": [8], "proxy_epochs": 1, "spiking_epochs": 1},
            "evaluators": [{"kind": "conv", "epochs": 1}],
            "attacks": [bl.BrainLeaksV1(iterations=2), bl.BrainLeaksV2(queries=16, warm_start=20, window=3.0)],
            "reveals": ["counts", "label"],
        }
        return bl.Experiment(**{**values, **changes})  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def audited(tmp_path_factory: pytest.TempPathFactory, small: Callable[..., bl.Experiment]) -> AuditResult:
    """The audit of that experiment."""
    return bl.audit(small(), tmp_path_factory.mktemp("audited") / "out", progress=None)


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same experiment as a file."""
    path = tmp_path_factory.mktemp("file") / "small.toml"
    path.write_text(FILE)
    return path
