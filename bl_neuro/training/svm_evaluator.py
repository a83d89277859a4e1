"""The evaluator with a support vector machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.errors import InputError
from bl_neuro.training.fitted_evaluator import (
    FittedEvaluator,
    FittedSettings,
    pixels_of,
    squared_distances,
    stated_size,
)
from bl_neuro.training.image_evaluator import ImageEvaluator, Shape


@dataclass(frozen=True)
class SvmSettings(FittedSettings):
    """penalty: the cost C of training images within the margin, above 0."""

    penalty: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.penalty > 0:
            raise InputError(f"penalty: expected above 0, found {self.penalty}")


class SvmEvaluator(FittedEvaluator):
    """One machine with a Gaussian kernel for each pair of classes; each votes for one class of its pair.

    With d_ij > 0 where the machine of i and j votes for i, the score of a class is its votes plus s / (3 |s| + 3),
    where s is the sum of its d, as in scikit-learn's one-versus-rest decision; probabilities are the softmax of the
    scores. Its certainty is the smallest d of the first class, which is near 0 far from all training images. Features:
    all d, (B, pairs). Kernel: exp(-|x - y|^2 / (D var(x))).
    """

    name: ClassVar[str] = "svm"
    title: ClassVar[str] = "support vector machine"
    spiking: ClassVar[bool] = False
    Settings: ClassVar[type[SvmSettings]] = SvmSettings
    certain_by: ClassVar[str] = "the smallest margin of its first class against another one"

    def __init__(self, shape: Shape, classes: int, present: tuple[int, ...], vectors: int) -> None:
        pairs = len(present) * (len(present) - 1) // 2
        sizes = {"vectors": (vectors, pixels_of(shape)), "weights": (pairs, vectors), "intercepts": (pairs,)}
        super().__init__(shape, classes, {**sizes, "gamma": (1,)})
        self.present = present

    @classmethod
    def fitted(
        cls, vectors: FloatArray, labels: IntArray, shape: Shape, classes: int, settings: Any, seed: int
    ) -> ImageEvaluator:
        """See `FittedEvaluator.fitted`. The same for every seed."""
        from sklearn.svm import SVC

        gamma = np.float32(1 / (vectors.shape[1] * vectors.var()))
        machine = SVC(C=settings.penalty, gamma=float(gamma), random_state=seed).fit(vectors, labels)
        present = tuple(int(label) for label in machine.classes_)
        evaluator = cls(shape, classes, present, len(machine.support_vectors_))
        evaluator.put("vectors", machine.support_vectors_)
        evaluator.put("weights", _pair_weights(machine.dual_coef_, machine.n_support_))
        evaluator.put("intercepts", machine.intercept_)
        evaluator.put("gamma", gamma)
        if len(present) == 2:  # scikit-learn counts votes for the second class of a single pair as positive
            evaluator.weights.data.neg_()
            evaluator.intercepts.data.neg_()
        return evaluator

    @property
    def architecture(self) -> str:
        """See `ImageEvaluator.architecture`."""
        return f"support vector machine, Gaussian kernel, {len(self.vectors):,} support vectors of normalised images"

    def facts(self) -> dict[str, str]:
        """See `ImageEvaluator.facts`."""
        return {"present": ",".join(map(str, self.present)), "vectors": str(len(self.vectors))}

    @classmethod
    def from_facts(cls, shape: Shape, classes: int, facts: Mapping[str, str]) -> ImageEvaluator:
        """See `ImageEvaluator.from_facts`."""
        present = tuple(int(label) for label in facts["present"].split(",")[: classes + 1])
        if len(present) < 2 or list(present) != sorted(set(present)) or not 0 <= present[0] <= present[-1] < classes:
            raise ValueError(f"present: expected increasing classes in 0..{classes - 1}, found {present[:20]}")
        return cls(shape, classes, present, stated_size(facts, "vectors"))

    def judge(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """See `ImageEvaluator.judge`."""
        decisions = self._decisions(frames)
        margins = self._margins(decisions)
        votes = (margins > 0).double().sum(dim=2)
        sums = margins.sum(dim=2)
        scores = torch.full((len(decisions), self.classes), -torch.inf, dtype=torch.float64)
        scores[:, list(self.present)] = votes + sums / (3 * (sums.abs() + 1))
        return torch.softmax(scores, dim=1), decisions

    def certainty(self, images: npt.ArrayLike) -> FloatArray:
        """See `ImageEvaluator.certainty`."""

        def smallest(frames: Tensor) -> Tensor:
            table, decisions = self.judge(frames)
            place = table[:, list(self.present)].argmax(dim=1)
            margins = self._margins(decisions)
            margins.diagonal(dim1=1, dim2=2).fill_(torch.inf)
            return margins[torch.arange(len(place)), place].amin(dim=1)

        return self._batched(images, smallest)

    def _decisions(self, frames: Tensor) -> Tensor:
        """The decision d of the machine of each pair, (B, pairs), float64."""
        kernel = torch.exp(-self.gamma.double() * squared_distances(self.normalised(frames), self.vectors))
        decisions: Tensor = kernel @ self.weights.double().T + self.intercepts.double()
        return decisions

    def _margins(self, decisions: Tensor) -> Tensor:
        """Decisions as a table (B, M, M) of the M present classes: for the row against the column; diagonal 0."""
        count = len(self.present)
        first, second = torch.triu_indices(count, count, offset=1)
        margins = torch.zeros(len(decisions), count, count, dtype=decisions.dtype)
        margins[:, first, second] = decisions
        margins[:, second, first] = -decisions
        return margins


def _pair_weights(coefficients: FloatArray, counts: IntArray) -> FloatArray:
    """The weight of each support vector in the machine of each pair, (pairs, vectors).

    coefficients: (classes - 1, vectors), as scikit-learn stores them: for vectors of class i, row j - 1 belongs to the
    pair with j > i, and row j to the pair with j < i. counts: number of support vectors of each class, in order.
    """
    stops = np.cumsum(counts)
    spans = [slice(stop - count, stop) for stop, count in zip(stops, counts)]
    weights = []
    for first, second in combinations(range(len(counts)), 2):
        row = np.zeros(coefficients.shape[1])
        row[spans[first]] = coefficients[second - 1, spans[first]]
        row[spans[second]] = coefficients[first, spans[second]]
        weights.append(row)
    return np.stack(weights)
