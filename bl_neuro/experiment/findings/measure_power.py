"""The smallest differences in membership and in planted secrets that an audit can detect.

Measured from finished cells where there are enough; before, from stated assumptions:

    membership  Var(theta) of one target: 1 / (3 n) for the AUC of n samples, half of them members (Hanley and McNeil
                1982 near 0.5); for the true-positive rate t at a false-positive rate f,
                (t (1 - t) + s^2 f (1 - f)) / (n / 2) with s = dt/df, at t = 8% and s = t / (2 f). The difference of
                two deployments of one network has 2 (1 - r) times as much, with a correlation r of .7.
    secrets     hits as in inversion: an accuracy of .9 on both substrates, a correlation of .5, an sd of .05 between
                targets.

Simulated audits without a difference have a correlation of .72 (`scripts/measure/simulate_membership.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bl_neuro.backends.registry import ANN
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.definition import Experiment
from bl_neuro.experiment.findings.membership import COMPARED, LEAST_MARGIN, MembershipMeasure, measured_views
from bl_neuro.experiment.findings.plan_models import ComparisonFamily, MeasurePower
from bl_neuro.experiment.findings.power import ACCURACY, FEWEST, SPREAD, assumed_plan
from bl_neuro.experiment.findings.secrets import measured_pairs, secrets_margin
from bl_neuro.experiment.measures import MEMBERSHIP, Measures
from bl_neuro.experiment.membership_part import MembershipPart
from bl_neuro.experiment.store import Store
from bl_neuro.leakage import PowerPlan, observed_plan
from bl_neuro.leakage.secrets import recovered_bits

CORRELATION = 0.7
"""Assumed correlation of a membership measure between two deployments of one network."""
ASSUMED: dict[MembershipMeasure, float] = {"auc": 0.65, "tpr_at_1": 0.08}
"""Assumed measures of membership on the first deployment."""
FALSE_RATE = 0.01


def membership_power(
    experiment: Experiment,
    samples: int | None,
    cells: Sequence[Cell],
    measures: Measures,
    store: Store,
    arithmetic: Mapping[str, str],
    families: Sequence[ComparisonFamily],
) -> list[MeasurePower]:
    """For each output and measure of `[membership]`. samples: size of the pool; None if it is not known."""
    part, count = experiment.membership, _comparisons(families, COMPARED["auc"][2])
    if part is None or not count:
        return []
    finished = MEMBERSHIP.finished(cells, measures)
    found = []
    for measure, (place, chance, name) in COMPARED.items():
        known = measured_views(finished, part, store, place, arithmetic)
        for reveals in _compared_outputs(cells, part):
            deployed = [values for _, values in known.get(reveals, [])]
            error = max((other.minus(deployed[0]).error for other in deployed[1:]), default=None)
            if error is None and samples is None:
                continue
            sd = _assumed_sd(measure, samples or 1) if error is None else error * part.networks**0.5
            at = deployed[0].estimate.value if deployed else ASSUMED[measure]
            plan = PowerPlan(part.networks, 1, sd, 0.0, count)
            margin = max(LEAST_MARGIN, part.margin * (at - chance))
            found.append(_power("membership", reveals, name, plan, margin, error is None))
    return found


def _compared_outputs(cells: Sequence[Cell], part: MembershipPart) -> list[str]:
    """The outputs through which several deployments are attacked."""
    own = [cell for cell in cells if cell.kind == "membership" and cell.facts["ask"] == part.asked[0].called]
    outputs = [cell.facts["reveals"] for cell in own]
    return [reveals for reveals in dict.fromkeys(outputs) if outputs.count(reveals) > 1]


def secrets_power(
    experiment: Experiment,
    classes: int,
    cells: Sequence[Cell],
    measures: Measures,
    arithmetic: Mapping[str, str],
    families: Sequence[ComparisonFamily],
) -> list[MeasurePower]:
    """For each attack and output of `[secrets]`, over all of its budgets. classes: of the dataset."""
    part, count = experiment.secrets, _comparisons(families, "recovered share")
    if part is None or not count:
        return []
    choices, seeds = part.plant.choices(classes), len(experiment.target_seeds)
    margin, observed = secrets_margin(part, choices, cells, measures), measured_pairs(cells, measures, arithmetic)
    views: dict[tuple[str, str], set[int | None]] = {}
    for cell in cells:
        if cell.kind == "secret_reading" and cell.facts["substrate"] != ANN:
            views.setdefault((cell.facts["attack"], cell.facts["reveals"]), set()).add(cell.facts["queries"])
    inverted = classes if experiment.classes is None else len(experiment.classes)
    found = []
    for (attack, reveals), budgets in views.items():
        pairs = [pair for view, pair in observed if view == (attack, reveals) and len(pair[0]) >= FEWEST]
        plans = [one for pair in pairs if (one := observed_plan(*pair, count)).error > 0]
        plan = max(plans, key=lambda one: one.error, default=assumed_plan("hit", count))
        full = replace(plan, seeds=seeds, inversions=inverted * len(budgets))
        share = ACCURACY if not plans else float(np.mean([np.mean(row) for one, _ in pairs for row in one]))
        power = _power("secrets", f"{attack}, {reveals}", "recovered share", full, margin, not plans)
        less = max(share - power.smallest_difference, 1 / choices)
        bits = max(0.0, recovered_bits(share, choices) - recovered_bits(less, choices))
        found.append(power.model_copy(update={"smallest_bits": bits}))
    return found


def assumptions(powers: Sequence[MeasurePower]) -> list[str]:
    """What is assumed where nothing is measured yet, one sentence for each question."""
    texts = {
        "membership": f"an AUC of {ASSUMED['auc']:g}, a true-positive rate of {100 * ASSUMED['tpr_at_1']:g}% and a "
        f"correlation of {CORRELATION:g} between deployments are assumed",
        "secrets": f"a recovered share of {ACCURACY:g} and an sd of {SPREAD:g} between targets are assumed",
    }
    return [text for name, text in texts.items() if any(one.question == name and one.assumed for one in powers)]


def _comparisons(families: Sequence[ComparisonFamily], judged_by: str) -> int:
    return sum(len(family.comparisons) for family in families if judged_by in family.judged_by)


def _assumed_sd(measure: MembershipMeasure, samples: int) -> float:
    """Sd over targets of a difference between two deployments."""
    if measure == "auc":
        variance = 1 / (3 * samples)
    else:
        rate = ASSUMED[measure]
        slope = rate / (2 * FALSE_RATE)
        variance = (rate * (1 - rate) + slope**2 * FALSE_RATE * (1 - FALSE_RATE)) / (samples / 2)
    return float(np.sqrt(2 * (1 - CORRELATION) * variance))


def _power(question: str, view: str, measure: str, plan: PowerPlan, margin: float, assumed: bool) -> MeasurePower:
    return MeasurePower(
        question=question,
        view=view,
        measure=measure,
        comparisons=plan.comparisons,
        units=plan.seeds,
        error=plan.error,
        assumed=assumed,
        margin=margin,
        smallest_difference=plan.smallest_difference(),
        smallest_margin=plan.smallest_margin(),
        equivalence_power=plan.equivalence_power(margin),
        smallest_bits=None,
    )
