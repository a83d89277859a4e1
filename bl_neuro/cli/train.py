"""`bl-neuro train`."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bl_neuro.backends import available_substrates, find_backend, missing_reason, open_target
from bl_neuro.cli.output import ProgressBars, print_json, progress_bars, say
from bl_neuro.data import Samples, Split, load_dataset, official_split, shared_split, three_way_split
from bl_neuro.errors import InputError, ReportError
from bl_neuro.experiment.provenance import now, versions
from bl_neuro.experiment.threads import one_thread
from bl_neuro.files import need_folder, write_text
from bl_neuro.model_file import save
from bl_neuro.network import Network
from bl_neuro.training import (
    Checkpoint,
    ConvSpec,
    TargetPlan,
    measure_accuracy,
    plan_for,
    train_ann_twin,
    train_evaluator,
    train_slayer_target,
    train_target,
)
from bl_neuro.training.evaluator import KINDS
from bl_neuro.training.plans import NEURONS

SPLITS = ("auto", "three-way", "official", "shared")
TARGET_SHARE = 5 / 8
"""The target's part of an official training set; the evaluators have the rest."""
UNFINISHED = "unfinished"
"""Folder of checkpoints under the place of what is trained, until all of it is."""


@dataclass(frozen=True)
class TrainRequest:
    """What was asked for on the command line; None where the plan for the dataset decides."""

    dataset: str
    out: Path
    root: Path | None
    size: str | None
    split: str
    hidden: str | None
    conv: str | None
    neuron: str
    steps: int | None
    proxy_epochs: int | None
    spiking_epochs: int | None
    noise: float | None
    slayer: bool
    evaluators: str
    twin: bool
    device: str
    seed: int


def train(request: TrainRequest, as_json: bool) -> None:
    """Trains and saves a target, evaluators and perhaps an ANN twin; reports their accuracy on held-out data.

    What was done when a run was cut short is not done again when it is repeated.
    """
    kinds = _kinds(request.evaluators)
    if request.seed < 0:
        raise InputError(f"--seed: expected a whole number of at least 0, found {request.seed}")
    if request.split not in SPLITS:
        raise InputError(f"--split: expected one of {', '.join(SPLITS)}, found {request.split!r}")
    given = _given(request)
    need_folder(request.out)
    with progress_bars() as stages, one_thread():
        data = load_dataset(
            request.dataset, request.root, size=_size(request.size), progress=stages.stage("reading the data")
        )
        split = _split(data, request)
        plan = replace(plan_for(split.target), **given)
        network = _target(request, split, plan, stages)
        accuracy, substrate = _accuracy(network, split.test, plan.steps, request.seed)
        facts: dict[str, Any] = {
            "dataset": data.name,
            "completeness": data.completeness,
            "split": split.note,
            "splits": split.sizes(),
            "seed": request.seed,
            "steps": plan.steps,
            "plan": plan.facts(),
            "through": "slayer" if request.slayer else "canonical",
            "fingerprint": network.fingerprint,
            "target_accuracy": accuracy,
            "measured_on": substrate,
            "evaluators": [_evaluator(request, split, plan, kind, stages) for kind in kinds],
            "twin": _twin(request, split, plan, stages) if request.twin else None,
            "created": now(),
            "versions": versions(),
        }
    _finish(request.out, network, facts)
    if as_json:
        print_json({**facts, "target": str(request.out / "target.safetensors")})
        return
    _tell(request.out, facts)


def _target(request: TrainRequest, split: Split[Any], plan: TargetPlan, stages: ProgressBars) -> Network:
    stage, checkpoint = stages.stage("training the target"), _checkpoint(request, "target")
    if request.slayer:
        return train_slayer_target(split.target, plan, seed=request.seed, progress=stage, checkpoint=checkpoint)
    return train_target(
        split.target, plan, seed=request.seed, device=request.device, progress=stage, checkpoint=checkpoint
    )


def _evaluator(
    request: TrainRequest, split: Split[Any], plan: TargetPlan, kind: str, stages: ProgressBars
) -> dict[str, Any]:
    evaluator = train_evaluator(
        split.evaluator,
        kind=kind,
        steps=plan.steps,
        seed=request.seed + 1,
        device=request.device,
        progress=stages.stage(f"training the {kind} evaluator"),
        checkpoint=_checkpoint(request, f"evaluator-{kind}"),
    )
    path = request.out / ("evaluator.safetensors" if kind == "conv" else f"evaluator-{kind}.safetensors")
    evaluator.save(path)
    return {
        "name": kind,
        "architecture": evaluator.architecture,
        "spiking": evaluator.spiking,
        "accuracy": evaluator.accuracy(split.test),
        "file": str(path),
    }


