"""Shadow networks that a plan trains, in groups: a training that ends early loses none, and an attack uses them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.data import Dataset, load_dataset
from bl_neuro.experiment.threads import one_thread
from bl_neuro.membership import shadow_training
from bl_neuro.membership.halves import random_half
from bl_neuro.seeding import derived_seed
from bl_neuro.training import TargetPlan, train_target

PLAN = TargetPlan(hidden=(48,), steps=5, proxy_epochs=40, spiking_epochs=0, noise=0.0, weight_decay=0.0)


def test_a_killed_training_of_groups_loses_no_finished_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow_training, "GROUP", 4)
    data: Dataset = load_dataset("digits").subset(np.arange(100))  # type: ignore[assignment]
    plan = replace(PLAN, hidden=(16,), proxy_epochs=2, spiking_epochs=1)

    def killed(done: int, _: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bl.train_shadows(data, plan, out=tmp_path, networks=8, progress=killed)
    assert sorted(path.stem for path in tmp_path.glob("*.safetensors")) == [f"shadow-00{n}" for n in range(4)]
    (tmp_path / "shadow-001.safetensors").unlink()
    shadows = bl.train_shadows(data, plan, out=tmp_path, networks=8)
    assert len(list(tmp_path.iterdir())) == 9
    for number in (1, 6):
        half = data.subset(np.flatnonzero(shadows.members[number]))
        with one_thread():
            single = train_target(half, plan, seed=derived_seed(0, "shadow network", number))
        assert shadows.networks[number].fingerprint == single.fingerprint


@pytest.mark.slow
def test_networks_that_a_plan_trains(tmp_path: Path, needs: Callable[[str], None]) -> None:
    needs("snntorch")
    data: Dataset = load_dataset("digits").subset(np.arange(150))  # type: ignore[assignment]
    mask = random_half(data.labels, 12345)
    target = train_target(data.subset(np.flatnonzero(mask)), PLAN, seed=7)
    shadows = bl.train_shadows(data, PLAN, out=tmp_path, networks=8, substrate="snntorch")
    written = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(written) == 9
    assert len(bl.train_shadows(data, PLAN, out=tmp_path, networks=8)) == 8
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == written
    with bl.open_target(target, "snntorch") as opened:
        box = bl.BlackBox(opened, "scores", 4 * 150)
        result = bl.attack_membership(box, data, 5, shadows, members=mask)
    assert result.auc > 0.55
    assert box.remaining == 0
