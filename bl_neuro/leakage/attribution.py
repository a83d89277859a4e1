"""Attribution of leakage to the steps of a ladder: differences between rungs, paired by target seed and inversion.

    attribution = attribute({"float": float_hits, "weights": ..., "decays": ..., "state": ..., "counts": ...}, 0.05)
    for step in attribution.steps:
        print(step.name, step.change.sentence)

The steps add up to the total, last rung minus first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise

from bl_neuro.errors import InputError
from bl_neuro.leakage.bootstrap import RESAMPLES, Estimate, seed_bootstrap
from bl_neuro.leakage.checked import BySeed
from bl_neuro.leakage.comparison import PairVerdict, pair_verdicts


@dataclass(frozen=True)
class AttributionStep:
    """A step from rung `before` to the next rung, `name`. change: rung `name` minus rung `before`."""

    name: str
    before: str
    change: PairVerdict


@dataclass(frozen=True)
class Attribution:
    """The measure on each rung with its bootstrap interval, the change at each step, and the total change.

    The steps are tested together (Holm); the total, last rung minus first, is tested separately.
    """

    levels: dict[str, Estimate]
    steps: tuple[AttributionStep, ...]
    total: PairVerdict


def attribute(
    values_by_rung: Mapping[str, BySeed],
    margin: float | None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    same_computation: Collection[str] = (),
) -> Attribution:
    """Attributes differences in a measure to the steps between rungs.

    values_by_rung: by name, in the order of the ladder, at least two rungs: one array (n,) per target seed with a value
    for each inversion; seeds and classes in the same order on every rung. margin: as in `pair_verdicts`.
    same_computation: names of rungs that compute the same as the rung before them, see `pair_verdicts`.

    Raises:
        InputError: fewer than two rungs, or values that cannot be paired.
    """
    rungs = list(values_by_rung)
    if len(rungs) < 2:
        raise InputError(f"rungs: expected at least 2, found {len(rungs)}")
    steps = list(pairwise(rungs))
    pairs = {name: (values_by_rung[name], values_by_rung[previous]) for previous, name in steps}
    changes = pair_verdicts(pairs, margin, resamples, seed, same_computation)
    ends = (values_by_rung[rungs[-1]], values_by_rung[rungs[0]])
    unchanged = ["total"] if all(name in same_computation for name in rungs[1:]) else []
    return Attribution(
        levels={name: seed_bootstrap(values, resamples, seed) for name, values in values_by_rung.items()},
        steps=tuple(AttributionStep(name, previous, changes[name]) for previous, name in steps),
        total=pair_verdicts({"total": ends}, margin, resamples, seed, unchanged)["total"],
    )
