"""Black-box attackers of today beside v1, v2 and other searches: one table at equal budgets, on digits.

    python scripts/reproduce/attackers_table.py [--targets 5] [--root DATA] [--work FOLDER] [--out PATH]

Each target seed has its own split of the data, target, ANN twin and two evaluators, so intervals over targets cover
data and judges. Targets are attacked on `loihi`; the ANN twin through a black box with the same queries. Attackers with
a prior hold 3,000 images of MNIST without labels, framed like digits. Attacks that ask nothing stand beside them, and
an untrained target as the null. Work in FOLDER is resumed. Writes OUT.json and OUT.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from bl_neuro import load, open_target, save
from bl_neuro.access import BlackBox, Reveals, WhiteBox, response_classes
from bl_neuro.arrays import FloatArray
from bl_neuro.attacks import (
    AnnBox,
    Attack,
    BrainLeaksV1,
    BrainLeaksV2,
    Brep,
    BrepPrior,
    CmaEs,
    Gamin,
    GenerativePrior,
    GradientInversion,
    OnePlusOneEs,
    RandomSearch,
    TransferAttack,
)
from bl_neuro.attacks.ann_black_box import AnnBlackBox
from bl_neuro.attacks.budget import fit_to_budget
from bl_neuro.data import Split, load_dataset, three_way_split
from bl_neuro.files import write_text
from bl_neuro.leakage import hit_bootstrap, paired_bootstrap
from bl_neuro.leakage.advantage import advantage
from bl_neuro.leakage.baseline_framing import framed
from bl_neuro.leakage.baseline_kind import PublicImages, PublicKnowledge
from bl_neuro.leakage.baseline_registry import BASELINES
from bl_neuro.leakage.bootstrap import Estimate
from bl_neuro.rounding import fixed
from bl_neuro.seeding import derived_seed, stream
from bl_neuro.training import load_ann_twin, load_evaluator, measure_accuracy, plan_for, train_evaluator
from bl_neuro.training.plans import TargetPlan
from bl_neuro.training.trainers import train_by_plan, train_twin_by_plan, twin_trainer, untrained

JUDGES = ("conv", "spiking")
BUDGET = 6400
"""Queries for all ten classes together, warm start included."""
FIRST_SEED = 4001
IMAGES = 3000
CLASSES = list(range(10))
SNN, TWIN, NULL = "snn", "ann", "untrained"
WHERE = {SNN: "SNN", TWIN: "ANN twin", NULL: "untrained SNN"}
GRADIENT = "gradient"
ALL: tuple[str, ...] = ("scores", "counts", "label")
COMPARED = ("v2", "gamin", "gamin without image priors", "brep", "brep_prior", "generative_prior")
"""Attacks whose results on SNN and ANN twin are compared."""
PRIORS: dict[str, Any] = {"window": 3.0}
"""The object is in the middle; attacks with image priors also share their default blur."""


class Row(NamedTuple):
    """An attack, the outputs that it uses on the SNN, and those on the ANN twin. variant: names special settings."""

    attack: Attack[Any]
    snn: tuple[str, ...]
    twin: tuple[str, ...]
    variant: str = ""

    @property
    def label(self) -> str:
        """The name of the attack, with the variant."""
        return self.attack.name + (f" {self.variant}" if self.variant else "")

    @property
    def title(self) -> str:
        """The name in tables."""
        return (self.attack.title or self.attack.name) + (f" {self.variant}" if self.variant else "")


ROWS = (
    Row(BrainLeaksV1(), (GRADIENT,), ()),
    Row(GradientInversion(), (), (GRADIENT,)),
    Row(TransferAttack(), ALL, ()),
    Row(BrainLeaksV2(contrast="mixed", **PRIORS), ALL, ("scores", "label")),
    Row(CmaEs(**PRIORS), ALL, ("scores", "label")),
    Row(OnePlusOneEs(**PRIORS), ALL, ("scores", "label")),
    Row(RandomSearch(**PRIORS), ALL, ("scores", "label")),
    Row(Gamin(**PRIORS), ALL, ("scores", "label")),
    Row(Gamin(blur=0.0), ALL, ("scores", "label"), "without image priors"),
    Row(Brep(**PRIORS), ("label",), ("label",)),
    Row(BrepPrior(), ("label",), ("label",)),
    Row(GenerativePrior(), ALL, ("scores", "label")),
)


class Cell(NamedTuple):
    """One attack on one target."""

    seed: int
    where: str
    row: Row
    view: str
    restart: int

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.row.label.replace(' ', '_')}-{self.where}-{self.view}-{self.seed}-{self.restart}"


def cells(seed: int, restarts: int) -> Iterator[Cell]:
    """All cells of a target seed."""
    for row in ROWS:
        for where, view in [(SNN, view) for view in row.snn] + [(TWIN, view) for view in row.twin]:
            for restart in range(restarts):
                yield Cell(seed, where, row, view, restart)
        if row.snn and row.attack.access == "black_box":
            yield Cell(seed, NULL, row, "counts" if "counts" in row.snn else row.snn[0], 0)


@dataclass(frozen=True)
class Bench:
    """The data of one target seed and the folder of its networks, which are trained when they are first used."""

    seed: int
    split: Split[Any]
    folder: Path
    images: FloatArray

    @property
    def plan(self) -> TargetPlan:
        """How targets are trained."""
        return plan_for("digits")

    def network(self, where: str) -> Any:
        """The target, the untrained target, or the ANN twin."""
        path = self.folder / f"{where}-{self.seed}.safetensors"
        if where == TWIN:
            if not path.exists():
                plan = twin_trainer("default").plan()
                train_twin_by_plan(self.split.target, plan, self.plan.hidden, self.seed).save(path)
            return load_ann_twin(path)
        if not path.exists():
            plan = self.plan if where == SNN else untrained(self.plan)
            save(train_by_plan(self.split.target, plan, self.seed), path)
        return load(path)

    def judge(self, kind: str) -> Any:
        """The evaluator of this kind."""
        path = self.folder / f"{kind}-{self.seed}.safetensors"
        if not path.exists():
            train_evaluator(self.split.evaluator, kind=kind, seed=self.seed, device="cpu").save(path)
        return load_evaluator(path)

    def accuracy(self, where: str) -> float:
        """Test accuracy of the target on its substrate, or of the ANN twin."""
        network = self.network(where)
        if where == TWIN:
            return float(network.accuracy(self.split.test))
        with open_target(network, "loihi") as target:
            return measure_accuracy(target, self.split.test, self.plan.steps, self.seed)

    def run(self, cell: Cell) -> dict[str, Any]:
        """Runs an attack and judges its inversions."""
        attack = cell.row.attack
        if attack.access == "black_box":
            attack = fit_to_budget(attack, BUDGET, len(CLASSES))
        with Opened(self, cell) as opened:
            box: Any = attack.open_box(opened)
            seed = derived_seed(self.seed, "attackers table", cell.restart)
            inversions = attack(box, classes=CLASSES, steps=self.plan.steps, seed=seed)
            images = np.asarray(attack.images(inversions).reshape(-1, 1, 8, 8).double())
            answers = opened.answers(inversions.spikes, images)
        tables = {kind: self.judge(kind).probabilities(images) for kind in JUDGES}
        return {
            "queries": inversions.queries if attack.access == "black_box" else 0,
            "hits": {kind: (table.argmax(1) == CLASSES).astype(int).tolist() for kind, table in tables.items()},
            "accepted": (answers == CLASSES).astype(int).tolist(),
        }


class Opened:
    """The boxes of the network of a cell; see `TargetView`. A context manager."""

    def __init__(self, bench: Bench, cell: Cell) -> None:
        self._bench, self._cell, self._network = bench, cell, bench.network(cell.where)
        self._open: list[Any] = []

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        for target in self._open:
            target.close()

    def _target(self, substrate: str) -> Any:
        self._open.append(open_target(self._network, substrate))
        return self._open[-1]

    def white_box(self) -> WhiteBox:
        """See `TargetView.white_box`."""
        return WhiteBox(self._target("loihi"))

    def black_box(self) -> BlackBox:
        """See `TargetView.black_box`."""
        view: Reveals = self._cell.view  # type: ignore[assignment]  # one of ALL
        if self._cell.where == TWIN:
            return AnnBlackBox(self._network, view, BUDGET)
        return BlackBox(self._target("loihi"), view, BUDGET)

    def twin(self) -> WhiteBox:
        """See `TargetView.twin`: the leaked copy, in floating point."""
        return WhiteBox(self._target("snntorch"))

    def auxiliary_images(self) -> FloatArray:
        """See `TargetView.auxiliary_images`."""
        return self._bench.images

    def ann_box(self) -> AnnBox:
        """See `TargetView.ann_box`."""
        return AnnBox(self._network)

    def answers(self, spikes: torch.Tensor, images: FloatArray) -> Any:
        """The classes that the network assigns to inversions."""
        if self._cell.where == TWIN:
            return AnnBox(self._network).run(torch.from_numpy(images).float()).argmax(1).numpy()
        return response_classes(self._target("loihi").run(spikes), self._network.readout).numpy()


def public(root: Path | None) -> PublicImages:
    """Images of MNIST (N, 1, 8, 8), each digit as large as the image, as in the digits, with their labels."""
    data = load_dataset("mnist", root)
    images = np.stack([framed(image, "filled", 8, 8) for image in data.images_at(np.arange(IMAGES))[:, 0]])[:, None]
    return PublicImages(images, tuple(int(label) for label in data.labels[:IMAGES]))


def silent(benches: list[Bench], known: PublicImages) -> list[dict[str, Any]]:
    """The attackers who ask nothing, judged by each target's evaluators."""
    knowledge = PublicKnowledge((1, 8, 8), tuple(CLASSES), tuple(map(str, CLASSES)), known)
    table = []
    for name in BASELINES:
        baseline = BASELINES.find(name)()
        pictures = baseline.draw(knowledge, "filled", stream(0, f"attackers table {name}")).astype(np.float64)
        labels, images = np.tile(CLASSES, len(pictures)), pictures.reshape(-1, 1, 8, 8)
        accuracy = {
            kind: asdict(
                hit_bootstrap([bench.judge(kind).probabilities(images).argmax(1) == labels for bench in benches])
            )
            for kind in JUDGES
        }
        table.append({"baseline": name, "title": baseline.title, "accuracy": accuracy})
    return table


