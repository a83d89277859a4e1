"""Simulated membership audits: do intervals cover, and do tests err as seldom and find as often as they say?

    python scripts/measure/simulate_membership.py --out results/membership-simulation     # about 10 minutes

An audit attacks N networks by LiRA, each with the others as shadow networks, on one pool of samples. Its targets thus
share the pool and the shadow networks. Simulated is the statistic that a network answers about a sample: a level of the
sample, one of the network, more for members by an amount of the sample times one of the network, and noise whose size
is that of the sample. Pool, networks and halves are drawn anew in every audit. Each is deployed three times: two times
with noise of the same size, between which there is no difference, and once with more noise, which lowers every measure.
Asked of the library's own functions (`crossed`):

- how often the 95% interval of each measure holds its true value, with different numbers of networks and samples;
- how often other intervals do: without `overlap`, over targets alone, as if these were independent, and symmetric ones
  for true-positive rates (not used, and tabled to say why);
- without a difference, how often the test finds one, and how often it shows equivalence within the margin planned for
  a power of 80%;
- with the planted difference, how often it is found, beside the power that `PowerPlan` promises, and, with that
  difference as the margin, how often it is called equivalent.

True values, and the variation that plans need, are those of other simulated audits. Finished audits are kept in --work,
and a rerun continues there. Exits with 1 if the AUC's coverage differs from 95% by more than 1.5 points, the power of
either compared measure by more than 5 points from what is promised, or a rate of errors is above 6.5%: each beyond what
the number of audits can tell apart. So does the coverage of every other measure, but for the true-positive rate at 0.1%
in pools of fewer than 2,000 samples: that is a rate without any false positive, whose interval may cover more than 95%.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bl_neuro.files import write_text
from bl_neuro.leakage import PowerPlan, proportion_interval
from bl_neuro.leakage.bootstrap import LEVEL
from bl_neuro.leakage.crossed import Crossed, difference_test, pool_weights, shadow_overlap, standard_error
from bl_neuro.leakage.lira import LEAST_VARIANCE, SHRINKAGE
from bl_neuro.leakage.membership_attacks import crossed_measure
from bl_neuro.leakage.roc import MEASURES, roc_curve, separation
from bl_neuro.leakage.shadows import LEAST_ON_A_SIDE
from bl_neuro.rounding import fixed
from bl_neuro.seeding import stream

Array = np.ndarray[Any, Any]
RESAMPLES = 100
NOISE = 0.3
"""Noise of a deployment."""
TESTED = ("auc", "tpr_at_1%")
"""The measures that audits compare."""
PROPORTIONS = ("tpr_at_0.1%", "tpr_at_1%")
LEAST_SAMPLES = 2000
"""Below, 0.1% of the non-members, half of the samples, is less than one: the rate at 0.1% is one without any."""
MOST_UNCOVERED, MOST_WRONG, MOST_OFF = 0.015, 0.065, 0.05


@dataclass(frozen=True)
class Setting:
    """One kind of audit. more_noise: of the third deployment; 0 without comparisons.

    audits, tests, truths: how many are simulated for coverage, for comparisons, and for true values. variation: of the
    networks' own level and effect, relative to the other settings.
    """

    networks: int
    samples: int
    audits: int
    truths: int
    tests: int = 0
    more_noise: float = 0.0
    variation: float = 1.0

    @property
    def name(self) -> str:
        networks = f"{self.networks} networks, {self.samples} samples"
        return networks if self.variation == 1 else f"{networks}, variation {self.variation:g}"

    @property
    def noises(self) -> tuple[float, ...]:
        return (NOISE, NOISE, self.more_noise) if self.more_noise else (NOISE,)


SETTINGS = (
    Setting(12, 400, 1000, 1000, 1000, 0.69),
    Setting(16, 400, 600, 800, 400, 0.58),
    Setting(24, 400, 400, 800, 1000, 1.0),
    Setting(32, 400, 400, 300, 300, 0.48),
    Setting(12, 1800, 400, 500),
    Setting(16, 1800, 300, 250),
    Setting(24, 800, 2000, 1000),
    Setting(32, 1800, 250, 200),
    Setting(12, 1800, 250, 300, variation=0.4),
)


def answers(setting: Setting, rng: np.random.Generator) -> tuple[list[Array], Array]:
    """Statistics (N, n) of every deployment of the same networks, and members (N, n)."""
    size = (setting.networks, setting.samples)
    level, effect = 1.5 * rng.standard_normal(size[1]), 0.8 * np.abs(rng.standard_normal(size[1]))
    spread, members = 0.5 + rng.random(size[1]), rng.random(size).argsort(axis=1) < size[1] // 2
    own = [sd * setting.variation * rng.standard_normal((size[0], 1)) for sd in (0.3, 0.2)]
    networks = level + own[0] + np.exp(own[1]) * effect * members + spread * rng.standard_normal(size)
    return [networks + noise * rng.standard_normal(size) for noise in setting.noises], members


def attacked(values: Array, members: Array) -> Array:
    """Scores (N, n) by `lira` of each network with all others as shadow networks, from sums over all networks."""
    parts, counts = [], []
    for side in (members, ~members):
        count = side.sum(axis=0) - side
        mean = ((side * values).sum(axis=0) - side * values) / np.maximum(count, 1)
        square = ((side * values**2).sum(axis=0) - side * values**2) / np.maximum(count, 1)
        parts.append((mean, square - mean**2))
        counts.append(count)
    known = np.minimum(*counts) >= LEAST_ON_A_SIDE
    densities = []
    for mean, own in parts:
        shared = (own * known).sum(axis=1, keepdims=True) / known.sum(axis=1, keepdims=True)
        variance = (1 - SHRINKAGE) * own + SHRINKAGE * shared + LEAST_VARIANCE
        densities.append(-((values - mean) ** 2 / variance + np.log(variance)) / 2)
    return np.where(known, densities[0] - densities[1], 0.0)


def measured(values: Array, members: Array, weights: Array | None = None) -> tuple[Array, Array]:
    """Measures of each target (N, 4), and on resampled pools (N, R, 4), which is empty without `weights`."""
    rows, resampled = [], []
    for scores, own in zip(attacked(values, members), members):
        rows.append(separation(roc_curve(scores, own))[0])
        if weights is not None:
            resampled.append(separation(roc_curve(scores, own, weights)))
    return np.array(rows), np.array(resampled)


def true_means(setting: Setting, number: int) -> list[list[float]]:
    """The mean of each measure over the targets of one audit, for each deployment."""
    deployments, members = answers(setting, stream(number, "true membership audits", *key(setting)))
    return [measured(values, members)[0].mean(axis=0).tolist() for values in deployments]


def estimated(setting: Setting, number: int) -> list[list[float]]:
    """The estimate of each measure by one audit of the first deployment, with the parts of its variance."""
    crossed = _crossed(setting, number, 1)[0]
    return [[float(one.values.mean()), *one.parts] for one in crossed]


def compared(setting: Setting, number: int) -> list[list[list[float]]]:
    """The other deployments of one audit less the first, for the `TESTED` measures: the mean and its variance's parts.

    Each is [difference, between, shared, own].
    """
    first, *others = _crossed(setting, number, len(setting.noises))
    places = [MEASURES.index(name) for name in TESTED]
    apart = [[other[place].minus(first[place]) for place in places] for other in others]
    return [[[float(one.values.mean()), *one.parts] for one in row] for row in apart]


def _crossed(setting: Setting, number: int, deployments: int) -> list[list[Crossed]]:
    """Every measure of the first deployments of one audit."""
    values, members = answers(setting, stream(number, "simulated membership audits", *key(setting)))
    weights = pool_weights(setting.samples, RESAMPLES, number)
    parts = [measured(one, members, weights) for one in values[:deployments]]
    return [[crossed_measure(*part, place, setting.samples) for place in range(len(MEASURES))] for part in parts]


def _tests(setting: Setting, differences: Array, margin: float) -> Array:
    """Tests [difference, error, p, p of equivalence] of differences and parts (audits, 4), by `difference_test`."""
    rows = []
    for difference, between, shared, own in differences:
        error = standard_error(between, shared, own, overlap=0.0)
        rows.append([difference, error, *difference_test(difference, error, setting.networks, margin)])
    return np.array(rows)


def key(setting: Setting) -> tuple[int, int]:
    return setting.networks, setting.samples


class Work:
    """Finished audits in a file of JSON lines; a torn last line is done again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: dict[str, Any] = {}
        if path.exists():
            lines = path.read_text(encoding="utf-8").split("\n")[:-1]
            self.done = dict(map(json.loads, lines))
            write_text(path, "".join(f"{line}\n" for line in lines))

    def get(self, name: str, make: Any, *arguments: Any) -> Any:
        """The result under `name`, made and kept if it is new."""
        if name not in self.done:
            self.done[name] = make(*arguments)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([name, self.done[name]]) + "\n")
        return self.done[name]


