"""The findings of an audit as pandas DataFrames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bl_neuro.experiment.findings.estimates import Mean
from bl_neuro.experiment.findings.models import Findings

if TYPE_CHECKING:
    from pandas import DataFrame

ROW = ("target", "substrate", "attack", "reveals")
ROW_COLUMNS = (
    *ROW, "access", "evaluator", "seeds", "inversions", "attack_accuracy", "attack_accuracy_low",
    "attack_accuracy_high", "baseline", "baseline_accuracy", "advantage", "advantage_low", "advantage_high", "rejected",
    "confidence", "confidence_low", "confidence_high", "target_accuracy", "target_success",
    "queries_per_class",
)  # fmt: skip
VERDICT_COLUMNS = (
    "attack", "reveals", "evaluator", "measure", "first", "second", "verdict", "difference", "low", "high", "p",
    "adjusted_p", "p_equivalent", "adjusted_p_equivalent", "margin", "seeds", "seeds_needed", "identical",
)  # fmt: skip
INVERSION_COLUMNS = (
    *ROW, "seed", "restart", "rung", "mitigation", "class", "class_name", "evaluator", "hit", "confidence",
    "target_answer", "queries", "status", "address",
)  # fmt: skip


MEMBERSHIP_COLUMNS = (
    "substrate", "mitigation", "reveals", "ask", "attack", "shadows", "targets", "samples", "queries", "members_right",
    "others_right",
)  # fmt: skip
MEMBERSHIP_MEASURES = ("auc", "tpr_at_1", "tpr_at_01", "balanced_accuracy", "epsilon", "null_auc", "null_tpr_at_1")


def membership_table(findings: Findings) -> DataFrame:
    """One row per membership attack, deployment, output and ask: means with 95% intervals over targets and pool."""
    rows = [] if findings.membership is None else findings.membership.rows
    values = [
        {
            **{name: getattr(row, name) for name in MEMBERSHIP_COLUMNS},
            **{key: end for name in MEMBERSHIP_MEASURES for key, end in _interval(name, getattr(row, name)).items()},
        }
        for row in rows
    ]
    named = [column for name in MEMBERSHIP_MEASURES for column in (name, f"{name}_low", f"{name}_high")]
    return _table(values, (*MEMBERSHIP_COLUMNS, *named))


def rows_table(findings: Findings) -> DataFrame:
    """One row per target, substrate, attack, output and evaluator: means with 95% intervals.

    seeds: number of independent units: target seeds or, for one given model, restarts.
    """
    return _table(_row_values(findings), ROW_COLUMNS)


def verdicts_table(findings: Findings) -> DataFrame:
    """One row per attack, output, evaluator, measure and pair of substrates. difference: first minus second."""
    return _table(_verdict_values(findings), VERDICT_COLUMNS)


def inversions_table(findings: Findings) -> DataFrame:
    """One row per inversion and evaluator."""
    return _table(_inversion_values(findings), INVERSION_COLUMNS)


def _table(values: list[dict[str, Any]], columns: tuple[str, ...]) -> DataFrame:
    from pandas import DataFrame

    return DataFrame(values, columns=list(columns))


def _row_values(findings: Findings) -> list[dict[str, Any]]:
    values: list[dict[str, Any]] = []
    for row in findings.rows:
        facts = {name: getattr(row, name) for name in (*ROW, "access", "queries_per_class")}
        facts["target_accuracy"] = None if row.target_accuracy is None else row.target_accuracy.value
        facts["target_success"] = None if row.target_success is None else row.target_success.value
        if not row.evaluators:
            values.append({**facts, "seeds": 0, "inversions": 0})
        for name, judged in row.evaluators.items():
            accuracy = judged.attack_accuracy
            values.append(
                {
                    **facts,
                    "evaluator": name,
                    "seeds": accuracy.seeds,
                    "inversions": accuracy.n,
                    **_interval("attack_accuracy", accuracy),
                    "baseline": judged.baseline,
                    "baseline_accuracy": None if judged.baseline_accuracy is None else judged.baseline_accuracy.value,
                    **({} if judged.advantage is None else _interval("advantage", judged.advantage)),
                    "rejected": judged.rejected,
                    **_interval("confidence", judged.confidence),
                }
            )
    return values


def _interval(name: str, estimate: Mean) -> dict[str, float | None]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _verdict_values(findings: Findings) -> list[dict[str, Any]]:
    return [
        {
            **{name: getattr(comparison, name) for name in ("attack", "reveals", "evaluator", "measure")},
            "first": ", ".join(comparison.first),
            "second": ", ".join(comparison.second),
            "difference": comparison.verdict.difference.value,
            "low": comparison.verdict.difference.low,
            "high": comparison.verdict.difference.high,
            "seeds": comparison.verdict.difference.seeds,
            **{name: getattr(comparison.verdict, name) for name in ("verdict", "p", "adjusted_p", "p_equivalent")},
            **{
                name: getattr(comparison.verdict, name)
                for name in ("adjusted_p_equivalent", "margin", "seeds_needed", "identical")
            },
        }
        for comparison in findings.verdicts
    ]


def _inversion_values(findings: Findings) -> list[dict[str, Any]]:
    values: list[dict[str, Any]] = []
    names = findings.dataset.class_names
    for cell in findings.inversions:
        shared = {
            name: getattr(cell, name)
            for name in (*ROW, "seed", "restart", "rung", "mitigation", "queries", "status", "address")
        }
        for place, label in enumerate(cell.classes):
            answer = None if cell.target_answers is None else cell.target_answers[place]
            facts = {**shared, "class": label, "class_name": names[label], "target_answer": answer}
            values += [
                {**facts, "evaluator": name, "hit": judged.hits[place], "confidence": judged.confidence[place]}
                for name, judged in cell.evaluators.items()
            ] or [facts]
    return values
