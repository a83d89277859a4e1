"""What each step of a ladder does to leakage: differences from rung to rung, paired by target seed and inversion.

    attribution = attribute({"float": float_hits, "weights": ..., "decays": ..., "state": ..., "counts": ...}, 0.05)
    for step in attribution.steps:
        print(step.name, step.change.sentence)

The steps add up to the total, last rung minus first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from bl_neuro.errors import InputError
from bl_neuro.leakage.bootstrap import RESAMPLES, Estimate, seed_bootstrap
from bl_neuro.leakage.checked import BySeed
from bl_neuro.leakage.comparison import PairVerdict, pair_verdicts


@dataclass(frozen=True)
class AttributionStep:
    """From one rung to the next. name: the rung that the step leads to. change: that rung minus the one before."""

    name: str
    before: str
    change: PairVerdict


@dataclass(frozen=True)
class Attribution:
    """The measure on each rung, with the bootstrap's interval, what each step changes, and the total.

    Steps are judged together (Holm); the total, last rung minus first, is a question of its own.
    """

    levels: dict[str, Estimate]
    steps: tuple[AttributionStep, ...]
    total: PairVerdict


def attribute(
    values_by_rung: Mapping[str, BySeed], margin: float, resamples: int = RESAMPLES, seed: int = 0
) -> Attribution:
    """Attributes differences in a measure to the steps between rungs.

    values_by_rung: by name, in the order of the ladder, at least two: one array a target seed with a value for each
    inversion, (n,), the same seeds and classes in the same order on every rung. margin: as in `pair_verdicts`.

    Raises:
        InputError: fewer than two rungs, or rungs that do not pair.
    """
    names = list(values_by_rung)
    if len(names) < 2:
        raise InputError(f"rungs: expected at least 2, found {len(names)}")
    steps = list(pairwise(names))
    pairs = {after: (values_by_rung[after], values_by_rung[before]) for before, after in steps}
    changes = pair_verdicts(pairs, margin, resamples, seed)
    ends = (values_by_rung[names[-1]], values_by_rung[names[0]])
    return Attribution(
        levels={name: seed_bootstrap(values, resamples, seed) for name, values in values_by_rung.items()},
        steps=tuple(AttributionStep(after, before, changes[after]) for before, after in steps),
        total=pair_verdicts({"total": ends}, margin, resamples, seed)["total"],
    )
