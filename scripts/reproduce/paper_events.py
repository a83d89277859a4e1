"""What the two event scripts of the reproduction share: targets and judges trained once, attacks, verdicts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from paper_table import Cell, Results, Row, by_seed, judged

import bl_neuro as bl
from bl_neuro.access import response_classes
from bl_neuro.attacks import Attack, Inversions
from bl_neuro.data import EventDataset
from bl_neuro.leakage import held_at, hits, spike_density
from bl_neuro.rounding import fixed
from bl_neuro.seeding import derived_seed, stream
from bl_neuro.testing.reference_target import ReferenceTarget
from bl_neuro.training import Checkpoint, ImageEvaluator, TargetPlan

JUDGES = ("conv", "spiking")
"""The first was named beforehand; the second, which sees frames in time, stands beside it."""
WHITE, BLACK = "snntorch", "loihi"
"""Substrates: what the authors ran gradients on; Loihi's integers for queries."""
OPTIONS: dict[str, dict[str, Any]] = {WHITE: {"precision": "float32"}, BLACK: {"threads": 1}}


@dataclass(frozen=True)
class Entry:
    """One line of the table: an attack, what it is shown, and on which targets: trained, untrained, shuffled labels."""

    attack: Attack[Any]
    reveals: str = "gradient"
    target: str = "trained"
    repeats: int | None = None
    """Most inversions of each class a target; None for as many as were asked for."""

    @property
    def white(self) -> bool:
        """Whether it has the gradients."""
        return self.attack.access == "white_box"

    def settings(self) -> dict[str, Any]:
        """As results keep them."""
        return {"settings": self.attack.settings(), "reveals": self.reveals, "target": self.target}


@dataclass
class EventBench:
    """Targets and judges of one split, trained when they are first needed and kept in a folder.

    judge_epochs: of the judges' training; None for as many as the library takes.
    """

    work: Path
    split: bl.data.Split[EventDataset]
    plan: TargetPlan
    judge_epochs: int | None = None

    def judge(self, kind: str) -> ImageEvaluator:
        """An evaluator trained on the split's part for evaluators."""
        path = self._file(f"evaluator-{kind}")
        if not path.exists():
            checkpoint = Checkpoint(path.with_suffix(".checkpoint"))
            settings: dict[str, Any] = {"kind": kind, "epochs": self.judge_epochs, "checkpoint": checkpoint}
            print(f"training {path.stem}", flush=True)
            bl.training.train_evaluator(self.split.evaluator, seed=0, **settings).save(path)
            path.with_suffix(".checkpoint").unlink(missing_ok=True)
        return bl.training.load_evaluator(path)

    def target(self, kind: str, seed: int) -> bl.Network:
        """A target: trained, untrained, or trained on shuffled labels."""
        path = self._file(f"target-{kind.replace(' ', '-')}-{seed}")
        if not path.exists():
            plan, data = self.plan, self.split.target
            if kind == "untrained":
                plan = replace(plan, spiking_epochs=0)
            elif kind == "shuffled labels":
                order = stream(derived_seed(seed, kind), "order").permutation(len(data.labels))
                data = replace(data, labels=data.labels[order])
            print(f"training {path.stem}", flush=True)
            checkpoint = Checkpoint(path.with_suffix(".checkpoint"))
            bl.save(bl.training.train_target(data, plan, seed=seed, checkpoint=checkpoint), path)
            path.with_suffix(".checkpoint").unlink(missing_ok=True)
        return bl.load(path)

    def accuracy(self, kind: str, seed: int, substrate: str) -> float:
        """Of a target on a substrate, on the test part."""
        with bl.open_target(self.target(kind, seed), substrate, **OPTIONS[substrate]) as target:
            return bl.training.measure_accuracy(target, self.split.test, self.plan.steps, 0)

    def invert(self, entry: Entry, cell: Cell) -> tuple[Inversions, list[int], float]:
        """An inversion of each class, whether its target names it for each, and the seconds that the attack took."""
        classes, steps = range(self.split.test.classes), self.plan.steps
        substrate = WHITE if entry.white else BLACK
        with bl.open_target(self.target(entry.target, cell.seed), substrate, **OPTIONS[substrate]) as target:
            box = bl.WhiteBox(target) if entry.white else bl.BlackBox(target, entry.reveals, budget(entry, classes))  # type: ignore[arg-type]
            chance = derived_seed(cell.seed, cell.attack, cell.repeat)
            began = time.perf_counter()
            found = entry.attack(box, classes=classes, steps=steps, seed=chance)
            seconds = time.perf_counter() - began
            answers = response_classes(target.run(found.spikes), target.network.readout)
        return found, (answers == found.classes).int().tolist(), seconds

    def measured(
        self, entry: Entry, cell: Cell, judges: Mapping[str, ImageEvaluator], grid: Sequence[int]
    ) -> dict[str, Any]:
        """What is kept of a cell; of a search also the first judge's hits at the queries a class of `grid`."""
        found, success, seconds = self.invert(entry, cell)
        spikes = found.spikes.numpy()
        kept = {
            "judges": {name: judged(judge.probabilities(spikes), found.classes) for name, judge in judges.items()},
            "target_success": success,
            "density": float(spike_density(found.spikes)),
            "queries": found.queries,
            "status": str(found.status),
            "seconds": round(seconds, 2),
        }
        return kept if entry.white else {**kept, "course": course(found, judges[JUDGES[0]], grid)}

    def _file(self, name: str) -> Path:
        self.work.mkdir(parents=True, exist_ok=True)
        return self.work / f"{name}.safetensors"