def _twin(request: TrainRequest, split: Split[Any], plan: TargetPlan, stages: ProgressBars) -> dict[str, Any]:
    twin = train_ann_twin(
        split.target,
        plan.hidden,
        seed=request.seed,
        device=request.device,
        progress=stages.stage("training the ANN twin"),
        checkpoint=_checkpoint(request, "twin"),
    )
    path = request.out / "twin.safetensors"
    twin.save(path)
    return {"architecture": twin.architecture, "accuracy": twin.accuracy(split.test), "file": str(path)}


def _checkpoint(request: TrainRequest, name: str) -> Checkpoint:
    return Checkpoint(request.out / UNFINISHED / f"{name}.safetensors")


def _finish(out: Path, network: Network, facts: dict[str, Any]) -> None:
    try:
        save(network, out / "target.safetensors")
        write_text(out / "training.json", json.dumps(facts, indent=2) + "\n")
        shutil.rmtree(out / UNFINISHED, ignore_errors=True)
    except OSError as error:
        raise ReportError(f"{out}: expected a writable folder ({error})") from error


def _tell(out: Path, facts: dict[str, Any]) -> None:
    count = facts["splits"]["test"]
    said = "not measured (no substrate is installed)"
    if facts["measured_on"] is not None:
        said = f"test accuracy {facts['target_accuracy']:.3f} on {count} samples, on {facts['measured_on']}"
    say(f"{facts['dataset']}: {facts['completeness']}; {facts['split']}")
    say(f"{out / 'target.safetensors'}: {said}")
    for each in [*facts["evaluators"], *([facts["twin"]] if facts["twin"] else [])]:
        say(f"{each['file']}: test accuracy {each['accuracy']:.3f}, same samples; {each['architecture']}")


def _split(data: Samples, request: TrainRequest) -> Split[Any]:
    """auto: the authors' test set where the dataset is complete and has one, a new split where it is not."""
    whole = data.held_out is not None and not data.completeness.startswith("subset")
    if request.split == "shared":
        return shared_split(data)
    if request.split == "official" or (request.split == "auto" and whole):
        learn = len(data.labels) if data.held_out is None else int((~data.held_out).sum())
        return official_split(data, request.seed, target=max(1, round(TARGET_SHARE * learn)))
    return three_way_split(data, request.seed)


def _given(request: TrainRequest) -> dict[str, Any]:
    """The fields of a plan that were asked for."""
    if request.neuron not in NEURONS:
        raise InputError(f"--neuron: expected one of {', '.join(NEURONS)}, found {request.neuron!r}")
    given = {
        "steps": request.steps,
        "proxy_epochs": request.proxy_epochs,
        "spiking_epochs": request.spiking_epochs,
        "noise": request.noise,
        "hidden": None if request.hidden is None else _numbers("--hidden", request.hidden),
        "conv": None if request.conv is None else tuple(map(ConvSpec.parse, request.conv.split("-"))),
        "neuron": request.neuron,
    }
    return {name: value for name, value in given.items() if value is not None}


def _kinds(text: str) -> list[str]:
    kinds = [kind.strip() for kind in text.split(",") if kind.strip()]
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(f"--evaluators: expected some of {', '.join(KINDS)}, comma-separated, found {kind!r}")
    return list(dict.fromkeys(kinds))


def _numbers(option: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if text)
    except ValueError as error:
        raise InputError(f"{option}: expected whole numbers, comma-separated, found {text!r}") from error


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    sides = _numbers("--size", text.replace("x", ","))
    if len(sides) != 2:
        raise InputError(f"--size: expected height and width, such as 56x46, found {text!r}")
    return sides[0], sides[1]


def _accuracy(network: Network, test: Samples, steps: int, seed: int) -> tuple[float | None, str | None]:
    """Test accuracy on the first installed substrate that holds the network and is quick; its own arithmetic first."""
    backends = [find_backend(name) for name in available_substrates()]
    quick = [backend for backend in backends if backend.differentiable and missing_reason(backend) is None]
    for backend in sorted(quick, key=lambda backend: backend.arithmetic != network.arithmetic):
        if not backend.problems(network):
            with open_target(network, backend.name) as target:
                return measure_accuracy(target, test, steps, seed), backend.name
    return None, None
