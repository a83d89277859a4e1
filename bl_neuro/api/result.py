"""The result of an audit: its findings, tables, inversions and report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bl_neuro.api import tables
from bl_neuro.attacks import Inversions, load_inversions
from bl_neuro.drawing import Picture, image_grid
from bl_neuro.errors import InputError, ModelFileError
from bl_neuro.experiment.findings.estimates import Mean
from bl_neuro.experiment.findings.models import OWN, AuditCell, Findings
from bl_neuro.experiment.findings.pictures import CellPictures
from bl_neuro.experiment.running.runner import Failure
from bl_neuro.experiment.store import Store
from bl_neuro.report.answer import audit_answer
from bl_neuro.report.page import REPORT
from bl_neuro.report.thumbnails import is_ink
from bl_neuro.report.words import view
from bl_neuro.rounding import fixed

if TYPE_CHECKING:
    from pandas import DataFrame

MOST_SHOWN = 10
"""Maximum number of classes that `show` draws, and of rows that are printed."""


@dataclass(frozen=True, repr=False, eq=False)
class AuditResult:
    """A finished audit.

        audit = bl.audit("demo")
        audit.rows                                   # a pandas DataFrame: attack accuracy by substrate and attack
        audit.verdicts                               # a pandas DataFrame: the verdict on each pair of substrates
        audit.inversion(attack="v2", substrate="loihi", label=3).show()
        audit.report                                 # the path of report.html

    findings: all results, as in `results.json`. folder: the folder of the results. failures: cells that failed in this
    run. left_out: number of cells that were not run because they depend on a failed cell. damaged: results that were
    computed again. copied: number of trained networks and evaluators that this run copied from the cache.
    """

    findings: Findings
    folder: Path
    failures: Sequence[Failure] = ()
    left_out: int = 0
    damaged: Sequence[str] = ()
    pictures: CellPictures | None = None
    """Class means and inversions; None for an audit that was loaded from a folder."""
    copied: int = 0

    @property
    def report(self) -> Path:
        """The path of report.html, which opens in any browser."""
        return self.folder / REPORT

    @property
    def complete(self) -> bool:
        """Whether every cell of the experiment is done."""
        return self.findings.cells.done == self.findings.cells.planned

    @property
    def answer(self) -> str:
        """How much leaks and whether the substrate changes that, in a few sentences."""
        answer = audit_answer(self.findings)
        return f"{answer.leakage}\n{answer.question} {answer.word}. {answer.lead}"

    @cached_property
    def rows(self) -> DataFrame:
        """Leakage: one row per target, substrate, attack, output (`reveals`) and evaluator, with 95% intervals.

        seeds: number of independent units that means and intervals are over: target seeds or, for one given model,
        restarts.
        """
        return tables.rows_table(self.findings)

    @cached_property
    def verdicts(self) -> DataFrame:
        """Differences: one row per attack, output (`reveals`), evaluator, measure and pair of substrates.

        difference, low, high: first minus second, with its 95% interval. seeds: as in `rows`.
        """
        return tables.verdicts_table(self.findings)

    @cached_property
    def membership(self) -> DataFrame:
        """Membership inference: one row per attack, deployment, output and ask, with 95% intervals.

        Empty without `[membership]`.
        """
        return tables.membership_table(self.findings)

    @cached_property
    def inversions_table(self) -> DataFrame:
        """One row per inversion and evaluator."""
        return tables.inversions_table(self.findings)

    def inversion(
        self,
        attack: str,
        substrate: str | None = None,
        *,
        reveals: str | None = None,
        seed: int | None = None,
        restart: int = 0,
        label: int | None = None,
        target: str | None = None,
        rung: str | None = None,
        mitigation: str | None = None,
    ) -> Inversions:
        """The inversions of one attack on one target, or only the one of class `label`. Notebooks display them.

        attack: its label in the tables. For substrate, reveals and seed, None means the first in the tables. target:
        "trained" or "given" by default, or the kind of a control. rung: a step of the deployment ladder. mitigation: a
        defence of the deployment.

        Raises:
            InputError: there is no such attack. ModelFileError: its file is missing or damaged.
        """
        wanted = {
            "attack": attack, "substrate": substrate, "reveals": reveals, "seed": seed, "restart": restart,
            "target": target,
        }  # fmt: skip
        for cell in self.findings.inversions:
            stated = (value is None or getattr(cell, name) == value for name, value in wanted.items())
            own = target is not None or cell.target in OWN
            if all(stated) and own and (cell.rung, cell.mitigation) == (rung, mitigation):
                return self._of_class(cell, label)
        known = self.findings.inversions
        attacks = ", ".join(dict.fromkeys(cell.attack for cell in known)) or "none"
        substrates = ", ".join(dict.fromkeys(cell.substrate for cell in known)) or "none"
        asked = ", ".join(f"{name} {value!r}" for name, value in wanted.items() if value is not None)
        raise InputError(f"inversion: no inversions of {asked}; expected attacks {attacks} on substrates {substrates}")

    def _of_class(self, cell: AuditCell, label: int | None) -> Inversions:
        inversions = self._load(cell)
        if label is None:
            return inversions
        if label not in cell.classes:
            raise InputError(f"label: expected one of {cell.classes}, found {label}")
        return inversions.select(cell.classes.index(label))

    def show(self) -> Picture:
        """A picture of the class means and the first inversions of each attack and substrate. Notebooks display it.

        Raises:
            InputError: no attack is finished. ModelFileError: a file of inversions is missing or damaged.
        """
        labels = self.findings.dataset.inverted[:MOST_SHOWN]
        shape = self.findings.dataset.shape
        rows: dict[str, Any] = {}
        if self.pictures is not None:
            rows["class mean"] = self.pictures.class_means[labels]
        for cell in self._first_cells():
            images = self._load(cell).images[: len(labels)].double().numpy()
            rows.setdefault(f"{view(cell.attack, cell.reveals)}, {cell.substrate}", images.reshape(-1, *shape))
        if not rows:
            raise InputError(f"{self.folder}: no attack of this audit is finished yet; run the audit first")
        if shape[0] > 3:
            rows = {name: images.mean(axis=1) for name, images in rows.items()}
        ink = True if self.pictures is None else is_ink(np.asarray(self.pictures.class_means))
        return image_grid(rows, [self.findings.dataset.class_names[label] for label in labels], ink=ink)

    def _first_cells(self) -> list[AuditCell]:
        """The first attack on the first target of each row, without controls."""
        first: dict[tuple[str, str, str], AuditCell] = {}
        for cell in self.findings.inversions:
            if cell.target in OWN and cell.rung is None and cell.mitigation is None:
                first.setdefault((cell.attack, cell.reveals, cell.substrate), cell)
        return sorted(first.values(), key=lambda cell: (cell.attack, cell.reveals))

    def _load(self, cell: AuditCell) -> Inversions:
        result = Store(self.folder).read(cell.address)
        if result is None or result.tensors is None:
            raise ModelFileError(
                f"{self.folder}: the inversions of cell {cell.address} no longer exist; run the audit again"
            )
        return load_inversions(result.tensors)

    def __repr__(self) -> str:
        findings = self.findings
        done, planned = findings.cells.done, findings.cells.planned
        lines = [f"<AuditResult {findings.name}: {done} of {planned} cells, {self.folder}>", self.answer]
        for row in findings.rows[:MOST_SHOWN]:
            judged = row.evaluators.get(findings.judge)
            accuracy = "not done" if judged is None else f"attack accuracy {_with_interval(judged.attack_accuracy)}"
            control = "" if row.target in OWN else f" ({row.target})"
            lines.append(f"  {view(row.attack, row.reveals)} on {row.substrate}{control}: {accuracy}")
        if len(findings.rows) > MOST_SHOWN:
            lines.append(f"  and {len(findings.rows) - MOST_SHOWN} more rows")
        if findings.rows:
            lines.append(f"  evaluator {findings.judge}; 95% intervals over {findings.unit}s in brackets")
        if findings.overlap is not None:
            lines.append(findings.overlap.sentence)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        columns = ["target", "substrate", "attack", "reveals", "evaluator"]
        columns += ["attack_accuracy", "attack_accuracy_low", "attack_accuracy_high", "confidence"]
        table = self.rows[columns].to_html(index=False, float_format=lambda value: f"{value:.2f}", border=0)
        overlap = "" if self.findings.overlap is None else f"<p>{escape(self.findings.overlap.sentence)}</p>"
        return f"<p><b>{escape(self.findings.name)}</b>: {escape(self.answer)}</p>{table}{overlap}"


def _with_interval(mean: Mean) -> str:
    if mean.low is None or mean.high is None:
        return f"{fixed(mean.value, 2)} [no interval]"
    return f"{fixed(mean.value, 2)} [{fixed(mean.low, 2)}, {fixed(mean.high, 2)}]"
