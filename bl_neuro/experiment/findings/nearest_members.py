"""Do inversions resemble the training samples more than other samples of the same class?

Computed from the stored inversions: no attack runs for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bl_neuro.data import Dataset, Split
from bl_neuro.data.split import UNSEEN
from bl_neuro.experiment.cells import TRAINED, Cell
from bl_neuro.experiment.findings.conversion import mean_of
from bl_neuro.experiment.findings.estimates import Mean
from bl_neuro.experiment.findings.nearest_members_models import NearestMembersFinding
from bl_neuro.experiment.findings.pictures import StoredPictures
from bl_neuro.experiment.material import Material
from bl_neuro.experiment.measures import ATTACK, Measures
from bl_neuro.leakage import Likeness, likeness
from bl_neuro.leakage.crossed import crossed_of
from bl_neuro.rounding import fixed

BARELY, CLEARLY = 0.55, 0.7
"""AUC up to which inversions resemble members barely more, and from which on they resemble them clearly more."""


def nearest_members_findings(
    material: Material, cells: Sequence[Cell], measures: Measures, pictures: StoredPictures
) -> list[NearestMembersFinding]:
    """One finding for each row of trained targets, on images whose members and other samples were drawn alike.

    Left out for events, for given models, and where targets and evaluators share samples.
    """
    if not isinstance(material.data, Dataset) or material.split.note != UNSEEN or material.network is not None:
        return []
    rows: dict[tuple[str, str, str], dict[int, list[Cell]]] = {}
    for cell, attacked in ATTACK.finished(cells, measures):
        if cell.plain and cell.facts["target"] == TRAINED and attacked.access != "ann":
            name = (cell.facts["substrate"], cell.facts["attack"], cell.facts["reveals"])
            rows.setdefault(name, {}).setdefault(cell.facts["seed"], []).append(cell)
    measured: dict[tuple[str, str, str], dict[int, Likeness]] = {name: {} for name in rows}
    for seed in dict.fromkeys(seed for by_seed in rows.values() for seed in by_seed):
        for name, by_seed in rows.items():  # all rows of one target at a time, since they share its split
            if seed in by_seed:
                measured[name][seed] = _likeness(material, by_seed[seed], pictures)
    sizes, redrawn = material.split.sizes(), material.part.redraw
    return [
        NearestMembersFinding(
            substrate=name[0],
            attack=name[1],
            reveals=name[2],
            auc=auc,
            aucs={seed: one.auc for seed, one in by_seed.items()},
            members=sizes["target"],
            others=sizes["evaluator"],
            redrawn=redrawn,
            sentence=likeness_sentence(auc),
        )
        for name, by_seed in measured.items()
        for auc in [over_targets(list(by_seed.values()), sizes["target"] + sizes["evaluator"])]
    ]


def _likeness(material: Material, attacks: Sequence[Cell], pictures: StoredPictures) -> Likeness:
    """The AUC of all inversions of one row and target."""
    split: Split[Any] = material.split_at(attacks[0].definition["data"]["split_seed"])
    images = np.concatenate([pictures.images(attack.address) for attack in attacks])
    classes = np.concatenate([attack.definition["classes"] for attack in attacks])
    return likeness(
        images, classes, split.target.pixels, split.target.labels, split.evaluator.pixels, split.evaluator.labels
    )


def over_targets(targets: Sequence[Likeness], samples: int) -> Mean:
    """Mean AUC over targets with its 95% interval, which covers targets and samples; none for a single target.

    Targets that share their samples are crossed with them; where each target drew its own, the draws are independent,
    and the same interval is Student's over targets.
    """
    values, drawn = [target.auc for target in targets], [target.resampled for target in targets]
    estimate = crossed_of(values, np.stack(drawn, axis=1), samples).estimate
    if len(targets) == 1:
        return mean_of(estimate)
    return mean_of(replace(estimate, low=max(estimate.low, 0.0), high=min(estimate.high, 1.0)))


def likeness_sentence(auc: Mean) -> str:
    """What an AUC and its interval say about single samples."""
    value = f"AUC {fixed(auc.value, 3)}"
    if auc.low is None or auc.high is None:
        return f"{value}, of one target, which gives no interval."
    interval = f"{value}, 95% interval {fixed(auc.low, 3)} to {fixed(auc.high, 3)}"
    if auc.low <= 0.5 <= auc.high:
        return f"Not shown to resemble training samples more than other samples of their class ({interval})."
    if auc.value < 0.5:
        return f"Resemble training samples less than other samples of their class ({interval})."
    word = "barely" if auc.value < BARELY else "clearly" if auc.value >= CLEARLY else "somewhat"
    return f"Resemble training samples {word} more than other samples of their class ({interval})."
