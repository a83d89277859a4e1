"""Every registered evaluator passes the contract suite."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from bl_neuro.data import Split
from bl_neuro.errors import InputError
from bl_neuro.testing.evaluator_contract import EvaluatorContract
from bl_neuro.training import EVALUATORS, AuthorsEvaluator, train_evaluator


class TestConv(EvaluatorContract):
    kind = "conv"
    settings: ClassVar[dict[str, Any]] = {"epochs": 20}


@pytest.mark.slow
class TestSpiking(EvaluatorContract):
    kind = "spiking"
    settings: ClassVar[dict[str, Any]] = {"epochs": 20}


@pytest.mark.slow
class TestAuthors(EvaluatorContract):
    kind = "authors"
    settings: ClassVar[dict[str, Any]] = {"epochs": 20, "rate": 0.005, "batch": 16}


class TestSvm(EvaluatorContract):
    kind = "svm"


class TestForest(EvaluatorContract):
    kind = "forest"
    settings: ClassVar[dict[str, Any]] = {"trees": 20}


class TestNeighbours(EvaluatorContract):
    kind = "neighbours"


def test_every_evaluator_of_ours_is_tested_here() -> None:
    assert {suite.kind for suite in EvaluatorContract.__subclasses__()} >= set(EVALUATORS.ours)


def test_the_authors_evaluator_looks_at_the_order_of_spikes(few: Split) -> None:
    evaluator = train_evaluator(few.evaluator, kind="authors", steps=6, epochs=1)
    spikes = few.test.spikes(slice(8), 6, np.random.default_rng(0))
    assert not np.allclose(evaluator.probabilities(spikes), evaluator.probabilities(spikes[::-1]))


def test_the_authors_evaluator_has_their_layers_at_their_size() -> None:
    assert AuthorsEvaluator((1, 28, 28), 10).last.in_features == 24 * 4 * 4


@pytest.mark.parametrize("settings", [{"rate": 0.0}, {"rate": 1.5}, {"batch": 0}, {"epochs": -1}])
def test_invalid_settings_are_refused(settings: dict[str, Any], few: Split) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        train_evaluator(few.evaluator, kind="authors", **settings)
