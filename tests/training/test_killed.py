"""A killed training resumes and gives the weights of an uninterrupted one."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bl_neuro.data import Split
from bl_neuro.training import Checkpoint, TargetPlan, train_target

pytestmark = pytest.mark.slow

PLAN = TargetPlan(hidden=(12,), steps=4, proxy_epochs=6, spiking_epochs=4, validation=0.2)
CHILD = """
import sys
from bl_neuro.data import load_dataset, three_way_split
from bl_neuro.training import Checkpoint, TargetPlan, train_target
plan = TargetPlan(hidden=(12,), steps=4, proxy_epochs=6, spiking_epochs=4, validation=0.2)
data = three_way_split(load_dataset("digits"), 0).target.subset(slice(150))
train_target(
    data, plan, seed=5, checkpoint=Checkpoint(sys.argv[1], every_s=0), progress=lambda done, of: print(done, flush=True)
)
"""


@pytest.mark.parametrize("epochs", [2, 8], ids=["as a proxy", "through time"])
def test_a_killed_training_resumes(epochs: int, split: Split, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    with subprocess.Popen([sys.executable, "-c", CHILD, path], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) == epochs:
                child.kill()
                break
    assert child.returncode == -signal.SIGKILL
    data = split.target.subset(slice(150))
    epochs_done: list[int] = []
    network = train_target(
        data, PLAN, seed=5, checkpoint=Checkpoint(path, every_s=0), progress=lambda done, _: epochs_done.append(done)
    )
    assert epochs_done[0] > epochs
    assert network == train_target(data, PLAN, seed=5)
