"""Verdicts on pairs of substrates: they differ, they are equivalent within a margin, or the seeds do not tell yet.

    verdicts = pair_verdicts({"snntorch - loihi": (snntorch_hits, loihi_hits), ...}, margin=0.05)
    for name, verdict in verdicts.items():
        print(name, verdict.verdict, verdict.sentence)

All pairs of one call are judged together: p-values are adjusted by Holm's method, those of difference and those of
equivalence each among themselves. Intervals are 95% each, not adjusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bl_neuro.errors import InputError
from bl_neuro.leakage.bootstrap import LEVEL, RESAMPLES, Estimate, paired_bootstrap
from bl_neuro.leakage.checked import BySeed
from bl_neuro.leakage.nulls import holm
from bl_neuro.leakage.paired import PairedTest, paired_test
from bl_neuro.leakage.power import MOST_SEEDS, PowerPlan, seeds_needed
from bl_neuro.rounding import fixed

Judgement = Literal["differs", "equivalent", "inconclusive"]
Pair = tuple[BySeed, BySeed]
WITH_ONE_SEED = 12
"""Seeds to plan with where one seed says nothing of their spread."""


@dataclass(frozen=True)
class PairVerdict:
    """What is known of one pair.

    verdict: "equivalent", the difference is within the margin; "differs", there is one and it may be beyond the
    margin; "inconclusive", neither is shown. found: the difference is shown, also where it is within the margin.
    difference: first minus second, the size of the effect in the measure's units, with Student's 95% interval over
    target seeds. bootstrap: the same by the hierarchical bootstrap, for comparison. standardized: difference in units
    of its sd over seeds (Cohen's d of pairs), None where they have none. p, p_equivalent: see `PairedTest`;
    adjusted_p, adjusted_p_equivalent: Holm's, over the pairs that are not identical. identical: every inversion scored
    the same, which needs no test. seeds_needed: where inconclusive, with about how many seeds there would be a verdict
    with 80% power, if the difference and its spread are as now seen; None where 10,000 are too few.
    """

    verdict: Judgement
    found: bool
    difference: Estimate
    bootstrap: Estimate
    standardized: float | None
    p: float
    adjusted_p: float
    p_equivalent: float
    adjusted_p_equivalent: float
    margin: float
    identical: bool
    seeds_needed: int | None

    @property
    def sentence(self) -> str:
        """The verdict in words, with figures in hundredths: points, where the measure is an accuracy or confidence."""
        return self.described()

    def described(self, unit: str = "seed") -> str:
        """`sentence`, with the word for what varies independently: "seed", or "restart" of one model."""
        margin = f"{100 * self.margin:g} points"
        units = self.difference.seeds
        if self.identical:
            count = f"{units} {unit}" if units == 1 else f"{units} {unit}s"
            return f"equivalent: all {self.difference.n} inversions of {count} score the same"
        if units == 1:
            return f"inconclusive: one {unit} does not show how {unit}s differ; plan {WITH_ONE_SEED} {unit}s or more"
        ends = (self.difference.value, self.difference.low, self.difference.high)
        value, low, high = (fixed(100 * end, 1, "+") for end in ends)
        figures = f"{value} points (95% interval {low} to {high})"
        if self.verdict == "differs":
            return f"differs: {figures}"
        if self.verdict == "equivalent":
            remark = ", a difference, but a small one" if self.found else ""
            return f"equivalent within {margin}: {figures}{remark}"
        needs = f"about {self.seeds_needed}" if self.seeds_needed else f"more than {MOST_SEEDS:,}"
        return f"inconclusive: {figures}, margin {margin}; needs {needs} {unit}s"


def pair_verdicts(
    pairs: Mapping[str, Pair], margin: float, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, PairVerdict]:
    """A verdict for each pair, judged together.

    pairs: by name, what `paired_test` takes: two sequences with one array of values (n,) a target seed, of the same
    inversions. margin: above 0, the largest difference that does not matter, stated before looking.

    Raises:
        InputError: no pairs, or as `paired_test`.
    """
    if not pairs:
        raise InputError("pairs: expected at least one, found none")
    tests = {name: paired_test(*pair, margin) for name, pair in pairs.items()}
    open_ = [name for name, test in tests.items() if not test.identical]
    differs = dict(zip(open_, holm([tests[name].p for name in open_]).tolist())) if open_ else {}
    same = dict(zip(open_, holm([tests[name].p_equivalent for name in open_]).tolist())) if open_ else {}
    return {
        name: _verdict(
            test, differs.get(name, test.p), same.get(name, test.p_equivalent), margin, len(open_),
            paired_bootstrap(*pairs[name], resamples, seed),
        )
        for name, test in tests.items()
    }  # fmt: skip


def _verdict(
    test: PairedTest, adjusted: float, adjusted_equivalent: float, margin: float, comparisons: int, bootstrap: Estimate
) -> PairVerdict:
    level = 1 - LEVEL
    found = adjusted < level
    verdict: Judgement = "equivalent" if adjusted_equivalent < level else "differs" if found else "inconclusive"
    needed = None
    if verdict == "inconclusive":
        needed = _needed(test, margin, comparisons)
    return PairVerdict(
        verdict=verdict,
        found=found,
        difference=test.difference,
        bootstrap=bootstrap,
        standardized=test.difference.value / test.spread if test.spread > 0 else None,
        p=test.p,
        adjusted_p=adjusted,
        p_equivalent=test.p_equivalent,
        adjusted_p_equivalent=adjusted_equivalent,
        margin=margin,
        identical=test.identical,
        seeds_needed=needed,
    )


def _needed(test: PairedTest, margin: float, comparisons: int) -> int | None:
    """More seeds than there are, or None."""
    seeds = test.difference.seeds
    if seeds == 1:
        return WITH_ONE_SEED
    spread = test.error * seeds**0.5  # what the test took for the sd of the seeds
    found = seeds_needed(PowerPlan(seeds, 1, spread, 0.0, comparisons), test.difference.value, margin)
    return None if found is None else max(found, seeds + 1)
