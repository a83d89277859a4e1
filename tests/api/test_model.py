"""Audits of models: objects are saved in the folder of results, and reports name no local folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.api.command import model_command
from bl_neuro.api.model import prepare_model_audit
from bl_neuro.data import Dataset
from bl_neuro.experiment.given_model import ModelAudit

NETWORK = bl.Network((64,), [bl.Dense(np.random.default_rng(0).normal(0.1, 0.3, (10, 64)), bl.CubaLIF())])


def test_a_network_is_saved_into_the_folder_of_results(tmp_path: Path) -> None:
    audit, recognised = prepare_model_audit(NETWORK, "digits", tmp_path / "out", steps=4, restarts=1, lava=False)
    assert bl.load(tmp_path / "out" / "model.safetensors") == NETWORK
    assert audit.experiment.model is not None
    assert audit.experiment.model.file == "model.safetensors"
    assert audit.experiment.verify is None
    assert audit.material.network == NETWORK
    assert audit.command == "bl-neuro audit model.safetensors --dataset digits --steps 4 --restarts 1 --no-lava"
    assert len(recognised.class_map) == 10


def test_a_dataset_and_indices_are_saved_too(tmp_path: Path) -> None:
    digits = bl.data.load_dataset("digits")
    assert isinstance(digits, Dataset)
    own = Dataset("own", "mine", digits.pixels[:400], digits.labels[:400], digits.class_names)
    used = np.arange(0, 400, 2)
    audit, _ = prepare_model_audit(NETWORK, own, tmp_path / "out", steps=4, trained_on=used)  # type: ignore[arg-type]
    experiment = audit.experiment
    assert experiment.dataset.name == "data.npz"
    assert experiment.model is not None
    assert experiment.model.trained_on == "trained_on.npy"
    assert audit.material.overlap.target_samples == len(used)
    assert np.array_equal(bl.data.load_dataset(str(tmp_path / "out" / "data.npz")).labels, own.labels)
    assert str(tmp_path) not in json.dumps(experiment.model_dump())


def test_a_model_file_is_named_relative_to_its_data(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    bl.save(NETWORK, tmp_path / "models" / "mine.safetensors")
    digits = bl.data.load_dataset("digits")
    assert isinstance(digits, Dataset)
    np.savez(tmp_path / "own.npz", images=digits.pixels[:400], labels=digits.labels[:400])
    audit, _ = prepare_model_audit(tmp_path / "models" / "mine.safetensors", tmp_path / "own.npz", steps=4)
    assert audit.experiment.name == "mine"
    assert audit.experiment.dataset.name == "../own.npz"
    assert audit.store.folder == Path("runs/mine")


def test_a_module_becomes_a_network(tmp_path: Path, needs: Any) -> None:
    needs("snntorch")
    import snntorch
    import torch
    from torch import nn

    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(64, 10), snntorch.Leaky(0.7, reset_mechanism="zero", init_hidden=True))
    prepare_model_audit(module, "digits", tmp_path / "out", steps=4, lava=False)
    assert bl.load(tmp_path / "out" / "model.safetensors").shapes == ((10,),)
    with pytest.raises(bl.Unsupported, match="expected neurons of snnTorch, Norse or SLAYER, found Linear"):
        prepare_model_audit(nn.Linear(64, 10), "digits", tmp_path / "other")


@pytest.mark.parametrize(
    ("model", "data", "options", "message"),
    [
        ("demo", "digits", {}, "model: expected a file ending in .net, .nir, .safetensors, found 'demo'"),
        (3, "digits", {}, "model: expected a Network, a module or a path, found int"),
        (NETWORK, 3, {}, "data: expected a name, a path or a dataset of images, found int"),
        (NETWORK, "digits", {"trained_on": [0.5]}, "trained_on: expected indices of samples"),
        (NETWORK, "digits", {"encoder": "morse"}, "morse"),
        (NETWORK, "digits", {"substrates": ["lohi"]}, "substrate: expected one of snntorch, "),
    ],
)
def test_models_that_cannot_be_audited_are_refused(
    model: Any, data: Any, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(bl.BlNeuroError, match=message):
        prepare_model_audit(model, data, tmp_path / "out", **{"steps": 4, **options})


@pytest.mark.parametrize(
    ("request_", "command"),
    [
        (
            ModelAudit(
                Path("/data/mnist.net"), "mnist", steps=16, class_map=[1, 0], lava=False, trained_on="../x/used.npy"
            ),
            "bl-neuro audit mnist.net --dataset mnist --steps 16 --class-map 1,0 --no-lava --trained-on used.npy",
        ),
        (ModelAudit(Path("m.nir"), "../own.npz"), "bl-neuro audit m.nir --dataset own.npz"),
        (
            ModelAudit(Path("m.net"), "digits", input_range=(-1.0, 1.0), substrates=["loihi", "norse"]),
            "bl-neuro audit m.net --dataset digits --input-range -1,1 --substrates loihi,norse",
        ),
    ],
)
def test_commands_are_portable(request_: ModelAudit, command: str) -> None:
    assert model_command(request_) == command
