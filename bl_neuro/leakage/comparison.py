"""Verdicts on pairs of substrates: they differ, they are equivalent within a margin, or the result is inconclusive.

    verdicts = pair_verdicts({"snntorch - loihi": (snntorch_hits, loihi_hits), ...}, margin=0.05)
    for name, verdict in verdicts.items():
        print(name, verdict.verdict, verdict.sentence)

All pairs of one call are tested together: p-values of difference and p-values of equivalence are each adjusted by
Holm's method. Intervals are 95% each and not adjusted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from math import log
from typing import Literal

from bl_neuro.errors import InputError
from bl_neuro.leakage.bootstrap import LEVEL, RESAMPLES, Estimate, paired_bootstrap
from bl_neuro.leakage.checked import BySeed
from bl_neuro.leakage.nulls import holm
from bl_neuro.leakage.paired import PairedTest, paired_test
from bl_neuro.leakage.power import MAX_SEEDS, PowerPlan, seeds_needed
from bl_neuro.rounding import fixed

Judgement = Literal["differs", "equivalent", "inconclusive"]
Pair = tuple[BySeed, BySeed]
FEW_SEEDS, LEAST_PLANNED = 4, 12
"""Number of seeds below which they barely show the spread between seeds, and the least number to plan then."""
NOT_ASKED = "equivalence is not asked"


@dataclass(frozen=True)
class PairVerdict:
    """The test results of one pair.

    verdict: "equivalent", the difference is within the margin; "differs", it is not zero and may exceed the margin;
    "inconclusive", neither is shown. found: whether the difference is significant, even if it is within the margin.
    difference: first minus second, the effect size in the measure's units, with Student's 95% interval over target
    seeds. bootstrap: the same by the hierarchical bootstrap, for comparison. standardized: the difference divided by
    its sd over seeds (Cohen's d of pairs), None if the sd is 0. p, p_equivalent: see `PairedTest`; adjusted_p,
    adjusted_p_equivalent: by Holm's method, over the pairs that are not identical. identical: every inversion has the
    same score, so no test is needed. seeds_needed: if inconclusive, the approximate number of seeds that would give a
    verdict with 80% power, assuming the observed difference and spread; None if 10,000 are not enough. margin: None if
    equivalence was not asked; then p_equivalent is 1 and seeds_needed is that for showing a difference.
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
    margin: float | None
    identical: bool
    seeds_needed: int | None

    @property
    def exact(self) -> bool:
        """Whether both sides compute the same and score the same, so that their difference is 0 without an error."""
        return self.identical and self.difference.low == self.difference.high == 0

    @property
    def sentence(self) -> str:
        """The verdict in words, with differences in percentage points."""
        return self.described()

    def described(self, unit: str = "seed", *, alike: str | None = None) -> str:
        """`sentence`, with the word for what varies independently: "seed", or "restart" of one model.

        alike: what scores the same in an identical pair, by default each inversion.
        """
        margin = "" if self.margin is None else f"{fixed(100 * self.margin, 1).removesuffix('.0')} points"
        units = self.difference.seeds
        count = f"{units} {unit}" if units == 1 else f"{units} {unit}s"
        needs = f"about {self.seeds_needed}" if self.seeds_needed else f"more than {MAX_SEEDS:,}"
        if self.identical:
            same = f"all {alike or f'{self.difference.n} inversions'} of {count} score the same"
            if not (margin or self.exact):
                return f"no difference shown: {same}; {NOT_ASKED}"
            if self.verdict == "equivalent":
                return f"equivalent: {same}" if self.exact else f"equivalent within {margin}: {same}"
            return f"inconclusive: {same}; needs {needs} {unit}s to show equality within {margin}"
        if units == 1:
            return f"inconclusive: one {unit} does not show how {unit}s differ; plan {LEAST_PLANNED} {unit}s or more"
        ends = (self.difference.value, self.difference.low, self.difference.high)
        value, low, high = (fixed(100 * end, 1, "+") for end in ends)
        effect = f"{value} points (95% interval {low} to {high})"
        if self.verdict == "differs":
            return f"differs: {effect}"
        if not margin:
            return f"no difference shown: {effect}; {NOT_ASKED}"
        if self.verdict == "equivalent":
            remark = ", a difference, but a small one" if self.found else ""
            return f"equivalent within {margin}: {effect}{remark}"
        return f"inconclusive: {effect}, margin {margin}; needs {needs} {unit}s"


def pair_verdicts(
    pairs: Mapping[str, Pair],
    margin: float | None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    same_computation: Collection[str] = (),
) -> dict[str, PairVerdict]:
    """A verdict for each pair; all pairs are tested together.

    pairs: by name, the arguments of `paired_test`: two sequences with one array of values (n,) per target seed, of the
    same inversions. margin: above 0, the largest difference that is considered irrelevant, chosen in advance; None to
    test for differences alone, where no difference could be called irrelevant.
    same_computation: names of pairs whose two sides compute the same, such as two substrates of one arithmetic; if all
    their inversions score the same, they are equal exactly and are not tested.

    Raises:
        InputError: no pairs, or as `paired_test`.
    """
    if not pairs:
        raise InputError("pairs: expected at least one, found none")
    tests = {name: _tested(pair, margin) for name, pair in pairs.items()}
    exact = {name for name, test in tests.items() if test.identical and name in same_computation}
    tests |= {name: _exactly_equal(tests[name]) for name in exact}
    open_ = [name for name in tests if name not in exact]
    differs = dict(zip(open_, holm([tests[name].p for name in open_]).tolist())) if open_ else {}
    same = dict(zip(open_, holm([tests[name].p_equivalent for name in open_]).tolist())) if open_ else {}
    return {
        name: _verdict(
            test, differs.get(name, test.p), same.get(name, test.p_equivalent), margin, len(open_),
            test.difference if test.identical else paired_bootstrap(*pairs[name], resamples, seed),
        )
        for name, test in tests.items()
    }  # fmt: skip


def _tested(pair: Pair, margin: float | None) -> PairedTest:
    """The test of one pair; without a margin, equivalence has p = 1."""
    return paired_test(*pair, margin) if margin is not None else replace(paired_test(*pair, 1.0), p_equivalent=1.0)


def _exactly_equal(test: PairedTest) -> PairedTest:
    """The result for two sides that compute the same and score the same."""
    estimate = replace(test.difference, low=0.0, high=0.0)
    return replace(test, difference=estimate, error=0.0, p_equivalent=0.0)


def _verdict(
    test: PairedTest,
    adjusted: float,
    adjusted_equivalent: float,
    margin: float | None,
    comparisons: int,
    bootstrap: Estimate,
) -> PairVerdict:
    level = 1 - LEVEL
    significant = adjusted < level
    verdict: Judgement = "equivalent" if adjusted_equivalent < level else "differs" if significant else "inconclusive"
    needed = None
    if verdict == "inconclusive":
        needed = _needed(test, margin, comparisons)
    return PairVerdict(
        verdict=verdict,
        found=significant,
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


def _needed(test: PairedTest, margin: float | None, comparisons: int) -> int | None:
    """The number of seeds needed for a verdict, more than there are now, or None."""
    seeds = test.difference.seeds
    if test.identical and margin is None:
        return None
    if test.identical and margin is not None:
        enough = _seeds_that_agree(margin, comparisons)
    elif seeds == 1:
        return LEAST_PLANNED
    else:
        spread = test.error * seeds**0.5  # the sd of the seeds that the test used
        enough = seeds_needed(PowerPlan(seeds, 1, spread, 0.0, comparisons), test.difference.value, margin or 0.0)
    return None if enough is None else max(enough, seeds + 1, LEAST_PLANNED if seeds < FEW_SEEDS else 0)


def _seeds_that_agree(margin: float, comparisons: int) -> int | None:
    """The number of seeds that show equality within `margin` if all their inversions score the same."""
    if margin >= 1:
        return 2
    enough = int(log((1 - LEVEL) / comparisons) / log(1 - margin)) + 1
    return enough if enough <= MAX_SEEDS else None
