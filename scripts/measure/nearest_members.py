"""Do inversions resemble individual training samples more than other samples of the same class?

    python scripts/measure/nearest_members.py [--seeds 12] [--out results/nearest-members.json]

Targets of scikit-learn's digits, each trained on half of the samples, drawn for it alone; the samples of the evaluators
are those that the target was not trained on. v1 (snnTorch) and v2 on output counts (loihi) invert every class four
times. The measure is that of every audit of inversions (`nearest_members` in its results): the AUC of "the more a
sample resembles an inversion of its class, the likelier it was trained on" (`bl_neuro.leakage.likeness`); 0.5 means
that inversions say nothing of individual members. Intervals are over target seeds. Finished cells are kept in --run,
and a rerun continues from there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import bl_neuro as bl
from bl_neuro.experiment.provenance import machine, now, versions
from bl_neuro.files import write_text


def experiment(seeds: int) -> bl.Experiment:
    """Both attacks on targets that each draw their own samples."""
    return bl.Experiment(
        name="nearest-members",
        dataset={"name": "digits", "redraw": True},
        seeds=seeds,
        restarts=4,
        steps=20,
        substrates=["snntorch", "loihi"],
        attacks=[
            {"attack": "v1", "substrates": ["snntorch"]},
            {
                "attack": "v2",
                "substrates": ["loihi"],
                "reveals": ["counts"],
                "settings": {"queries": 640, "window": 3.0, "contrast": "mixed"},
            },
        ],
        evaluators=["neighbours"],
        baselines=[],
    )


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--run", type=Path, default=Path("runs/nearest-members"))
    parser.add_argument("--out", type=Path, default=Path("results/nearest-members.json"))
    options = parser.parse_args()
    measured = bl.audit(experiment(options.seeds), out=options.run).findings.nearest_members
    results = {
        "auc": {one.attack: {str(seed): auc for seed, auc in one.aucs.items()} for one in measured},
        "estimates": {
            one.attack: {"auc": one.auc.value, "low": one.auc.low, "high": one.auc.high, "targets": one.auc.seeds}
            for one in measured
        },
        "made": now(),
        "versions": versions(),
        "machine": machine(),
    }
    write_text(options.out, json.dumps(results, indent=1) + "\n")
    for one in measured:
        print(f"{one.attack}: {one.sentence}")


if __name__ == "__main__":
    main()
