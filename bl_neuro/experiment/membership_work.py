"""Computes the cells of `[membership]`: trains a network on its half, asks about the pool, runs the attacks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from bl_neuro.access import BlackBox
from bl_neuro.arrays import BoolArray, FloatArray, IntArray
from bl_neuro.backends import Target
from bl_neuro.data.samples import Samples
from bl_neuro.errors import ExperimentError, ModelFileError
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.material import Material
from bl_neuro.experiment.membership_measures import AnswersMeasures, MemberMeasures
from bl_neuro.leakage.membership_statistics import statistics
from bl_neuro.membership.asks import Ask, ask_about
from bl_neuro.membership.halves import random_half
from bl_neuro.mitigations.registry import mitigation_of
from bl_neuro.network import Network
from bl_neuro.seeding import stream
from bl_neuro.training import AnnTwin, Checkpoint
from bl_neuro.training.trainers import train_by_plan, train_twin_by_plan

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


def trained_twin(cell: Cell, material: Material, checkpoint: Checkpoint) -> AnnTwin:
    """The ANN twin of a cell, trained on the half of its network."""
    made = cell.definition
    pool = pool_of(material, made["pool"], made["pool_seed"])
    members = random_half(pool.labels, made["half"])
    plan, hidden = cell.what
    return train_twin_by_plan(pool.subset(np.flatnonzero(members)), plan, hidden, made["seed"], checkpoint)


def answers_of_twin(cell: Cell, twin: AnnTwin, material: Material) -> tuple[AnswersMeasures, dict[str, FloatArray]]:
    """What an ANN twin answers about the pool, once: its answers do not vary."""
    made = cell.definition
    pool = pool_of(material, made["pool"], made["pool_seed"])
    with torch.no_grad():
        logits = twin(torch.from_numpy(pool.images_at(slice(None))).float()).double()
    scores = torch.softmax(logits, 1).numpy()
    right = (scores.argmax(1) == pool.labels).astype(np.float64)
    shown = scores if made["reveals"] == "scores" else scores.argmax(1)
    values, probabilities = statistics(shown, made["reveals"], pool.labels)
    members = random_half(pool.labels, made["half"])
    measures = AnswersMeasures(
        queries=len(right), members_right=float(right[members].mean()), others_right=float(right[~members].mean())
    )
    return measures, {"statistics": values, "probabilities": probabilities}


def answers(cell: Cell, target: Target, material: Material) -> tuple[AnswersMeasures, dict[str, FloatArray]]:
    """What the network of a cell answers about the pool: statistics (n, D) and probabilities (n,), means over asks."""
    made = cell.definition
    pool, ask = pool_of(material, made["pool"], made["pool_seed"]), Ask(**made["ask"])
    mitigation = mitigation_of(made["mitigation"])
    box = BlackBox(target, made["reveals"], ask.count * len(pool.labels), mitigation, made["box_seed"])
    answered = ask_about(box, pool, ask, made["steps"], made["seed"], made["encoder"])
    members, right = random_half(pool.labels, made["half"]), answered.right
    measures = AnswersMeasures(
        queries=box.spent, members_right=float(right[members].mean()), others_right=float(right[~members].mean())
    )
    return measures, {"statistics": answered.statistics, "probabilities": answered.probabilities}


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
