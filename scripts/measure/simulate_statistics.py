"""Simulated audits: do the verdicts err as seldom, and find as often, as they say?

    .venv/bin/python scripts/measure/simulate_statistics.py --out results/statistics-simulation      # about 4 minutes

An audit compares two substrates by the hits of the same inversions of the same target seeds. Simulated: a seed has an
accuracy of its own (normal, sd 5 points) and a difference of its own (uniform, or skewed: large in one seed of ten),
and the two hits of an inversion correlate. Asked of the library's own functions:

- without an effect, how often `paired_test` finds one at level 5%, and Holm's method any among six pairs;
- with an effect that `PowerPlan` says it finds with a power of 80% (and 50%), how often it does;
- at the margin, how often it is called equivalent; without an effect, as often as `PowerPlan` says?
- at the margin, in the hardest case (some targets disagree on every inversion, all others on none), how often all
  inversions happen to agree and it is called equivalent, or the interval misses the margin;
- and how often intervals by other methods exclude 0 without an effect.

Exits with 1 where a false-positive rate's upper 95% limit is above 6.5%, or power is more than 5 points off; the
skewed setting is tabled, and not held to it: a t of few seeds errs more often there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtri

from bl_neuro.files import write_text
from bl_neuro.leakage import PowerPlan, holm, paired_test, proportion_interval, seed_bootstrap
from bl_neuro.leakage.bootstrap import LEVEL
from bl_neuro.rounding import fixed
from bl_neuro.seeding import stream

Array = np.ndarray[Any, Any]
MOST_WRONG, MOST_OFF = 0.065, 0.05
BASE_SPREAD = 0.05
SUBSTRATES = 4
RESAMPLES, LARGE = 400, 200_000


@dataclass(frozen=True)
class Setting:
    """One kind of audit. correlation: of the normal deviates behind the two hits. spread: of the seeds' difference."""

    seeds: int
    inversions: int
    accuracy: float
    correlation: float
    spread: float = 0.0
    skewed: bool = False

    def __str__(self) -> str:
        kind = ", skewed" if self.skewed else ""
        return (
            f"{self.seeds} x {self.inversions} | {self.accuracy:g} | {self.correlation:g} | {100 * self.spread:g}{kind}"
        )


SETTINGS = [
    Setting(12, 10, 0.6, 0.5),
    Setting(12, 40, 0.85, 0.5),
    Setting(12, 40, 0.85, 0.9, 0.03),
    Setting(12, 40, 0.95, 0.8),
    Setting(12, 20, 0.8, 0.9, 0.05, skewed=True),
    Setting(16, 20, 0.3, 0.7, 0.05),
    Setting(25, 10, 0.85, 0.5),
    Setting(25, 10, 0.7, 0.95, 0.05),
]
AGREEING = [(5, 0.1), (12, 0.1), (29, 0.1), (59, 0.05)]
"""Target seeds and true difference where whole targets disagree; from 29 and 59 seeds on, agreement of all is shown."""
FEW_SEEDS = [Setting(3, 40, 0.85, 0.5), Setting(5, 40, 0.85, 0.5), Setting(5, 40, 0.85, 0.9, 0.05)]


def accuracies(setting: Setting, rng: np.random.Generator, audits: int, difference: float) -> tuple[Array, Array]:
    """True accuracies (audits, seeds) of the two substrates; their mean difference is `difference` exactly."""
    size = (audits, setting.seeds)
    own = np.sqrt(3) * setting.spread * rng.uniform(-1, 1, size)
    if setting.skewed:
        own = setting.spread * np.where(rng.random(size) < 0.1, 3.0, -1 / 3)
    apart = difference + own
    edge = (abs(difference) + 3 * setting.spread) / 2 + 0.001
    middle = np.clip(rng.normal(setting.accuracy, BASE_SPREAD, size), edge, 1 - edge)
    return middle + apart / 2, middle - apart / 2


def hits(setting: Setting, rng: np.random.Generator, truths: list[Array]) -> list[Array]:
    """Hits (audits, seeds, inversions) of substrates of the true accuracies: what they share correlates them."""
    size = (*truths[0].shape, setting.inversions)
    shared = np.sqrt(setting.correlation) * rng.standard_normal(size)
    rest = np.sqrt(1 - setting.correlation)
    return [shared + rest * rng.standard_normal(size) < ndtri(truth)[..., None] for truth in truths]


def drawn(setting: Setting, difference: float, audits: int, *key: int) -> tuple[Array, Array]:
    rng = stream(0, "simulated audits", *key)
    first, second = hits(setting, rng, list(accuracies(setting, rng, audits, difference)))
    return first.astype(float), second.astype(float)


