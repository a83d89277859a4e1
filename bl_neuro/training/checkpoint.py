"""Checkpoints of trainings: weights, optimiser state and position in one safetensors file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from bl_neuro.errors import InputError, ModelFileError
from bl_neuro.files import atomic_path

FORMAT = "bl-neuro/checkpoint/1"
OPTIMISER_STATE = ("step", "exp_avg", "exp_avg_sq")
"""The state of AdamW for each parameter."""
Score = tuple[float, float]
"""The score of an epoch: accuracy, then the negative loss."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint file, written at most every `every_s` seconds (at the end of an epoch) and at the end.

    A training that finds its checkpoint continues from there, with the same final weights as without interruption (on
    the same machine, with the same number of threads). A checkpoint of another training raises an error. The file is
    not removed automatically; remove it after saving the trained network.
    """

    path: str | Path
    every_s: float = 30.0

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
    try:
        with atomic_path(path) as temporary:
            save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, temporary, header)
    except (OSError, SafetensorError) as error:
        raise ModelFileError(f"{path}: the checkpoint could not be written ({error})") from error


def read_checkpoint(
    path: str | Path, module: nn.Module, facts: dict[str, str]
) -> tuple[Standing, dict[str, dict[str, Tensor]]]:
    """Loads the weights into `module`. Returns the position of the training and the optimiser state by parameter.

    Raises:
        InputError: the checkpoint belongs to another training. ModelFileError: it is damaged or not a checkpoint.
    """
    header, tensors = _read(Path(path))
    _need_same(path, facts, header["facts"])
    try:
        weights, best, optimiser = (_under(tensors, name) for name in ("weights", "best", "optimiser"))
        if tensors:
            raise ValueError(f"unexpected tensors {sorted(tensors)[:3]}")
        module.load_state_dict(weights)
        device = next(iter(module.state_dict().values())).device
        standing = _standing(header["standing"], {name: value.to(device) for name, value in best.items()})
        if best.keys() != (weights.keys() if standing.best is not None else set()):
            raise KeyError("best weights")
        return standing, _by_parameter(dict(module.named_parameters()), optimiser)
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
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
            raise ValueError(f"optimiser: {name}: unexpected shape")
        state[name] = {key: value if key == "step" else value.to(parameter.device) for key, value in own.items()}
    if tensors:
        raise ValueError(f"unexpected tensors {sorted(tensors)[:3]}")
    return state


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                kind = str(header.get("format", "a file of another kind"))[:80]
                raise ModelFileError(f"{path}: expected a checkpoint ({FORMAT}), found {kind!r}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        return {name: json.loads(header[name]) for name in ("facts", "standing")}, tensors
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
        raise _damaged(path, error) from error


def _damaged(path: str | Path, error: Exception) -> ModelFileError:
    return ModelFileError(f"{path}: cannot be read as a checkpoint ({error}); remove it to start again")


def _need_same(path: str | Path, facts: dict[str, str], kept: Any) -> None:
    if not isinstance(kept, dict):
        raise _damaged(path, TypeError("facts"))
    for name, value in facts.items():
        if kept.get(name) != value:
            raise InputError(
                f"{path}: the checkpoint belongs to another training: {name}: expected {value}, found "
                f"{str(kept.get(name))[:200]}; remove it or use another file"
            )
