"""Do inversions resemble individual training samples more than other samples of the same class?

    python scripts/measure/nearest_members.py [--seeds 12] [--out results/nearest-members.json]

Targets of scikit-learn's digits, each trained on a third of the samples drawn for it alone; a second third holds the
samples that the target was not trained on. v1 (snnTorch) and v2 on output counts (loihi) invert every class four times.
The measure is the AUC of "the more a sample resembles an inversion of its class, the likelier it was trained on"
(`bl_neuro.leakage.membership_check`); 0.5 means that inversions say nothing of individual members. Intervals are over
target seeds. Finished seeds are kept in --out, and a rerun continues from there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import bl_neuro as bl
from bl_neuro.experiment.provenance import machine, now, versions
from bl_neuro.experiment.threads import one_thread
from bl_neuro.files import write_text
from bl_neuro.leakage import membership_check, seed_bootstrap
from bl_neuro.seeding import derived_seed

STEPS, RESTARTS = 20, 4
ATTACKS: dict[str, Any] = {
    "v1": bl.attacks.BrainLeaksV1(),
    "v2": bl.attacks.BrainLeaksV2(queries=640, window=3.0, contrast="mixed"),
}


def auc(seed: int, attack: str) -> float:
    """The AUC of one attack on the target of a seed."""
    split = bl.data.three_way_split(bl.data.load_dataset("digits"), seed)
    network = bl.training.train_target(split.target, bl.training.plan_for("digits"), seed=seed)
    strategy = ATTACKS[attack]
    classes = list(range(10)) * RESTARTS
    with bl.open_target(network, "snntorch" if attack == "v1" else "loihi") as target:
        box = bl.WhiteBox(target) if attack == "v1" else bl.BlackBox(target, reveals="counts")
        inversions = strategy(box, classes=classes, steps=STEPS, seed=derived_seed(seed, "nearest members"))
    members, others = split.target, split.evaluator
    return membership_check(
        inversions.images.reshape(len(classes), *members.images.shape[1:]).numpy(), np.asarray(classes),
        members.images, members.labels, others.images, others.labels,
    ).auc  # fmt: skip


def estimated(by_seed: dict[str, float]) -> dict[str, float]:
    """Mean AUC over target seeds with its 95% interval."""
    estimate = seed_bootstrap([[value] for value in by_seed.values()])
    return {"auc": estimate.value, "low": estimate.low, "high": estimate.high, "targets": estimate.seeds}


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--out", type=Path, default=Path("results/nearest-members.json"))
    options = parser.parse_args()
    results: dict[str, Any] = {"auc": {name: {} for name in ATTACKS}}
    if options.out.exists():
        results = json.loads(options.out.read_text())
    with one_thread():
        for seed in range(options.seeds):
            for name, done in results["auc"].items():
                if str(seed) not in done:
                    done[str(seed)] = auc(seed, name)
                    print(f"{name}, target seed {seed}: AUC {done[str(seed)]:.3f}", flush=True)
            results["estimates"] = {name: estimated(done) for name, done in results["auc"].items()}
            results |= {"made": now(), "versions": versions(), "machine": machine()}
            write_text(options.out, json.dumps(results, indent=1) + "\n")
    for name, estimate in results["estimates"].items():
        print(f"{name}: AUC {estimate['auc']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]")


if __name__ == "__main__":
    main()
