"""The base class of evaluators: name, view of inversions, training, answers and file format."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.data.events import EventDataset
from bl_neuro.data.samples import Samples
from bl_neuro.errors import InputError
from bl_neuro.isolation import isolated
from bl_neuro.training.checkpoint import Checkpoint
from bl_neuro.training.fit import Progress
from bl_neuro.training.module_file import image_facts, write_module

FORMAT = "bl-neuro/evaluator/2"
BATCH = 256
"""Number of images judged at once."""
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class EvaluatorSettings:
    """Training settings of an evaluator, as in a table of `[[evaluators]]`.

    epochs: if None, chosen for the data.
    """

    epochs: int | None = None

    def __post_init__(self) -> None:
        if self.epochs is not None and self.epochs < 0:
            raise InputError(f"epochs: expected at least 0, found {self.epochs}")

    def definition(self) -> dict[str, Any]:
        """All settings by name, JSON-ready."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """The arguments of a training, besides data and settings.

    steps: number of time steps of the rate code for targets. seed: seed of all random numbers. device, progress,
    checkpoint: as in `train_target`.
    """

    steps: int = 25
    seed: int = 0
    device: str = "auto"
    progress: Progress | None = None
    checkpoint: Checkpoint | None = None


class ImageEvaluator(nn.Module):
    """A classifier of images (C, H, W) that judges inversions. Subclasses declare the class attributes below.

    name: the `kind` in `[[evaluators]]`. title: name in tables. spiking: whether its neurons spike. judges: what it
    sees of inversions if targets take images: "images", or the "spikes" of the rate code. For event recordings, all
    evaluators see spikes. Settings: a frozen dataclass of its settings. audits_models: whether audits of model files
    use it unless they name their evaluators. fitted_at_once: whether it is fitted in one step,
    without epochs and checkpoints. certain_by: what its certainty is, as a phrase.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    spiking: ClassVar[bool]
    judges: ClassVar[Literal["images", "spikes"]] = "images"
    Settings: ClassVar[type[EvaluatorSettings]] = EvaluatorSettings
    audits_models: ClassVar[bool] = False
    fitted_at_once: ClassVar[bool] = False
    certain_by: ClassVar[str] = "its highest class probability"

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.shape, self.classes = shape, classes

    @classmethod
    def file_name(cls) -> str:
        """The name of its file in the folder of `bl-neuro train`."""
        return f"evaluator-{cls.name}.safetensors"

    @classmethod
    @abstractmethod
    def trained_on(cls, data: Samples, settings: Any, run: TrainingRun) -> ImageEvaluator:
        """Trains an evaluator on `data`, with samples of at least two classes. settings: an instance of `Settings`.

        Raises:
            InputError: the data do not fit, or the checkpoint belongs to another training.
        """

    @property
    @abstractmethod
    def architecture(self) -> str:
        """The layers in one line."""

    @abstractmethod
    def judge(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Class probabilities (B, classes) and features (B, D) for frames (T, B, C, H, W); T is 1 for images."""

    def facts(self) -> dict[str, str]:
        """What `from_facts` needs to rebuild it, besides name and sizes."""
        return {}

    @classmethod
    def from_facts(cls, shape: Shape, classes: int, facts: Mapping[str, str]) -> ImageEvaluator:
        """The untrained evaluator with these facts. Raises KeyError or ValueError if one is missing or invalid."""
        return cls(shape, classes)

    def probabilities(self, images: npt.ArrayLike) -> FloatArray:
        """Class probabilities (B, classes) for images (B, C, H, W) in 0..1 or spikes (T, B, C, H, W)."""
        return self._batched(images, lambda frames: self.judge(frames)[0])

    def features(self, images: npt.ArrayLike) -> FloatArray:
        """The penultimate layer's values (B, D) for images (B, C, H, W) or spikes (T, B, C, H, W)."""
        return self._batched(images, lambda frames: self.judge(frames)[1])

    def certainty(self, images: npt.ArrayLike) -> FloatArray:
        """How sure it is that images (B, ...) show any of its classes, (B,); see `training.rejection`.

        Its highest class probability, unless a subclass has a better measure.
        """
        return np.asarray(self.probabilities(images).max(axis=1))

    @isolated
    def accuracy(self, data: Samples) -> float:
        """Fraction of `data` that is classified correctly; for events, from their spikes."""
        right = 0
        for start in range(0, len(data.labels), BATCH):
            part = np.arange(start, min(start + BATCH, len(data.labels)))
            right += int((self.probabilities(shown(data, part)).argmax(axis=1) == data.labels[part]).sum())
        return right / len(data.labels)

    def save(self, path: str | Path) -> None:
        """Writes the evaluator to a .safetensors file, atomically. `load_evaluator` reads it.

        Raises:
            ModelFileError: the file cannot be written.
        """
        facts = {"format": FORMAT, "kind": self.name, **self.facts()}
        write_module(path, self, {**facts, **image_facts(self.shape, self.classes)})

    @isolated
    def _batched(self, images: npt.ArrayLike, judge: Callable[[Tensor], Tensor]) -> FloatArray:
        values = np.asarray(images)
        if values.ndim not in (4, 5) or tuple(values.shape[-3:]) != self.shape or 0 in values.shape:
            raise InputError(
                f"evaluator: expected images of shape {self.shape}, (B, ...) or (T, B, ...), found {values.shape}"
            )
        frames = values if values.ndim == 5 else values[None]
        device = next(self.parameters()).device
        self.eval()
        answers = []
        with torch.no_grad():
            for start in range(0, frames.shape[1], BATCH):
                batch = torch.as_tensor(np.ascontiguousarray(frames[:, start : start + BATCH]), dtype=torch.float32)
                answers.append(judge(batch.to(device)).double().cpu())
        return np.asarray(torch.cat(answers))


def shown(data: Samples, index: IntArray) -> npt.NDArray[Any]:
    """The input of an evaluator: images (B, C, H, W), or for events the spikes (T, B, C, H, W)."""
    if isinstance(data, EventDataset):
        return np.moveaxis(data.frames_at(index), 1, 0)
    return data.images_at(index)


def image_shape(data: Samples) -> Shape:
    """The shape (C, H, W) of the images of `data`. Raises InputError if they are not images."""
    if len(data.input_shape) != 3:
        raise InputError(f"evaluator: expected images (channels, height, width), found samples of {data.input_shape}")
    channels, height, width = data.input_shape
    return channels, height, width