def simulated(setting: Setting, work: Work) -> Iterator[dict[str, Any]]:
    """All rows of one setting."""
    label = f"{setting.name}, noise {setting.more_noise:g}"
    truths = np.array([work.get(f"truth {label}, {i}", true_means, setting, i) for i in range(setting.truths)])
    plans = _plans(setting, truths)
    estimates = np.array([work.get(f"audit {label}, {i}", estimated, setting, i) for i in range(setting.audits)])
    for place, measure in enumerate(MEASURES):
        yield from _coverage(setting, measure, truths[:, 0, place], estimates[:, place])
    numbers = range(setting.tests if plans else 0)
    apart = np.array([work.get(f"differences {label}, {i}", compared, setting, i) for i in numbers])
    for place, row in enumerate(plans):
        for number, measure in enumerate(TESTED):
            tests = _tests(setting, apart[:, place, number], row[number]["margin"])
            yield from _decisions(setting, measure, row[number], tests, planted=place == 1)


def _plans(setting: Setting, truths: Array) -> list[list[dict[str, Any]]]:
    """What one who knows the setting plans for each difference and measure: its size, margin and power."""
    plans = []
    for other in range(1, truths.shape[1]):
        row = []
        for measure in TESTED:
            apart = truths[:, other, MEASURES.index(measure)] - truths[:, 0, MEASURES.index(measure)]
            plan = PowerPlan(setting.networks, 1, float(np.sqrt(setting.networks) * apart.std(ddof=1)), 0.0)
            size = 0.0 if other == 1 else float(apart.mean())
            margin = plan.smallest_margin() if other == 1 else abs(size)
            power = plan.equivalence_power(margin) if other == 1 else plan.power(size)
            row.append({"difference": size, "margin": margin, "power": power})
        plans.append(row)
    return plans


