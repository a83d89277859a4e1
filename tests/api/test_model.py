"""Audits of models: objects are saved in the folder of results, and reports name no local folder."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.api.command import model_command
from bl_neuro.api.model import prepared_model_audit
from bl_neuro.data import Dataset
from bl_neuro.errors import ReportError
from bl_neuro.experiment.given_model import ModelAudit

NETWORK, ANOTHER = (
    bl.Network((64,), [bl.Dense(np.random.default_rng(seed).normal(0.1, 0.3, (10, 64)), bl.CubaLIF())])
    for seed in (0, 1)
)
QUICK: dict[str, Any] = {
    "steps": 4,
    "restarts": 1,
    "substrates": ["loihi"],
    "attacks": [{"attack": "v1", "settings": {"iterations": 2}}],
    "evaluators": [{"kind": "conv", "epochs": 1}],
    "verify_on": False,
    "progress": None,
}


def digits(count: int = 400) -> Dataset:
    data = bl.data.load_dataset("digits")
    assert isinstance(data, Dataset)
    return Dataset("own", "mine", data.pixels[:count], data.labels[:count], data.class_names)


def test_a_network_is_saved_into_the_folder_of_results(tmp_path: Path) -> None:
    out, options = tmp_path / "out", {"steps": 4, "restarts": 1, "verify_on": False}
    with prepared_model_audit(NETWORK, "digits", out, **options) as (audit, recognised):  # type: ignore[arg-type]
        assert audit.material.network == NETWORK
    assert bl.load(tmp_path / "out" / "model.safetensors") == NETWORK
    assert audit.experiment.model is not None
    assert audit.experiment.model.file == "model.safetensors"
    assert audit.experiment.verify is None
    assert audit.command == "bl-neuro audit model.safetensors --dataset digits --steps 4 --restarts 1 --verify-on none"
    assert len(recognised.class_map) == 10


def test_a_dataset_and_indices_are_saved_too(tmp_path: Path) -> None:
    own = digits()
    used = np.arange(0, 400, 2)
    options: Any = {"steps": 4, "trained_on": used}
    with prepared_model_audit(NETWORK, own, tmp_path / "out", **options) as (audit, _):
        assert audit.material.overlap.target_samples == len(used)
    experiment = audit.experiment
    assert experiment.dataset.name == "data.npz"
    assert experiment.model is not None
    assert experiment.model.trained_on == "trained_on.npy"
    assert np.array_equal(bl.data.load_dataset(str(tmp_path / "out" / "data.npz")).labels, own.labels)
    assert str(tmp_path) not in json.dumps(experiment.model_dump())


def test_a_model_file_is_named_relative_to_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    bl.save(NETWORK, tmp_path / "models" / "mine.safetensors")
    np.savez(tmp_path / "own.npz", images=digits().pixels, labels=digits().labels)
    monkeypatch.chdir(tmp_path)
    with prepared_model_audit(tmp_path / "models" / "mine.safetensors", tmp_path / "own.npz", steps=4) as (audit, _):
        pass
    assert audit.experiment.name == "mine"
    assert audit.experiment.dataset.name == "../own.npz"
    assert audit.store.folder == Path(f"runs/mine-{NETWORK.fingerprint[:8]}")


def test_a_refused_audit_leaves_the_files_of_a_running_one(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with prepared_model_audit(NETWORK, digits(), out, steps=4, trained_on=[0, 1, 2]):
        before = {path.name: path.read_bytes() for path in out.iterdir()}
        assert {"model.safetensors", "data.npz", "trained_on.npy"} <= set(before)
        with pytest.raises(ReportError, match="another run uses this folder"):
            bl.audit_model(ANOTHER, digits(300), out, **QUICK, trained_on=[3, 4])
        assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_files_of_the_user_are_kept_and_files_of_a_failed_preparation_are_not(tmp_path: Path) -> None:
    bl.save(ANOTHER, tmp_path / "model.safetensors")
    with pytest.raises(ReportError, match=r"model\.safetensors: expected a free name .*, found another file"):
        bl.audit_model(NETWORK, "digits", tmp_path, **QUICK)
    assert bl.load(tmp_path / "model.safetensors") == ANOTHER
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "data.npz").write_bytes(b"")
    with pytest.raises(ReportError, match=r"data\.npz: expected a free name"):
        bl.audit_model(NETWORK, digits(), tmp_path / "new", **QUICK)
    assert {path.name for path in (tmp_path / "new").iterdir()} <= {".lock", "data.npz"}


@pytest.mark.slow
def test_audits_of_two_models_keep_apart_and_one_is_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = (bl.audit_model(network, "digits", **QUICK) for network in (NETWORK, ANOTHER))
    assert [result.folder for result in (first, second)] == [
        Path(f"runs/model-{network.fingerprint[:8]}") for network in (NETWORK, ANOTHER)
    ]
    results = (first.folder / "results.json").read_bytes()
    planned = bl.plan_audit_model(NETWORK, "digits", **{name: QUICK[name] for name in QUICK if name != "progress"})
    assert planned.done == planned.cells > 0
    bl.save(ANOTHER, "another.safetensors")
    with pytest.raises(ReportError, match=r"an audit of model \w{8} on digits, found one of model \w{8} on digits"):
        bl.audit_model("another.safetensors", "digits", first.folder, **QUICK)
    with pytest.raises(ReportError, match="an audit of targets that it trains on digits, found one of model"):
        bl.audit("demo", first.folder, progress=None)
    again = bl.audit_model(NETWORK, "digits", first.folder, **{**QUICK, "restarts": 2})  # a changed experiment
    assert again.findings.cells.done == planned.cells + 2
    assert (first.folder / "results.json").read_bytes() != results


def test_a_plan_writes_nothing_and_takes_the_arguments_of_the_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audited, planned = (inspect.signature(function).parameters for function in (bl.audit_model, bl.plan_audit_model))
    assert {name: audited[name] for name in audited if name not in ("jobs", "scheduler", "progress")} == dict(planned)
    monkeypatch.chdir(tmp_path)
    recognised: list[str] = []
    plan = bl.plan_audit_model(
        NETWORK, digits(), steps=4, trained_on=[0, 1], on_recognised=lambda result: recognised.append(result.sentence)
    )
    assert plan.done == 0 < plan.cells
    assert recognised[0].startswith("takes samples in the encoding ")
    assert list(tmp_path.iterdir()) == []


def test_attacks_and_evaluators_are_names_objects_or_tables() -> None:
    plan = bl.plan_audit_model(
        NETWORK,
        "digits",
        steps=4,
        queries=32,
        substrates=["loihi"],
        attacks=["v2_gradient", "random", bl.CmaEs(queries=64), {"attack": "v2", "reveals": ["label"]}],
        evaluators=["authors", {"kind": "conv", "epochs": 1}],
        verify_on="slayer",
    )
    experiment = plan.experiment
    assert [(part.attack, part.reveals, part.settings) for part in experiment.attacks] == [
        ("v2_gradient", None, {}),
        ("random", ["counts", "label"], {"queries": 32}),
        ("cma_es", ["counts", "label"], {"queries": 64}),
        ("v2", ["label"], {}),
    ]
    assert [part.kind for part in experiment.evaluators] == ["authors", "conv"]
    assert experiment.verify == ["loihi", "slayer"]
    assert [(part.substrate, part.of, part.attacks) for part in experiment.replays] == [
        ("slayer", "loihi", ["random", "cma_es"])
    ]


def test_a_module_becomes_a_network(tmp_path: Path, needs: Any) -> None:
    needs("snntorch")
    import snntorch
    import torch
    from torch import nn

    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(64, 10), snntorch.Leaky(0.7, reset_mechanism="zero", init_hidden=True))
    with prepared_model_audit(module, "digits", tmp_path / "out", steps=4, verify_on=False):
        pass
    assert bl.load(tmp_path / "out" / "model.safetensors").shapes == ((10,),)
    with pytest.raises(bl.Unsupported, match="expected neurons of snnTorch, Norse or SLAYER, found Linear"):
        bl.plan_audit_model(nn.Linear(64, 10), "digits")


@pytest.mark.parametrize(
    ("model", "data", "options", "message"),
    [
        ("demo", "digits", {}, "model: expected a file ending in .net, .nir, .safetensors, found 'demo'"),
        (3, "digits", {}, "model: expected a Network, a module or a path, found int"),
        (NETWORK, 3, {}, "data: expected a name, a path or a dataset of images, found int"),
        (NETWORK, "digits", {"trained_on": [0.5]}, "trained_on: expected indices of samples"),
        (NETWORK, "digits", {"trained_on": range(1797)}, "trained_on: expected at least 4 samples per class outside"),
        (NETWORK, "digits", {"trained_on": "train"}, "trained_on: digits has no official training set"),
        (NETWORK, "digits", {"trained_on": "none"}, "trained_on: expected 'train' or a file .*, found nothing at none"),
        (NETWORK, "digits", {"trained_on": ".."}, r"expected 'train' or a file .*, found a folder at \.\."),
        (NETWORK, "none", {}, "dataset: expected one of digits, .* found 'none'"),
        (NETWORK, "../none", {}, r"dataset: expected one of digits, .* found '\.\./none'"),
        (NETWORK, "digits", {"encoder": "morse"}, "morse"),
        (NETWORK, "digits", {"substrates": ["lohi"]}, "substrate: expected one of snntorch, "),
        (NETWORK, "digits", {"attacks": ["v3"]}, "attack: expected one of v1, "),
        (
            NETWORK,
            "digits",
            {"attacks": ["v1"], "queries": 8},
            "queries: none of the attacks that are given by name has this setting",
        ),
        (NETWORK, "digits", {"evaluators": ["oracle"]}, r"evaluators\.0\.kind: expected one of conv, "),
        (NETWORK, "digits", {"verify_on": "lavva"}, "substrate: expected one of snntorch, "),
        (NETWORK, "digits", {"substrates": ["loihi"], "verify_on": "loihi"}, "verify_on: expected another substrate"),
    ],
)
def test_models_that_cannot_be_audited_are_refused(
    model: Any, data: Any, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(bl.BlNeuroError, match=message):
        bl.plan_audit_model(model, data, tmp_path / "out", **{"steps": 4, **options})


@pytest.mark.parametrize(
    ("request_", "command"),
    [
        (
            ModelAudit(
                Path("/data/mnist.net"),
                "mnist",
                steps=9,
                class_map=[1, 0],
                verify_on=False,
                trained_on="../x/used.npy",
            ),
            "bl-neuro audit mnist.net --dataset mnist --steps 9 --class-map 1,0 --verify-on none --trained-on used.npy",
        ),
        (ModelAudit(Path("m.nir"), "../own.npz"), "bl-neuro audit m.nir --dataset own.npz"),
        (
            ModelAudit(Path("m.net"), "digits", input_range=(-1.0, 1.0), substrates=["loihi", "norse"]),
            "bl-neuro audit m.net --dataset digits --input-range -1,1 --substrates loihi,norse",
        ),
        (
            ModelAudit(Path("m.net"), "digits", attacks=["v2", "random"], evaluators=["conv"], verify_on="slayer"),
            "bl-neuro audit m.net --dataset digits --attacks v2,random --evaluators conv --verify-on slayer",
        ),
        (ModelAudit(Path("m.net"), "digits", attacks=[{"attack": "v2"}]), None),
    ],
)
def test_commands_are_portable(request_: ModelAudit, command: str | None) -> None:
    assert model_command(request_) == command
