"""What the scripts that reproduce the BrainLeaks table share: results that are kept, the authors' figures, the table.

    results = Results(options.out, settings)                     # goes on from what is there, of the same settings
    results.once("target accuracy", "0", lambda: measure(...))   # measured once, then read
    cell = Cell(attack="v1", seed=0, repeat=3)                   # one attack on one target seed, each class once
    if cell not in results:
        results.keep(cell, {"judges": {"conv": judged(judge.probabilities(images), classes)}, "seconds": ...})
    lines = table(results.cells, [Row("v1", "v1, as published", AUTHORS["mnist", "v1"])], ["conv", "spiking"])

Everything kept is written at once, atomically, with where it comes from: commit, command, versions, machine, time.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bl_neuro.errors import InputError
from bl_neuro.experiment.provenance import machine, now, versions
from bl_neuro.files import write_text
from bl_neuro.leakage import Estimate, confidences, differential_accuracy, hit_bootstrap, hits, seed_bootstrap
from bl_neuro.rounding import fixed

MEASURES = {"hits": "attack accuracy", "top3": "top-3", "confidence": "confidence", "daa": "DAA"}
"""What `judged` gives, and what the table calls its mean."""


BUT_RESULTS = ":(top,exclude)results"
"""What may differ from the commit, as git's path pattern."""


@dataclass(frozen=True)
class Published:
    """The authors' figures: one inversion a class. sd: standard deviations over 1,000 draws, where they give any."""

    attack_accuracy: float
    top3: float
    confidence: float
    daa: float
    classes: int
    sd: tuple[float, float] | None = None

    def columns(self) -> list[str]:
        """As they stand in the table, in the order of `MEASURES`."""
        found = [fixed(value, 3) for value in (self.attack_accuracy, self.top3, self.confidence, self.daa)]
        if self.sd is not None:
            found[:2] = [f"{value} ± {fixed(sd, 3)}" for value, sd in zip(found, self.sd)]
        return found


AUTHORS: dict[tuple[str, str], Published] = {
    ("mnist", "ann"): Published(0.5, 0.9, 0.454, 0.8, 10),
    ("mnist", "v1"): Published(1.0, 1.0, 0.931, 1.0, 10),
    ("mnist", "v2_gradient"): Published(1.0, 1.0, 0.946, 1.0, 10),
    ("att_faces", "ann"): Published(0.875, 0.975, 0.855, 0.95, 40),
    ("nmnist", "v1"): Published(0.2, 0.3, 0.163, 0.5, 10),
    ("nmnist", "v2_gradient"): Published(0.461, 0.911, 0.5, 1.0, 10, (0.066, 0.054)),
    ("dvs_gesture", "v1"): Published(0.3, 0.5, 0.312, 1.0, 10),
    ("dvs_gesture", "v2_gradient"): Published(0.587, 0.814, 0.542, 1.0, 10, (0.034, 0.036)),
}
"""By dataset and attack. Source: the published notebooks of BrainLeaks (arXiv 2402.00906)."""
AUTHORS_ACCURACY: dict[str, tuple[float, float]] = {
    "mnist": (0.966, 0.984),
    "att_faces": (0.95, 0.9625),
    "nmnist": (0.969, 0.966),
    "dvs_gesture": (0.783, 0.879),
}
"""Test accuracy of the authors' target and evaluator, where they give it; of faces, that of the ANN."""


@dataclass(frozen=True)
class Cell:
    """One attack, as it is called in the results, on one target seed: an inversion of each class."""

    attack: str
    seed: int
    repeat: int = 0

    @property
    def key(self) -> str:
        """Its name in the file."""
        return f"{self.attack} / target {self.seed} / repeat {self.repeat}"


@dataclass(frozen=True)
class Row:
    """A row of the table: the cells of `attack`, what it is called there, and the authors' figures if there are any."""

    attack: str
    name: str
    authors: Published | None = None


def judged(probabilities: npt.ArrayLike, classes: npt.ArrayLike) -> dict[str, Any]:
    """A judge's verdict on one inversion of each class, JSON-ready; probabilities (K, C), classes (K,).

    hits, top3: 0 or 1 an inversion, (K,). confidence: (K,). daa: of all of them, 0..1. answers: the class each is
    taken for, (K,).
    """
    table = np.asarray(probabilities)
    return {
        "hits": hits(table, classes).astype(int).tolist(),
        "top3": hits(table, classes, 3).astype(int).tolist(),
        "confidence": confidences(table, classes).round(4).tolist(),
        "daa": differential_accuracy(table, classes),
        "answers": table.argmax(axis=1).tolist(),
    }


class Results:
    """What a script has measured, in a JSON file that it goes on from. settings: what all of it depends on.

    Raises:
        InputError: the file was made with other settings.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        wanted = json.loads(json.dumps(settings))
        self.data: dict[str, Any] = {"settings": wanted, "facts": {}, "cells": {}}
        if path.exists():
            self.data |= json.loads(path.read_text(encoding="utf-8"))
        if self.data["settings"] != wanted:
            other = sorted(name for name in {**wanted, **self.data["settings"]} if self._differs(name, wanted))
            raise InputError(f"{path}: made with other settings ({', '.join(other)}); name another file")

    @property
    def cells(self) -> list[dict[str, Any]]:
        """Every cell kept: `attack`, `seed`, `repeat`, and what was measured."""
        return list(self.data["cells"].values())

    def __contains__(self, cell: Cell) -> bool:
        return cell.key in self.data["cells"]

    def keep(self, cell: Cell, found: Mapping[str, Any]) -> None:
        """Keeps what was measured in a cell; `judges` of it are what `judged` gives, by the judge's name."""
        self.data["cells"][cell.key] = {**asdict(cell), **found}
        self.write()

    def once(self, group: str, name: str, measure: Callable[[], Any]) -> Any:
        """A fact, such as the accuracy of a target: measured the first time, then read."""
        facts = self.data["facts"].setdefault(group, {})
        if name not in facts:
            facts[name] = measure()
            self.write()
        return facts[name]

    def facts(self, group: str) -> list[Any]:
        """All facts of a group."""
        return list(self.data["facts"].get(group, {}).values())

    def write(self) -> None:
        """Writes the file."""
        self.data |= {"made": now(), "commit": commit(), "command": command()}
        self.data |= {"versions": versions(), "machine": machine()}
        write_text(self.path, json.dumps(self.data, indent=1) + "\n")

    def _differs(self, name: str, wanted: Mapping[str, Any]) -> bool:
        return bool(self.data["settings"].get(name) != wanted.get(name))


