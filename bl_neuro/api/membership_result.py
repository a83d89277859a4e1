"""The result of `attack_membership`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bl_neuro.arrays import BoolArray, FloatArray
from bl_neuro.checks import within
from bl_neuro.errors import InputError, ReportError
from bl_neuro.files import expanded, need_free, write_text
from bl_neuro.leakage.crossed import pool_weights
from bl_neuro.leakage.privacy_bound import epsilon_of_scores
from bl_neuro.leakage.roc import RocCurve, roc_curve
from bl_neuro.membership.calibration import score_limit
from bl_neuro.rounding import fixed
from bl_neuro.text_tables import Printed, TextTable

RATES = (0.001, 0.01, 0.1)
"""False-positive rates for which results are printed and saved."""
INTERVAL = (2.5, 97.5)
"""Percentiles of the 95% interval."""


@dataclass(frozen=True)
class MembershipFacts:
    """What was asked, with which shadow networks, and at what cost.

    attack: its name. reveals: the output of the box. ask, asks, size: how and how often every sample was asked about.
    queries: spent on the box. shadows: number of shadow networks, which ran on `substrate`; 0 and None without them.
    dataset: name of the samples.
    """

    attack: str
    reveals: str
    ask: str
    asks: int
    size: float
    steps: int
    seed: int
    samples: int
    queries: int
    shadows: int
    substrate: str | None
    dataset: str


@dataclass(frozen=True)
class Calibration:
    """Scores (N, n) of N shadow networks that were attacked like the target, and their members (N, n).

    problem: why there are none, or None.
    """

    scores: FloatArray | None = None
    members: BoolArray | None = None
    problem: str | None = None


@dataclass(frozen=True, repr=False, eq=False)
class MembershipResult(Printed):
    """A membership attack on one model.

        result.scores                     # (n,): the higher, the more likely a sample was trained on
        result.members_at(0.01)           # (n,): samples that the attacker calls members
        result.auc, result.tpr_at(0.01)   # if the true members are known

    facts: what was asked, and at what cost. members (n,): the true members, or None. calibration: the same attack on
    the shadow networks. `auc`, `auc_interval`, `tpr_at`, `balanced_accuracy`, `epsilon` and `curve` raise InputError if
    the true members are not known.
    """

    scores: FloatArray
    facts: MembershipFacts
    members: BoolArray | None = None
    calibration: Calibration = field(default_factory=Calibration)

    def limit_at(self, false_positive_rate: float) -> float:
        """The score above which the attacker calls a sample a member, at this expected false-positive rate (0..1).

        At most this share of non-members of the shadow networks scores higher, when each is attacked with the others as
        its shadow networks.

        Raises:
            InputError: a rate outside 0..1, no shadow networks, or too few of them.
        """
        scores, members = self.calibration.scores, self.calibration.members
        if scores is None or members is None:
            raise InputError(f"false_positive_rate: {self.calibration.problem}")
        return score_limit(scores, members, false_positive_rate)

    def members_at(self, false_positive_rate: float) -> BoolArray:
        """The samples (n,) that the attacker calls members, at this expected false-positive rate; see `limit_at`."""
        called: BoolArray = self.scores > self.limit_at(false_positive_rate)
        return called

    @cached_property
    def curve(self) -> RocCurve:
        """The ROC curve: false-positive and true-positive rates (1, points)."""
        return roc_curve(self.scores, self._known)

    @property
    def auc(self) -> float:
        """Area under the ROC curve: .5 for guessing."""
        return float(self.curve.auc[0])

    @cached_property
    def auc_interval(self) -> tuple[float, float]:
        """The 95% interval of `auc` over samples (bootstrap). It does not cover the training of other models."""
        areas = roc_curve(self.scores, self._known, pool_weights(len(self.scores))).auc
        low, high = np.percentile(areas, INTERVAL)
        return float(low), float(high)

    @property
    def balanced_accuracy(self) -> float:
        """Mean of true-positive and true-negative rate at the best threshold, which an attacker does not know."""
        return float(self.curve.balanced_accuracy[0])

    @property
    def epsilon(self) -> float:
        """A lower bound on the epsilon of differential privacy; see `bl_neuro.leakage.privacy_bound`.

        It holds if half of the samples, drawn at random, were trained on.
        """
        return epsilon_of_scores(self.scores, self._known)

    def tpr_at(self, false_positive_rate: float) -> float:
        """The largest true-positive rate of a threshold with at most this false-positive rate."""
        if not within(false_positive_rate, 0, 1):
            raise InputError(f"false_positive_rate: expected 0..1, found {false_positive_rate!r}")
        return float(self.curve.true_at(false_positive_rate)[0])

    @property
    def as_json(self) -> dict[str, Any]:
        """The facts, scores, called members and measures; JSON-ready. members: indices of the true members, or None."""
        called = [
            {"false_positive_rate": rate, "limit": self.limit_at(rate), "members": int(self.members_at(rate).sum())}
            for rate in RATES
            if self.calibration.problem is None
        ]
        values: dict[str, Any] = {**asdict(self.facts), "called": called, "members": None, "measures": None}
        if self.members is not None:
            values["members"] = np.flatnonzero(self.members).tolist()
            values["measures"] = {
                "auc": self.auc,
                "auc_interval": list(self.auc_interval),
                "tpr": {str(rate): self.tpr_at(rate) for rate in RATES},
                "balanced_accuracy": self.balanced_accuracy,
                "epsilon": self.epsilon,
            }
        return {**values, "scores": self.scores.tolist()}

    def to_json(self) -> str:
        """`as_json` as text."""
        return json.dumps(self.as_json, indent=2)

    def save(self, path: str | Path, force: bool = False) -> Path:
        """Writes `to_json` to a file, atomically. Returns the path.

        Raises:
            InputError: the file exists, and force is False. ReportError: it cannot be written.
        """
        file = expanded(path)
        need_free([file], force)
        try:
            write_text(file, self.to_json() + "\n")
        except OSError as error:
            raise ReportError(f"{file}: could not be written ({error})") from error
        return file

    def text_parts(self) -> list[str | TextTable]:
        """See `Printed`."""
        facts = self.facts
        shadows = f"{facts.shadows} shadow networks on {facts.substrate}" if facts.shadows else "no shadow networks"
        asks = f"{facts.asks} {facts.ask} ask{'' if facts.asks == 1 else 's'}"
        parts: list[str | TextTable] = [
            f"Membership of {facts.samples:,} samples ({facts.dataset}) by {facts.attack}: {asks} about each, "
            f"{facts.queries:,} queries, answers: {facts.reveals}; {shadows}."
        ]
        if self.members is not None:
            parts.append(self._measures(self.members))
        if self.calibration.problem is None:
            parts.append(self._called())
        else:
            parts.append(f"No sample is called a member: {self.calibration.problem}.")
        return parts

    def _measures(self, members: BoolArray) -> TextTable:
        low, high = self.auc_interval
        title = f"How well scores tell the {int(members.sum()):,} members from the {int((~members).sum()):,} others"
        rows = [
            ["AUC (guessing: 0.500)", fixed(self.auc, 3)],
            ["its 95% interval over samples", f"{fixed(low, 3)}..{fixed(high, 3)}"],
            *([f"members found at {100 * rate:g}% false positives", _percent(self.tpr_at(rate))] for rate in RATES),
            ["balanced accuracy at the best threshold", fixed(self.balanced_accuracy, 3)],
            ["epsilon of differential privacy, at least (95%)", fixed(self.epsilon, 2)],
        ]
        return TextTable(title, ["measure", "value"], rows)

    def _called(self) -> TextTable:
        columns = ["expected false positives", "called members"]
        if self.members is not None:
            columns += ["of them members", "false positives"]
        rows = []
        for rate in RATES:
            called = self.members_at(rate)
            row = [f"{100 * rate:g}%", f"{int(called.sum()):,}"]
            if self.members is not None:
                row += [f"{int((called & self.members).sum()):,}", _percent(float(called[~self.members].mean()))]
            rows.append(row)
        return TextTable("Samples that the attacker calls members", columns, rows, numbers_from=0)

    @property
    def _known(self) -> BoolArray:
        if self.members is None:
            raise InputError("members: the true members are needed for this measure; give bl.attack_membership members")
        return self.members


def _percent(share: float) -> str:
    return f"{fixed(100 * share, 1)}%"
