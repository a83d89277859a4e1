"""Recordings of event cameras are audited as images are, and judged by their spikes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bl_neuro.experiment.session import Audit

EVENTS = """\
name = "events"
seeds = 1
steps = 20
classes = [0, 1]
substrates = ["loihi"]
baselines = []

[dataset]
name = "nmnist"

[target]
hidden = [16]
spiking_epochs = 1

[[evaluators]]
kind = "spiking"
epochs = 1

[[attacks]]
attack = "v2"
preset = "for_nmnist"
reveals = ["counts"]
settings = { queries = 4, warm_start = 8 }

[twin]
epochs = 1

[[attacks]]
attack = "ann"
settings = { iterations = 2 }
"""


@pytest.mark.data
@pytest.mark.slow
def test_recordings_are_audited(tmp_path: Path) -> None:
    root = os.environ.get("BL_NEURO_DATA")
    if root is None or not (Path(root) / "NMNIST").is_dir():
        pytest.skip("needs N-MNIST: set BL_NEURO_DATA to the folder that holds it")
    (tmp_path / "events.toml").write_text(EVENTS)
    audit = Audit.of(str(tmp_path / "events.toml"), tmp_path / "out")
    accuracy, _ = [cell for cell in audit.cells if cell.kind == "accuracy"]
    assert accuracy.definition["encoder"] is None
    state = audit.run()
    assert (state.failed, len(state.done)) == ([], 9)
    rows = {(row.target, row.attack): row for row in audit.findings().rows}
    assert set(rows) == {("trained", "v2"), ("trained", "ann")}
    assert all(row.evaluators["spiking"].attack_accuracy.n == 2 for row in rows.values())
    assert rows["trained", "v2"].queries_per_class == 8
