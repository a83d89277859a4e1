"""Measures how long cells take on this machine, for the estimates of `bl-neuro audit --plan` on machines without runs.

    python scripts/measure/reference_costs.py            # writes bl_neuro/experiment/reference_costs.json

Runs small versions of shipped experiments, with one target, one restart and few networks, cell by cell. It measures the
time of the processor, like the calibration, so that other programs on the machine change little. Replays on Lava, which
runs in processes of its own, are left out.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from bl_neuro.experiment.cell_cost import cell_cost
from bl_neuro.experiment.cost_log import RecordedCost
from bl_neuro.experiment.definition import Experiment
from bl_neuro.experiment.experiment_file import experiment_from, experiment_path, read_experiment
from bl_neuro.experiment.material import Place
from bl_neuro.experiment.reference_costs import PATH, ReferenceCosts, calibration_seconds
from bl_neuro.experiment.session import Audit
from bl_neuro.experiment.store import Store
from bl_neuro.experiment.threads import one_thread
from bl_neuro.experiment.work import Work
from bl_neuro.files import write_text

EXPERIMENTS = ("demo", "membership-digits", "secrets-digits", "digits")
CLASSES = [0, 1]
"""The classes that are inverted; the cost of an attack is in proportion to their number."""


def small(name: str) -> Experiment:
    """A shipped experiment with one target, two classes, one restart, and few networks and mitigations."""
    document = read_experiment(experiment_path(name)).model_dump(mode="json", exclude_unset=True)
    document["restarts"] = 1
    if document.get("attacks"):
        mitigations = document.get("mitigations", [])[:1]
        document |= {"seeds": [0], "classes": CLASSES, "controls": [], "mitigations": mitigations}
    document.pop("replays", None)
    if "membership" in document:
        document["membership"] |= {
            "networks": 10,
            "mitigations": [],
            "asks": document["membership"]["asks"][:1],
            "replays": [],
        }
        document["membership"].pop("shadows", None)
    if "secrets" in document:
        document["secrets"] |= {"queries": [8], "informed": [4], "replays": []}
        document["seeds"] = [0]
    return experiment_from(document)


def measured(name: str) -> Iterator[RecordedCost]:
    """The cost of every cell of the small version of an experiment."""
    with tempfile.TemporaryDirectory() as folder:
        audit = Audit(small(name), Place(Path.cwd()), Store(Path(folder)))
        with one_thread(), Work(audit.material, audit.store) as work:
            for cell in audit.cells:
                began = time.process_time()
                work.do(cell)
                seconds = time.process_time() - began
                cost = cell_cost(cell, audit.material)._asdict()
                yield RecordedCost(machine="reference", seconds=round(seconds, 4), **cost)


def summary(costs: Iterable[RecordedCost]) -> Iterator[RecordedCost]:
    """One cost for each workload, with the median duration."""
    groups: dict[str, list[RecordedCost]] = {}
    for cost in costs:
        groups.setdefault(cost.workload, []).append(cost)
    for _, group in sorted(groups.items()):
        yield group[0].model_copy(update={"seconds": round(median(cost.seconds for cost in group), 4)})


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
    costs: list[RecordedCost] = []
    calibrations = []
    for name in arguments.experiments:
        calibrations.append(calibration_seconds(time.process_time))
        costs += measured(name)
        write(arguments.out, ReferenceCosts(
            processor=processor(), calibration_seconds=round(median(calibrations), 5), costs=list(summary(costs))
        ))  # fmt: skip
        print(f"{name}: {len(costs)} cells so far, calibrations {calibrations}", flush=True)


def write(path: Path, reference: ReferenceCosts) -> None:
    """Writes the file with a line for each cost."""
    lines = ",\n".join(cost.model_dump_json() for cost in reference.costs)
    head = reference.model_copy(update={"costs": []}).model_dump_json().removesuffix("[]}")
    write_text(path, f"{head}[\n{lines}\n]}}\n")


if __name__ == "__main__":
    main()
