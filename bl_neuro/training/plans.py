"""Architectures and training plans of targets: layers, neurons, epochs."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, TypeVar

from bl_neuro.checks import MAX_STEPS
from bl_neuro.data.events import EventDataset
from bl_neuro.data.registry import dataset_source
from bl_neuro.data.samples import Samples
from bl_neuro.errors import InputError, PluginError
from bl_neuro.layers import MAX_EXTENT
from bl_neuro.neuron import CubaLIF, Reset

NeuronKind = Literal["canonical", "authors"]
_RESETS: dict[str, Reset] = {"canonical": "zero", "authors": "subtract_delayed"}
NEURONS = tuple(_RESETS)


@dataclass(frozen=True)
class ConvSpec:
    """One convolution of a target: number of output channels, square kernel, stride and padding.

    A stride replaces pooling, which Loihi does not have.
    """

    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0

    def __post_init__(self) -> None:
        for field, least in (("channels", 1), ("kernel", 1), ("stride", 1), ("padding", 0)):
            if not least <= getattr(self, field) <= MAX_EXTENT:
                raise InputError(f"conv: {field}: expected {least}..{MAX_EXTENT}, found {getattr(self, field)}")

    @classmethod
    def parse(cls, text: str) -> ConvSpec:
        """Parses "12c5s2p1": 12 channels, 5x5 kernel, stride 2, padding 1 (stride and padding are optional)."""
        match = re.fullmatch(r"(\d{1,5})c(\d{1,5})(?:s(\d{1,5}))?(?:p(\d{1,5}))?", text.strip())
        if match is None:
            raise InputError(
                f"conv: expected text such as 12c5s2p1 (channels, kernel, stride, padding), found {text!r}"
            )
        channels, kernel, stride, padding = match.groups()
        return cls(int(channels), int(kernel), int(stride or 1), int(padding or 0))

    def __str__(self) -> str:
        return f"{self.channels}c{self.kernel}s{self.stride}p{self.padding}"


@dataclass(frozen=True)
class TargetDesign(ABC):
    """The architecture of a target; the plan of a trainer adds the training settings.

    hidden: number of neurons of each fully connected hidden layer. conv: convolutions before them. neuron: "canonical"
    (reset to zero, no bias), or "authors" (snnTorch's Leaky with delayed subtraction and biases, as in BrainLeaks);
    both have a threshold of 1. steps: number of time steps of an input in training. voltage_decay: fraction of the
    voltage lost per step, 0..1; the authors' beta of 0.7 is a decay of 0.3.
    """

    trainer: ClassVar[str]
    """Name of the trainer that uses this plan."""

    hidden: tuple[int, ...] = (300,)
    conv: tuple[ConvSpec, ...] = ()
    neuron: NeuronKind = "canonical"
    steps: int = 25
    voltage_decay: float = 0.3

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MAX_STEPS:
            raise InputError(f"steps: expected 1..{MAX_STEPS}, found {self.steps}")
        if min(self.hidden, default=1) < 1:
            raise InputError(f"hidden: expected at least 1 neuron in each layer, found {self.hidden}")
        if not all(isinstance(spec, ConvSpec) for spec in self.conv):
            raise InputError(f"conv: expected a tuple of ConvSpec, found {self.conv!r}")
        if self.neuron not in _RESETS:
            raise InputError(f"neuron: expected one of {', '.join(_RESETS)}, found {self.neuron!r}")
        if not 0 < self.voltage_decay < 1:
            raise InputError(f"voltage_decay: expected between 0 and 1, found {self.voltage_decay}")

    def _need(self, field: str, least: int) -> None:
        if not getattr(self, field) >= least:
            raise InputError(f"{field}: expected at least {least}, found {getattr(self, field)}")

    def _need_rate(self, field: str) -> None:
        if not 0 < getattr(self, field) < 1:
            raise InputError(f"{field}: expected between 0 and 1, found {getattr(self, field)}")

    @property
    def has_bias(self) -> bool:
        """Whether neurons have biases."""
        return self.neuron == "authors"

    def cuba_lif(self, bias: object = 0.0) -> CubaLIF:
        """The neuron of a layer with these biases."""
        return CubaLIF(1.0, 1.0, self.voltage_decay, bias, _RESETS[self.neuron])

    def facts(self) -> dict[str, str]:
        """All settings as text, to identify a training."""
        return {field.name: str(getattr(self, field.name)) for field in fields(self)}

    @abstractmethod
    def described(self) -> str:
        """The training in words, to follow "Each target was trained on 900 images"."""


Design = TypeVar("Design", bound=TargetDesign)


@dataclass(frozen=True)
class TargetPlan(TargetDesign):
    """Settings of `train_target`; see `TargetDesign` for layers, neuron and steps.

    Training takes proxy_epochs as an ANN on firing rates (see `bl_neuro.training.stack`), then spiking_epochs through
    time (see `bl_neuro.training.target`), in batches, with AdamW and a cosine schedule in each phase. noise: maximum
    background noise added to a training image, 0..1, so that the target also learns images that are not clean. shift:
    maximum shift of the samples of a batch, in pixels. membrane_loss: weight of the cross-entropy of the output
    membrane at every step, relative to that of the counts.

    validation: fraction of the target's training data, 0..0.5, that is used for validation (at most 1,000 samples). The
    result is the epoch with the best validation score, and a phase ends after `patience` epochs without improvement.
    With 0, the result is the last epoch.
    """

    trainer: ClassVar[str] = "default"

    proxy_epochs: int = 150
    spiking_epochs: int = 24
    batch: int = 64
    proxy_rate: float = 3e-3
    spiking_rate: float = 1e-3
    weight_decay: float = 0.3
    noise: float = 0.5
    shift: int = 0
    membrane_loss: float = 1.0
    validation: float = 0.0
    patience: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        self._need("batch", 1)
        self._need("patience", 1)
        for field in ("proxy_epochs", "spiking_epochs", "weight_decay", "membrane_loss", "shift"):
            self._need(field, 0)
        for field in ("proxy_rate", "spiking_rate"):
            self._need_rate(field)
        if not 0 <= self.noise <= 1 or not 0 <= self.validation <= 0.5:
            raise InputError("noise, validation: expected noise in 0..1 and validation in 0..0.5")

    def described(self) -> str:
        """See `TargetDesign.described`."""
        phases = [
            *([f"{epochs_in_words(self.proxy_epochs)} as an ANN of its firing rates"] if self.proxy_epochs else []),
            *([f"{epochs_in_words(self.spiking_epochs)} through time"] if self.spiking_epochs else []),
        ]
        noise = f"with up to {100 * self.noise:g}% of background noise" if self.noise else ""
        changes = [text for text in (noise, shift_in_words(self.shift)) if text]
        how = f", {' and '.join(changes)}" if changes else ""
        return f"{how}{phases_in_words(phases)}"


def epochs_in_words(count: int) -> str:
    """A number of epochs, in words."""
    return f"{count} epoch{'' if count == 1 else 's'}"


def shift_in_words(pixels: int) -> str:
    """A maximum shift, in words; "" for none."""
    return f"shifted by up to {pixels} pixel{'' if pixels == 1 else 's'}" if pixels else ""


def phases_in_words(phases: Sequence[str]) -> str:
    """The phases of a training, in words."""
    return f": {', then '.join(phases)}" if phases else ", for no epoch"


EVENT_PLAN = TargetPlan(
    steps=100, proxy_epochs=0, spiking_epochs=30, batch=16, spiking_rate=5e-3, weight_decay=0.01, noise=0.0, shift=2,
    membrane_loss=0.1,
)  # fmt: skip
"""The plan for event recordings."""


def plan_for(data: Samples | str) -> TargetPlan:
    """The default plan for a dataset, given as an object or by name.

    It is the plan for images or for events, with the settings that the dataset's source declares.

    Raises:
        PluginError: the source belongs to another package and declares settings that a plan does not have.
    """
    source = dataset_source(data if isinstance(data, str) else data.name)
    kind = source.kind if isinstance(data, str) and source is not None else _kind(data)
    plan = EVENT_PLAN if kind == "events" else TargetPlan()
    if source is None or source.kind != kind:
        return plan
    return _with_settings(plan, source.target_plan, f"dataset '{source.name}': target_plan")


def declared_plan(plan: Design, dataset: str) -> Design:
    """`plan` with the settings that the source of a dataset declares for its trainer, in `trainer_plans`.

    Raises:
        PluginError: the source belongs to another package and declares settings that the plan does not have.
    """
    source = dataset_source(dataset)
    settings = {} if source is None else source.trainer_plans.get(plan.trainer, {})
    return _with_settings(plan, settings, f"dataset '{dataset}': trainer_plans: {plan.trainer}")


def _kind(data: Samples | str) -> str:
    return "events" if isinstance(data, EventDataset) else "images"


def _with_settings(plan: Design, declared: Mapping[str, Any], place: str) -> Design:
    settings = dict(declared)
    try:
        if "conv" in settings:
            settings["conv"] = tuple(ConvSpec.parse(text) for text in settings["conv"])
        return replace(plan, **settings)
    except (InputError, TypeError) as error:
        raise PluginError(f"{place}: expected settings of a {type(plan).__name__} ({error})") from error
