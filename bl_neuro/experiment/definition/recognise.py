"""How a stranger's network wants a dataset to be shown, and what its outputs stand for: what is most often right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bl_neuro.access import answered
from bl_neuro.arrays import IntArray
from bl_neuro.backends import open_target
from bl_neuro.data import EventDataset
from bl_neuro.data.samples import Samples
from bl_neuro.errors import ExperimentError
from bl_neuro.experiment.definition.input_range import with_input_range
from bl_neuro.network import Network
from bl_neuro.seeding import stream

SAMPLES = 256
"""Most samples that are shown in each way."""
RANGES: tuple[tuple[float, float] | None, ...] = (None, (-1.0, 1.0))
"""What pixels 0 and 1 may stand for as currents: themselves, or images around 0."""


@dataclass(frozen=True)
class Recognised:
    """How a network is best shown a dataset, and how often it is right then, of `samples` shown.

    encoder, input_range, class_map: as `[model]` of an experiment has them. chance: what guessing would score.
    """

    encoder: str | None
    input_range: tuple[float, float] | None
    class_map: tuple[int, ...]
    accuracy: float
    samples: int
    chance: float

    @property
    def said(self) -> str:
        """In words."""
        pixels = "" if self.input_range is None else f", pixels from {self.input_range[0]:g} to {self.input_range[1]:g}"
        moved = "" if self.class_map == tuple(range(len(self.class_map))) else f", outputs {list(self.class_map)}"
        shown = "as events" if self.encoder is None else f"with encoder {self.encoder}"
        return (
            f"shown {shown}{pixels}{moved}: right in {self.accuracy:.3f} of {self.samples} (chance {self.chance:.3f})"
        )


def recognise(
    network: Network,
    data: Samples,
    steps: int,
    *,
    encoder: str | None = None,
    input_range: Sequence[float] | None = None,
    class_map: Sequence[int] | None = None,
) -> Recognised:
    """Tries what is not given on samples of `data`, in `steps` steps on `loihi`; what is right most often comes out.

    Tried are: rate and held spikes, or for input neurons pixels as currents in 0..1 and -1..1; and of outputs, the
    numbers themselves and the assignment to classes that is right most often. Data that is not for testing, please.

    Raises:
        ExperimentError: the network does not take samples of this size.
    """
    if np.prod(network.input_shape) != np.prod(data.input_shape):
        raise ExperimentError(
            f"model: expected inputs like the dataset's {data.input_shape}, found {network.input_shape}"
        )
    current = network.input_kind == "current"
    encoders: tuple[str | None, ...] = ("direct",) if current else ("rate", "held")
    if isinstance(data, EventDataset):
        encoders = (None,)
    elif encoder is not None:
        encoders = (encoder,)
    ranges = RANGES if current and input_range is None else (_pair(input_range),)
    part = data.subset(stream(0, "recognise").permutation(len(data.labels))[:SAMPLES])
    found = []
    for low_high in ranges:
        shown = network if low_high is None else with_input_range(network, *low_high)
        for name in encoders:
            answers = _answers(shown, part, steps, name)
            mapped = tuple(class_map) if class_map is not None else _class_map(answers, part, network.classes)
            right = float(np.mean([each >= 0 and mapped[each] == label for each, label in zip(answers, part.labels)]))
            found.append(Recognised(name, low_high, mapped, right, len(answers), 1 / data.classes))
    return max(found, key=lambda each: each.accuracy)


def _pair(values: Sequence[float] | None) -> tuple[float, float] | None:
    return None if values is None else (float(values[0]), float(values[1]))


def _answers(network: Network, data: Any, steps: int, encoder: str | None) -> IntArray:
    spikes = data.spikes(slice(None), steps, stream(0, "recognise", 1), encoder)
    with open_target(network, "loihi") as target:
        response = target.run(spikes.reshape(steps, len(data.labels), *network.input_shape))
        return np.asarray(answered(response, network.readout))


def _class_map(answers: IntArray, data: Samples, outputs: int) -> tuple[int, ...]:
    """Output by output its class: its own number, unless another assignment is right twice as often."""
    from scipy.optimize import linear_sum_assignment

    table = np.zeros((outputs, data.classes))
    for answer, label in zip(answers, data.labels):
        if answer >= 0:
            table[answer, label] += 1
    own = tuple(range(outputs))
    if outputs > data.classes:
        raise ExperimentError(f"model: expected at most {data.classes} outputs, the dataset's classes, found {outputs}")
    rows, columns = linear_sum_assignment(table, maximize=True)
    return tuple(columns.tolist()) if table[rows, columns].sum() > 2 * np.trace(table) else own
