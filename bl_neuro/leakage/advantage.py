"""The advantage of an attack over an attacker who asks nothing: the difference of their attack accuracies."""

from __future__ import annotations

from math import hypot

from bl_neuro.leakage.bootstrap import Estimate


def advantage(attack: Estimate, baseline: Estimate) -> Estimate:
    """Attack accuracy less that of a zero-query baseline, -1..1, with a 95% interval.

    attack: with its interval over target seeds. baseline: with its interval over renderings (fonts, draws from public
    data, or untrained targets); `hit_bootstrap` gives both. The two are independent, or vary together where each target
    seed has evaluators of its own, which then overstates the width. The interval is that of the difference of
    independent estimates with given, possibly asymmetric intervals (l, u):

        d - sqrt((a - l_a)^2 + (u_b - b)^2),   d + sqrt((u_a - a)^2 + (b - l_b)^2),   d = a - b

    It has a positive width even if all hits are equal, since `hit_bootstrap` then uses Wilson's interval. The best of
    several baselines is chosen by the same data that measures it, which overstates it slightly: the advantage errs on
    the low side. Source: Newcombe 1998, method 10; Zou and Donner 2008.
    """
    difference = attack.value - baseline.value
    low = difference - hypot(attack.value - attack.low, baseline.high - baseline.value)
    high = difference + hypot(attack.high - attack.value, baseline.value - baseline.low)
    return Estimate(difference, max(low, -1.0), min(high, 1.0), attack.seeds, attack.n)
