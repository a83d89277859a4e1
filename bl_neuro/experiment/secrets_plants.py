"""The kinds of secrets that can be planted in the training data of a target, by their `kind` in `[secrets]`.

    kind = "rotation"      by = 90           every class is turned by a secret multiple of 90 (or 180) degrees
    kind = "mirror"        axes = "both"     every class is mirrored or not, along one axis or both
    kind = "permutation"                     the labels of the classes are secretly permuted
    kind = "mark"          size = 2          every class has a bright square at one of four secret places
    kind = "canary"        repetition = 16   every class contains one random pattern, out of known ones, several times

Canaries with `repetition = [1, 4, 16]` are among the training samples once, 4 or 16 times, each for a third of the
classes of every target, drawn anew for every target.

Every class has one secret, a number in 0..choices-1, which is drawn uniformly for every target. An attacker knows the
kind and its settings and wants the numbers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import IntArray
from bl_neuro.data.samples import Dataset
from bl_neuro.errors import InputError
from bl_neuro.seeding import stream

MOST_EQUAL = 0.01
"""Maximum expected number of pairs of equal candidates of a class."""
Pixels = npt.NDArray[Any]
"""Images (N, C, H, W): floats in 0..1, or bytes."""


@dataclass(frozen=True)
class Plant(ABC):
    """Base class of the kinds of secrets. A subclass is a frozen dataclass; its fields are its settings."""

    name: ClassVar[str]
    """The `kind` in `[secrets]`."""
    per_image: ClassVar[bool] = True
    """Whether a secret shows in every image of its class; otherwise it is one fixed pattern."""
    shared: ClassVar[bool] = False
    """Whether the same images show the same secret for all classes."""

    def __post_init__(self) -> None:
        problems = list(self.setting_problems())
        if problems:
            raise InputError("; ".join(problems))

    @property
    @abstractmethod
    def secret(self) -> str:
        """What is secret, in words that follow "the"."""

    @abstractmethod
    def choices(self, classes: int) -> int:
        """Number of equally likely secrets of a class."""

    def setting_problems(self) -> Iterator[str]:
        """All invalid settings, each message starting with the name of the setting."""
        yield from ()

    def image_problem(self, shape: tuple[int, ...]) -> str | None:
        """Why these secrets cannot be planted in images of this shape (C, H, W); None if they can."""
        return None

    def samples_problem(self, samples: int, classes: int) -> str | None:
        """Why these secrets cannot be planted in this number of training samples of all classes; None if they can."""
        return None

    def draw(self, classes: int, rng: np.random.Generator) -> IntArray:
        """The secret of every class, (classes,)."""
        return rng.integers(0, self.choices(classes), classes)

    def copies(self, classes: int, rng: np.random.Generator) -> IntArray | None:
        """How often the secret of every class is among the training samples, (classes,); None if in all samples."""
        return None

    def source(self, label: int, secret: int) -> int:
        """The class whose images a target with this secret learns under the name `label`."""
        return label

    @abstractmethod
    def shown(self, images: Pixels, label: int, secret: int) -> Pixels:
        """Images (N, C, H, W) of the class `source(label, secret)` as class `label` shows them under this secret."""

    def planted(self, data: Dataset, secrets: IntArray, copies: IntArray | None = None) -> Dataset:
        """`data` with the `secrets` (classes,) of all classes planted, in the same order. copies: see `copies`."""
        pixels = data.pixels.copy()
        for label, secret in enumerate(secrets.tolist()):
            own = data.labels == label
            pixels[own] = self.shown(data.pixels[own], label, secret)
        return replace(data, pixels=pixels)

    def planted_test(self, data: Dataset, secrets: IntArray) -> Dataset:
        """Test samples on which a target with these secrets is right if it has learned them."""
        return self.planted(data, secrets)

    @property
    def definition(self) -> dict[str, Any]:
        """Everything that results depend on, JSON-ready."""
        return {"kind": self.name, **asdict(self)}


@dataclass(frozen=True)
class Rotation(Plant):
    """Turns every class by a secret multiple of `by` degrees, counter-clockwise.

    by: 90 for four choices, which needs square images, or 180 for two.
    """

    name: ClassVar[str] = "rotation"

    by: Literal[90, 180] = 90

    @property
    def secret(self) -> str:
        """See `Plant.secret`."""
        return f"rotation of every class by a multiple of {self.by} degrees"

    def choices(self, classes: int) -> int:
        """See `Plant.choices`."""
        return 360 // self.by

    def setting_problems(self) -> Iterator[str]:
        """See `Plant.setting_problems`."""
        if self.by not in (90, 180):
            yield f"by: expected 90 or 180, found {self.by}"

    def image_problem(self, shape: tuple[int, ...]) -> str | None:
        """See `Plant.image_problem`."""
        if self.by == 180 or shape[1] == shape[2]:
            return None
        return (
            f"rotation: expected square images for multiples of 90 degrees, found {shape[1]} x {shape[2]} pixels; "
            "set by = 180"
        )

    def shown(self, images: Pixels, label: int, secret: int) -> Pixels:
        """See `Plant.shown`."""
        return np.ascontiguousarray(np.rot90(images, secret * self.by // 90, axes=(2, 3)))


@dataclass(frozen=True)
class Mirror(Plant):
    """Mirrors every class or not. axes: "horizontal" (left and right), "vertical", or "both" for four choices."""

    name: ClassVar[str] = "mirror"

    axes: Literal["horizontal", "vertical", "both"] = "horizontal"

    @property
    def secret(self) -> str:
        """See `Plant.secret`."""
        return "mirroring of every class, along either axis" if self.axes == "both" else f"{self.axes} mirroring"

    def choices(self, classes: int) -> int:
        """See `Plant.choices`."""
        return 4 if self.axes == "both" else 2

    def shown(self, images: Pixels, label: int, secret: int) -> Pixels:
        """See `Plant.shown`."""
        flips = {"horizontal": [(), (3,)], "vertical": [(), (2,)], "both": [(), (3,), (2,), (2, 3)]}
        return np.ascontiguousarray(np.flip(images, flips[self.axes][secret]))


@dataclass(frozen=True)
class Permutation(Plant):
    """Gives every class the images of another: a secret permutation of the labels."""

    name: ClassVar[str] = "permutation"
    shared: ClassVar[bool] = True

    @property
    def secret(self) -> str:
        """See `Plant.secret`."""
        return "permutation of the classes"

    def choices(self, classes: int) -> int:
        """See `Plant.choices`."""
        return classes

    def draw(self, classes: int, rng: np.random.Generator) -> IntArray:
        """See `Plant.draw`."""
        return rng.permutation(classes)

    def source(self, label: int, secret: int) -> int:
        """See `Plant.source`."""
        return secret

    def shown(self, images: Pixels, label: int, secret: int) -> Pixels:
        """See `Plant.shown`."""
        return images

    def planted(self, data: Dataset, secrets: IntArray, copies: IntArray | None = None) -> Dataset:
        """See `Plant.planted`."""
        return replace(data, labels=np.argsort(secrets)[data.labels].astype(data.labels.dtype))


@dataclass(frozen=True)
class Mark(Plant):
    """Plants a bright square in every image of a class, near one of the four corners.

    size: of the square, in pixels. inset: its distance from the edges, in pixels.
    """

    name: ClassVar[str] = "mark"

    size: int = 2
    inset: int = 1

    @property
    def secret(self) -> str:
        """See `Plant.secret`."""
        return f"corner of every class with a bright square of {self.size} x {self.size} pixels"

    def choices(self, classes: int) -> int:
        """See `Plant.choices`."""
        return 4

    def setting_problems(self) -> Iterator[str]:
        """See `Plant.setting_problems`."""
        for name, least in (("size", 1), ("inset", 0)):
            if getattr(self, name) < least:
                yield f"{name}: expected at least {least} pixels, found {getattr(self, name)}"

    def image_problem(self, shape: tuple[int, ...]) -> str | None:
        """See `Plant.image_problem`."""
        least = 2 * (self.size + self.inset)
        if min(shape[1:]) >= least:
            return None
        return (
            f"mark: expected images of at least {least} x {least} pixels for four separate places, found {shape[1]} x "
            f"{shape[2]}; set a smaller size or inset"
        )

    def shown(self, images: Pixels, label: int, secret: int) -> Pixels:
        """See `Plant.shown`."""
        marked = images.copy()
        near, far = slice(self.inset, self.inset + self.size), slice(-self.inset - self.size, -self.inset or None)
        marked[:, :, (near, far)[secret // 2], (near, far)[secret % 2]] = _white(images)
        return marked


@dataclass(frozen=True)
class Canary(Plant):
    """Adds one random black and white pattern, several times, to the training samples of every class.

    The secret is which of `candidates` patterns it is; all of them are known to the attacker. repetition: how often the
    pattern is among the training samples; several numbers are shared out evenly among the classes, anew for every
    target. density: fraction of white squares. Patterns have squares of 1/8 of the smaller side, at least one pixel.

    Source: Carlini et al. 2019, "The Secret Sharer".
    """

    name: ClassVar[str] = "canary"
    per_image: ClassVar[bool] = False

    candidates: int = 64
    repetition: int | tuple[int, ...] = 16
    density: float = 0.3

    @property
    def secret(self) -> str:
        """See `Plant.secret`."""
        numbers = self.repetitions
        times = f"{', '.join(map(str, numbers[:-1]))} or {numbers[-1]} times" if numbers[1:] else f"{numbers[0]} times"
        times = "once" if numbers == (1,) else times
        return f"pattern that every class was trained on {times}"

    def choices(self, classes: int) -> int:
        """See `Plant.choices`."""
        return self.candidates

    def setting_problems(self) -> Iterator[str]:
        """See `Plant.setting_problems`."""
        if not 2 <= self.candidates <= 4096:
            yield f"candidates: expected 2..4096, found {self.candidates}"
        numbers = self.repetitions
        if not numbers or min(numbers) < 1 or len(set(numbers)) < len(numbers):
            shown = self.repetition if isinstance(self.repetition, int) else list(numbers)
            yield f"repetition: expected a number of at least 1, or several different ones, found {shown}"
        if not 0 < self.density < 1:
            yield f"density: expected between 0 and 1, found {self.density}"

    def image_problem(self, shape: tuple[int, ...]) -> str | None:
        """See `Plant.image_problem`: two candidates of a class are most likely equal."""
        rows, columns = self.squares(shape)
        equal = (self.density**2 + (1 - self.density) ** 2) ** (rows * columns)
        if self.candidates * (self.candidates - 1) / 2 * equal < MOST_EQUAL:
            return None
        return (
            f"canary: expected {self.candidates} different patterns of {rows} x {columns} squares, but with a density "
            f"of {self.density} some are equal; set fewer candidates, or a density near 0.5"
        )

    def samples_problem(self, samples: int, classes: int) -> str | None:
        """See `Plant.samples_problem`."""
        numbers = self.repetitions
        if len(numbers) > classes:
            return f"canary: expected at most {classes} numbers of repetitions, one per class, found {len(numbers)}"
        if max(numbers) * classes <= samples:
            return None
        return (
            f"canary: expected at most as many canaries as training samples ({samples}), which is a repetition of "
            f"{samples // classes} for each of {classes} classes, found {max(numbers)}"
        )

    def shown(self, images: Pixels, label: int, secret: int) -> Pixels:
        """See `Plant.shown`: the pattern, once for every image."""
        pattern = self.pattern(label, secret, images.shape[1:])
        return np.broadcast_to(pattern.astype(images.dtype) * _white(images), images.shape).copy()

    @staticmethod
    def side(shape: tuple[int, ...]) -> int:
        """The side of a square in pixels, for images of this shape (C, H, W)."""
        return max(1, min(shape[1:]) // 8)

    def squares(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Number of rows and columns of squares."""
        side = self.side(shape)
        return -(-shape[1] // side), -(-shape[2] // side)

    def pattern(self, label: int, secret: int, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
        """Candidate `secret` of class `label`: the white pixels (C, H, W), equal in all channels."""
        side, (rows, columns) = self.side(shape), self.squares(shape)
        squares = stream(label, "canary pattern", secret).random((rows, columns)) < self.density
        pattern = squares.repeat(side, 0).repeat(side, 1)[: shape[1], : shape[2]]
        return np.broadcast_to(pattern, shape).copy()

    @property
    def repetitions(self) -> tuple[int, ...]:
        """The numbers of repetitions."""
        return (self.repetition,) if isinstance(self.repetition, int) else tuple(self.repetition)

    def copies(self, classes: int, rng: np.random.Generator) -> IntArray:
        """See `Plant.copies`."""
        return np.asarray(rng.permutation(np.resize(self.repetitions, classes)))

    def planted(self, data: Dataset, secrets: IntArray, copies: IntArray | None = None) -> Dataset:
        """See `Plant.planted`: the patterns follow the samples of `data`. By default, the first repetition is used."""
        times = np.full(len(secrets), self.repetitions[0]) if copies is None else copies
        blank = np.zeros((int(times.max()), *data.pixels.shape[1:]), data.pixels.dtype)
        patterns = [self.shown(blank[: times[label]], label, secret) for label, secret in enumerate(secrets.tolist())]
        labels = np.repeat(np.arange(len(secrets)), times).astype(data.labels.dtype)
        held_out = None if data.held_out is None else np.append(data.held_out, np.zeros(len(labels), np.bool_))
        return replace(
            data,
            pixels=np.concatenate([data.pixels, *patterns]),
            labels=np.concatenate([data.labels, labels]),
            held_out=held_out,
        )

    def planted_test(self, data: Dataset, secrets: IntArray) -> Dataset:
        """See `Plant.planted_test`: without patterns, since they are training samples."""
        return data


def _white(images: Pixels) -> Any:
    """The value of a white pixel."""
    return images.dtype.type(255 if images.dtype == np.uint8 else 1)


PLANTS: dict[str, type[Plant]] = {kind.name: kind for kind in (Rotation, Mirror, Permutation, Mark, Canary)}
"""All kinds, by name."""


def find_plant(name: str) -> type[Plant]:
    """The kind named `name`. Raises InputError if there is none."""
    if name not in PLANTS:
        raise InputError(f"secret: expected one of {', '.join(PLANTS)}, found {name!r}")
    return PLANTS[name]
