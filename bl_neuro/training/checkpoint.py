"""Checkpoints of trainings: weights, optimiser state and position in one safetensors file.

A digest covers all of it. A damaged checkpoint is set aside, and the training starts anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from bl_neuro.errors import InputError, ModelFileError
from bl_neuro.files import atomic_path, need_regular, what_is_at

FORMAT = "bl-neuro/checkpoint/2"
ASIDE = ".damaged"
"""Suffix that a damaged checkpoint is renamed with."""
OPTIMISER_STATE = ("step", "exp_avg", "exp_avg_sq")
"""The state of AdamW for each parameter."""
Score = tuple[float, float]
"""The score of an epoch: accuracy, then the negative loss."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint file, written at most every `every_s` seconds (at the end of an epoch) and at the end.

    A training that finds its checkpoint continues from there, with the same final weights as without interruption (on
    the same machine, with the same number of threads). A checkpoint of another training raises an error. A damaged one
    is renamed to end in ".damaged", a warning is logged, and the training starts anew. The file is not removed
    automatically; remove it after saving the trained network.

    damage: why trainings with this checkpoint had to start anew; they add to it.
    """

    path: str | Path
    every_s: float = 30.0
    damage: list[str] = field(default_factory=list, compare=False)

    def __post_init__(self) -> None:
        if not self.every_s >= 0:
            raise InputError(f"checkpoint: every_s: expected at least 0, found {self.every_s}")


@dataclass
class Standing:
    """The position of a training: finished epochs of a phase, epochs since the last improvement, and the best score."""

    phase: int = 0
    epoch: int = 0
    stale: int = 0
    best: Score | None = None
    best_weights: dict[str, Tensor] = field(default_factory=dict)


class OptimiserState(Protocol):
    """The state of an optimiser for each parameter."""

    def state_of(self, name: str) -> dict[str, Tensor]:
        """The state of the parameter `name`, with the keys `OPTIMISER_STATE`."""


class DamagedCheckpoint(ModelFileError):
    """A checkpoint is cut, changed or of an older version: nothing in it can be used."""


def write_checkpoint(
    path: str | Path,
    module: nn.Module,
    optimiser: OptimiserState | None,
    standing: Standing,
    facts: dict[str, str],
) -> None:
    """Writes a checkpoint, atomically.

    Raises:
        ModelFileError: it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    tensors = {f"weights.{name}": value for name, value in module.state_dict().items()}
    tensors.update({f"best.{name}": value for name, value in standing.best_weights.items()})
    if optimiser is not None:
        for name, _ in module.named_parameters():
            for key in OPTIMISER_STATE:
                tensors[f"optimiser.{key}.{name}"] = optimiser.state_of(name)[key]
    place = {"phase": standing.phase, "epoch": standing.epoch, "stale": standing.stale, "best": standing.best}
    header = {"format": FORMAT, "facts": json.dumps(facts), "standing": json.dumps(place)}
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    try:
        with atomic_path(path) as temporary:
            save_file(plain, temporary, {**header, "digest": _digest(header, plain)})
    except (OSError, SafetensorError) as error:
        raise ModelFileError(f"{path}: the checkpoint could not be written ({error})") from error


def resume(
    checkpoint: Checkpoint | None, module: nn.Module, facts: dict[str, str]
) -> tuple[Standing, dict[str, dict[str, Tensor]]]:
    """The position at which a training continues, with the weights in `module`, and the optimiser state.

    Raises:
        InputError: the checkpoint belongs to another training. ModelFileError: the file cannot be read, or is whole
            but not a checkpoint.
    """
    if checkpoint is None or not Path(checkpoint.path).exists():
        return Standing(), {}
    path = Path(checkpoint.path)
    kind = what_is_at(path)
    if kind != "a file":
        raise ModelFileError(f"{path}: expected a checkpoint or a free name, found {kind}; remove it")
    try:
        return read_checkpoint(path, module, facts)
    except DamagedCheckpoint as error:
        aside = path.with_name(path.name + ASIDE)
        try:
            need_regular(aside)
            os.replace(path, aside)
        except OSError as failure:
            raise ModelFileError(f"{error}; it could not be renamed to {aside} ({failure.strerror})") from failure
        checkpoint.damage.append(str(error).replace(str(path), path.name))
        logging.getLogger("bl_neuro").warning("%s; it is now %s, and the training starts anew", error, aside.name)
        return Standing(), {}


