"""Public images of the same classes: what an attacker shows who has other data of the kind."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from bl_neuro.leakage.baseline_framing import FRAMES, framed, scaled
from bl_neuro.leakage.baseline_kind import Baseline, Images, PublicImages, PublicKnowledge, in_all_channels

WHOLE = "whole"
"""The layout in which the whole public image is scaled to the size of the target's images."""
AVERAGED = 100
"""Number of images of a class that are averaged."""
MEANS = 10
SAMPLES = 20
"""Numbers of renderings."""


class OfAuxiliary(Baseline):
    """Base class of baselines from public images, which must contain every inverted class."""

    layouts: ClassVar[tuple[str, ...]] = (WHOLE, *FRAMES)
    uses_auxiliary: ClassVar[bool] = True

    def problem(self, public: PublicKnowledge) -> str | None:
        """See `Baseline.problem`."""
        if public.auxiliary is None:
            return "the experiment names no public data ([auxiliary])"
        missing = sorted({*public.classes} - {label for label in public.auxiliary.labels if label is not None})
        if missing:
            names = dict(zip(public.classes, public.class_names))
            shown = ", ".join(names[label] for label in missing[:3])
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            return f"the public data has no class named {shown}{more}"
        return None


class AuxiliaryMean(OfAuxiliary):
    """The mean of 100 public images of each class, drawn with replacement; one rendering is one draw."""

    name: ClassVar[str] = "auxiliary_mean"
    title: ClassVar[str] = "means of public data"
    knowledge: ClassVar[str] = "the average look of each class in other, public data"

    def draw(self, public: PublicKnowledge, layout: str, rng: np.random.Generator) -> Images:
        """See `Baseline.draw`."""
        drawn = [
            [_drawn(public, label, AVERAGED, rng, layout).mean(axis=0) for label in public.classes]
            for _ in range(MEANS)
        ]
        return np.asarray(drawn, dtype=np.float32)


class AuxiliarySample(OfAuxiliary):
    """One public image of each class, drawn at random; one rendering is one draw."""

    name: ClassVar[str] = "auxiliary_sample"
    title: ClassVar[str] = "single public images"
    knowledge: ClassVar[str] = "other, public images of each class"

    def draw(self, public: PublicKnowledge, layout: str, rng: np.random.Generator) -> Images:
        """See `Baseline.draw`."""
        drawn = [[_drawn(public, label, 1, rng, layout)[0] for label in public.classes] for _ in range(SAMPLES)]
        return np.asarray(drawn, dtype=np.float32)


def _drawn(public: PublicKnowledge, label: int, count: int, rng: np.random.Generator, layout: str) -> Images:
    """Public images of a class, with replacement, in the form of the target's, (count, C, H, W)."""
    auxiliary = public.auxiliary or PublicImages(np.zeros((0, *public.shape), np.float32), ())
    own = auxiliary.of_class(label)
    chosen = own[rng.integers(0, len(own), count)]
    channels, height, width = public.shape
    if layout == WHOLE and chosen.shape[1] == channels:
        return np.stack([[scaled(plane, height, width) for plane in image] for image in chosen])
    grey = chosen.mean(axis=1)
    placed = [
        scaled(image, height, width) if layout == WHOLE else framed(image, layout, height, width) for image in grey
    ]
    return in_all_channels(np.asarray(placed), channels)
