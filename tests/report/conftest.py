"""A made-up audit with every kind of finding, for tests of its pages; no attack produced its values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

from bl_neuro.arrays import FloatArray
from bl_neuro.experiment.findings.conversion import mean_of, verdict_of
from bl_neuro.experiment.findings.models import Findings
from bl_neuro.experiment.findings.pictures import AttackCourse
from bl_neuro.experiment.findings.records import Record
from bl_neuro.experiment.findings.verdicts import substrate_verdicts
from bl_neuro.leakage import attribute, pair_verdicts, seed_bootstrap

SEEDS, CLASSES, SIDE = 4, 10, 8
EVALUATORS = ("conv", "spiking")
SUBSTRATES = ("snntorch", "norse", "loihi")
VIEWS = (("v2", "scores"), ("v2", "label"), ("v1", "gradient"))
Cell = tuple[str, str, str, str, int]
"""Target, substrate, attack, what is revealed, seed."""
Hits = dict[tuple[Cell, str], list[int]]
Rate = Callable[[str, str, str], float]


def level(target: str, substrate: str, reveals: str) -> float:
    """How often an inversion is recognised."""
    if target != "trained":
        return 0.1
    return 0.6 if substrate == "loihi" and reveals == "label" else 0.85


def cells() -> Iterator[Cell]:
    for substrate, (attack, reveals), seed in product(SUBSTRATES, VIEWS, range(SEEDS)):
        yield "trained", substrate, attack, reveals, seed
    for seed in range(SEEDS):
        yield "untrained", "loihi", "v2", "scores", seed


def hits(rate: Rate) -> Hits:
    """The same draws on every substrate: those of one rate score the same."""
    made: Hits = {}
    for cell, (number, evaluator) in product(cells(), enumerate(EVALUATORS)):
        target, substrate, attack, reveals, seed = cell
        rng = np.random.default_rng([seed, number, VIEWS.index((attack, reveals)), target != "trained"])
        made[cell, evaluator] = (rng.random(CLASSES) < rate(target, substrate, reveals)).astype(int).tolist()
    return made


def estimate(by_seed: list[list[int]]) -> dict[str, Any]:
    return mean_of(seed_bootstrap(by_seed, 200)).model_dump()


def verdict(first: list[list[int]], second: list[list[int]]) -> dict[str, Any]:
    judged = pair_verdicts({"pair": (first, second)}, 0.1, 200)["pair"]
    return {"verdict": verdict_of(judged).model_dump(), "sentence": judged.sentence}


def ladder(hits_by_cell: Hits) -> dict[str, Any]:
    rungs = {
        "float": ("snntorch", "scores", "as trained"),
        "state": ("loihi", "scores", "fixed-point state"),
        "reveals label": ("loihi", "label", "shows label"),
    }
    values = {name: _by_seed(hits_by_cell, substrate, reveals) for name, (substrate, reveals, _) in rungs.items()}
    made = attribute(values, 0.1, 200)
    return (
        {
            "attack": "v2", "reveals": "scores", "evaluator": "conv", "measure": "hit",
            "levels": [
                {
                    "rung": name, "substrate": substrate, "reveals": reveals, "step": step,
                    "estimate": mean_of(made.levels[name]).model_dump(),
                }
                for name, (substrate, reveals, step) in rungs.items()
            ],
            "steps": [
                {
                    "name": step.name, "before": step.before, "sentence": step.change.sentence,
                    "change": verdict_of(step.change).model_dump(),
                }
                for step in made.steps
            ],
            "total": verdict_of(made.total).model_dump(), "sentence": made.total.sentence,
        }
    )  # fmt: skip


def _by_seed(
    hits_by_cell: Hits, substrate: str, reveals: str, target: str = "trained", evaluator: str = "conv"
) -> list[list[int]]:
    return [hits_by_cell[(target, substrate, "v2", reveals, seed), evaluator] for seed in range(SEEDS)]


def row(hits_by_cell: Hits, target: str, substrate: str, attack: str, reveals: str) -> dict[str, Any]:
    white = attack == "v1"
    judged = {
        name: [hits_by_cell[(target, substrate, attack, reveals, seed), name] for seed in range(SEEDS)]
        for name in EVALUATORS
    }
    return {
        "target": target, "substrate": substrate, "attack": attack, "reveals": reveals,
        "access": "white_box" if white else "black_box",
        "threat_model": "Holds the model file." if white else f"May only query, and sees {reveals}.",
        "cells": {"planned": SEEDS, "done": SEEDS}, "budget_per_class": None if white else 74.0,
        "queries_per_class": 6.0 if white else 74.0, "status": {"completed": SEEDS},
        "target_accuracy": {"value": 0.97, "least": 0.96, "most": 0.98},
        "target_success": estimate(judged["conv"]), "pearson_selectivity": estimate(judged["conv"]),
        "spike_density": 0.2,
        "evaluators": {
            name: {"attack_accuracy": estimate(values), "confidence": estimate(values)}
            for name, values in judged.items()
        },
    }  # fmt: skip


def curve(target: str, substrate: str, attack: str, reveals: str) -> Iterator[dict[str, Any]]:
    for evaluator, measure in product(EVALUATORS, ("hit", "confidence")):
        yield {
            "target": target, "substrate": substrate, "attack": attack, "reveals": reveals, "evaluator": evaluator,
            "measure": measure, "seeds": SEEDS, "queries": [10.0, 42.0, 74.0], "value": [0.1, 0.5, 0.8],
            "low": [0.0, 0.4, 0.7], "high": [0.2, 0.6, 0.9],
        }  # fmt: skip


def mitigation(hits_by_cell: Hits, kind: str, setting: str, reveals: str, evaluator: str = "conv") -> dict[str, Any]:
    before, after = (
        _by_seed(hits_by_cell, *place, evaluator=evaluator) for place in (("snntorch", "scores"), ("loihi", reveals))
    )
    removed = verdict(before, after)
    return {
        "mitigation": kind, "setting": setting, "substrate": "loihi", "attack": "v2", "reveals": "scores",
        "evaluator": evaluator,
        "accuracy": {
            "without": 0.97, "with": 0.95,
            "lost": {"value": 0.02, "low": 0.0, "high": 0.04, "seeds": SEEDS, "n": SEEDS},
        },
        "leakage": {
            "without": estimate(before), "with": estimate(after),
            "removed": removed["verdict"], "sentence": removed["sentence"],
        },
    }  # fmt: skip


def results(rate: Rate = level, **changes: Any) -> Findings:
    hits_by_cell = hits(rate)
    judged = [
        Record(target, seed, substrate, attack, reveals, 0, evaluator, label, hit, 0.1 + 0.8 * hit)
        for ((target, substrate, attack, reveals, seed), evaluator), row in hits_by_cell.items()
        for label, hit in enumerate(row)
    ]
    compared, alike = substrate_verdicts(judged, dict.fromkeys(EVALUATORS, 0.1))
    names = list(dict.fromkeys(cell[:4] for cell in cells()))
    control = _by_seed(hits_by_cell, "loihi", "scores", "untrained")
    power = {"comparisons": 3, "seeds": SEEDS, "inversions": CLASSES, "spread": 0.05, "within": 0.4, "assumed": True,
             "smallest_difference": 1.2, "smallest_margin": 0.31, "equivalence_power": 0.08, "power": 0.8}  # fmt: skip
    fields: dict[str, Any] = {
        "name": "made-up", "description": "nothing of this was measured",
        "dataset": {"name": "digits", "class_names": [str(i) for i in range(CLASSES)],
                    "inverted": list(range(CLASSES)), "shape": [1, SIDE, SIDE]},
        "margin": 0.1, "steps": 8, "seeds": list(range(SEEDS)), "experiment": {"name": "made-up", "restarts": 1},
        "cells": {"planned": 100, "done": 98},
        "evaluators": [
            {"name": name, "address": f"{name} as it was trained", "weights": None, "architecture": "conv 16",
             "accuracy": 0.98, "samples": 359} for name in EVALUATORS
        ],
        "rows": [row(hits_by_cell, *name) for name in names],
        "verdicts": [verdict.model_dump() for verdict in compared], "alike": [group.model_dump() for group in alike],
        "ladder": [ladder(hits_by_cell)],
        "power": [{"attack": "v2", "reveals": "scores", "evaluator": "conv", "measure": "hit", **power}],
        "families": [{"question": "Does the substrate change inversion?", "judged_by": ["attack accuracy under conv"],
                      "comparisons": ["v2, scores: snntorch/norse less loihi"], "collapsed": 2}],
        "families_digest": "0123456789abcdef",
        "further_power": [{"question": "membership", "view": "scores", "measure": "AUC", "comparisons": 3, "units": 8,
                           "error": 0.01, "assumed": True, "margin": 0.03, "smallest_difference": 0.04,
                           "smallest_bits": None, "smallest_margin": 0.05, "equivalence_power": 0.3}],
        "mitigations": [mitigation(hits_by_cell, "reveal", "shows label alone", "label"),
                        mitigation(hits_by_cell, "rounding", "rounded to 0.1", "scores"),
                        mitigation(hits_by_cell, "noise", "noise of sd 0.1", "scores"),
                        {**mitigation(hits_by_cell, "query_cap", "320 queries", "label"), "accuracy": None},
                        mitigation(hits_by_cell, "reveal", "shows label alone", "label", "spiking")],
        "replays": [{"substrate": "lava", "of": "loihi", "seed": 0, "attack": "v2", "reveals": "scores", "restart": 0,
                     "queries": 740, "identical": True}],
        "verification": [{"target": "trained", "seed": 0, "substrates": ["loihi", "lava"],
                          "pairs": [{"substrate": "loihi", "reference": "lava", "promised": True, "exact": False,
                                     "bins": 1000, "identical": 999, "samples": 20, "answers_differ": 0}]}],
        "arithmetic": {"snntorch": "real", "norse": "real", "loihi": "loihi", "lava": "loihi"},
        "stands_for": {"lava": "loihi"},
        "controls": [{"kind": "untrained", "substrate": "loihi", "attack": "v2", "reveals": "scores",
                      "evaluator": "conv", "estimate": estimate(control), "chance": 0.1, "p": 0.5, "adjusted_p": 1.0,
                      "above_chance": False}],
        "curves": [point for name in names for point in curve(*name)],
        "inversions": [
            {"address": "-".join(map(str, cell)), "target": cell[0], "substrate": cell[1], "attack": cell[2],
             "reveals": cell[3], "seed": cell[4], "restart": 0, "classes": list(range(CLASSES)), "status": "completed",
             "queries": 740, "target_answers": [*range(CLASSES - 1), None],
             "evaluators": {name: {"hits": hits_by_cell[cell, name], "confidence": [0.5] * CLASSES}
                            for name in EVALUATORS}}
            for cell in cells()
        ],
        "network": {"layers": ["Dense 64 -> 10 -> (10,)"], "input_shape": [1, SIDE, SIDE], "parameters": 640,
                    "fingerprints": ["f" * 64], "encoder": "rate", "training": "Each target was trained somehow."},
        "made": {"command": "bl-neuro audit made-up", "versions": {"torch": ["2.3.1"]}, "machines": ["Linux, 2"]},
    }  # fmt: skip
    fields.update(changes)
    return Findings.model_validate(fields)


class MadeUpPictures:
    """Pictures that depend on their address alone."""

    def __init__(self, side: int = SIDE, channels: int = 1) -> None:
        self.shape = (channels, side, side)

    @property
    def class_means(self) -> FloatArray:
        means = np.zeros((CLASSES, *self.shape))
        means[:, :, 2:5, 2:5] = 0.9
        return means

    def images(self, address: str) -> FloatArray:
        seed = [ord(letter) for letter in address]
        return np.random.default_rng(seed).random((CLASSES, *self.shape))

    def course(self, address: str, evaluator: str) -> AttackCourse | None:
        values = np.array([0.1, 0.5, 0.8])
        return None if address.startswith("untrained") else AttackCourse(np.array([10.0, 42.0, 74.0]), values, values)


@pytest.fixture(scope="session")
def make_audit() -> Callable[..., Findings]:
    return results


@pytest.fixture(scope="session")
def audit() -> Findings:
    return results()


@pytest.fixture(scope="session")
def make_audit_pictures() -> Callable[..., MadeUpPictures]:
    return MadeUpPictures