def read_checkpoint(
    path: str | Path, module: nn.Module, facts: dict[str, str]
) -> tuple[Standing, dict[str, dict[str, Tensor]]]:
    """Loads the weights into `module`. Returns the position of the training and the optimiser state by parameter.

    Raises:
        InputError: the checkpoint belongs to another training. DamagedCheckpoint: it is damaged; `module` is
            unchanged. ModelFileError: the file cannot be read, or is whole but not a checkpoint.
    """
    header, tensors = _read(Path(path))
    _need_same(path, facts, header["facts"])
    before = {name: value.clone() for name, value in module.state_dict().items()}
    try:
        weights, best, optimiser = (_under(tensors, name) for name in ("weights", "best", "optimiser"))
        if tensors:
            raise ValueError(f"unexpected tensors {sorted(tensors)[:3]}")
        device = next(iter(before.values())).device
        standing = _standing(header["standing"], {name: value.to(device) for name, value in best.items()})
        if best.keys() != (weights.keys() if standing.best is not None else set()):
            raise KeyError("best weights")
        state = _by_parameter(dict(module.named_parameters()), optimiser)
        module.load_state_dict(weights)
        return standing, state
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        module.load_state_dict(before)  # torch loads what fits
        raise _damaged(path, error) from error


def _under(tensors: dict[str, Tensor], group: str) -> dict[str, Tensor]:
    """Removes the tensors named `group.…` from `tensors` and returns them without the prefix."""
    names = [name for name in tensors if name.startswith(group + ".")]
    taken = {name.removeprefix(group + "."): tensors.pop(name) for name in names}
    for name, value in taken.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise ValueError(f"{group}.{name}: expected finite values, found NaN or infinity")
    return taken


def _standing(place: dict[str, Any], best: dict[str, Tensor]) -> Standing:
    phase, epoch, stale = (int(place[name]) for name in ("phase", "epoch", "stale"))
    if min(phase, epoch, stale) < 0:
        raise ValueError(f"invalid position {place}")
    score = None if place["best"] is None else (float(place["best"][0]), float(place["best"][1]))
    return Standing(phase, epoch, stale, score, best)


def _by_parameter(parameters: dict[str, nn.Parameter], tensors: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The optimiser state of each parameter: complete or, between two phases, empty."""
    if not tensors:
        return {}
    state: dict[str, dict[str, Tensor]] = {}
    for name, parameter in parameters.items():
        own = {key: tensors.pop(f"{key}.{name}") for key in OPTIMISER_STATE}
        if own["step"].ndim or any(own[key].shape != parameter.shape for key in OPTIMISER_STATE[1:]):
            raise ValueError(f"optimiser: {name}: expected the shape of the parameter, {tuple(parameter.shape)}")
        state[name] = {key: value if key == "step" else value.to(parameter.device) for key, value in own.items()}
    if tensors:
        raise ValueError(f"unexpected tensors {sorted(tensors)[:3]}")
    return state


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT and "standing" not in header:
                kind = str(header.get("format", "a file of another kind"))[:80]
                raise ModelFileError(f"{path}: expected a checkpoint ({FORMAT}), found {kind!r}")
            if header.get("format") != FORMAT:
                raise ValueError(f"expected {FORMAT}, found {str(header.get('format'))[:80]!r}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        if header.pop("digest", None) != _digest(header, tensors):
            raise ValueError("its content does not match its digest")
        return {name: json.loads(header[name]) for name in ("facts", "standing")}, tensors
    except OSError as error:
        raise ModelFileError(f"{path}: the checkpoint cannot be read ({error})") from error
    except (SafetensorError, AttributeError, KeyError, ValueError, RecursionError) as error:
        raise _damaged(path, error) from error


def _digest(header: dict[str, str], tensors: dict[str, Tensor]) -> str:
    """SHA-256 of the header, and of the names, types, shapes and values of the tensors."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"\n{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _damaged(path: str | Path, error: Exception) -> DamagedCheckpoint:
    return DamagedCheckpoint(f"{path}: damaged checkpoint ({error})")


def _need_same(path: str | Path, facts: dict[str, str], kept: Any) -> None:
    if not isinstance(kept, dict):
        raise _damaged(path, TypeError("facts"))
    for name, value in facts.items():
        if kept.get(name) != value:
            raise InputError(
                f"{path}: the checkpoint belongs to another training: {name}: expected {value}, found "
                f"{str(kept.get(name))[:200]}; remove it or use another file"
            )
