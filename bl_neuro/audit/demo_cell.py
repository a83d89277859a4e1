"""One cell of an audit: one attack on one target on one substrate, run, judged and written up as a row."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bl_neuro import leakage
from bl_neuro.access import BlackBox, Reveals, WhiteBox, answered
from bl_neuro.arrays import FloatArray
from bl_neuro.attacks import Attack, Inversions
from bl_neuro.attacks.inversions import joined
from bl_neuro.audit.findings.threat_model import threat_model
from bl_neuro.backends import Target
from bl_neuro.errors import NotRevealed
from bl_neuro.report.schema import Control, Curve, Row
from bl_neuro.seeding import derived_seed
from bl_neuro.training import Evaluator

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Subject:
    """What is attacked and how well it works: a target's dataset, accuracy and steps."""

    dataset: str
    steps: int
    classes: int
    accuracy: float
    test_samples: int


@dataclass(frozen=True)
class Judge:
    """What inversions are measured against: an evaluator, class means (classes, C, H, W) of the target's data."""

    evaluator: Evaluator
    class_means: FloatArray

    def images(self, inversions: Inversions) -> FloatArray:
        """The inversions as the evaluator sees them, (K, C, H, W)."""
        shape = self.class_means.shape[1:]
        return np.asarray(inversions.images.reshape(-1, *shape).double())


@dataclass(frozen=True)
class Finished:
    """The outcome of a cell.

    target_hits: inversions the target itself names as their class, None where no label can be read from it.
    assumptions: what the attack took for granted about inputs.
    """

    inversions: Inversions
    seconds: float
    restarts: int
    target_hits: int | None
    reveals: str
    assumptions: tuple[str, ...]
    seed: int


def attack_target(
    target: Target,
    attack: Attack[Any],
    reveals: Reveals,
    *,
    classes: list[int],
    steps: int,
    restarts: int,
    budget: int | None,
    seed: int,
    progress: Progress | None = None,
) -> Finished:
    """Runs `attack` `restarts` times, each from a box and a seed of its own, drawn from `seed`.

    The seeds do not depend on the substrate: rows of one attack on several substrates are paired.

    budget: queries of each restart, or None. What the target says of the inversions is asked by the auditor, not by the
    attacker, and is not counted.
    """
    parts = []
    white = attack.access == "white_box"
    began = time.perf_counter()
    for restart in range(restarts):

        def step(done: int, total: int, before: int = restart) -> None:
            if progress is not None:
                progress(before * total + done, restarts * total)

        box = WhiteBox(target) if white else BlackBox(target, reveals=reveals, budget=budget)
        own_seed = derived_seed(seed, "restart", restart)
        parts.append(attack(box, classes=classes, steps=steps, seed=own_seed, progress=step))
    seconds = time.perf_counter() - began
    inversions = joined(parts)
    assumed = tuple(attack.assumptions(box))
    shown = "gradient" if white else reveals
    return Finished(inversions, seconds, restarts, _hits(target, inversions), shown, assumed, seed)


def _hits(target: Target, inversions: Inversions) -> int | None:
    """How many inversions the target itself answers with their class; None where no label can be read from it."""
    try:
        answer = answered(target.run(inversions.spikes), target.network.readout)
    except NotRevealed:
        return None
    return int((answer == inversions.classes).sum())


def row(finished: Finished, substrate: str, attack: Attack[Any], subject: Subject, judge: Judge, key: str) -> Row:
    """The measures of a finished cell."""
    inversions = finished.inversions
    classes = np.asarray(inversions.classes)
    images = judge.images(inversions)
    probabilities = judge.evaluator.probabilities(images)
    count = len(classes)
    accuracy = leakage.attack_accuracy(probabilities, classes)
    low, high = leakage.proportion_interval(accuracy, count)
    large_enough = min(images.shape[2:]) >= 7
    return Row(
        dataset=subject.dataset,
        substrate=substrate,
        attack=attack.name,  # type: ignore[arg-type]  # the schema checks it
        access=attack.access,  # type: ignore[arg-type]  # this too
        reveals=finished.reveals,
        target_accuracy=subject.accuracy,
        target_test_samples=subject.test_samples,
        attack_accuracy=accuracy,
        attack_accuracy_low=low,
        attack_accuracy_high=high,
        top3_accuracy=leakage.top_accuracy(probabilities, classes, 3),
        confidence=leakage.confidence(probabilities, classes),
        daa=leakage.differential_accuracy(probabilities, classes),
        pearson_selectivity=leakage.pearson_selectivity(images, classes, judge.class_means),
        ssim=leakage.structural_similarity(images, classes, judge.class_means) if large_enough else None,
        spike_density=leakage.spike_density(inversions.spikes.numpy()),
        target_success=None if finished.target_hits is None else finished.target_hits / count,
        queries_per_class=inversions.queries_per_class,
        seconds=finished.seconds,
        n=count,
        seed=finished.seed,
        restarts=finished.restarts,
        status={inversions.status.value: count},
        threat_model=threat_model(attack.access, finished.reveals, finished.assumptions),
        curve=_curve(finished, judge),
        inversions=key,
    )


def control(made: list[Row], kind: str, key: str) -> Control:
    """Rows of the same attack on several targets that never saw a true label, pooled into one control."""
    counts = np.array([row.n for row in made])
    total = int(counts.sum())

    def pooled(name: str) -> float | None:
        values = [getattr(row, name) for row in made]
        return None if None in values else float(np.average(values, weights=counts))

    averaged = (
        *("target_accuracy", "top3_accuracy", "confidence", "daa", "pearson_selectivity"),
        *("ssim", "spike_density", "target_success", "queries_per_class", "attack_accuracy"),
    )
    values = {name: pooled(name) for name in averaged}
    low, high = leakage.proportion_interval(float(values["attack_accuracy"] or 0.0), total)
    status: dict[str, int] = {}
    for each in made:
        for name, number in each.status.items():
            status[name] = status.get(name, 0) + number
    facts = {
        **made[0].model_dump(),
        **values,
        "attack_accuracy_low": low,
        "attack_accuracy_high": high,
        "n": total,
        "seconds": sum(row.seconds for row in made),
        "restarts": sum(row.restarts for row in made),
        "status": status,
        "inversions": key,
        "curve": None,
        "targets": len(made),
        "kind": kind,
    }
    return Control.model_validate(facts)


def _curve(finished: Finished, judge: Judge) -> Curve | None:
    """The evaluator's confidence in the reconstruction as it stood after each generation."""
    trace = finished.inversions.trace
    classes = np.asarray(finished.inversions.classes)
    queries: list[float] = []
    middle: list[float] = []
    low: list[float] = []
    high: list[float] = []
    for spent, rates in zip(trace.queries.tolist(), trace.rates):
        per_class = spent / len(classes)
        if queries and per_class <= queries[-1]:
            continue
        images = np.asarray(rates.reshape(-1, *judge.class_means.shape[1:]).double())
        own = judge.evaluator.probabilities(images)[np.arange(len(classes)), classes]
        bottom, top = leakage.mean_interval(own)
        queries.append(per_class)
        middle.append(float(own.mean()))
        low.append(max(0.0, bottom))
        high.append(min(1.0, top))
    return Curve(queries=queries, confidence=middle, low=low, high=high) if queries else None
