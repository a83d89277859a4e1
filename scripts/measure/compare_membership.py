"""Compares our membership attacks with independent implementations, on the answers of the networks of an audit.

    python scripts/measure/compare_membership.py --lira FOLDER --privacy-meter FOLDER [--run runs/membership-digits]

--lira: research/mi_lira_2021 of github.com/tensorflow/privacy, by the authors of LiRA. --privacy-meter: the repository
github.com/privacytrustlab/ml_privacy_meter, by the authors of RMIA. Both are called as they are. Every network of the
run is the target in turn, and the others are the shadow networks, for every deployment and output. Prints the largest
differences of scores, AUC and true-positive rates, and exits with 1 where one is above 1e-6 (relative to the score
where that is above 1). Nothing is trained.

`EXPLAINED` says which settings make the implementations comparable, and where they differ on purpose. For these, AUCs
of both stand side by side.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import auc
from sklearn.metrics import roc_curve as sklearn_curve

from bl_neuro.errors import DataError
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.definition import Experiment
from bl_neuro.experiment.findings.membership import deployment_name
from bl_neuro.experiment.material import Place
from bl_neuro.experiment.measures import MEMBERSHIP
from bl_neuro.experiment.membership_work import gathered_answers, pool_of
from bl_neuro.experiment.provenance import machine, now, versions
from bl_neuro.experiment.session import Audit
from bl_neuro.experiment.store import Store
from bl_neuro.files import write_text
from bl_neuro.leakage.lira import lira, lira_offline
from bl_neuro.leakage.membership_attacks import Answers
from bl_neuro.leakage.rmia import LEAST_PROBABILITY, OFFLINE_A, rmia_offline
from bl_neuro.leakage.roc import LOW_RATES, MEASURES, roc_curve, separation
from bl_neuro.leakage.shadows import LEAST_ON_A_SIDE, Shadows
from bl_neuro.rounding import fixed

Array = np.ndarray[Any, Any]
TOLERANCE = 1e-6
DECIMALS = 6
"""Of scores before ROC curves, so that equal scores with other last bits tie in both."""
LEAST_SPREAD = 0.01
"""Samples whose shadow networks vary less on a side (standard deviation) are left out of the comparison of LiRA."""
ROUNDING = 1e-12
"""Relative difference of ratios that rounding may make or remove."""
FILES = {"lira": "plot.py", "privacy_meter": "modules/mia/attacks/rmia.py"}
EXPLAINED = (
    "LiRA agrees with shrinkage=0 and centre='median', one statistic at a time: theirs takes the mean over statistics "
    "as if they were independent, ours fits one Gaussian to all of them with their covariances.",
    "Their code cuts every sample to the smallest number of shadow networks on a side that any sample has. Here it is "
    "called with samples of equal numbers, so that nothing is cut.",
    f"Left out of LiRA are samples with fewer than {LEAST_ON_A_SIDE} shadow networks on a side, to which we give the "
    f"score 0, and samples on which the shadow networks of a side vary by less than {LEAST_SPREAD} (standard "
    "deviation). There scores are as large as a constant makes them: theirs adds 1e-30 to the standard deviation, ours "
    "1e-12 to the variance.",
    "Their offline LiRA is the log density of the Gaussian of the networks that were not trained on the sample, low at "
    "both ends; ours is the distance above its centre in standard deviations, in the order of the paper's one-sided "
    "probability. Compared is the density at our distance; side by side stand the AUCs of both orders.",
    "Their fixed variance is that of the values of all samples together, of networks trained on them, for both sides; "
    "ours (shrinkage=1) is the mean over samples of the variance of each side. They are not compared.",
    "run_rmia takes the largest num_reference_models signals of each sample by networks that were not trained on it, "
    "and zeros where there are fewer; ours takes the mean of all. It agrees where signals are repeated so that the "
    "attacked and the reference samples have equally many. Side by side stand the AUCs without that.",
    "Probabilities of 0, as labels have them, count as 1e-12: in run_rmia 0 / 0 is not above 1, while ours then orders "
    "samples by what the shadow networks answer.",
    "Left out of RMIA are samples whose ratio equals that of a sample with other probabilities, as with labels (0.75 "
    "of the answers right, where 8 of 13 shadow networks are, and all right, where all are): both ask whether one "
    "ratio is above the other, and the last bit decides.",
    "run_rmia compares a reference sample also with itself, which never counts; ours leaves that out, so that theirs "
    "is multiplied by n / (n - 1).",
    "Scores are rounded to six decimals before ROC curves are computed: labels and counts have many equal scores, and "
    "one order of adding separates in the last bit what another leaves equal.",
    "Online RMIA and covariances of several statistics are ours alone.",
)


@dataclass(frozen=True)
class Agreement:
    """One score of one output of one deployment: largest differences over all targets.

    compared, left_out: samples, summed over targets. difference: of scores, relative where theirs is above 1. auc, ...:
    of the ROC measures on the compared samples.
    """

    deployment: str
    reveals: str
    score: str
    compared: int
    left_out: int
    difference: float
    auc: float
    tpr_01: float
    tpr_1: float
    balanced_accuracy: float

    @property
    def largest(self) -> float:
        return max(self.difference, self.auc, self.tpr_01, self.tpr_1, self.balanced_accuracy)


@dataclass(frozen=True)
class Compared:
    """One target: which samples are compared (n,), and of these the members and both scores."""

    chosen: Array
    members: Array
    ours: Array
    theirs: Array


def module_of(folder: Path, file: str) -> Any:
    """The module of a file of somebody else's repository."""
    path = folder / file
    if not path.is_file():
        raise DataError(f"{folder}: expected the folder with {file}, found none; clone the repository named above")
    os.environ.setdefault("MPLBACKEND", "Agg")
    spec = importlib.util.spec_from_file_location(f"theirs_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise DataError(f"{path}: expected a Python module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answers_of(run: Path) -> Iterator[tuple[str, str, Answers]]:
    """Deployment, output, and what all targets answer, for the plain asks of a finished run."""
    path = run / "experiment.json"
    if not path.is_file():
        raise DataError(f"{run}: expected the folder of an audit, found no experiment.json; run the audit first")
    experiment = Experiment.model_validate(json.loads(path.read_text(encoding="utf-8")))
    audit = Audit(experiment, Place(Path.cwd(), None, None), Store(run))
    part = experiment.membership
    if part is None:
        raise DataError(f"{run}: expected an audit with [membership]")
    labels = pool_of(audit.material, part.pool, part.pool_seed).labels
    for cell in audit.cells:
        if cell.kind == MEMBERSHIP.name and cell.facts["ask"] == part.asked[0].called:
            networks = cell.needs[: part.networks]
            files = [run / "cells" / f"{network.address}.safetensors" for network in networks]
            gathered = gathered_answers(networks, files, cell.facts["reveals"], labels)
            yield _deployment(cell), cell.facts["reveals"], Answers(*gathered)


def _deployment(cell: Cell) -> str:
    return deployment_name(cell.facts["substrate"], cell.facts.get("mitigation"))


def alike(shadows: Shadows, chosen: Array) -> Iterator[Array]:
    """The chosen samples, by their numbers of shadow networks on both sides."""
    pairs = np.stack([shadows.inside, shadows.outside], axis=1)
    for pair in np.unique(pairs[chosen], axis=0):
        yield np.flatnonzero(chosen & (pairs == pair).all(axis=1))


def spread(shadows: Shadows, chosen: Array) -> Array:
    """Standard deviation (n,) of the only statistic over the chosen networks of each sample; 0 without any."""
    values, count = shadows.values[..., 0], np.maximum(chosen.sum(axis=0), 1)
    mean = (values * chosen).sum(axis=0) / count
    return np.sqrt(((values - mean) ** 2 * chosen).sum(axis=0) / count)


def their_lira(function: Callable[..., Any], values: Array, shadows: Shadows, chosen: Array) -> Array:
    """Their predictions, (n,), lower for members; NaN for samples that are not chosen."""
    theirs = np.full(len(values), np.nan)
    for index in alike(shadows, chosen):
        nobody = np.zeros((1, len(index)), dtype=bool)
        predictions, _ = function(shadows.members[:, index], shadows.values[:, index], nobody, values[None, index])
        theirs[index] = predictions
    return theirs


def compared_lira(plot: Any, answers: Answers, column: int, offline: bool) -> Iterator[Compared]:
    """Every target in turn, by one statistic."""
    one = Answers(answers.statistics[..., [column]], answers.probabilities, answers.members)
    for target, members in enumerate(answers.members):
        values, shadows = one.statistics[target], one.without(target).shadows
        outside = spread(shadows, ~shadows.members)
        chosen = (shadows.outside >= LEAST_ON_A_SIDE) & (outside >= LEAST_SPREAD)
        if offline:
            theirs = their_lira(plot.generate_ours_offline, values, shadows, chosen)
            distance = lira_offline(values, shadows, 0.0, "median")
            with np.errstate(divide="ignore"):
                ours = -(distance**2) / 2 - np.log(outside) - np.log(2 * np.pi) / 2
        else:
            chosen &= (shadows.inside >= LEAST_ON_A_SIDE) & (spread(shadows, shadows.members) >= LEAST_SPREAD)
            theirs = their_lira(plot.generate_ours, values, shadows, chosen)
            ours = -lira(values, shadows, 0.0, "median")
        yield Compared(chosen, members[chosen], -ours[chosen], -theirs[chosen])


def outside_signals(probabilities: Array, members: Array, count: int) -> Array:
    """Probabilities (n, count) by the networks that were not trained on a sample; repeated to `count` columns."""
    rows = [row[~inside] for row, inside in zip(probabilities.T, members.T)]
    return np.stack([np.tile(row, count // len(row)) for row in rows])


def compared_rmia(rmia: Any, answers: Answers) -> Iterator[Compared]:
    """Every target in turn, with all samples that enough shadow networks know as reference samples."""
    for target, members in enumerate(answers.members):
        likely, shadows = answers.probabilities[target], answers.without(target).likely
        known = shadows.outside >= LEAST_ON_A_SIDE
        ours = rmia_offline(likely, shadows, known)
        above, raised = np.zeros(len(likely)), np.maximum(likely, LEAST_PROBABILITY)
        for count in np.unique(shadows.outside[known]):
            for other in np.unique(shadows.outside[known]):
                x, z = (np.flatnonzero(known & (shadows.outside == number)) for number in (count, other))
                width = int(count * other)
                signals = [
                    outside_signals(shadows.values[:, index, 0], shadows.members[:, index], width) for index in (x, z)
                ]
                nobody = np.zeros_like(signals[0], dtype=bool)
                shares = rmia.run_rmia(raised[x], signals[0], nobody, raised[z], signals[1], OFFLINE_A, width)
                above[x] += shares * len(z)
        compared = known & ~tied(likely, shadows)
        yield Compared(compared, members[compared], ours[compared], above[compared] / (known.sum() - 1))


def tied(likely: Array, shadows: Shadows) -> Array:
    """The samples (n,) whose ratio is that of a sample with other probabilities, but for rounding."""
    outside = (shadows.values[..., 0] * ~shadows.members).sum(axis=0) / np.maximum(shadows.outside, 1)
    pairs, own = np.unique(np.stack([likely, outside], axis=1), axis=0, return_inverse=True)
    ratios = np.maximum(pairs[:, 0], LEAST_PROBABILITY) / ((1 + OFFLINE_A) * pairs[:, 1] + 1 - OFFLINE_A)
    order = np.argsort(ratios)
    near = np.diff(ratios[order]) <= ROUNDING * ratios[order][1:]
    rounded = np.zeros(len(pairs), dtype=bool)
    rounded[order[1:][near]] = rounded[order[:-1][near]] = True
    chosen: Array = rounded[own.ravel()]
    return chosen


def agreement(place: tuple[str, str], score: str, targets: list[Compared]) -> Agreement:
    """The largest differences over targets."""
    scores, measures = [], []
    for target in targets:
        apart = np.abs(target.ours - target.theirs) / np.maximum(1, np.abs(target.theirs))
        scores.append(apart.max())
        ours = separation(roc_curve(target.ours.round(DECIMALS), target.members))[0]
        measures.append(np.abs(ours - their_measures(target.theirs.round(DECIMALS), target.members)))
    compared, left_out = (
        sum(len(target.ours) for target in targets),
        sum(int((~target.chosen).sum()) for target in targets),
    )
    return Agreement(*place, score, compared, left_out, float(max(scores)), *np.max(measures, axis=0).tolist())


def their_measures(scores: Array, members: Array) -> Array:
    """`MEASURES` by the curve of scikit-learn, which both implementations use."""
    false, true, _ = sklearn_curve(members, scores, drop_intermediate=False)
    accuracy = (true + 1 - false).max() / 2
    return np.array([auc(false, true), *(true[false <= rate][-1] for rate in LOW_RATES), accuracy])


def agreements(plot: Any, rmia: Any, place: tuple[str, str], answers: Answers) -> Iterator[Agreement]:
    """All comparable scores of one deployment and output."""
    count = answers.statistics.shape[2]
    for column in range(count):
        name = "" if count == 1 else f", statistic {column + 1}"
        for offline in (False, True):
            targets = list(compared_lira(plot, answers, column, offline))
            if all(len(np.unique(target.members)) == 2 for target in targets):
                yield agreement(place, f"LiRA{', offline density' if offline else ''}{name}", targets)
    yield agreement(place, "RMIA, offline", list(compared_rmia(rmia, answers)))


def side_by_side(plot: Any, rmia: Any, answers: Answers) -> Iterator[dict[str, Any]]:
    """Mean AUC over targets of ours and of theirs as their authors call them, by the first statistic."""
    one_sided, largest = [], []
    for target, compared in enumerate(compared_lira(plot, answers, 0, offline=True)):
        members, others = answers.members[target], answers.without(target)
        shadows = Shadows(others.statistics[..., :1], others.members)
        distance = lira_offline(answers.statistics[target, :, :1], shadows, 0.0, "median")[compared.chosen]
        one_sided.append([area(distance, compared.members), area(compared.theirs, compared.members)])
        likely, signals = answers.probabilities[target], others.probabilities.T
        with np.errstate(divide="ignore", invalid="ignore"):
            theirs = rmia.run_rmia(likely, signals, others.members.T, likely, signals, OFFLINE_A)
        ours = rmia_offline(likely, others.likely, np.ones(len(likely), dtype=bool))
        largest.append([area(ours, members), area(theirs, members)])
    for name, pairs in (("LiRA, offline: one-sided and two-sided", one_sided), ("RMIA, offline", largest)):
        mean = np.mean(pairs, axis=0)
        yield {"score": name, "ours": float(mean[0]), "theirs": float(mean[1])}


def area(scores: Array, members: Array) -> float:
    return float(roc_curve(scores, members).auc[0])


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("runs/membership-digits"), help="the folder of an audit")
    parser.add_argument("--lira", type=Path, required=True, help="mi_lira_2021 of TensorFlow Privacy")
    parser.add_argument("--privacy-meter", type=Path, required=True, help="the repository of privacy-meter")
    parser.add_argument("--out", type=Path, default=Path("results/membership-agreement.json"))
    options = parser.parse_args()
    folders = {name: getattr(options, name) for name in FILES}
    plot, rmia = (module_of(folders[name], file) for name, file in FILES.items())
    digests = {f"{name}: {file}": _digest(folders[name] / file) for name, file in FILES.items()}
    rows, beside, networks = [], [], 0
    for deployment, reveals, answers in answers_of(options.run):
        networks = len(answers.members)
        for row in agreements(plot, rmia, (deployment, reveals), answers):
            rows.append(row)
            print(f"{deployment}, {reveals}, {row.score}: {row.largest:.1e}, {row.left_out:,} left out", flush=True)
        for pair in side_by_side(plot, rmia, answers):
            beside.append({"deployment": deployment, "reveals": reveals, **pair})
    if not rows:
        raise DataError(f"{options.run}: expected the answers of networks; run the audit first")
    apart = [row for row in rows if row.largest > TOLERANCE]
    result = {
        "tolerance": TOLERANCE, "largest": max(row.largest for row in rows), "networks": networks,
        "explained": EXPLAINED, "files": digests, "measures": MEASURES, "rows": [asdict(row) for row in rows],
        "side_by_side": beside, "made": {"at": now(), "versions": versions(), "machine": machine()},
    }  # fmt: skip
    write_text(options.out, json.dumps(result, indent=1) + "\n")
    print("\nMean AUC of both as they are (ours, theirs), which need not agree:")
    for pair in beside:
        figures = f"{fixed(pair['ours'], 3)}, {fixed(pair['theirs'], 3)}"
        print(f"  {pair['deployment']}, {pair['reveals']}, {pair['score']}: {figures}")
    print("\n" + "\n".join(EXPLAINED))
    print(f"\nLargest difference: {result['largest']:.1e}; above {TOLERANCE:g} in {len(apart)} of {len(rows)} rows")
    return 1 if apart else 0


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
