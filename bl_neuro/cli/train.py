"""`bl-neuro train`."""

from __future__ import annotations

import json
from pathlib import Path

from bl_neuro.audit.provenance import now, versions
from bl_neuro.audit.threads import one_thread
from bl_neuro.backends import available_substrates, find_backend, missing_reason, open_target
from bl_neuro.cli.output import print_json, progress_bars, say
from bl_neuro.data import Dataset, load_digits, three_way_split
from bl_neuro.errors import DataError, InputError, ReportError
from bl_neuro.files import need_folder, write_text
from bl_neuro.model_file import save
from bl_neuro.network import Network
from bl_neuro.training import TargetPlan, measure_accuracy, train_evaluator, train_target

DATASETS = {"digits": load_digits}


def train(dataset: str, out: Path, seed: int, steps: int, hidden: str, as_json: bool) -> None:
    """Trains and saves a target and an evaluator, and reports their accuracy on held-out data."""
    plan = TargetPlan(hidden=_numbers(hidden), steps=steps)
    if seed < 0:
        raise InputError(f"--seed: expected a whole number of at least 0, found {seed}")
    need_folder(out)
    split = three_way_split(_dataset(dataset), seed)
    with progress_bars() as stages, one_thread():
        network = train_target(split.target, plan, seed=seed, progress=stages.stage("training the target"))
        evaluator = train_evaluator(
            split.evaluator, steps=steps, seed=seed + 1, progress=stages.stage("training the evaluator")
        )
    accuracy = _accuracy(network, split.test, steps, seed)
    judged = evaluator.accuracy(split.test)
    facts = {
        "dataset": split.test.name,
        "splits": split.sizes(),
        "seed": seed,
        "steps": steps,
        "fingerprint": network.fingerprint,
        "target_accuracy": accuracy,
        "evaluator_accuracy": judged,
        "created": now(),
        "versions": versions(),
    }
    try:
        save(network, out / "target.safetensors")
        evaluator.save(out / "evaluator.safetensors")
        write_text(out / "training.json", json.dumps(facts, indent=2) + "\n")
    except OSError as error:
        raise ReportError(f"{out}: expected a folder that can be written to ({error})") from error
    if as_json:
        print_json(
            {**facts, "target": str(out / "target.safetensors"), "evaluator": str(out / "evaluator.safetensors")}
        )
        return
    said = f"{accuracy:.3f}" if accuracy is not None else "not measured (no differentiable substrate is installed)"
    say(f"{out / 'target.safetensors'}: test accuracy {said} on {len(split.test.labels)} samples")
    say(f"{out / 'evaluator.safetensors'}: test accuracy {judged:.3f}, same samples")


def _dataset(name: str) -> Dataset:
    if name not in DATASETS:
        raise DataError(f"dataset: expected one of {', '.join(DATASETS)}, found {name!r}")
    return DATASETS[name]()


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--hidden: expected whole numbers, comma-separated, found {text!r}") from error


def _accuracy(network: Network, test: Dataset, steps: int, seed: int) -> float | None:
    """Test accuracy on the first substrate that is installed and quick to open."""
    for name in available_substrates():
        backend = find_backend(name)
        if backend.differentiable and missing_reason(backend) is None:
            with open_target(network, name) as target:
                return measure_accuracy(target, test, steps, seed)
    return None
