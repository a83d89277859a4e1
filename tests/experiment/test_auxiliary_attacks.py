"""Attacks with images of the attacker in audits: their cells, and what is asked of the experiment."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bl_neuro.errors import ExperimentError, InputError
from bl_neuro.experiment.boxes import CellView
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.experiment_file import experiment_from
from bl_neuro.experiment.material import Material, Place
from bl_neuro.experiment.plan import plan_cells
from bl_neuro.testing.reference_target import ReferenceTarget, easy_images

ATTACK = {"attack": "brep_prior", "reveals": ["label"]}
BASE: dict[str, Any] = {
    "name": "small",
    "seeds": 1,
    "substrates": ["loihi"],
    "dataset": {"name": "digits"},
    "evaluators": [{"kind": "conv"}],
    "baselines": [],
    "attacks": [ATTACK, {"attack": "v2", "reveals": ["label"]}],
}


@pytest.fixture
def public(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "public.npz", images=rng.random((12, 1, 8, 8)), labels=np.arange(12) % 2)
    np.savez(tmp_path / "other.npz", images=rng.random((12, 1, 8, 8)), labels=np.arange(12) % 2)
    return tmp_path


def attacks(folder: Path, **changes: Any) -> tuple[Material, dict[str, Cell]]:
    """The material of an experiment, and its cells of attacks by attack."""
    experiment = experiment_from({**BASE, **changes})
    material = Material(experiment, Place(folder))
    cells = [cell for cell in plan_cells(experiment, material) if cell.kind == "attack"]
    return material, {cell.definition["attack"]: cell for cell in cells}


def test_needs_images_in_the_experiment() -> None:
    with pytest.raises(ExperimentError, match=r"brep_prior needs images of the attacker; add \[auxiliary\]"):
        experiment_from(BASE)


def test_cells_depend_on_the_images_where_the_attack_uses_them(public: Path) -> None:
    material, first = attacks(public, auxiliary={"name": "public.npz"})
    _, second = attacks(public, auxiliary={"name": "other.npz"})
    assert material.auxiliary is not None
    assert first["brep_prior"].definition["auxiliary"] == material.auxiliary.digest
    assert first["brep_prior"].address != second["brep_prior"].address
    assert "auxiliary" not in first["v2"].definition
    assert first["v2"].address == second["v2"].address


def test_the_attack_gets_the_images_of_the_experiment(public: Path) -> None:
    material, cells = attacks(public, auxiliary={"name": "public.npz"})
    assert material.auxiliary is not None
    cell, target = cells["brep_prior"], ReferenceTarget(easy_images())
    with ExitStack() as stack:
        shown = CellView(cell, target, material, stack).auxiliary_images()
        assert np.array_equal(shown, material.auxiliary.images)
        without = Material(experiment_from({**BASE, "attacks": BASE["attacks"][1:]}), Place(public))
        with pytest.raises(
            InputError, match=r"brep_prior: this attack needs images of the attacker; add \[auxiliary\]"
        ):
            CellView(cell, target, without, stack).auxiliary_images()