def commit() -> str:
    """The commit of the checkout that this script lies in; "" outside of one.

    With a + where tracked files differ, other than results, which the scripts write themselves.
    """
    folder = Path(__file__).resolve().parent
    try:
        revision, status = (
            subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
            for words in (
                ["rev-parse", "HEAD"],
                ["status", "--porcelain", "--untracked-files=no", "--", ":/", BUT_RESULTS],
            )
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return revision + ("+" if status else "")


def short(commit: str) -> str:
    """A commit in twelve digits, with the + of a checkout that differed from it."""
    return commit[:12] + "+" * commit.endswith("+")


def command() -> str:
    """What was called, without the folders of this machine."""
    words = (Path(word).name if Path(word).is_absolute() or ".." in word else word for word in sys.argv[1:])
    return " ".join(["python", f"scripts/{Path(sys.argv[0]).name}", *words])


def by_seed(cells: Iterable[Mapping[str, Any]], attack: str, judge: str, measure: str) -> list[list[float]]:
    """Values of a measure, one list a target seed: of each inversion; of each cell for "daa"."""
    rows: dict[int, list[float]] = {}
    for cell in cells:
        if cell["attack"] == attack and judge in cell["judges"]:
            value = cell["judges"][judge][measure]
            rows.setdefault(cell["seed"], []).extend(value if isinstance(value, list) else [value])
    return [rows[seed] for seed in sorted(rows)]


def paired(cells: Sequence[Mapping[str, Any]], attacks: Iterable[str]) -> list[Mapping[str, Any]]:
    """Those cells of `attacks` whose target seed and repeat all of them have: a run that goes on has more of some."""
    done = {name: {(each["seed"], each["repeat"]) for each in cells if each["attack"] == name} for name in attacks}
    shared = set.intersection(*done.values())
    return [each for each in cells if each["attack"] in done and (each["seed"], each["repeat"]) in shared]


def table(cells: Sequence[Mapping[str, Any]], rows: Iterable[Row], judges: Iterable[str]) -> list[str]:
    """The table in Markdown, a line each: our figures under each judge, and the authors' above them.

    Ours: mean ± standard deviation of the targets' means [95% interval, bootstrap over targets and inversions].
    """
    names = list(judges)
    lines = [
        f"| attack | judge | {' | '.join(MEASURES.values())} | targets x inversions |",
        "|---|---|" + "---|" * (len(MEASURES) + 1),
    ]
    for row in rows:
        mine = [name for name in names if by_seed(cells, row.attack, name, "hits")]
        if row.authors is not None and mine:
            authors = " | ".join(row.authors.columns())
            lines.append(f"| {row.name} | *their figures* | {authors} | 1 x {row.authors.classes} |")
        for name in mine:
            found = {measure: by_seed(cells, row.attack, name, measure) for measure in MEASURES}
            count = " to ".join(str(n) for n in sorted({len(values) for values in found["hits"]}))
            values = " | ".join(estimated(each, measure) for measure, each in found.items())
            lines.append(f"| {row.name} | {name} | {values} | {len(found['hits'])} x {count} |")
    return lines


def estimated(values: Sequence[Sequence[float]], measure: str = "") -> str:
    """Mean ± standard deviation over targets [95% interval], of values of a measure given by target."""
    found: Estimate = (hit_bootstrap if measure in ("hits", "top3") else seed_bootstrap)(values)
    means = [float(np.mean(each)) for each in values]
    sd = f" ± {fixed(float(np.std(means, ddof=1)), 3)}" if len(means) > 1 else ""
    value, ends = interval(found).split(" ", 1)
    return f"{value}{sd} {ends}"


def interval(estimate: Estimate, form: str = "") -> str:
    """A value with its 95% interval; form: as in `fixed`."""
    value, low, high = (fixed(each, 3, form) for each in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"


def share_of_perfect_cells(cells: Iterable[Mapping[str, Any]], attack: str, judge: str) -> tuple[int, int]:
    """In how many cells every class hits, and of how many: what one inversion a class would have shown as 1.0."""
    found = [cell["judges"][judge]["hits"] for cell in cells if cell["attack"] == attack and judge in cell["judges"]]
    return sum(all(each) for each in found), len(found)


def span(values: Sequence[float]) -> str:
    """Mean and range of accuracies, and how many; "none yet" without any."""
    if not values:
        return "none yet"
    return f"{fixed(float(np.mean(values)), 4)} ({fixed(min(values), 4)} to {fixed(max(values), 4)}, {len(values)})"


def foot(results: Results) -> list[str]:
    """Where the results come from, as lines of Markdown."""
    data = results.data
    parts = ", ".join(f"{name} {version}" for name, version in data["versions"].items())
    where = f"{data['machine']['machine']}, {data['machine']['cores']} cores, {data['machine']['threads']} thread"
    made = f"Made by `{data['command']}` at commit {short(data['commit'])}, {data['made']}"
    return ["", f"{made}; {parts}; {where}."]