def _coverage(setting: Setting, measure: str, truths: Array, estimates: Array) -> Iterator[dict[str, Any]]:
    from scipy.special import stdtrit

    value, parts = estimates[:, 0], estimates[:, 1:]
    true, factor = float(truths.mean()), stdtrit(setting.networks - 1, (1 + LEVEL) / 2)
    errors = {
        "coverage": _errors(parts, shadow_overlap(setting.networks)),
        "coverage without overlap": _errors(parts, 0.0),
        "coverage over targets alone": np.sqrt(parts[:, 0]),
    }
    for what, error in errors.items():
        facts = {"true": true, "sd": float(value.std(ddof=1)), "error": float(np.sqrt((error**2).mean()))}
        symmetric = np.abs(value - true) <= factor * error
        if measure not in PROPORTIONS:
            yield rate(what, setting, measure, symmetric, **facts)
            continue
        yield rate(what, setting, measure, _in_logits(value, true, factor * error), **facts)
        if what == "coverage":
            yield rate("coverage of symmetric intervals", setting, measure, symmetric, **facts)


def _in_logits(values: Array, true: float, half: Array) -> Array:
    """Whether intervals of proportions on the scale of the logit hold the true one (see `Crossed.proportion`)."""
    from scipy.special import logit

    inside = (values > 0) & (values < 1)
    values, half = values[inside], half[inside]
    held = np.zeros(len(inside), dtype=bool)
    held[inside] = np.abs(logit(values) - logit(true)) <= half / (values * (1 - values))
    return held


def _errors(parts: Array, overlap: float) -> Array:
    return np.array([standard_error(between, shared, own, overlap) for between, shared, own in parts])


def _decisions(
    setting: Setting, measure: str, plan: dict[str, Any], tests: Array, planted: bool
) -> Iterator[dict[str, Any]]:
    differs, equivalent = tests[:, 2] < 1 - LEVEL, tests[:, 3] < 1 - LEVEL
    facts = {"sd": float(tests[:, 0].std(ddof=1)), "error": float(np.sqrt((tests[:, 1] ** 2).mean()))}
    if planted:
        facts["true"] = plan["difference"]
        yield rate("power", setting, measure, differs, promised=plan["power"], **facts)
        yield rate("false equivalence at the margin", setting, measure, equivalent, **facts)
    else:
        facts["true"] = 0.0
        yield rate("false difference", setting, measure, differs, **facts)
        facts["margin"] = plan["margin"]
        yield rate("power of equivalence", setting, measure, equivalent, promised=plan["power"], **facts)


