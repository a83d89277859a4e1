"""Asks a black box about samples, as a membership attacker does, and computes statistics from its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch

from bl_neuro.access import BlackBox, predicted_classes
from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.checks import whole_number, within
from bl_neuro.data.encoders import Encoder, find_encoder
from bl_neuro.data.samples import Samples
from bl_neuro.errors import InputError, SubstrateError
from bl_neuro.leakage.membership_statistics import statistics
from bl_neuro.seeding import stream
from bl_neuro.training.target import BATCH

AskKind = Literal["plain", "noise", "dropout"]
ASK_KINDS: tuple[AskKind, ...] = get_args(AskKind)
DEFAULT_SIZE = {"plain": 0.0, "noise": 0.1, "dropout": 0.5}
"""The default `size` of each kind of ask."""
MOST_ASKS = 1000


@dataclass(frozen=True)
class Ask:
    """How the attacker asks about a sample.

    kind: "plain" encodes the sample anew in every ask; "noise" also adds Gaussian noise of standard deviation `size` to
    its pixels (0..1), the distance to the decision boundary as labels show it (Choquette-Choo et al. 2021); "dropout"
    removes each input spike with probability `size` (after arXiv 2502.13191). count: number of asks per sample, each
    of them one query.

    Raises:
        InputError: an unknown kind, or a count or size out of range.
    """

    kind: AskKind = "plain"
    count: int = 4
    size: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in ASK_KINDS:
            raise InputError(f"ask: expected one of {', '.join(ASK_KINDS)}, found {self.kind!r}")
        count = whole_number(self.count)
        if count is None or not 1 <= count <= MOST_ASKS:
            raise InputError(f"asks: expected 1..{MOST_ASKS} asks per sample, found {self.count!r}")
        object.__setattr__(self, "count", count)
        if self.kind == "plain" and self.size != 0:
            raise InputError(f"size: plain asks have no size, found {self.size!r}; leave it out")
        if self.kind != "plain" and (not within(self.size, 0, 1) or self.size in (0, 1)):
            raise InputError(f"size: expected between 0 and 1 for {self.kind}, found {self.size!r}")

    @classmethod
    def of(cls, kind: AskKind, count: int, size: float | None = None) -> Ask:
        """An ask with this size or, by default, with that of its kind."""
        return cls(kind, count, DEFAULT_SIZE.get(kind, 0.0) if size is None else size)


class SampleAnswers(NamedTuple):
    """What one network answers about n samples, as means over all asks.

    statistics (n, D): see `bl_neuro.leakage.membership_statistics`. probabilities (n,): of the true label. right (n,):
    share of the answers that name the right class.
    """

    statistics: FloatArray
    probabilities: FloatArray
    right: FloatArray


class AskedBatch(NamedTuple):
    """Inputs of one ask: its number, the samples (b,) that they encode, and their spikes (T, b, ...)."""

    number: int
    samples: IntArray
    spikes: Any


def ask_about(
    box: BlackBox,
    samples: Samples,
    ask: Ask,
    steps: int,
    seed: int,
    encoder: str | Encoder | None = None,
    asked: Callable[[int], None] | None = None,
) -> SampleAnswers:
    """Asks `box` about every sample, `ask.count` times; each costs one query.

    The labels of the samples are outputs of the network. The same seed asks every network with the same inputs, of
    `steps` time steps. asked: is called with the number of queries after each batch.

    Raises:
        InputError: the encoder returns another shape. SubstrateError: an answer is NaN or infinite, found after the
            batch of queries that it belongs to.
    """
    return ask_boxes([box], samples, ask, steps, seed, encoder, asked)[0]


def ask_boxes(
    boxes: Sequence[BlackBox],
    samples: Samples,
    ask: Ask,
    steps: int,
    seed: int,
    encoder: str | Encoder | None = None,
    asked: Callable[[int], None] | None = None,
    only: IntArray | None = None,
) -> list[SampleAnswers]:
    """Asks each of `boxes` as `ask_about` does, all with the same inputs. Each of them counts its own queries.

    Boxes of one `SharedTarget` need one simulation for all of their answers. only: indices of the samples to ask about,
    with the inputs that they have among all; by default all samples. Answers are in increasing order of these indices.
    """
    wanted = np.arange(len(samples.labels)) if only is None else np.unique(only)
    tables: list[list[list[SampleAnswers]]] = [[[] for _ in range(ask.count)] for _ in boxes]
    for batch in asked_inputs(samples, ask, steps, seed, encoder):
        chosen = np.isin(batch.samples, wanted)
        if not chosen.any():
            continue
        # A selection copies, which inputs that are held over all steps should not be without need.
        spikes = batch.spikes if chosen.all() else batch.spikes[:, chosen]
        labels = samples.labels[batch.samples[chosen]]
        for box, table in zip(boxes, tables):
            table[batch.number].append(_answers(box, spikes, labels))
            if asked is not None:
                asked(len(labels))
    return [_mean([_joined(batches) for batches in table]) for table in tables]


def asked_inputs(
    samples: Samples, ask: Ask, steps: int, seed: int, encoder: str | Encoder | None = None
) -> Iterator[AskedBatch]:
    """The inputs of all asks about all samples, in batches."""
    size = len(samples.labels)
    for number in range(ask.count):
        rng = stream(seed, f"ask {number}")
        for start in range(0, size, BATCH):
            index = np.arange(start, min(start + BATCH, size))
            spikes = samples.spikes(index, steps, rng, _encoder(encoder, ask))
            _need_shape(spikes, (steps, len(index), *samples.input_shape))
            if ask.kind == "dropout":
                spikes = spikes * (rng.random(spikes.shape) >= ask.size)
            yield AskedBatch(number, index, spikes)


def _need_shape(spikes: Any, expected: tuple[int, ...]) -> None:
    """Raises InputError unless an encoder returned (T, B, ...) with as many values a sample as `expected`."""
    shape = getattr(spikes, "shape", None)
    if shape is None or tuple(shape[:2]) != expected[:2] or np.prod(shape[2:]) != np.prod(expected[2:]):
        returned = type(spikes).__name__ if shape is None else tuple(shape)
        raise InputError(f"encoder: expected a function that returns inputs of shape {expected}, found {returned}")


def _answers(box: BlackBox, spikes: Any, labels: IntArray) -> SampleAnswers:
    """What the box answers to one batch. Raises SubstrateError if it answers NaN or infinity."""
    shown = box.query(torch.as_tensor(spikes.reshape(len(spikes), len(labels), *box.input_shape)))
    if not bool(shown.isfinite().all()):
        raise SubstrateError(
            f"{box.reveals}: expected finite answers of the network, found NaN or infinity after {box.spent:,} queries;"
            " check the size of its weights, or choose another output"
        )
    right = (predicted_classes(shown, box.reveals).numpy() == labels).astype(np.float64)
    return SampleAnswers(*statistics(shown.numpy(), box.reveals, labels), right)


def _joined(batches: Sequence[SampleAnswers]) -> SampleAnswers:
    """The answers of one ask."""
    return SampleAnswers(*(np.concatenate(parts) for parts in zip(*batches)))


def _mean(asks: Sequence[SampleAnswers]) -> SampleAnswers:
    """The means over asks."""
    return SampleAnswers(*(np.mean(parts, axis=0) for parts in zip(*asks)))


def _encoder(encoder: str | Encoder | None, ask: Ask) -> str | Encoder | None:
    """The encoder of the samples; for asks with noise, it encodes images with noise."""
    if ask.kind != "noise":
        return encoder
    plain = find_encoder(encoder or "rate")

    def noisy(images: FloatArray, steps: int, rng: np.random.Generator) -> Any:
        return plain(np.clip(images + ask.size * rng.standard_normal(images.shape), 0, 1), steps, rng)

    return noisy
