"""The base class of zero-query baselines: pictures that an attacker makes from public knowledge alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PublicImages:
    """Labelled public images: images (N, C, h, w) in 0..1 of any size, and the class of each, None for no class."""

    images: Images
    labels: tuple[int | None, ...]

    def of_class(self, label: int) -> Images:
        """The images of a class, (n, C, h, w)."""
        return self.images[[position for position, own in enumerate(self.labels) if own == label]]


@dataclass(frozen=True, eq=False)
class PublicKnowledge:
    """What an attacker knows before the first query.

    shape: of the target's images, (C, H, W). classes: the classes to invert, by number. class_names: the names of these
    classes. auxiliary: public images, or None.
    """

    shape: tuple[int, ...]
    classes: tuple[int, ...]
    class_names: tuple[str, ...]
    auxiliary: PublicImages | None = None


class Baseline(ABC):
    """Pictures of each class that need no query. Subclasses declare the class attributes below.

    name: the name in `baselines` of an experiment. title: name in tables. knowledge: what the attacker is assumed to
    know, as a phrase that follows "knows". layouts: how its pictures fill the image; each is tried. uses_auxiliary:
    whether the pictures depend on the public images.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    knowledge: ClassVar[str]
    layouts: ClassVar[tuple[str, ...]]
    uses_auxiliary: ClassVar[bool] = False

    @abstractmethod
    def problem(self, public: PublicKnowledge) -> str | None:
        """Why the baseline does not apply, as a clause; None if it applies."""

    @abstractmethod
    def draw(self, public: PublicKnowledge, layout: str, rng: np.random.Generator) -> Images:
        """Pictures (R, K, C, H, W) in 0..1: R renderings of each of the K classes of `public`, in their order.

        Renderings are drawn independently, since intervals are over them. `problem` must be None.
        """


def in_all_channels(pictures: Sequence[Images] | Images, channels: int) -> Images:
    """Pictures (..., H, W), repeated in each channel, (..., C, H, W)."""
    values = np.asarray(pictures, dtype=np.float32)
    return np.repeat(values[..., None, :, :], channels, axis=-3)