def budget(entry: Entry, classes: Sequence[int]) -> int:
    """The queries that a search plans for, warm start included: no more are allowed."""
    search: Any = entry.attack
    return int(search.warm_start + len(classes) * search.queries)


def course(found: Inversions, judge: ImageEvaluator, grid: Sequence[int]) -> dict[str, list[float]]:
    """The judge's hits among the mean frames as they stood: queries a class, and the fraction."""
    classes = found.classes.numpy()
    along = [float(hits(judge.probabilities(frames.numpy()), classes).mean()) for frames in found.trace.rates]
    spent = found.trace.queries.numpy() / len(classes)
    points = [at for at in grid if spent[0] <= at <= spent[-1]]
    return {"queries": [float(at) for at in points], "hits": held_at(spent, along, points).round(4).tolist()}


def courses(cells: Sequence[Mapping[str, Any]], attack: str) -> tuple[list[float], list[np.ndarray]]:
    """Queries a class, and a judge's hits there, one array (runs, G) a target seed."""
    rows: dict[int, list[list[float]]] = {}
    queries: list[float] = []
    for cell in cells:
        if cell["attack"] == attack:
            rows.setdefault(cell["seed"], []).append(cell["course"]["hits"])
            queries = cell["course"]["queries"]
    return queries, [np.array(rows[seed]) for seed in sorted(rows)]


def mean_of(cells: Sequence[Mapping[str, Any]], attack: str, what: str) -> float:
    """The mean of something that every cell of an attack has."""
    return float(np.mean([np.mean(cell[what]) for cell in cells if cell["attack"] == attack]))


def cells(entries: Mapping[str, Entry], seeds: int, repeats: int) -> Iterator[Cell]:
    """What there is to do, in the order of the entries."""
    for name, entry in entries.items():
        for seed in range(seeds):
            for repeat in range(min(repeats, entry.repeats or repeats)):
                yield Cell(name, seed, repeat)


def run(
    results: Results,
    bench: EventBench,
    entries: Mapping[str, Entry],
    wanted: Sequence[Cell],
    grid: Sequence[int],
    report: Callable[[], None],
) -> dict[str, ImageEvaluator]:
    """Measures accuracies and the cells that are wanted and not there yet; calls `report` after each. The judges."""
    judges = {kind: bench.judge(kind) for kind in JUDGES}
    for name, judge in judges.items():
        results.once("judge accuracy", name, lambda: judge.accuracy(bench.split.test))  # noqa: B023 - called here
    for seed in sorted({cell.seed for cell in wanted}):
        for place in (WHITE, BLACK):
            group = f"target accuracy, {place}"
            results.once(group, str(seed), lambda: bench.accuracy("trained", seed, place))  # noqa: B023
    for cell in wanted:
        if cell not in results:
            found = bench.measured(entries[cell.attack], cell, judges, grid)
            results.keep(cell, found)
            print(f"{cell.key}: {np.mean(found['judges'][JUDGES[0]]['hits']):.2f} in {found['seconds']} s", flush=True)
            report()
    report()
    return judges


def keep_data(results: Results, split: bl.data.Split[EventDataset]) -> None:
    """Keeps what a report says of the recordings, so that it can be made without them."""
    parts = {"targets": split.target, "judges": split.evaluator, "test": split.test}
    said = {"completeness": split.target.completeness, "note": split.note, "classes": split.test.classes}
    for name, value in {**said, **{name: len(part.labels) for name, part in parts.items()}}.items():
        results.once("data", name, lambda: value)  # noqa: B023 - called here


def recordings(results: Results) -> str:
    """What `keep_data` kept of how many there are and what for, in words."""
    data = results.data["facts"]["data"]
    return (
        f"Data: {data['completeness']}; {data['targets']} recordings for targets, {data['judges']} for judges, "
        f"{data['test']} to test"
    )


def costs(results: Results, rows: Sequence[Row], entries: Mapping[str, Entry], classes: int) -> list[str]:
    """What each attack spent and made, as a table in Markdown."""
    done = results.cells
    lines = [
        "| attack | queries a class | spike density | the target itself names the class | seconds a run |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        if by_seed(done, row.attack, JUDGES[0], "hits"):
            asked = fixed(mean_of(done, row.attack, "queries") / classes, 0, ",")
            asked = "white box" if entries[row.attack].white else asked
            places = {"density": 3, "target_success": 3, "seconds": 0}
            means = " | ".join(fixed(mean_of(done, row.attack, what), digits) for what, digits in places.items())
            lines.append(f"| {row.name} | {asked} | {means} |")
    return lines


def assumed(entries: Mapping[str, Entry], names: Sequence[str], shape: tuple[int, int, int]) -> list[str]:
    """What black-box attacks take for granted of inputs (C, H, W), a line each."""
    weights = np.zeros((2, int(np.prod(shape))))
    box: Any = bl.BlackBox(ReferenceTarget(bl.Network(shape, [bl.Flatten(), bl.Dense(weights, bl.CubaLIF())])))
    return [f"- {name} takes for granted: {'; '.join(entries[name].attack.assumptions(box))}." for name in names]
