"""Boundary repulsion: the start, the move, the growth of the sphere, and pixels as its space."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bl_neuro import BlackBox, InputError
from bl_neuro.access import Reveals
from bl_neuro.arrays import FloatArray
from bl_neuro.attacks import Brep
from bl_neuro.attacks.boundary_repulsion import SearchSpace, _Run
from bl_neuro.attacks.brep import PixelSpace
from bl_neuro.attacks.image_prior import ImagePrior
from bl_neuro.attacks.rate_oracle import RateOracle
from bl_neuro.seeding import stream
from bl_neuro.testing.reference_target import ReferenceTarget, easy_images, easy_network


class Line(SearchSpace):
    """Points on a line, and directions that alternate between both ways."""

    most = 1.0

    def points(self, count: int) -> FloatArray:
        return np.linspace(-0.3, 0.3, count)[:, None] if count > 1 else np.zeros((1, 1))

    def directions(self, count: int, classes: int) -> FloatArray:
        return np.tile((-1.0) ** np.arange(count)[:, None, None], (1, classes, 1))

    def inside(self, points: FloatArray) -> FloatArray:
        return np.clip(points, -5, 5)

    def images(self, points: FloatArray) -> FloatArray:
        return points


class HalfLine(RateOracle):
    """Assigns points above 0 to class 0 and the others to class 1."""

    def __init__(self) -> None:
        super().__init__(BlackBox(ReferenceTarget(easy_network())), [0], 1, stream(0, "test"))
        self.input_shape = (1,)
        self.asked: list[float] = []

    def evidence(self, frames: FloatArray) -> FloatArray:
        self.asked += frames.ravel().tolist()
        above = frames.ravel() > 0
        return np.stack([above, ~above], axis=1).astype(np.float64)

    def course(self) -> Any:
        class Silent:
            def add(self, *_: object) -> None:
                pass

        return Silent()


def run(centre: float, radius: float, **settings: Any) -> tuple[_Run, HalfLine]:
    oracle = HalfLine()
    state = _Run(Brep(radius=radius, step=1.5, **settings), oracle, Line(), 0)
    state.centres, state.accepted = np.array([[centre]]), np.array([centre > 0])
    return state, oracle


def test_moves_away_from_the_points_outside() -> None:
    state, oracle = run(0.1, 0.2)
    state.round(5)  # four points: two at 0.3 inside, two at -0.1 outside
    assert oracle.asked[:4] == pytest.approx([0.3, -0.1, 0.3, -0.1])
    moved = 0.1 + 1.5 * 0.2 * 0.5  # half of the directions were outside, all of them -1
    assert oracle.asked[4] == pytest.approx(moved)
    assert state.centres[0, 0] == pytest.approx(moved)
    assert state.radii[0] == 0.2


def test_grows_the_sphere_while_all_points_are_inside() -> None:
    state, _ = run(0.5, 0.2)
    state.round(5)
    assert (state.centres[0, 0], state.radii[0]) == (0.5, pytest.approx(0.26))
    state.radii[:] = 0.9
    state.centres[:] = 3.0
    state.round(5)
    assert state.radii[0] == Line.most


def test_a_class_that_no_point_started_jumps_to_the_first_point_inside() -> None:
    state, _ = run(-0.1, 0.2)
    state.round(5)
    assert state.accepted[0]
    assert state.centres[0, 0] == pytest.approx(0.1)
    lost, _ = run(-0.9, 0.2)
    lost.round(5)
    assert not lost.accepted[0]
    assert (lost.centres[0, 0], lost.radii[0]) == (-0.9, 0.2)


def test_starts_at_the_first_random_point_inside() -> None:
    oracle = HalfLine()
    state = _Run(Brep(warm_start=7), oracle, Line(), 0)
    assert state.warm_up()
    assert state.centres[0, 0] == pytest.approx(0.1)
    assert len(oracle.asked) == 7


def test_pixels_stay_in_range_and_directions_have_unit_size() -> None:
    space = PixelSpace(ImagePrior((1, 6, 6), 1.0, 2.0, None), np.random.default_rng(0))
    directions = space.directions(4, 3)
    assert directions.shape == (4, 3, 1, 6, 6)
    assert np.allclose(np.square(directions).mean(axis=(2, 3, 4)), 1)
    neighbours = (directions[..., 1:] * directions[..., :-1]).mean()
    assert neighbours > 0.3
    points = space.points(5)
    assert points.shape == (5, 1, 6, 6)
    assert 0 <= points.min() <= points.max() <= 1
    assert space.inside(np.array([-1.0, 0.5, 2.0])).tolist() == [0, 0.5, 1]


@pytest.mark.parametrize("reveals", ["label", "counts"])
def test_finds_what_the_target_accepts(reveals: Reveals) -> None:
    plan = Brep(queries=80, warm_start=30, points=7, blur=0.0)
    inversions = plan(BlackBox(ReferenceTarget(easy_images()), reveals), classes=[2, 1, 2], steps=10)
    assert inversions.images.mean(3)[:, 0].argmax(1).tolist() == [2, 1, 2]
    assert inversions.queries == plan.planned_queries(3) == 270
    assert bool((inversions.trace.objective[-1] > plan.radius).all())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"queries": 0}, "queries: expected a whole number of at least 1"),
        ({"points": 0}, "points: expected a whole number of at least 1"),
        ({"growth": 1.0}, "growth: expected above 1"),
        ({"radius": 0.0}, "radius: expected above 0"),
        ({"step": 1e9}, "step: expected above 0, at most 1000"),
        ({"window": 0.0}, "window: expected above 0 pixels"),
    ],
)
def test_refuses(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Brep(**changes)


def test_labels_are_what_it_uses() -> None:
    assert Brep.reveals == ("label",)
