"""Boundary repulsion: moves a point away from a class's decision boundary, from predicted labels alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch

from bl_neuro.arrays import FloatArray
from bl_neuro.attacks.base import Access, Attack, Box, Progress
from bl_neuro.attacks.fitness import named
from bl_neuro.attacks.inversions import Inversions, Status
from bl_neuro.attacks.query_search import Stopping, keeping
from bl_neuro.attacks.rate_oracle import RateOracle
from bl_neuro.attacks.warm_start import affordable_probes

LARGEST = 1e3
"""Maximum of settings that are lengths."""


class SearchSpace(ABC):
    """The space in which points move: pixels, or the latent vectors of a decoder. `most` is the largest radius."""

    most: float

    @abstractmethod
    def points(self, count: int) -> FloatArray:
        """Random points, (count, *space)."""

    @abstractmethod
    def directions(self, count: int, classes: int) -> FloatArray:
        """Random directions (count, classes, *space) whose coordinates have a mean square of 1."""

    @abstractmethod
    def inside(self, points: FloatArray) -> FloatArray:
        """The nearest valid points."""

    @abstractmethod
    def images(self, points: FloatArray) -> FloatArray:
        """Images (..., *input_shape) in 0..1 of points (..., *space)."""


@dataclass(frozen=True, kw_only=True)
class BoundaryRepulsion(Attack[Box]):
    """Base class of attacks that move each class's point away from its decision boundary.

    The point c starts at the first random point that the target assigns to the class. In each round the target labels
    N points c + r u_i, where the u_i are random directions. If all belong to the class, r grows by the factor `growth`.
    Otherwise c moves by step r m / N, where m is minus the sum of the directions of the points outside: away from the
    boundary. c only moves to a point that the target assigns to the class, which costs one more query. If no point
    belongs to the class, r shrinks by the same factor. A class that no random point belonged to starts at the first
    point of its rounds that does.

    queries: per class, after the warm start. warm_start: number of random points, shared by all classes. points: N.
    radius: the first r, as the root mean square of the change of a coordinate. growth, step: see above.

    Of a box that reveals more than labels, the predicted classes are used. The inversion is the last c, as a rate code.
    The objective in the trace is r.

    From the paper: the estimator, the growth of the sphere and the rule that all points must belong to the class.
    Chosen here: random points shared by all classes, the check of c, the shrinking, and all values. It was
    not compared with the authors' code.

    Source: BREP-MI, Kahla et al. 2022 (arXiv 2203.01925), which searches the latent space of a generative network.
    """

    access: ClassVar[Access] = "black_box"
    reveals: ClassVar[tuple[str, ...]] = ("label",)

    queries: int = 512
    warm_start: int = 640
    points: int = 15
    radius: float = 0.2
    growth: float = 1.3
    step: float = 2.0

    def problems(self) -> list[str]:
        """See `Attack.problems`."""
        fewest = {"queries": 1, "warm_start": 0, "points": 1}
        counts = [
            f"{name}: expected a whole number of at least {low}, found {getattr(self, name)}"
            for name, low in fewest.items()
            if getattr(self, name) < low
        ]
        lengths = [
            f"{name}: expected above {low}, at most {LARGEST:g}, found {getattr(self, name)}"
            for name, low in {"radius": 0, "growth": 1, "step": 0}.items()
            if not low < getattr(self, name) <= LARGEST
        ]
        return [*super().problems(), *counts, *lengths]

    def planned_queries(self, classes: int) -> int:
        """See `Attack.planned_queries`."""
        return self.warm_start + self.queries * classes

    def within(self, budget: int, classes: int) -> BoundaryRepulsion[Box]:
        """See `Attack.within`: the warm start uses at most half of the budget, and the classes share the rest."""
        warm_start = min(self.warm_start, budget // 2)
        return replace(self, warm_start=warm_start, queries=max(1, (budget - warm_start) // classes))

    def search(self, oracle: RateOracle, space: SearchSpace, seed: int, progress: Progress) -> Inversions:
        """Runs the attack in `space`."""
        rounds = -(-self.queries // (self.points + 1))
        run, stopping = _Run(self, oracle, space, seed), Stopping(progress, rounds + 1, None)
        with keeping(lambda: run.result(Status.STOPPED)):
            whole = run.warm_up()
            stopping.after(1)
            for number in range(rounds if stopping.status is None else 0):
                wanted = min(self.points + 1, self.queries - number * (self.points + 1))
                size = oracle.affordable(wanted, len(oracle.classes))
                whole = whole and size == wanted
                if size == 0:
                    break
                run.round(size)
                if not stopping.after(number + 2):
                    break
        return run.result(stopping.status or (Status.COMPLETED if whole else Status.BUDGET_SPENT))


class _Run:
    """One run: the point (K, *space) and the radius (K,) of each class, and whether the target accepts the point."""

    def __init__(self, plan: BoundaryRepulsion[Box], oracle: RateOracle, space: SearchSpace, seed: int) -> None:
        self.plan, self.oracle, self.space, self.seed = plan, oracle, space, seed
        self.course = oracle.course()
        self.centres = space.points(len(oracle.classes))
        self.accepted = np.zeros(len(oracle.classes), dtype=bool)
        self.radii = np.full(len(oracle.classes), plan.radius)

    def warm_up(self) -> bool:
        """Labels random points and starts each class at its first one. Returns whether all were queried."""
        plan, classes = self.plan, self.oracle.classes
        count = affordable_probes(self.oracle.remaining, plan.warm_start, plan.queries * len(classes))
        if count == 0:
            return plan.warm_start == 0
        points = self.space.points(count)
        hits = named(self.oracle.evidence(self.space.images(points)))[:, None] == classes
        self.accepted = hits.any(axis=0)
        self.centres[self.accepted] = points[hits.argmax(axis=0)][self.accepted]
        self.course.add(self.radii, self.space.images(self.centres))
        return count == plan.warm_start

    def round(self, size: int) -> None:
        """Labels `size` - 1 points around each class's point (at least one), and the moved points with the last one."""
        around = max(size - 1, 1)
        directions = self.space.directions(around, len(self.radii))
        radii = self.wide(self.radii)
        points = self.space.inside(self.centres + radii * directions)
        hits = self.hits(points)
        moves = -np.where(self.wide(hits), 0.0, directions).mean(axis=0)
        moved = self.space.inside(self.centres + self.plan.step * radii * moves)
        first = points[hits.argmax(axis=0), np.arange(len(self.radii))]
        moved = np.where(self.wide(self.accepted), moved, first)
        outside = ~hits.all(axis=0)
        if size > 1:
            kept = self.hits(moved[None])[0] & outside
            self.centres = np.where(self.wide(kept), moved, self.centres)
            self.accepted |= kept
        lone = ~hits.any(axis=0) & self.accepted
        self.radii = np.where(outside, self.radii, np.minimum(self.radii * self.plan.growth, self.space.most))
        self.radii = np.where(lone, self.radii / self.plan.growth, self.radii)
        self.course.add(self.radii, self.space.images(self.centres))

    def hits(self, points: FloatArray) -> FloatArray:
        """Whether the target assigns points (n, K, *space) to their classes, (n, K)."""
        images = self.space.images(points).reshape(-1, *self.oracle.input_shape)
        return np.asarray(named(self.oracle.evidence(images)).reshape(len(points), -1) == self.oracle.classes)

    def wide(self, values: FloatArray) -> FloatArray:
        """Values (..., K), shaped to broadcast over points (..., K, *space)."""
        return values.reshape(*values.shape, *[1] * (self.centres.ndim - 1))

    def result(self, status: Status) -> Inversions:
        """The inversions, with spikes that are independent in every step."""
        rates = self.space.images(self.centres)
        spikes = self.oracle.spikes(rates)
        return self.course.inversions(self.plan.name, self.seed, status, spikes, torch.from_numpy(rates).float())
