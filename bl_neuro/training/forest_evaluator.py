"""The random-forest evaluator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.errors import InputError
from bl_neuro.training.fitted_evaluator import FittedEvaluator, FittedSettings, pixels_of, stated_size
from bl_neuro.training.image_evaluator import ImageEvaluator, Shape


@dataclass(frozen=True)
class ForestSettings(FittedSettings):
    """trees: number of trees."""

    trees: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.trees < 1:
            raise InputError(f"trees: expected at least 1, found {self.trees}")


class ForestEvaluator(FittedEvaluator):
    """Trees that each compare single pixels with thresholds; probabilities are means of the shares in their leaves.

    Features: the shares of the classes in the leaf of each tree, averaged, which are the probabilities, (B, classes).
    """

    name: ClassVar[str] = "forest"
    title: ClassVar[str] = "random forest"
    spiking: ClassVar[bool] = False
    Settings: ClassVar[type[ForestSettings]] = ForestSettings

    def __init__(self, shape: Shape, classes: int, trees: int, nodes: int, depth: int) -> None:
        one_each = ("pixel", "threshold", "below", "above")
        sizes: dict[str, tuple[int, ...]] = dict.fromkeys(one_each, (trees, nodes))
        super().__init__(shape, classes, {**sizes, "shares": (trees, nodes, classes)})
        self.depth = depth

    @classmethod
    def fitted(
        cls, vectors: FloatArray, labels: IntArray, shape: Shape, classes: int, settings: Any, seed: int
    ) -> ImageEvaluator:
        """See `FittedEvaluator.fitted`."""
        from sklearn.ensemble import RandomForestClassifier

        forest = RandomForestClassifier(settings.trees, random_state=seed, n_jobs=1).fit(vectors, labels)
        grown = [tree.tree_ for tree in forest.estimators_]
        nodes = max(tree.node_count for tree in grown)
        depth = max(max(tree.max_depth for tree in grown), 1)
        evaluator = cls(shape, classes, len(grown), nodes, depth)
        tables = {name: np.zeros((len(grown), nodes)) for name in ("pixel", "threshold", "below", "above")}
        shares = np.zeros((len(grown), nodes, classes))
        for number, tree in enumerate(grown):
            count, leaf = tree.node_count, tree.children_left < 0
            own = np.arange(count)
            tables["pixel"][number, :count] = np.where(leaf, 0, tree.feature)
            tables["threshold"][number, :count] = np.where(leaf, 0, _at_most(tree.threshold))
            tables["below"][number, :count] = np.where(leaf, own, tree.children_left)
            tables["above"][number, :count] = np.where(leaf, own, tree.children_right)
            values = tree.value[:, 0]
            shares[number, :count, forest.classes_] = (values / values.sum(axis=1, keepdims=True)).T
        for name, table in {**tables, "shares": shares}.items():
            evaluator.put(name, table)
        return evaluator

    @property
    def architecture(self) -> str:
        """See `ImageEvaluator.architecture`."""
        return f"random forest of {len(self.pixel):,} trees on normalised images"

    def facts(self) -> dict[str, str]:
        """See `ImageEvaluator.facts`."""
        trees, nodes = self.pixel.shape
        return {"trees": str(trees), "nodes": str(nodes), "depth": str(self.depth)}

    @classmethod
    def from_facts(cls, shape: Shape, classes: int, facts: Mapping[str, str]) -> ImageEvaluator:
        """See `ImageEvaluator.from_facts`."""
        trees, nodes, depth = (stated_size(facts, name) for name in ("trees", "nodes", "depth"))
        if depth > nodes:
            raise ValueError(f"depth: expected at most the {nodes} nodes of a tree, found {depth}")
        return cls(shape, classes, trees, nodes, depth)

    def judge(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """See `ImageEvaluator.judge`. Numbers of pixels and nodes from a file are clipped to those that exist."""
        vectors = self.normalised(frames)
        trees, nodes = self.pixel.shape
        tree = torch.arange(trees)
        place = torch.zeros(len(vectors), trees, dtype=torch.long)
        for _ in range(self.depth):
            pixel = self.pixel[tree, place].long().clamp(0, pixels_of(self.shape) - 1)
            lower = vectors.gather(1, pixel) <= self.threshold[tree, place]
            place = torch.where(lower, self.below[tree, place], self.above[tree, place]).long().clamp(0, nodes - 1)
        table = self.shares[tree, place].double().mean(dim=1)
        return table, table


def _at_most(thresholds: FloatArray) -> FloatArray:
    """The largest float32 values that are not above `thresholds`: float32 pixels compare with both alike."""
    rounded = thresholds.astype(np.float32)
    lower = np.nextafter(rounded, np.float32(-np.inf))
    return np.where(rounded > thresholds, lower, rounded).astype(np.float64)
