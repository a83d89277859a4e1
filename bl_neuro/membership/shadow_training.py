"""Trains shadow networks on independent random halves of a dataset, into a folder, and continues where it stopped."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bl_neuro.checks import whole_number
from bl_neuro.data.samples import Samples
from bl_neuro.errors import InputError
from bl_neuro.files import need_folder
from bl_neuro.membership.halves import random_half
from bl_neuro.membership.shadow_files import MANIFEST, MOST_NETWORKS, Manifest, read_manifest
from bl_neuro.membership.shadow_models import ShadowModels
from bl_neuro.model_file import load, save
from bl_neuro.network import Network
from bl_neuro.seeding import derived_seed
from bl_neuro.training.checkpoint import Checkpoint
from bl_neuro.training.plans import TargetDesign
from bl_neuro.training.samples_digest import samples_digest
from bl_neuro.training.target import Lot
from bl_neuro.training.trainers import train_all_by_plan, trains_together

TrainFunction = Callable[[Samples, int], Network]
"""A training function of the user: from the samples of one network and a seed to the trained network."""
GROUP = 16
"""Number of networks that are trained together, where a plan allows it, and saved when all of them are finished."""
LEAST_NETWORKS = 8
"""With fewer, too many samples have fewer than two networks on a side."""


def train_shadow_networks(
    samples: Samples,
    how: TargetDesign | TrainFunction,
    folder: Path,
    networks: int,
    seed: int,
    trained: Callable[[int, int], None] | None = None,
    threads: int = 1,
) -> ShadowModels:
    """The networks of `folder`, of which those that are missing are trained. See `bl_neuro.train_shadows`.

    trained: is called with the number of finished networks and their total. threads: number of groups of networks that
    are trained at the same time, where a plan allows it.

    Raises:
        InputError: the folder has shadow networks of another training, or `how` returned no network. DataError,
            ModelFileError: a file of the folder is damaged. ReportError: the folder cannot be written to.
    """
    count = whole_number(networks)
    if count is None or not LEAST_NETWORKS <= count <= MOST_NETWORKS:
        raise InputError(f"networks: expected {LEAST_NETWORKS}..{MOST_NETWORKS} shadow networks, found {networks!r}")
    need_folder(folder)
    manifest = _manifest(samples, how, folder, count, seed)
    models: list[Network] = []
    size = GROUP if isinstance(how, TargetDesign) and trains_together(how) else 1
    for start in range(0, count, size):
        if trained is not None:
            trained(start, count)
        group = list(range(start, min(start + size, count)))
        _train_missing(samples, how, folder, manifest, seed, group, models[:1], threads)
        models += [load(folder / manifest.files[number]) for number in group]
    if trained is not None:
        trained(count, count)
    return ShadowModels(models, manifest.members[:count], digest=manifest.digest)


def _manifest(samples: Samples, how: TargetDesign | TrainFunction, folder: Path, networks: int, seed: int) -> Manifest:
    """The manifest of the folder, written if there is none or if it has fewer networks."""
    halves = [random_half(samples.labels, derived_seed(seed, "shadow half", number)) for number in range(networks)]
    names = [f"shadow-{number:03}.safetensors" for number in range(networks)]
    if not np.stack(halves).any(axis=1).all():
        raise InputError("samples: expected a class of at least 2 samples, to train networks on half of each class")
    digest, training = samples_digest(samples), _training(how)
    wanted = Manifest(len(samples.labels), names, np.stack(halves), digest, training, seed)
    if (folder / MANIFEST).exists():
        stored = read_manifest(folder)
        differing = [
            name for name in ("samples", "digest", "training", "seed") if getattr(stored, name) != getattr(wanted, name)
        ]
        shared = min(len(stored.files), networks)
        if not differing and not np.array_equal(stored.members[:shared], wanted.members[:shared]):
            differing = ["halves"]
        if differing:
            raise InputError(
                f"{folder}: expected a free folder or shadow networks of the same training, found others "
                f"({', '.join(differing)} differ); choose another folder"
            )
        if len(stored.files) >= networks:
            return stored
    wanted.write(folder)
    return wanted


def _training(how: TargetDesign | TrainFunction) -> dict[str, str]:
    """What identifies a training."""
    if isinstance(how, TargetDesign):
        return {"trainer": how.trainer, **how.facts()}
    if not callable(how):
        raise InputError(f"train: expected a plan or a function (samples, seed) -> Network, found {how!r:.80}")
    module, name = getattr(how, "__module__", ""), getattr(how, "__qualname__", type(how).__qualname__)
    return {"function": f"{module}.{name}"}


def _seed(seed: int, number: int) -> int:
    return derived_seed(seed, "shadow network", number)


def _train_missing(
    samples: Samples,
    how: TargetDesign | TrainFunction,
    folder: Path,
    manifest: Manifest,
    seed: int,
    group: Sequence[int],
    first: Sequence[Network],
    threads: int,
) -> None:
    """Trains and saves the networks of `group` that have no file, unless they do not fit the samples or the first."""
    missing = [number for number in group if not (folder / manifest.files[number]).exists()]
    if not missing:
        return
    paths = [folder / manifest.files[number] for number in missing]
    checkpoints = [Checkpoint(path.with_suffix(".unfinished")) for path in paths]
    halves = [samples.subset(np.flatnonzero(manifest.members[number])) for number in missing]
    seeds = [_seed(seed, number) for number in missing]
    if isinstance(how, TargetDesign):
        lots = [Lot(half, own, None, kept) for half, own, kept in zip(halves, seeds, checkpoints)]
        networks = train_all_by_plan(lots, how, threads)
    else:
        networks = [_by_function(how, half, own, first) for half, own in zip(halves, seeds)]
    for network, path, checkpoint in zip(networks, paths, checkpoints):
        save(network, path)
        Path(checkpoint.path).unlink(missing_ok=True)


def _by_function(how: TrainFunction, half: Samples, seed: int, first: Sequence[Network]) -> Network:
    """The network that a function of the user trains."""
    network = how(half, seed)
    if not isinstance(network, Network):
        raise InputError(f"train: expected a function that returns a Network, found {type(network).__name__}")
    _need_fitting(network, half, first)
    return network


def _need_fitting(network: Network, samples: Samples, first: Sequence[Network]) -> None:
    """Raises InputError unless the network takes the samples and has the outputs of the first network."""
    if math.prod(network.input_shape) != math.prod(samples.input_shape):
        raise InputError(
            f"train: expected networks with inputs of shape {samples.input_shape}, as the samples have, found "
            f"{network.input_shape}"
        )
    if first and network.classes != first[0].classes:
        raise InputError(
            f"train: expected networks with {first[0].classes} outputs, as the first has, found {network.classes}"
        )