def planned(setting: Setting, difference: float) -> PowerPlan:
    """The plan of one who knows the setting."""
    rng = stream(0, "planned audits")
    one = replace(setting, seeds=1, inversions=1)
    truths = list(accuracies(one, rng, LARGE, difference))
    first, second = (outcome.astype(float)[..., 0] for outcome in hits(one, rng, truths))
    within = float(np.sqrt(np.mean((first - second - (truths[0] - truths[1])) ** 2)))
    return PowerPlan(setting.seeds, setting.inversions, setting.spread, within)


def effect(setting: Setting, power: float) -> float:
    """The difference that the plan finds with `power`, where the plan itself depends on the difference a little."""
    difference = 0.0
    for _ in range(4):
        difference = planned(setting, difference).smallest_difference(power)
    return difference


def rate(name: str, setting: Setting, happened: Array, **more: float) -> dict[str, Any]:
    share = float(np.mean(happened))
    low, high = proportion_interval(share, len(happened))
    return {
        "what": name, "setting": asdict(setting), "label": str(setting), "audits": len(happened),
        "rate": share, "low": low, "high": high, **more,
    }  # fmt: skip


def level(setting: Setting, audits: int, key: int) -> dict[str, Any]:
    pairs = zip(*drawn(setting, 0.0, audits, key, 0))
    return rate("false positives", setting, np.array([paired_test(*pair, 1.0).p < 1 - LEVEL for pair in pairs]))


def family(setting: Setting, audits: int, key: int) -> dict[str, Any]:
    """Every pair of four substrates without an effect, judged together."""
    rng = stream(0, "simulated audits", key, 1)
    own = accuracies(setting, rng, audits, 0.0)[0]
    tables = [table.astype(float) for table in hits(setting, rng, [own] * SUBSTRATES)]
    wrong = []
    for audit in range(audits):
        samples = [table[audit] for table in tables]
        tests = [paired_test(samples[i], samples[j], 1.0) for i in range(SUBSTRATES) for j in range(i)]
        wrong.append(holm([test.p for test in tests]).min() < 1 - LEVEL)
    return rate("any false positive of six pairs", setting, np.array(wrong))


def simulated_power(setting: Setting, power: float, audits: int, key: int) -> dict[str, Any]:
    difference = effect(setting, power)
    promised = planned(setting, difference).power(difference)
    pairs = zip(*drawn(setting, difference, audits, key, 2))
    shown = np.array([paired_test(*pair, 1.0).p < 1 - LEVEL for pair in pairs])
    return rate("power", setting, shown, promised=promised, difference=difference)


def at_the_margin(setting: Setting, audits: int, key: int) -> dict[str, Any]:
    margin = planned(setting, 0.0).smallest_margin()
    pairs = zip(*drawn(setting, margin, audits, key, 3))
    decisions = np.array([paired_test(*pair, margin).p_equivalent < 1 - LEVEL for pair in pairs])
    return rate("false equivalence at the margin", setting, decisions, margin=margin)


def agreement(seeds: int, margin: float, audits: int, key: int) -> Iterator[dict[str, Any]]:
    """Targets disagree on every inversion with a probability of `margin`; errors where none of them happens to."""
    setting = Setting(seeds, 10, 1.0, 0.0)
    apart = stream(0, "agreement", key).random((audits, seeds, 1)) < margin
    tests = [paired_test(list(np.repeat(rows, 10, 1) * 1.0), list(np.zeros((seeds, 10))), margin) for rows in apart]
    wrong = np.array([test.identical and test.p_equivalent < 1 - LEVEL for test in tests])
    missed = np.array([test.identical and test.difference.high < margin for test in tests])
    yield rate("false equivalence where all agree", setting, wrong, margin=margin)
    yield rate("false equivalence where all agree: interval misses", setting, missed, margin=margin)


def equivalence(setting: Setting, audits: int, key: int) -> dict[str, Any]:
    plan = planned(setting, 0.0)
    margin = plan.smallest_margin()
    pairs = zip(*drawn(setting, 0.0, audits, key, 4))
    decisions = np.array([paired_test(*pair, margin).p_equivalent < 1 - LEVEL for pair in pairs])
    return rate("power of equivalence", setting, decisions, promised=plan.equivalence_power(margin), margin=margin)


def excludes_zero(differences: Array, seeds_alone: bool) -> bool:
    """By percentile intervals: of resampled seeds alone, or of seeds and the inversions within."""
    rows = differences.mean(axis=1, keepdims=True) if seeds_alone else differences
    interval = seed_bootstrap(list(rows), RESAMPLES)
    return interval.low > 1e-12 or interval.high < -1e-12


