"""What all attacks share: the facts that each declares, and a final `__call__` that checks its arguments."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar, Generic, Literal, NamedTuple, Protocol, TypeVar, final

from torch import Tensor

from bl_neuro.access import REVEALS, BlackBox, WhiteBox
from bl_neuro.attacks.ann_box import AnnBox
from bl_neuro.attacks.inversions import Inversions
from bl_neuro.attacks.settings import settle_types
from bl_neuro.checks import MAX_STEPS, whole_number
from bl_neuro.errors import InputError

Access = Literal["white_box", "black_box", "ann"]
Need = Literal["twin"]


class View(Protocol):
    """What every box tells an attacker: the shape of one frame of input, and the number of classes."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one frame of input."""

    @property
    def classes(self) -> int:
        """Number of classes of the target."""


class TargetView(Protocol):
    """The boxes that a target offers to `Attack.open_box`, which takes the one that the attack needs.

    A target refuses a box that it does not have: an endpoint answers queries only.
    """

    def white_box(self) -> WhiteBox:
        """The target with its weights and gradients. InputError or NotDifferentiable where there are none."""

    def black_box(self) -> BlackBox:
        """The target behind its query budget."""

    def twin(self) -> WhiteBox:
        """A differentiable copy of the network, which the attacker runs. InputError where there is no network."""

    def ann_box(self) -> AnnBox:
        """The network as one that does not spike. InputError where it spikes."""


Box = TypeVar("Box", bound=View)
Progress = Callable[[int, int], None]
"""Called with (done, total) after each generation or iteration. A black-box attack ends where it raises StopAttack."""


class StopAttack(Exception):
    """Raised by a `progress` callback to end a black-box attack, which then returns what it has, with status `stopped`.

    A white-box attack has no such end: the exception comes out of its call, and nothing is returned. It is no
    `BlNeuroError`, since nothing went wrong.
    """


class Preset(NamedTuple):
    """Ready-made settings of an attack.

    make: the class method that makes the attack; its keyword arguments override single settings. purpose: what the
    settings are for, in words. datasets: names of the datasets that they suit. image_size: height and width of the
    images that they were chosen on, None where they suit any. of_events: whether the inversions are event recordings.
    """

    make: Callable[..., Attack[Any]]
    purpose: str
    datasets: tuple[str, ...] = ()
    image_size: tuple[int, int] | None = None
    of_events: bool = False


class Attack(ABC, Generic[Box]):
    """A strategy: a frozen dataclass whose fields, each with a default, are its settings.

    A subclass declares:

    name: what files and command lines call it. title: what tables print, `name` by default.
    access: "white_box" for an attacker who holds the network and its gradients, "black_box" for one who only queries
    the target, "ann" for an attack on a network that does not spike.
    needs: what it takes beside that; "twin" is a differentiable copy of the network.
    reveals: the answers of a black box that it can use, the preferred one first.
    modules, extra: Python packages that it imports, and the extra of bl-neuro that installs them.
    """

    name: ClassVar[str]
    title: ClassVar[str] = ""
    access: ClassVar[Access]
    needs: ClassVar[tuple[Need, ...]] = ()
    reveals: ClassVar[tuple[str, ...]] = REVEALS
    modules: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = ""

    def __post_init__(self) -> None:
        problems = (settle_types(self) or self.problems()) if is_dataclass(self) else self.problems()
        if problems:
            raise InputError("; ".join(problems))

    @classmethod
    def box_type(cls) -> type[View]:
        """The kind of box it takes."""
        kinds: dict[str, type[View]] = {"white_box": WhiteBox, "black_box": BlackBox, "ann": AnnBox}
        return kinds[cls.access]

    @classmethod
    def presets(cls) -> dict[str, Preset]:
        """Ready-made settings by name, such as "for_mnist"."""
        return {}

    def open_box(self, view: TargetView) -> Box:
        """The box that the attack takes, of a target."""
        opened: dict[str, Callable[[], Any]] = {
            "white_box": view.white_box,
            "black_box": view.black_box,
            "ann": view.ann_box,
        }
        box: Box = opened[self.access]()
        return box

    def problems(self) -> list[str]:
        """Everything that is wrong with the settings, whose types are right; each begins with the setting's name."""
        return []

    def planned_queries(self, classes: int) -> int | None:
        """The most queries that the settings ask for so many inversions; None where they do not limit them."""
        return None

    def within(self, budget: int, classes: int) -> Attack[Box]:
        """The attack with settings that spend up to `budget` queries on so many inversions.

        An attack that has no setting for this stays as it is, and ends where the budget does.
        """
        return self

    def assumptions(self, box: Box) -> list[str]:
        """What the attack assumes about inputs before its first query; empty where it assumes nothing."""
        return []

    def images(self, inversions: Inversions) -> Tensor:
        """What evaluators of images are shown, (K, *input_shape), 0..1: the time-averaged spikes."""
        return inversions.images

    def settings(self) -> dict[str, Any]:
        """Every setting of the attack by name, as JSON-ready values."""
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

        steps: T, the time steps of each query and of each inversion. seed: all randomness of the attack comes from it.

        Raises:
            InputError: a class the target does not have, no class, no step, the wrong kind of box, or a target of one
            class.
        """
        expected = self.box_type()
        if not isinstance(box, expected):
            raise InputError(f"{self.name}: expected a box of type {expected.__name__}, found {type(box).__name__}")
        need_two_classes(box.classes)
        checked = checked_classes(classes, box.classes)
        length, root = whole_number(steps), whole_number(seed)
        if length is None or not 1 <= length <= MAX_STEPS:
            raise InputError(f"steps: expected a whole number in 1..{MAX_STEPS}, found {steps!r}")
        if root is None or root < 0:
            raise InputError(f"seed: expected a whole number of at least 0, found {seed!r}")
        return self._invert(box, checked, length, root, progress or _silent)


def need_two_classes(count: int) -> None:
    """InputError for a target of one output: an attack looks for what sets one class apart from the others."""
    if count < 2:
        raise InputError(
            f"classes: this network has {count} output, and an attack needs at least two classes: it reconstructs what "
            "makes one class win over the others. A network with one output (a detector or a regression) has no "
            "classes to invert"
        )


def checked_classes(classes: Iterable[Any], count: int) -> list[int]:
    """`classes` as a list of whole numbers in 0..count-1, at least one; InputError otherwise."""
    try:
        given = list(classes)
    except TypeError as error:
        raise InputError(f"classes: expected class numbers, found {classes!r}") from error
    if not given:
        raise InputError("classes: expected at least one class, found none")
    numbers = []
    for value in given:
        number = whole_number(value)
        if number is None or not 0 <= number < count:
            raise InputError(f"classes: expected whole numbers in 0..{count - 1}, found {value!r}")
        numbers.append(number)
    return numbers


def _silent(done: int, total: int) -> None:
    """No progress wanted."""
