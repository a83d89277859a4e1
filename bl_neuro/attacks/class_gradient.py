"""What white-box attacks climb: how much a target speaks for a class, and the gradient of that in the input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from bl_neuro.access import WhiteBox
from bl_neuro.backends.base import Response
from bl_neuro.errors import InputError

Output = Literal["membrane", "spikes"]
OUTPUTS: tuple[str, ...] = ("membrane", "spikes")
PIECE_VALUES = 2**21
"""Most values (T x B x widest layer) that are differentiated at once: a few megabytes, so that they stay in cache."""
ClassValue = Callable[[Response, Tensor], Tensor]
"""value (B,) of a response to B samples, given the class (B,) wanted of each."""


def output_of(response: Response, output: Output) -> Tensor:
    """The output (T, B, C) that an attack goes by. InputError where the substrate does not show it."""
    if output == "spikes":
        return response.spikes
    if response.membrane is None:
        raise InputError("this attack needs the membrane of the output, which this substrate does not show")
    return response.membrane


def class_score(response: Response, classes: Tensor, output: Output) -> Tensor:
    """J = mean over t of softmax(output[t])[c], (B,), in 0..1."""
    return torch.softmax(output_of(response, output), dim=2)[:, torch.arange(len(classes)), classes].mean(0)


def class_log_score(response: Response, classes: Tensor, output: Output) -> Tensor:
    """Mean over t of log softmax(output[t])[c], (B,), at most 0."""
    return torch.log_softmax(output_of(response, output), dim=2)[:, torch.arange(len(classes)), classes].mean(0)


def class_gradient(box: WhiteBox, spikes: Tensor, classes: Tensor, value: ClassValue) -> tuple[Tensor, Tensor]:
    """value(response, classes), (B,), at spikes (T, B, *input_shape), and its gradient, of the shape of spikes.

    Each sample's value depends on that sample alone, so a batch is run in pieces.
    """
    rows = samples_at_once(box, len(spikes))
    found = [
        box.gradient(some, _for_classes(value, labels))
        for some, labels in zip(spikes.split(rows, dim=1), classes.split(rows))
    ]
    if len(found) == 1:
        return found[0]
    return torch.cat([values for values, _ in found]), torch.cat([gradient for _, gradient in found], dim=1)


def samples_at_once(box: WhiteBox, steps: int) -> int:
    """How many samples of `steps` steps are differentiated in one piece."""
    widest = max(math.prod(shape) for shape in (box.input_shape, *box.network.shapes))
    return max(1, PIECE_VALUES // (steps * widest))


def _for_classes(value: ClassValue, classes: Tensor) -> Callable[[Response], Tensor]:
    return lambda response: value(response, classes)
