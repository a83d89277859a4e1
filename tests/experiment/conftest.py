"""An experiment that takes seconds, and its results."""

from __future__ import annotations

from pathlib import Path

import pytest

from bl_neuro.api.audit import run_audit
from bl_neuro.experiment.session import Audit

SMALL = """\
name = "small"
seeds = 2
steps = 4
classes = [0, 1, 7]
substrates = ["loihi"]
baselines = []
[dataset]
name = "digits"

[target]
hidden = [16]
proxy_epochs = 2
spiking_epochs = 1

[[evaluators]]
kind = "conv"
epochs = 1

[[attacks]]
attack = "v2"
reveals = ["counts"]
settings = { queries = 16, warm_start = 20, window = 3.0 }

[[attacks]]
attack = "v1"
settings = { iterations = 2 }

[[controls]]
kind = "shuffled_labels"
seeds = [5]
attacks = ["v2"]
"""


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the small experiment."""
    path = tmp_path_factory.mktemp("experiment") / "small.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, small: Path) -> Path:
    """The folder of an uninterrupted audit of the small experiment."""
    out = tmp_path_factory.mktemp("audits") / "undisturbed"
    result = run_audit(Audit.of(str(small), out))
    assert (result.findings.cells.planned, result.findings.cells.done) == (17, 17)
    assert (result.failures, result.left_out, result.damaged) == ((), 0, ())
    return out
