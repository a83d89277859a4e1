"""Computes the cells of `[membership]`: trains a network on its half, asks about the pool, runs the attacks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from bl_neuro.access import BlackBox, predicted_classes
from bl_neuro.arrays import BoolArray, FloatArray, IntArray
from bl_neuro.backends import Target
from bl_neuro.data.encoders import Encoder, find_encoder
from bl_neuro.data.samples import Samples
from bl_neuro.errors import ExperimentError, ModelFileError
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.material import Material
from bl_neuro.experiment.membership_measures import AnswersMeasures, MemberMeasures
from bl_neuro.leakage.membership_statistics import statistics
from bl_neuro.mitigations.registry import mitigation_of
from bl_neuro.network import Network
from bl_neuro.seeding import stream
from bl_neuro.training import Checkpoint
from bl_neuro.training.target import BATCH
from bl_neuro.training.trainers import train_by_plan

LEAST_PER_CLASS = 2


def pool_of(material: Material, size: int | None, seed: int) -> Samples:
    """The samples that are attacked: `size` of those outside the official test set, or all.

    Raises:
        ExperimentError: there are fewer, or fewer than two of a class.
    """
    data = material.data
    own = np.arange(len(data.labels)) if data.held_out is None else np.flatnonzero(~data.held_out)
    if size is not None and size > len(own):
        raise ExperimentError(f"membership.pool: expected at most the {len(own)} samples of {data.name}, found {size}")
    if size is not None:
        own = np.sort(stream(seed, "membership pool").permutation(own)[:size])
    pool: Samples = data.subset(own)
    counts = np.bincount(pool.labels, minlength=pool.classes)
    if counts.min() < LEAST_PER_CLASS:
        raise ExperimentError(
            f"membership: expected at least {LEAST_PER_CLASS} samples of every class in the pool, found {counts.min()} "
            f"of class {pool.class_names[int(counts.argmin())]!r}; choose a larger pool"
        )
    return pool


def random_half(labels: IntArray, seed: int) -> BoolArray:
    """A random half of every class, as a mask (n,); of an odd class, one sample less than the other half."""
    rng, members = stream(seed, "membership half"), np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        own = rng.permutation(np.flatnonzero(labels == label))
        members[own[: len(own) // 2]] = True
    return members


def trained_member(cell: Cell, material: Material, checkpoint: Checkpoint) -> tuple[Network, MemberMeasures]:
    """The network of a cell, trained on its half of the pool."""
    made = cell.definition
    pool = pool_of(material, made["pool"], made["pool_seed"])
    members = random_half(pool.labels, made["half"])
    network = train_by_plan(pool.subset(np.flatnonzero(members)), cell.what, made["seed"], checkpoint)
    measures = MemberMeasures(
        fingerprint=network.fingerprint, parameters=network.parameters, members=int(members.sum())
    )
    return network, measures


def answers(cell: Cell, target: Target, material: Material) -> tuple[AnswersMeasures, dict[str, FloatArray]]:
    """What the network of a cell answers about the pool: statistics (n, D) and probabilities (n,), means over asks."""
    made = cell.definition
    pool = pool_of(material, made["pool"], made["pool_seed"])
    asks, size = made["ask"]["count"], len(pool.labels)
    box = BlackBox(target, made["reveals"], asks * size, mitigation_of(made["mitigation"]), made["box_seed"])
    gathered = [_asked(box, pool, made, stream(made["seed"], f"ask {number}")) for number in range(asks)]
    values, probabilities, right = (np.mean(parts, axis=0) for parts in zip(*gathered))
    members = random_half(pool.labels, made["half"])
    measures = AnswersMeasures(
        queries=box.spent, members_right=float(right[members].mean()), others_right=float(right[~members].mean())
    )
    return measures, {"statistics": values, "probabilities": probabilities}


def _asked(
    box: BlackBox, pool: Samples, made: dict[str, Any], rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Statistics, probabilities and right answers of one ask about every sample."""
    ask, steps, parts = made["ask"], made["steps"], []
    for start in range(0, len(pool.labels), BATCH):
        index = np.arange(start, min(start + BATCH, len(pool.labels)))
        spikes = pool.spikes(index, steps, rng, _encoder(made["encoder"], ask))
        if ask["kind"] == "dropout":
            spikes = spikes * (rng.random(spikes.shape) >= ask["size"])
        shown = box.query(torch.as_tensor(spikes.reshape(steps, len(index), *box.input_shape)))
        labels = pool.labels[index]
        right = (predicted_classes(shown, box.reveals).numpy() == labels).astype(np.float64)
        parts.append((*statistics(shown.numpy(), box.reveals, labels), right))
    values, probabilities, right = (np.concatenate(part) for part in zip(*parts))
    return values, probabilities, right


def _encoder(name: str | None, ask: dict[str, Any]) -> str | Encoder | None:
    """The encoder of the experiment; for asks with noise, it encodes images with noise."""
    if ask["kind"] != "noise":
        return name
    plain = find_encoder(name or "rate")

    def noisy(images: FloatArray, steps: int, rng: np.random.Generator) -> Any:
        return plain(np.clip(images + ask["size"] * rng.standard_normal(images.shape), 0, 1), steps, rng)

    return noisy


def save_answers(values: dict[str, FloatArray], path: Path) -> None:
    """Writes the answers of a cell."""
    save_file({name: np.ascontiguousarray(value) for name, value in values.items()}, path)


def gathered_answers(
    cells: Sequence[Cell], files: Sequence[Path], labels: IntArray
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Statistics (N, n, D), probabilities (N, n) and members (N, n) of all networks.

    Raises:
        ModelFileError: a file cannot be read as answers.
    """
    try:
        tables = [load_file(path) for path in files]
        values = np.stack([table["statistics"] for table in tables])
        probabilities = np.stack([table["probabilities"] for table in tables])
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise ModelFileError(f"{files[0].parent}: answers cannot be read ({error}); run the audit again") from error
    members = np.stack([random_half(labels, cell.definition["half"]) for cell in cells])
    return values, probabilities, members