def sign_flip(differences: Array) -> bool:
    """By the permutation test that turns the signs of the seeds."""
    means = differences.mean(axis=1)
    signs = stream(0, "sign flips").choice([-1.0, 1.0], (RESAMPLES - 1, len(means)))
    extreme = np.abs(signs @ means) >= abs(means.sum()) - 1e-9
    return bool((1 + extreme.sum()) / RESAMPLES < 1 - LEVEL)


METHODS: dict[str, Callable[[Array], bool]] = {
    "t of the seeds (used)": lambda d: paired_test(list(d), list(np.zeros_like(d)), 1.0).p < 1 - LEVEL,
    "percentile bootstrap of seeds": lambda d: excludes_zero(d, True),
    "hierarchical bootstrap": lambda d: excludes_zero(d, False),
    "sign flips of seeds": sign_flip,
}


def methods(setting: Setting, audits: int, key: int) -> Iterator[dict[str, Any]]:
    power = effect(setting, 0.8)
    for difference, name in ((0.0, "false positives"), (power, "power")):
        first, second = drawn(setting, difference, audits, key, 5)
        for method, judge in METHODS.items():
            decisions = np.array([judge(sample) for sample in first - second])
            yield rate(f"{name}, {method}", setting, decisions, difference=difference)


def simulated(audits: int) -> Iterator[dict[str, Any]]:
    for key, setting in enumerate(SETTINGS):
        yield level(setting, audits, key)
        yield at_the_margin(setting, audits, key)
        yield equivalence(setting, audits // 2, key)
        for power in (0.5, 0.8):
            yield simulated_power(setting, power, audits // 2, key)
    yield family(SETTINGS[1], audits // 4, 0)
    yield family(SETTINGS[6], audits // 4, 1)
    for key, (seeds, margin) in enumerate(AGREEING):
        yield from agreement(seeds, margin, audits, key)
    for key, setting in enumerate([*FEW_SEEDS, SETTINGS[1], SETTINGS[7]]):
        yield from methods(setting, audits // 10, 100 + key)


def failures(rows: list[dict[str, Any]]) -> list[str]:
    """What is not as it is said to be."""
    wrong = []
    for row in rows:
        if row["setting"]["skewed"]:
            continue
        name = f"{row['what']}, {row['label']}"
        is_level = row["what"].startswith(("false positives", "false equivalence", "any false"))
        if is_level and "," not in row["what"] and row["high"] > MOST_WRONG:
            wrong.append(f"{name}: {fixed(row['rate'], 3)}, upper limit {fixed(row['high'], 3)}")
        if "promised" in row and abs(row["rate"] - row["promised"]) > MOST_OFF:
            wrong.append(f"{name}: {fixed(row['rate'], 3)}, promised {fixed(row['promised'], 3)}")
    return wrong


def table(rows: list[dict[str, Any]], problems: list[str]) -> str:
    lines = [
        "# The statistics of audits, simulated",
        "",
        "    .venv/bin/python scripts/measure/simulate_statistics.py --out results/statistics-simulation",
        "",
        "Rates in percent, with 95% intervals (Wilson). A setting: target seeds x inversions of each, accuracy,",
        "correlation of the pair's normal deviates, sd of the difference between seeds in points. The level is 5%.",
        "Effects and margins are those which the plan finds with the power it promises. Not used, and tabled to say",
        "why: rows that name another method. Skewed: one seed in ten has a difference of three sd,",
        "beyond what is promised.",
        "",
        "| what | seeds x inversions | accuracy | correlation | spread | effect or margin | promised | seen | audits |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        size = row.get("difference", row.get("margin", 0.0))
        promised = fixed(100 * row["promised"], 1) if "promised" in row else ""
        rate, low, high, size = (fixed(100 * value, 1) for value in (row["rate"], row["low"], row["high"], size))
        seen = f"{rate} ({low} to {high})"
        lines.append(f"| {row['what']} | {row['label']} | {size} | {promised} | {seen} | {row['audits']:,} |")
    verdict = "Everything is as it should be." if not problems else "Not as it should be: " + "; ".join(problems)
    return "\n".join([*lines, "", verdict, ""])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audits", type=int, default=10_000, help="simulated audits a row of false positives")
    parser.add_argument("--out", type=Path, required=True, help="writes OUT.json and OUT.md")
    options = parser.parse_args()
    rows = []
    for row in simulated(options.audits):
        print(f"{row['what']}: {row['label']}: {row['rate']:.4f}", flush=True)
        rows.append(row)
    problems = failures(rows)
    write_text(options.out.with_suffix(".json"), json.dumps({"audits": options.audits, "rows": rows}, indent=1) + "\n")
    write_text(options.out.with_suffix(".md"), table(rows, problems))
    print("\n".join(problems) or "as it should be")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
