"""When an evaluator answers "none of these": its certainty is below that of nearly all real images.

The threshold is the 5% quantile of the certainty on held-out real images, so that it rejects 5% of them. What the
certainty is, each evaluator states (`ImageEvaluator.certain_by`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bl_neuro.data.samples import Samples
from bl_neuro.isolation import isolated
from bl_neuro.training.image_evaluator import BATCH, ImageEvaluator, shown

SHARE = 0.05
"""Share of held-out real images that are rejected."""


@isolated
def rejection_threshold(evaluator: ImageEvaluator, data: Samples) -> float:
    """The certainty below which `evaluator` answers "none of these", from held-out `data`."""
    starts = range(0, len(data.labels), BATCH)
    parts = (np.arange(start, min(start + BATCH, len(data.labels))) for start in starts)
    return float(np.quantile(np.concatenate([evaluator.certainty(shown(data, part)) for part in parts]), SHARE))


def rejected(evaluator: ImageEvaluator, images: npt.NDArray[Any], threshold: float | None) -> list[int] | None:
    """Whether `evaluator` answers "none of these" for each image: 1 or 0. None without a threshold."""
    if threshold is None:
        return None
    return [int(certainty < threshold) for certainty in evaluator.certainty(images)]
