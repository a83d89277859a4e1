"""Computes the cells of `[[membership.replays]]`: the same queries on two substrates, compared bit by bit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bl_neuro.access import BlackBox
from bl_neuro.arrays import IntArray
from bl_neuro.backends import Target
from bl_neuro.data.samples import Samples
from bl_neuro.errors import ExperimentError
from bl_neuro.experiment.boxes import RecordedBox, opened
from bl_neuro.experiment.cell_tools import Tools
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.membership_measures import MemberReplayMeasures
from bl_neuro.experiment.membership_work import pool_of, stored_answers
from bl_neuro.membership.asks import Ask, SampleAnswers, ask_boxes
from bl_neuro.membership.shared_target import SharedTarget
from bl_neuro.model_file import load
from bl_neuro.reveals import Reveals
from bl_neuro.seeding import stream


def replayed(cell: Cell, tools: Tools) -> MemberReplayMeasures:
    """Repeats queries of an audit on another substrate.

    Compared are all answers with those of the first substrate to the same queries, and what the attacks compute from
    them with what the audit stored.
    """
    network, first = cell.needs
    made, asked, outputs = cell.definition, first.definition, cell.definition["reveals"]
    pool = pool_of(tools.material, asked["pool"], asked["pool_seed"])
    chosen = _chosen(made["samples"], made["seed"], pool)
    with opened(load(tools.file(network)), asked["substrate"], asked.get("options")) as target:
        own, _ = _asked(target, outputs, pool, chosen, first)
    target = tools.opened(cell, network.address, made["substrate"])
    other, tables = _asked(target, outputs, pool, chosen, first)
    differs = []
    for reveals, one, two, table in zip(outputs, own, other, tables):
        statistics, probabilities = stored_answers(tools.file(first), reveals)
        kept = np.array_equal(table.statistics, statistics[chosen])
        kept = kept and np.array_equal(table.probabilities, probabilities[chosen])
        if one.digest != two.digest or not kept:
            differs.append(reveals)
    queries = max((box.spent for box in other), default=0)
    return MemberReplayMeasures(samples=len(chosen), queries=queries, identical=not differs, differs=differs)


def _chosen(count: int, seed: int, pool: Samples) -> IntArray:
    """Indices of the samples that are asked about, in increasing order."""
    if count > len(pool.labels):
        raise ExperimentError(
            f"membership.replays: samples: expected at most the {len(pool.labels)} samples of the pool, found {count}"
        )
    return np.sort(stream(seed, "replayed samples").permutation(len(pool.labels))[:count])


def _asked(
    target: Target, outputs: Sequence[Reveals], pool: Samples, chosen: IntArray, first: Cell
) -> tuple[list[RecordedBox], list[SampleAnswers]]:
    """A box of every output, which recorded its answers, and the statistics of these answers."""
    made, shared = first.definition, SharedTarget(target)
    ask = Ask(**made["ask"])
    boxes = [RecordedBox(BlackBox(shared, reveals, ask.count * len(chosen))) for reveals in outputs]
    tables = ask_boxes(boxes, pool, ask, made["steps"], made["seed"], made["encoder"], only=chosen)
    return boxes, tables
