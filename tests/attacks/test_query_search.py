"""Searches that end early: on request, or without further gain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from bl_neuro import BlackBox, BlNeuroError, WhiteBox
from bl_neuro.attacks import BrainLeaksV1, BrainLeaksV2, OnePlusOneEs, RandomSearch, Status, StopAttack
from bl_neuro.attacks.query_search import QuerySearch, Stopping
from bl_neuro.testing.reference_target import ReferenceTarget, easy_network

SEARCHES: list[type[QuerySearch]] = [BrainLeaksV2, RandomSearch, OnePlusOneEs]


def silent(done: int, total: int) -> None:
    """Ignores progress."""


def run(search: QuerySearch, progress: Any = None, reveals: Any = "counts") -> Any:
    box = BlackBox(ReferenceTarget(easy_network()), reveals)
    return search(box, classes=[0, 1, 2], steps=6, seed=0, progress=progress)


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("stage", [1, 2, 4])
def test_a_stopped_search_keeps_its_best_result(search: type[QuerySearch], stage: int) -> None:
    def stop(done: int, total: int) -> None:
        if done == stage:
            raise StopAttack

    plan = search(queries=96, warm_start=40)
    inversions = run(plan, stop)
    whole = run(plan)
    assert inversions.status is Status.STOPPED
    assert inversions.queries == 40 + (stage - 1) * 3 * plan.population
    assert torch.equal(inversions.trace.objective, whole.trace.objective[:stage])
    assert torch.equal(inversions.trace.rates, whole.trace.rates[:stage])
    assert set(inversions.spikes.unique().tolist()) == {0, 1}


def test_stop_attack_propagates_from_a_white_box_attack() -> None:
    def stop(done: int, total: int) -> None:
        raise StopAttack

    with pytest.raises(StopAttack):
        BrainLeaksV1()(WhiteBox(ReferenceTarget(easy_network())), classes=[0], steps=4, progress=stop)
    assert not issubclass(StopAttack, BlNeuroError)


@pytest.mark.parametrize("reveals", ["scores", "counts", "label"])
def test_ends_without_gain_long_before_its_queries_are_spent(reveals: str) -> None:
    inversions = run(BrainLeaksV2(queries=4096, patience=5), reveals=reveals)
    assert inversions.status is Status.NO_GAIN
    assert inversions.queries_per_class < 1500
    label = BlackBox(ReferenceTarget(easy_network()), "label").query(inversions.spikes)
    assert label.tolist() == [0, 1, 2]


def test_patience_changes_nothing_but_the_end() -> None:
    patient, plain = (run(BrainLeaksV2(queries=256, patience=patience)) for patience in (4, None))
    length = len(patient.trace.queries)
    assert length < len(plain.trace.queries)
    assert torch.equal(patient.trace.rates, plain.trace.rates[:length])


def test_counts_generations_since_the_last_gain() -> None:
    stopping = Stopping(silent, 100, patience=3)
    values = [0.0, 1.0, 2.0, 2.0, 2.0, *[2.0] * 50]
    seen = [stopping.after(stage, np.full(4, value)) for stage, value in enumerate(values)]
    end = seen.index(False)
    mean = np.zeros(end + 1)
    for at in range(1, end + 1):
        mean[at] = 0.7 * mean[at - 1] + 0.3 * values[at]
    best = [mean[0]]
    for value in mean[1:]:
        best.append(value if value > best[-1] + 0.01 else best[-1])
    assert best[end] == best[end - 3] != best[end - 4]
    assert stopping.status is Status.NO_GAIN
