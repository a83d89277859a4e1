"""Measures how long cells take on this machine, for the estimates of `bl-neuro audit --plan` on machines without runs.

    python scripts/measure/reference_costs.py            # writes bl_neuro/experiment/reference_costs.json

Runs small versions of shipped experiments, with one target, one restart and few networks, in a new cache folder.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from bl_neuro.api.audit import run_audit
from bl_neuro.experiment.cost_log import CostLog, RecordedCost
from bl_neuro.experiment.definition import Experiment
from bl_neuro.experiment.experiment_file import experiment_from, experiment_path, read_experiment
from bl_neuro.experiment.material import Place
from bl_neuro.experiment.reference_costs import PATH, ReferenceCosts, calibration_seconds
from bl_neuro.experiment.session import Audit
from bl_neuro.experiment.store import Store

EXPERIMENTS = ("demo", "digits", "secrets-digits", "membership-digits")
CLASSES = [0, 1]
"""The classes that are inverted; the cost of an attack is in proportion to their number."""


def small(name: str) -> Experiment:
    """A shipped experiment with one target, two classes, one restart, and few networks and mitigations."""
    document = read_experiment(experiment_path(name)).model_dump(mode="json", exclude_unset=True)
    document["restarts"] = 1
    if document.get("attacks"):
        mitigations = document.get("mitigations", [])[:1]
        document |= {"seeds": [0], "classes": CLASSES, "controls": [], "mitigations": mitigations}
    for replay in document.get("replays", []):
        replay["seeds"] = [0]
    if "membership" in document:
        document["membership"] |= {"networks": 10, "mitigations": [], "asks": document["membership"]["asks"][:1]}
        document["membership"].pop("shadows", None)
    if "secrets" in document:
        document["secrets"] |= {"queries": [8], "informed": [4], "replays": []}
        document["seeds"] = [0]
    return experiment_from(document)


def summary(costs: list[RecordedCost]) -> Iterator[RecordedCost]:
    """One cost for each workload, with the median duration."""
    groups: dict[str, list[RecordedCost]] = {}
    for cost in costs:
        groups.setdefault(cost.workload, []).append(cost)
    for _, group in sorted(groups.items()):
        seconds = round(median(cost.seconds for cost in group), 4)
        yield group[0].model_copy(update={"seconds": seconds, "machine": "reference"})


def processor() -> str:
    """The model of the processor, as Linux states it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "not known")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="*", default=EXPERIMENTS, help="names of shipped experiments")
    parser.add_argument("--out", type=Path, default=PATH)
    arguments: Any = parser.parse_args()
    before = calibration_seconds()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(BL_NEURO_CACHE=folder, BL_NEURO_CACHE_MIB="2048")
        for name in arguments.experiments:
            audit = Audit(small(name), Place(Path.cwd()), Store(Path(folder) / "runs" / name))
            result = run_audit(audit)
            print(f"{name}: {result.findings.cells.done} of {result.findings.cells.planned} cells", flush=True)
        calibration = median([before, calibration_seconds(), calibration_seconds()])
        costs = list(summary(CostLog(Path(folder)).read()))
    reference = ReferenceCosts(processor=processor(), calibration_seconds=round(calibration, 5), costs=costs)
    lines = ",\n".join(cost.model_dump_json() for cost in reference.costs)
    head = reference.model_copy(update={"costs": []}).model_dump_json().removesuffix("[]}")
    arguments.out.write_text(f"{head}[\n{lines}\n]}}\n")
    print(f"{len(costs)} workloads, calibration {calibration:.4f} s: {arguments.out}")


if __name__ == "__main__":
    main()
