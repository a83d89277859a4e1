"""Zero-query baselines, and the advantage of each attack over the best of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from bl_neuro.experiment.baseline_cells import chosen_baselines
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.definition import Experiment
from bl_neuro.experiment.findings.conversion import mean_of
from bl_neuro.experiment.findings.estimates import BaselineFinding, Mean
from bl_neuro.experiment.findings.margins import UNINFORMED
from bl_neuro.experiment.findings.models import AuditRow, EvaluatorMeasures
from bl_neuro.experiment.material import Material
from bl_neuro.experiment.measures import BASELINE_JUDGEMENT, BaselineJudgementMeasures, Measures
from bl_neuro.leakage import Estimate, advantage, hit_bootstrap
from bl_neuro.leakage.baseline_registry import BASELINES, PRIOR, PRIOR_KNOWLEDGE, PRIOR_TITLE
from bl_neuro.leakage.crossed import crossed_of, pool_weights


def baseline_findings(
    experiment: Experiment, material: Material, cells: Sequence[Cell], measures: Measures, rows: Sequence[AuditRow]
) -> list[BaselineFinding]:
    """Every baseline under every evaluator: pictures from public knowledge, then the prior of each attack."""
    groups: dict[tuple[str, ...], list[tuple[Cell, BaselineJudgementMeasures]]] = {}
    for cell, judgement in BASELINE_JUDGEMENT.finished(cells, measures):
        key = tuple(str(cell.facts[name]) for name in ("baseline", "layout", "evaluator"))
        groups.setdefault(key, []).append((cell, judgement))
    found = [_pictures(group[0][0], [judgement for _, judgement in group]) for group in groups.values()]
    if PRIOR in chosen_baselines(experiment, material).apply:
        found += [
            _prior(row, evaluator, judged)
            for row in rows
            if row.target in UNINFORMED
            for evaluator, judged in row.evaluators.items()
        ]
    return found


def left_out_baselines(experiment: Experiment, material: Material) -> dict[str, str]:
    """The baselines that do not apply, each with the reason."""
    return chosen_baselines(experiment, material).left_out


def _pictures(cell: Cell, judged: Sequence[BaselineJudgementMeasures]) -> BaselineFinding:
    """The pictures of one baseline under an evaluator. judged: by each training of the evaluator."""
    kind = BASELINES.find(cell.facts["baseline"])
    rejected = [np.mean(judgement.rejected) for judgement in judged if judgement.rejected is not None]
    return BaselineFinding(
        baseline=kind.name,
        title=kind.title,
        layout=cell.facts["layout"],
        knowledge=kind.knowledge,
        evaluator=cell.facts["evaluator"],
        attack=None,
        reveals=None,
        attack_accuracy=mean_of(_accuracy(judged)),
        rejected=float(np.mean(rejected)) if rejected else None,
    )


def _accuracy(judged: Sequence[BaselineJudgementMeasures]) -> Estimate:
    """Attack accuracy with its interval over renderings or, if several evaluators judged the same pictures, over both.

    Renderings and evaluators are then crossed random factors; see `leakage.crossed`.
    """
    hits = np.array([judgement.hits for judgement in judged], dtype=float)
    by_rendering = hits.reshape(len(judged), judged[0].renderings, -1)
    if len(judged) == 1 or hits.min() == hits.max():
        return hit_bootstrap(list(by_rendering[0]))
    table = by_rendering.mean(axis=2)
    resampled = pool_weights(table.shape[1]) @ table.T / table.shape[1]
    both = crossed_of(table.mean(axis=1), resampled, table.shape[1]).estimate
    low, high = max(0.0, both.low), min(1.0, both.high)
    return replace(both, low=low, high=high, seeds=table.shape[1], n=hits.size)


def _prior(row: AuditRow, evaluator: str, judged: EvaluatorMeasures) -> BaselineFinding:
    return BaselineFinding(
        baseline=PRIOR,
        title=PRIOR_TITLE,
        layout=None,
        knowledge=PRIOR_KNOWLEDGE,
        evaluator=evaluator,
        attack=row.attack,
        reveals=row.reveals,
        attack_accuracy=judged.attack_accuracy,
        rejected=judged.rejected,
    )


def with_advantages(
    rows: Sequence[AuditRow], baselines: Sequence[BaselineFinding], unfinished: Collection[str] = ()
) -> list[AuditRow]:
    """The rows; those of targets that can leak with the best baseline and the advantage under each evaluator.

    unfinished: evaluators whose best baseline is not known yet; there is no advantage under them. The best baseline is
    that with the highest attack accuracy under the same evaluator, among all pictures from public knowledge and the
    prior of the same attack with the same output.
    """
    known = [baseline for baseline in baselines if baseline.evaluator not in unfinished]
    return [row.model_copy(update={"evaluators": _compared(row, known)}) if row.own else row for row in rows]


def _compared(row: AuditRow, baselines: Sequence[BaselineFinding]) -> dict[str, EvaluatorMeasures]:
    compared = {}
    for evaluator, judged in row.evaluators.items():
        usable = [
            baseline
            for baseline in baselines
            if baseline.evaluator == evaluator
            and (baseline.attack is None or (baseline.attack, baseline.reveals) == (row.attack, row.reveals))
        ]
        best = max(usable, key=lambda baseline: baseline.attack_accuracy.value, default=None)
        compared[evaluator] = judged if best is None else _against(judged, best)
    return compared


def _against(judged: EvaluatorMeasures, best: BaselineFinding) -> EvaluatorMeasures:
    gained = advantage(_estimate(judged.attack_accuracy), _estimate(best.attack_accuracy))
    return judged.model_copy(
        update={
            "baseline": best.name,
            "knowledge": best.knowledge,
            "baseline_accuracy": best.attack_accuracy,
            "advantage": mean_of(gained),
        }
    )


def _estimate(mean: Mean) -> Estimate:
    """A mean as an estimate; the unknown end of an interval is that of the range."""
    low, high = (default if end is None else end for end, default in ((mean.low, 0.0), (mean.high, 1.0)))
    return Estimate(mean.value, low, high, mean.seeds, mean.n)
