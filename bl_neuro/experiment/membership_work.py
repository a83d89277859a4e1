"""Computes the cells of `[membership]`: trains a network on its half, asks about the pool, runs the attacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import save_file

from bl_neuro.access import BlackBox
from bl_neuro.arrays import BoolArray, FloatArray, IntArray
from bl_neuro.backends import Target
from bl_neuro.data.samples import Samples
from bl_neuro.errors import ExperimentError, ModelFileError
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.material import Material
from bl_neuro.experiment.membership_measures import AnswersMeasures, MemberMeasures
from bl_neuro.leakage.membership_statistics import statistics
from bl_neuro.membership.asks import Ask, SampleAnswers, ask_boxes
from bl_neuro.membership.halves import random_half
from bl_neuro.membership.shared_target import SharedTarget
from bl_neuro.mitigations.registry import mitigation_of
from bl_neuro.network import Network
from bl_neuro.seeding import stream
from bl_neuro.training import AnnTwin, Checkpoint
from bl_neuro.training.trainers import train_twin_by_plan

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


def half_of_pool(cell: Cell, material: Material) -> Samples:
    """The half of the pool on which the network or the ANN twin of a cell is trained."""
    made = cell.definition
    pool = pool_of(material, made["pool"], made["pool_seed"])
    half: Samples = pool.subset(np.flatnonzero(random_half(pool.labels, made["half"])))
    return half


def member_measures(cell: Cell, network: Network, material: Material) -> MemberMeasures:
    """The measures of the trained network of a cell."""
    return MemberMeasures(
        fingerprint=network.fingerprint,
        parameters=network.parameters,
        members=len(half_of_pool(cell, material).labels),
    )


def trained_twin(cell: Cell, material: Material, checkpoint: Checkpoint) -> AnnTwin:
    """The ANN twin of a cell, trained on the half of its network."""
    plan, hidden = cell.what
    return train_twin_by_plan(half_of_pool(cell, material), plan, hidden, cell.definition["seed"], checkpoint)


def answers_of_twin(cell: Cell, twin: AnnTwin, material: Material) -> tuple[AnswersMeasures, dict[str, FloatArray]]:
    """What an ANN twin answers about the pool, once: its answers do not vary."""
    made = cell.definition
    pool = pool_of(material, made["pool"], made["pool_seed"])
    with torch.no_grad():
        logits = twin(torch.from_numpy(pool.images_at(slice(None))).float()).double()
    scores = torch.softmax(logits, 1).numpy()
    right = (scores.argmax(1) == pool.labels).astype(np.float64)
    tables = {}
    for reveals in made["reveals"]:
        shown = scores if reveals == "scores" else scores.argmax(1)
        tables[reveals] = SampleAnswers(*statistics(shown, reveals, pool.labels), right)
    return _measured(tables, random_half(pool.labels, made["half"]), len(right)), _tensors(tables)


def answers(cell: Cell, target: Target, material: Material) -> tuple[AnswersMeasures, dict[str, FloatArray]]:
    """What the network of a cell answers about the pool: statistics (n, D) and probabilities (n,), means over asks.

    Every output has a box of its own, since the attackers who see them are different; see `SharedTarget`.
    """
    made = cell.definition
    pool, ask = pool_of(material, made["pool"], made["pool_seed"]), Ask(**made["ask"])
    mitigation, budget = mitigation_of(made["mitigation"]), ask.count * len(pool.labels)
    shared = SharedTarget(target)
    boxes = [BlackBox(shared, reveals, budget, mitigation, made["box_seed"]) for reveals in made["reveals"]]
    answered = ask_boxes(boxes, pool, ask, made["steps"], made["seed"], made["encoder"])
    tables = dict(zip(made["reveals"], answered))
    return _measured(tables, random_half(pool.labels, made["half"]), boxes[0].spent), _tensors(tables)


def _measured(tables: Mapping[str, SampleAnswers], members: BoolArray, queries: int) -> AnswersMeasures:
    """The measures of answers through several outputs."""
    return AnswersMeasures(
        queries=queries,
        members_right={reveals: float(table.right[members].mean()) for reveals, table in tables.items()},
        others_right={reveals: float(table.right[~members].mean()) for reveals, table in tables.items()},
    )


def _tensors(tables: Mapping[str, SampleAnswers]) -> dict[str, FloatArray]:
    """The stored part of answers through several outputs."""
    parts = {f"{reveals}.statistics": table.statistics for reveals, table in tables.items()}
    return {**parts, **{f"{reveals}.probabilities": table.probabilities for reveals, table in tables.items()}}


def save_answers(values: dict[str, FloatArray], path: Path) -> None:
    """Writes the answers of a cell."""
    save_file({name: np.ascontiguousarray(value) for name, value in values.items()}, path)


def gathered_answers(
    cells: Sequence[Cell], files: Sequence[Path], reveals: str, labels: IntArray
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Statistics (N, n, D), probabilities (N, n) and members (N, n) of all networks, from one output.

    Raises:
        ModelFileError: a file cannot be read as answers.
    """
    tables = [stored_answers(path, reveals) for path in files]
    members = np.stack([random_half(labels, cell.definition["half"]) for cell in cells])
    values, probabilities = zip(*tables)
    return np.stack(values), np.stack(probabilities), members


def stored_answers(path: Path, reveals: str) -> tuple[FloatArray, FloatArray]:
    """Statistics (n, D) and probabilities (n,) of one network from the file of a cell.

    Raises:
        ModelFileError: it cannot be read as answers through this output.
    """
    from safetensors import safe_open

    try:
        with safe_open(path, "numpy") as file:
            return file.get_tensor(f"{reveals}.statistics"), file.get_tensor(f"{reveals}.probabilities")
    except (OSError, SafetensorError) as error:
        raise ModelFileError(f"{path.parent}: answers cannot be read ({error}); run the audit again") from error