def row_of(row: Row, where: str, view: str, results: dict[Cell, Any]) -> dict[str, Any]:
    """The results of an attack on one kind of network: hits of each target's inversions by judge, and their mean."""
    by_seed: dict[int, list[Any]] = {}
    for cell, result in results.items():
        if cell[1:4] == (where, row, view):
            by_seed.setdefault(cell.seed, []).append(result)
    own = list(by_seed.values())
    hits = {kind: [[hit for run in runs for hit in run["hits"][kind]] for runs in own] for kind in JUDGES}
    return {
        "attack": row.label,
        "title": row.title,
        "where": where,
        "reveals": view,
        "queries_per_class": max(run["queries"] for runs in own for run in runs) / len(CLASSES),
        "accepted": float(np.mean([run["accepted"] for runs in own for run in runs])),
        "accuracy": {kind: asdict(hit_bootstrap(rows)) for kind, rows in hits.items()},
        "hits": hits,
    }


def compared(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Differences in attack accuracy with intervals over targets: v2 against GAMIN, and SNN against ANN twin."""
    rows = {(row["attack"], row["where"], row["reveals"]): row for row in table}
    pairs = [(("v2", where, view), ("gamin", where, view)) for where in (SNN, TWIN) for view in ALL]
    pairs += [((name, SNN, view), (name, TWIN, view)) for name in COMPARED for view in ("scores", "label")]
    differences = []
    for first, second in pairs:
        if first in rows and second in rows:
            difference = {
                kind: asdict(paired_bootstrap(rows[first]["hits"][kind], rows[second]["hits"][kind])) for kind in JUDGES
            }
            differences.append({"first": first, "second": second, "difference": difference})
    return differences


def markdown(report: dict[str, Any]) -> str:
    """The tables of the report."""
    best = {kind: max((row["accuracy"][kind] for row in report["silent"]), key=lambda e: e["value"]) for kind in JUDGES}
    tested = {where: fixed(accuracy, 3) for where, accuracy in report["test_accuracy"].items()}
    lines = [
        "# Black-box attackers on digits, at equal budgets",
        "",
        f"Targets: {report['targets']}, each with its own split of the data and its own evaluators; runs of each "
        f"attack on a target: {report['restarts']}; {BUDGET:,} queries for ten classes. Mean and 95% interval over "
        "targets; of one target, over its inversions only. Test accuracy: SNN "
        f"{tested[SNN]}, ANN twin {tested[TWIN]}. *Accepted*: share of inversions that the attacked network itself "
        "assigns to their class. *Advantage*: attack accuracy less that of the best attacker who asks nothing, below. "
        "Written by `scripts/reproduce/attackers_table.py`.",
        "",
        "| attack | on | reveals | queries a class | accepted | conv | spiking | advantage: conv | spiking |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in report["attacks"]:
        gained = [advantage(Estimate(**row["accuracy"][kind]), Estimate(**best[kind])) for kind in JUDGES]
        cells_of = [WHERE[row["where"]], row["reveals"], fixed(row["queries_per_class"], 0), fixed(row["accepted"], 2)]
        accuracies = [shown(row["accuracy"][kind]) for kind in JUDGES]
        lines.append(
            f"| {' | '.join([row['title'], *cells_of, *accuracies, *(shown(asdict(one)) for one in gained)])} |"
        )
    lines += ["", "Attackers who ask nothing:", "", "| attacker | conv | spiking |", "|---|---|---|"]
    for row in report["silent"]:
        lines.append(f"| {' | '.join([row['title'], *(shown(row['accuracy'][kind]) for kind in JUDGES)])} |")
    lines += ["", "Differences in attack accuracy:", "", "| first | second | conv | spiking |", "|---|---|---|---|"]
    for pair in report["compared"]:
        names = [f"{name}, {WHERE[where]}, {view}" for name, where, view in (pair["first"], pair["second"])]
        lines.append(f"| {' | '.join([*names, *(shown(pair['difference'][kind]) for kind in JUDGES)])} |")
    return "\n".join(lines) + "\n"


def shown(estimate: dict[str, Any]) -> str:
    """A mean with its interval."""
    value, low, high = (fixed(estimate[name], 2) for name in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def worked(benches: list[Bench], restarts: int, work: Path) -> dict[Cell, Any]:
    """The results of all cells, those that are missing in `work` computed now."""
    results = {}
    for bench in benches:
        for cell in cells(bench.seed, restarts):
            path = work / f"{cell.name}.json"
            if not path.exists():
                write_text(path, json.dumps(bench.run(cell)))
                print(path.stem, flush=True)
            results[cell] = json.loads(path.read_text())
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=5)
    parser.add_argument("--restarts", type=int, default=2, help="runs of each attack on each target")
    parser.add_argument("--root", type=Path, help="folder of downloaded datasets, BL_NEURO_DATA by default")
    parser.add_argument("--work", type=Path, default=Path("runs/attackers-digits"))
    parser.add_argument("--out", type=Path, default=Path("results/attackers-digits"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data: Any = load_dataset("digits")
    known = public(arguments.root)
    seeds = [FIRST_SEED + number for number in range(arguments.targets)]
    images = known.images.astype(np.float64)
    benches = [Bench(seed, three_way_split(data, seed), arguments.work, images) for seed in seeds]
    results = worked(benches, arguments.restarts, arguments.work)
    places = dict.fromkeys((cell.row, cell.where, cell.view) for cell in results)
    table = [row_of(*place, results) for place in places]
    report = {
        "targets": len(seeds),
        "restarts": arguments.restarts,
        "test_accuracy": {where: float(np.mean([bench.accuracy(where) for bench in benches])) for where in (SNN, TWIN)},
        "attacks": table,
        "silent": silent(benches, known),
        "compared": compared(table),
    }
    write_text(arguments.out.with_suffix(".md"), markdown(report))
    write_text(arguments.out.with_suffix(".json"), json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
