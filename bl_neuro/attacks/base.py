"""The base class of attacks: the properties that an attack declares, and the checks of its arguments."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar, Generic, Literal, NamedTuple, Protocol, TypeVar, final

from torch import Tensor

from bl_neuro.access import REVEALS, BlackBox, WhiteBox
from bl_neuro.arrays import FloatArray
from bl_neuro.attacks.ann_box import AnnBox
from bl_neuro.attacks.inversions import Inversions
from bl_neuro.attacks.settings import settle_types
from bl_neuro.checks import MAX_STEPS, whole_number
from bl_neuro.errors import InputError
from bl_neuro.isolation import isolated

Access = Literal["white_box", "black_box", "ann"]
Need = Literal["twin", "auxiliary"]


class View(Protocol):
    """What every box reveals to an attacker: the shape of one input frame and the number of classes."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input frame."""

    @property
    def classes(self) -> int:
        """Number of classes of the target."""


class TargetView(Protocol):
    """The boxes that a target offers to `Attack.open_box`, which opens the one that the attack needs.

    A target raises an error for a box that it cannot offer: an endpoint, for example, only answers queries.
    """

    def white_box(self) -> WhiteBox:
        """Access to weights and gradients. Raises InputError or NotDifferentiable if there are none."""

    def black_box(self) -> BlackBox:
        """Access by queries, limited by the query budget."""

    def twin(self) -> WhiteBox:
        """Access to a differentiable copy of the network. Raises InputError if the network is not known."""

    def auxiliary_images(self) -> FloatArray:
        """Images of the attacker, (N, C, H, W) in 0..1, at least two. Raises InputError if there are none."""

    def ann_box(self) -> AnnBox:
        """Access to a network that does not spike. Raises InputError if the network spikes."""


Box = TypeVar("Box", bound=View)
Progress = Callable[[int, int], None]
"""Called with (done, total) after each generation or iteration. Raise StopAttack in it to stop a black-box attack."""


class StopAttack(Exception):
    """Raised by a `progress` callback to stop a black-box attack, which then returns its result so far.

    The status of the result is `stopped`. A white-box attack does not catch this exception and returns nothing. It is
    not a `BlNeuroError`, since it does not indicate an error.
    """


class Preset(NamedTuple):
    """Predefined settings of an attack.

    make: the class method that creates the attack; its keyword arguments override settings. purpose: what the settings
    are for. datasets: names of the datasets that they fit; the audit of a given model uses the preset for its dataset.
    image_size: height and width of the images that they were chosen on, or None if they fit any size. of_events:
    whether the inversions are event recordings.
    """

    make: Callable[..., Attack[Any]]
    purpose: str
    datasets: tuple[str, ...] = ()
    image_size: tuple[int, int] | None = None
    of_events: bool = False


class Attack(ABC, Generic[Box]):
    """Base class of attacks: a frozen dataclass whose fields are its settings, each with a default.

    A subclass declares:

    name: its name in files and on command lines. title: its name in tables, `name` by default. access: "white_box" if
    the attacker has the network and its gradients, "black_box" if the attacker only queries the target, "ann" for an
    attack on a network that does not spike. needs: other requirements; "twin" is a differentiable copy of the network,
    "auxiliary" images that the attacker has.
    reveals: the outputs of a black box that it can use, the preferred one first. modules, extra: Python packages that
    it imports, and the extra of bl-neuro that installs them. ladder_note: what a report says about the attack below a
    ladder whose last steps reveal less to the attacker; nothing by default. audits_models: whether audits of model
    files run it unless they name their attacks.
    """

    name: ClassVar[str]
    title: ClassVar[str] = ""
    access: ClassVar[Access]
    needs: ClassVar[tuple[Need, ...]] = ()
    reveals: ClassVar[tuple[str, ...]] = REVEALS
    modules: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = ""
    ladder_note: ClassVar[str] = ""
    audits_models: ClassVar[bool] = False

    def __post_init__(self) -> None:
        problems = (settle_types(self) or self.problems()) if is_dataclass(self) else self.problems()
        if problems:
            raise InputError("; ".join(problems))

    @classmethod
    def box_type(cls) -> type[View]:
        """The type of box that the attack takes."""
        kinds: dict[str, type[View]] = {"white_box": WhiteBox, "black_box": BlackBox, "ann": AnnBox}
        return kinds[cls.access]

    @classmethod
    def presets(cls) -> dict[str, Preset]:
        """Predefined settings by name, such as "for_mnist"."""
        return {}

    @classmethod
    def preset_for(cls, dataset: str) -> str | None:
        """The name of the first preset that is declared for this dataset, or None."""
        return next((name for name, preset in cls.presets().items() if dataset in preset.datasets), None)

    def open_box(self, view: TargetView) -> Box:
        """Opens the box that the attack needs."""
        opened: dict[str, Callable[[], Any]] = {
            "white_box": view.white_box,
            "black_box": view.black_box,
            "ann": view.ann_box,
        }
        box: Box = opened[self.access]()
        return box

    def problems(self) -> list[str]:
        """All invalid settings whose types are correct; each message starts with the name of the setting."""
        return []

    def planned_queries(self, classes: int) -> int | None:
        """The maximum number of queries for this number of inversions, or None if the settings do not limit it."""
        return None

    def within(self, budget: int, classes: int) -> Attack[Box]:
        """The attack with settings that use up to `budget` queries for this number of inversions.

        Without such a setting, the attack is returned unchanged and stops when the budget is spent.
        """
        return self

    def assumptions(self, box: Box) -> list[str]:
        """The assumptions about inputs that the attack makes before its first query, possibly none."""
        return []

    def images(self, inversions: Inversions) -> Tensor:
        """The images that image evaluators judge, (K, *input_shape) in 0..1: the spikes averaged over time."""
        return inversions.images

    def settings(self) -> dict[str, Any]:
        """All settings of the attack by name, as JSON-ready values."""
        return {field.name: getattr(self, field.name) for field in fields(self)} if is_dataclass(self) else {}

    @abstractmethod
    def _invert(self, box: Box, classes: list[int], steps: int, seed: int, progress: Progress) -> Inversions:
        """Inverts checked `classes` through `box`."""

    @final
    @isolated
    def __call__(
        self,
        box: Box,
        *,
        classes: Iterable[int],
        steps: int,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Inversions:
        """Reconstructs one input for each of `classes`, in which a class may occur more than once.

        steps: number of time steps T of each query and inversion. seed: seed of all random numbers of the attack.

        Raises:
            InputError: an unknown class, no class, fewer than one step, the wrong kind of box, or a target with one
                output.
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
    """Raises InputError for a target with one output: attacks need at least two classes to tell apart."""
    if count < 2:
        raise InputError(
            f"classes: this network has {count} output, and an attack needs at least two classes: it reconstructs what "
            "makes one class win over the others. A network with one output (a detector or a regression) has no "
            "classes to invert"
        )


def checked_classes(classes: Iterable[Any], count: int) -> list[int]:
    """Returns `classes` as a list of class numbers in 0..count-1. Raises InputError if it is empty or invalid."""
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
    """Default progress callback, which does nothing."""
