"""Chooses the settings of black-box v2 for faces on people who do not appear in the published results.

    python scripts/measure/tune_faces.py [--targets 1] [--root DATA] [--work FOLDER] [--out PATH]

The 40 people of AT&T are divided in two groups of 20 by a fixed seed. Targets and evaluators of the search are trained
on the tuning group only; the experiment `att_faces` attacks targets of the other group with the chosen settings. First,
one setting at a time is changed from START; then the changes that helped are combined. Every candidate has the same
number of queries. The criterion is the mean confidence of both evaluators in the person, over scores and counts, which
varies less than attack accuracy on so few targets. Finished cells in --work are not run again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from bl_neuro.experiment.definition import Experiment
from bl_neuro.experiment.findings.models import AuditRow
from bl_neuro.experiment.provenance import machine, now, versions
from bl_neuro.experiment.session import Audit
from bl_neuro.files import write_text
from bl_neuro.seeding import stream

PEOPLE, GROUP_SEED = 40, 0
FIRST_SEED = 100
"""Seeds of the targets of the search start here, so that they differ from those of the published results as well."""
SIZE, HIDDEN = [56, 46], [1000]
START: dict[str, Any] = {
    "queries": 256, "warm_start": 2000, "blur": 2.0, "stroke": 2.0, "probe_blur": 4.0, "contrast": "mixed",
}  # fmt: skip
"""7,120 queries for 20 people together."""
CHANGES: dict[str, dict[str, Any]] = {
    "blur 1": {"blur": 1.0},
    "blur 3.5": {"blur": 3.5},
    "stroke 1": {"stroke": 1.0},
    "stroke 4": {"stroke": 4.0},
    "probe blur 2.5": {"probe_blur": 2.5},
    "probe blur 7": {"probe_blur": 7.0},
    "contrast others": {"contrast": "others"},
    "warm start 4,560": {"queries": 128, "warm_start": 4560},
    "warm start 560": {"queries": 328, "warm_start": 560},
    "learning rate 3": {"learning_rate": 3.0},
    "base rate 0.35, amplitude 0.25": {"base_rate": 0.35, "warm_amplitude": 0.25},
    "window 18": {"window": 18.0},
}
OUTPUTS = ["scores", "counts"]


def groups() -> tuple[list[int], list[int]]:
    """The classes of the tuning group and of the people of the published results."""
    order = stream(GROUP_SEED, "groups of people").permutation(PEOPLE).tolist()
    return sorted(order[: PEOPLE // 2]), sorted(order[PEOPLE // 2 :])


def experiment(candidates: dict[str, dict[str, Any]], targets: int) -> Experiment:
    """Attacks with the settings of every candidate on targets of the tuning group."""
    return Experiment.model_validate(
        {
            "name": "tune-faces",
            "seeds": list(range(FIRST_SEED, FIRST_SEED + targets)),
            "substrates": ["loihi"],
            "dataset": {
                "name": "att_faces", "size": SIZE, "split": "official", "split_seed": 1, "target": 100,
                "evaluator": 60, "classes": groups()[0],
            },
            "target": {"hidden": HIDDEN},
            "evaluators": [{"kind": "conv", "seed": 1}, {"kind": "spiking", "seed": 1}],
            "attacks": [
                {"attack": "v2", "label": f"c{number}", "reveals": OUTPUTS, "settings": settings}
                for number, settings in enumerate(candidates.values())
            ],
            "baselines": [],
        }
    )  # fmt: skip


def searched(candidates: dict[str, dict[str, Any]], options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Settings and results of every candidate."""
    audit = Audit.of(experiment(candidates, options.targets), options.work, options.root)
    audit.run()
    rows = audit.findings().rows
    return {
        name: {"settings": settings, **measured([row for row in rows if row.attack == f"c{number}"])}
        for number, (name, settings) in enumerate(candidates.items())
    }


def measured(rows: list[AuditRow]) -> dict[str, Any]:
    """Attack accuracy and confidence by output and evaluator, and the criterion."""
    judged = {
        f"{row.reveals}, {evaluator}": values for row in rows for evaluator, values in sorted(row.evaluators.items())
    }
    return {
        "criterion": round(float(np.mean([values.confidence.value for values in judged.values()])), 4),
        "attack accuracy": {name: round(values.attack_accuracy.value, 4) for name, values in judged.items()},
        "confidence": {name: round(values.confidence.value, 4) for name, values in judged.items()},
    }


def combined(results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """START with the best change of every setting that improves the criterion."""
    settings = dict(START)
    for name in sorted(CHANGES, key=lambda name: float(results[name]["criterion"])):  # the best one comes last
        if results[name]["criterion"] > results["start"]["criterion"]:
            settings |= CHANGES[name]
    return settings


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=1)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/tune-faces"))
    parser.add_argument("--out", type=Path, default=Path("results/tuned-faces.json"))
    options = parser.parse_args()
    candidates = {"start": START, **{name: {**START, **change} for name, change in CHANGES.items()}}
    results = searched(candidates, options)
    both = combined(results)
    if both not in candidates.values():
        results = searched({**candidates, "combined": both}, options)
    chosen = max(results, key=lambda name: float(results[name]["criterion"]))
    for name, result in results.items():
        print(f"{name}: {result['criterion']:.3f}", flush=True)
    print(f"chosen: {chosen}, {results[chosen]['settings']}")
    tuning, reported = groups()
    kept = {
        "people": {"tuning": tuning, "reported": reported, "seed": GROUP_SEED},
        "targets": options.targets,
        "candidates": results,
        "chosen": chosen,
        "settings": results[chosen]["settings"],
        "made": now(),
        "versions": versions(),
        "machine": machine(),
    }
    write_text(options.out, json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
