"""What all attacks share: a final `__call__` that checks what it is given, and `_invert`, which each writes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar, final

from bl_neuro.access import BlackBox, WhiteBox
from bl_neuro.attacks.inversions import Inversions
from bl_neuro.checks import MAX_STEPS, whole_number
from bl_neuro.errors import InputError


class View(Protocol):
    """What every box tells an attacker: the shape of one frame of input, and how many classes there are."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one frame of input."""

    @property
    def classes(self) -> int:
        """How many classes the target tells apart."""


Box = TypeVar("Box", bound=View)
Progress = Callable[[int, int], None]
"""Called with (done, total) after each generation or iteration; what asks queries ends where it raises StopAttack."""


class Attack(ABC, Generic[Box]):
    """A frozen strategy.

    `name` is what results call it; `access` whether its attacker holds the model ("white_box") or only queries the
    target ("black_box"). It takes a WhiteBox or a BlackBox accordingly, unless `box_type` says otherwise.
    """

    name: ClassVar[str]
    access: ClassVar[str]

    @classmethod
    def box_type(cls) -> type[View]:
        """The kind of box it takes."""
        return WhiteBox if cls.access == "white_box" else BlackBox

    def assumptions(self, box: Box) -> list[str]:
        """What the attack takes for granted about inputs before it asks anything; empty where it takes nothing."""
        return []

    def settings(self) -> dict[str, Any]:
        """Every setting of the strategy by name, as JSON-ready values."""
        return {field.name: getattr(self, field.name) for field in fields(self)} if is_dataclass(self) else {}

    @abstractmethod
    def _invert(self, box: Box, classes: list[int], steps: int, seed: int, progress: Progress) -> Inversions:
        """Inverts checked `classes` through `box`."""

    @final
    def __call__(
        self,
        box: Box,
        *,
        classes: Iterable[int],
        steps: int,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Inversions:
        """Reconstructs one input for each of `classes` (a class may be named more than once).

        steps: T, how many steps each query and each inversion lasts. seed: all chance of the attack comes from it.

        Raises:
            InputError: a class the target does not have, no class, no step, or the wrong kind of box.
        """
        wanted = self.box_type()
        if not isinstance(box, wanted):
            raise InputError(f"{self.name}: expected a box of type {wanted.__name__}, found {type(box).__name__}")
        checked = checked_classes(classes, box.classes)
        length, root = whole_number(steps), whole_number(seed)
        if length is None or not 1 <= length <= MAX_STEPS:
            raise InputError(f"steps: expected a whole number in 1..{MAX_STEPS}, found {steps!r}")
        if root is None or root < 0:
            raise InputError(f"seed: expected a whole number of at least 0, found {seed!r}")
        return self._invert(box, checked, length, root, progress or _silent)


def checked_classes(classes: Iterable[Any], count: int) -> list[int]:
    """`classes` as a list of whole numbers in 0..count-1, at least one; InputError otherwise."""
    try:
        found = list(classes)
    except TypeError as error:
        raise InputError(f"classes: expected class numbers, found {classes!r}") from error
    if not found:
        raise InputError("classes: expected at least one class, found none")
    numbers = []
    for value in found:
        number = whole_number(value)
        if number is None or not 0 <= number < count:
            raise InputError(f"classes: expected whole numbers in 0..{count - 1}, found {value!r}")
        numbers.append(number)
    return numbers


def _silent(done: int, total: int) -> None:
    """No progress wanted."""
