"""How a target is built and trained: its layers, its neuron, its epochs."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Literal

from bl_neuro.checks import MAX_STEPS
from bl_neuro.data.events import EventDataset
from bl_neuro.data.registry import dataset_source
from bl_neuro.data.samples import Samples
from bl_neuro.data.source import DatasetSource
from bl_neuro.errors import InputError, PluginError
from bl_neuro.layers import MAX_EXTENT
from bl_neuro.neuron import CubaLIF, Reset

NeuronKind = Literal["canonical", "authors"]
_RESETS: dict[str, Reset] = {"canonical": "zero", "authors": "subtract_delayed"}
NEURONS = tuple(_RESETS)


@dataclass(frozen=True)
class ConvSpec:
    """One convolution of a target: so many channels out, a square kernel, stride and padding.

    A stride takes the place of pooling, which Loihi does not have.
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
        """Reads "12c5s2p1": 12 channels, a kernel of 5x5, stride 2, padding 1 (stride and padding may be left out)."""
        match = re.fullmatch(r"(\d{1,5})c(\d{1,5})(?:s(\d{1,5}))?(?:p(\d{1,5}))?", text.strip())
        if match is None:
            raise InputError(
                f"conv: expected a form such as 12c5s2p1 (channels, kernel, stride, padding), found {text!r}"
            )
        channels, kernel, stride, padding = match.groups()
        return cls(int(channels), int(kernel), int(stride or 1), int(padding or 0))

    def __str__(self) -> str:
        return f"{self.channels}c{self.kernel}s{self.stride}p{self.padding}"


@dataclass(frozen=True)
class TargetDesign(ABC):
    """What a target is, however it is trained; a trainer's plan adds the settings of the training.

    hidden: neurons of each fully connected hidden layer. conv: convolutions before them. neuron: "canonical" (reset to
    zero, no bias), or "authors", that of the BrainLeaks authors (snnTorch's Leaky: delayed subtraction, biases); both
    have a threshold of 1. steps: T of an input in training. voltage_decay: what the membrane loses in a step, 0..1; the
    authors' beta 0.7 is 0.3.
    """

    trainer: ClassVar[str]
    """The name of the trainer that this is a plan of."""

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
            raise InputError(f"conv: expected ConvSpecs, found {self.conv!r}")
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
        """Whether its neurons have biases."""
        return self.neuron == "authors"

    def cuba_lif(self, bias: object = 0.0) -> CubaLIF:
        """The neuron of a layer with these biases."""
        return CubaLIF(1.0, 1.0, self.voltage_decay, bias, _RESETS[self.neuron])

    def facts(self) -> dict[str, str]:
        """Every setting as text, to recognise a training by."""
        return {field.name: str(getattr(self, field.name)) for field in fields(self)}

    @abstractmethod
    def described(self) -> str:
        """The training in words, to come after "Each target was trained on 900 images"."""


@dataclass(frozen=True)
class TargetPlan(TargetDesign):
    """How `train_target` builds and trains a target: see `TargetDesign` for its layers, neuron and steps.

    proxy_epochs as an ANN of the firing rates (see `bl_neuro.training.stack`), then spiking_epochs through time (see
    `bl_neuro.training.target`), in batches, with AdamW and rates that fall along a cosine in each phase. noise: most
    background noise added to a training image, 0..1, so that the target is trained off the clean images too.
    shift: most pixels that the samples of a batch are shifted by.
    membrane_loss: weight of the cross-entropy of the output membrane at every step, beside that of the counts.

    validation: part of the target's own training data, 0..0.5, that is kept from training (at most 1,000 samples): the
    best epoch on it is what comes out, and a phase ends after `patience` epochs without a gain. With 0 the last epoch
    comes out.
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
            raise InputError("noise, validation: expected 0..1, validation at most 0.5")

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
    """So many epochs."""
    return f"{count} epoch{'' if count == 1 else 's'}"


def shift_in_words(pixels: int) -> str:
    """So many pixels by which samples are shifted; "" for none."""
    return f"shifted by up to {pixels} pixel{'' if pixels == 1 else 's'}" if pixels else ""


def phases_in_words(phases: Sequence[str]) -> str:
    """The phases of a training, in order."""
    return f": {', then '.join(phases)}" if phases else ", for no epoch"


EVENT_PLAN = TargetPlan(
    steps=100, proxy_epochs=0, spiking_epochs=30, batch=16, spiking_rate=5e-3, weight_decay=0.01, noise=0.0, shift=2,
    membrane_loss=0.1,
)  # fmt: skip
"""The plan for recordings of events."""


def plan_for(data: Samples | str) -> TargetPlan:
    """The plan that is known to work for this dataset, or for the dataset that is known by this name.

    That is the plan for images or for events, with the settings on top that the dataset's source declares.

    Raises:
        PluginError: the source is another package's, and declares settings that a plan does not have.
    """
    source = dataset_source(data if isinstance(data, str) else data.name)
    kind = source.kind if isinstance(data, str) and source is not None else _kind(data)
    plan = EVENT_PLAN if kind == "events" else TargetPlan()
    return plan if source is None or source.kind != kind else _with_settings(plan, source)


def _kind(data: Samples | str) -> str:
    return "events" if isinstance(data, EventDataset) else "images"


def _with_settings(plan: TargetPlan, source: type[DatasetSource]) -> TargetPlan:
    settings = dict(source.target_plan)
    try:
        if "conv" in settings:
            settings["conv"] = tuple(ConvSpec.parse(text) for text in settings["conv"])
        return replace(plan, **settings)
    except (InputError, TypeError) as error:
        raise PluginError(
            f"dataset '{source.name}': expected settings of a TargetPlan in its target_plan ({error})"
        ) from error
