"""Trains the spiking networks of cells, one at a time or those of a job together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from bl_neuro.data.samples import Samples
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.jobs import design_of
from bl_neuro.experiment.material import Material
from bl_neuro.experiment.membership_work import half_of_pool
from bl_neuro.experiment.secrets_cells import SecretDesign
from bl_neuro.experiment.store import Store
from bl_neuro.network import Network
from bl_neuro.seeding import derived_seed, stream
from bl_neuro.training import Checkpoint, Lot
from bl_neuro.training.trainers import train_all_by_plan


@dataclass(frozen=True)
class TrainedNetwork:
    """A network, its share of the seconds of its training, and descriptions of damaged checkpoints."""

    network: Network
    seconds: float
    restarted: list[str]


class NetworkTraining:
    """Trains the networks of cells, with checkpoints in `store`. ahead: those that were trained together, by address.

    A network is the same, bit for bit, whether it is trained alone or together with others.
    """

    def __init__(self, material: Material, store: Store) -> None:
        self.material, self.store = material, store
        self.ahead: dict[str, TrainedNetwork] = {}

    def train_ahead(self, cells: Sequence[Cell]) -> None:
        """Trains the networks of cells of one plan together. Raises the errors of their training, for all of them."""
        trained = self._trained(cells)
        self.ahead = {cell.address: one for cell, one in zip(cells, trained)}

    def network_of(self, cell: Cell) -> TrainedNetwork:
        """The network of a cell, trained now unless it was trained ahead."""
        if cell.address in self.ahead:
            return self.ahead.pop(cell.address)
        [trained] = self._trained([cell])
        return trained

    def _trained(self, cells: Sequence[Cell]) -> list[TrainedNetwork]:
        plan: Any = design_of(cells[0])
        damage: list[list[str]] = [[] for _ in cells]
        began = time.perf_counter()
        lots = []
        for cell, own in zip(cells, damage):
            checkpoint = Checkpoint(self.store.checkpoint(cell.address), damage=own)
            lots.append(Lot(samples_of(cell, self.material), seed_of(cell), None, checkpoint))
        networks = train_all_by_plan(lots, plan)
        seconds = (time.perf_counter() - began) / len(cells)
        return [TrainedNetwork(network, seconds, own) for network, own in zip(networks, damage)]


def seed_of(cell: Cell) -> int:
    """The seed of the training in a cell."""
    seed: int = cell.definition["seed"] if cell.kind == "member" else cell.facts["seed"]
    return seed


def samples_of(cell: Cell, material: Material) -> Samples:
    """The samples on which the network of a cell is trained."""
    if cell.kind == "member":
        return half_of_pool(cell, material)
    if isinstance(cell.what, SecretDesign):
        planted: Samples = cell.what.planted(material.split.target)
        return planted
    data: Any = material.split_at(cell.definition["data"]["split_seed"]).target
    if cell.facts["target"] == "shuffled_labels":
        order = stream(derived_seed(cell.facts["seed"], "shuffled labels"), "order").permutation(len(data.labels))
        data = replace(data, labels=data.labels[order])
    samples: Samples = data
    return samples