def rate(what: str, setting: Setting, measure: str, happened: Array, **facts: float) -> dict[str, Any]:
    """How often something happened, with its 95% interval (Wilson)."""
    share = float(np.mean(happened))
    low, high = proportion_interval(share, len(happened))
    return {
        "what": what, "networks": setting.networks, "samples": setting.samples, "measure": measure,
        "variation": setting.variation, "audits": len(happened), "rate": share, "low": low, "high": high, **facts,
    }  # fmt: skip


def failures(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What is not as it is said to be, beyond what the number of audits can tell apart."""
    wrong = []
    for row in rows:
        low, high, seen = row["low"], row["high"], row["rate"]
        if row["what"] == "coverage":
            without_false = row["measure"] == "tpr_at_0.1%" and row["samples"] < LEAST_SAMPLES
            is_wrong = high < LEVEL - MOST_UNCOVERED or (low > LEVEL + MOST_UNCOVERED and not without_false)
        elif row["what"].startswith("false"):
            is_wrong = seen > MOST_WRONG and low > 1 - LEVEL
        else:
            promise = row.get("promised", seen)
            is_wrong = low - MOST_OFF > promise or high + MOST_OFF < promise
        if is_wrong:
            promised = f", promised {fixed(row['promised'], 3)}" if "promised" in row else ""
            name = f"{row['what']}, {row['measure']}, {row['networks']} networks, {row['samples']} samples"
            wrong.append(f"{name}: {fixed(seen, 3)} ({fixed(low, 3)} to {fixed(high, 3)}){promised}")
    return wrong


def table(rows: Sequence[dict[str, Any]], problems: Sequence[str]) -> str:
    lines = [
        "# The statistics of membership audits, simulated",
        "",
        "    python scripts/measure/simulate_membership.py --out results/membership-simulation",
        "",
        "Rates in percent, with 95% intervals (Wilson), of simulated audits by LiRA in which targets share the pool",
        "and the shadow networks. Coverage is that of 95% intervals, the level of tests is 5%. sd: of the estimates",
        "over audits; error: the standard error that an audit computes (root mean square). Both, true values and",
        "margins in points. Intervals of true-positive rates are those of their logits. Not used, and tabled to say",
        "why: intervals without the term for shared shadow networks (overlap), over targets alone, as if they were",
        "independent, and symmetric ones for true-positive rates. variation: of the networks' own level and effect,",
        "relative to the other rows. The term was calibrated with 12, 16 and 32 networks at variation 1. With fewer",
        "than 2,000 samples the rate at 0.1% is one without a false positive, whose interval may cover more than 95%.",
        "",
        "| what | networks | samples | variation | measure | true | margin | sd | error | promised | seen | audits |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        points = [fixed(100 * row[name], 2) if name in row else "" for name in ("true", "margin", "sd", "error")]
        promised = fixed(100 * row["promised"], 1) if "promised" in row else ""
        seen, low, high = (fixed(100 * row[name], 1) for name in ("rate", "low", "high"))
        place = f"{row['what']} | {row['networks']} | {row['samples']:,} | {row['variation']:g}"
        numbers = " | ".join([row["measure"].replace("_", " "), *points, promised])
        lines.append(f"| {place} | {numbers} | {seen} ({low} to {high}) | {row['audits']:,} |")
    verdict = (
        "Coverage, but for the rate at 0.1% of small pools, and all rates of errors are as they should be."
        if not problems
        else "Not as it should be: " + "; ".join(problems)
    )
    return "\n".join([*lines, "", verdict, ""])


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="writes OUT.json and OUT.md")
    parser.add_argument("--work", type=Path, default=Path("runs/membership-simulation.jsonl"), help="finished audits")
    parser.add_argument("--quick", action="store_true", help="few audits of the smallest setting, to try the script")
    options = parser.parse_args()
    settings = (Setting(12, 100, 8, 6, 4, SETTINGS[0].more_noise),) if options.quick else SETTINGS
    work, rows, began = Work(options.work), [], time.process_time()
    for setting in settings:
        rows += list(simulated(setting, work))
        print(f"{setting.name}: {time.process_time() - began:.0f} s of computing time", flush=True)
    problems = failures(rows)
    write_text(options.out.with_suffix(".json"), json.dumps({"rows": rows}, indent=1) + "\n")
    write_text(options.out.with_suffix(".md"), table(rows, problems))
    print("\n".join(problems) or "as it should be")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
