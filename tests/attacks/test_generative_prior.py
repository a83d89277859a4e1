"""The search in the latent space of a decoder of public images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bl_neuro import BlackBox, InputError
from bl_neuro.access import Reveals
from bl_neuro.attacks import AuxiliaryBox, BrepPrior, GenerativePrior, Status
from bl_neuro.testing.reference_target import ReferenceTarget, easy_images

ROWS = np.repeat(np.eye(3)[:, :, None], 4, axis=2)[:, None]
IMAGES = ROWS[np.arange(30) % 3] * np.linspace(0.6, 1.0, 30)[:, None, None, None]
"""Images of one bright row: of the inputs that excite one class of `easy_images`."""


@pytest.fixture(autouse=True)
def _library() -> None:
    pytest.importorskip("cmaes")


def box(reveals: Reveals = "counts", budget: int | None = None, images: Any = IMAGES) -> AuxiliaryBox:
    return AuxiliaryBox(BlackBox(ReferenceTarget(easy_images()), reveals, budget), images)


SMALL: dict[str, Any] = {"warm_start": 24, "latent": 2, "hidden": 16, "training_steps": 300}


@pytest.mark.parametrize("reveals", ["membrane", "scores", "spikes", "counts", "label"])
def test_finds_the_image_of_each_class(reveals: Reveals) -> None:
    plan = GenerativePrior(queries=24, population=6, **SMALL)
    inversions = plan(box(reveals), classes=[2, 0, 1], steps=6)
    rows = inversions.images.mean(3)[:, 0]
    assert rows.argmax(1).tolist() == [2, 0, 1]
    assert inversions.queries == plan.planned_queries(3) == 24 + 72
    assert plan.assumptions(box()) == ["the inputs resemble 30 images that the attacker has"]


def test_labels_move_the_search_with_boundary_repulsion_too() -> None:
    plan = BrepPrior(queries=24, points=5, **SMALL)
    inversions = plan(box("label"), classes=[2, 0, 1], steps=6)
    assert inversions.images.mean(3)[:, 0].argmax(1).tolist() == [2, 0, 1]
    assert inversions.queries == 24 + 72
    assert bool((inversions.trace.objective[-1] > plan.radius).any())


def test_images_are_drawn_by_the_decoder_alone() -> None:
    plan = GenerativePrior(queries=6, population=6, **{**SMALL, "training_steps": 100})
    dark, bright = (
        plan(box(images=np.full_like(IMAGES, grey)), classes=[0, 1, 2], steps=6).rates for grey in (0.0, 1.0)
    )
    assert dark is not None
    assert bright is not None
    assert float(dark.mean()) + 0.2 < float(bright.mean())


@pytest.mark.parametrize(("budget", "spent"), [(1, 1), (20, 19), (60, 60), (95, 93)])
def test_never_spends_more_than_the_budget(budget: int, spent: int) -> None:
    plan = GenerativePrior(queries=24, population=6, **{**SMALL, "training_steps": 2})
    inversions = plan(box(budget=budget), classes=[2, 0, 1], steps=6)
    assert inversions.status is Status.BUDGET_SPENT
    assert inversions.queries <= budget
    assert inversions.queries == spent
    fitted = GenerativePrior().within(100, 3)
    assert (fitted.warm_start, fitted.queries, fitted.planned_queries(3)) == (50, 16, 98)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"population": 3}, "population: expected a whole number of at least 4"),
        ({"latent": 1}, "latent: expected a whole number of at least 2"),
        ({"training_steps": 0}, "training_steps: expected a whole number of at least 1"),
        ({"sigma": 0.0}, "sigma: expected above 0"),
        ({"prior_weight": -1.0}, "prior_weight: expected at least 0"),
    ],
)
def test_refuses(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        GenerativePrior(**changes)
