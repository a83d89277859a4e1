"""A training that was cut short goes on: its weights, its optimiser and where it was, in one safetensors file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bl_neuro.errors import InputError, ModelFileError
from bl_neuro.files import atomic_path

FORMAT = "bl-neuro/checkpoint/1"
Score = tuple[float, float]
"""How good an epoch is: accuracy, then the negative of the loss."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a training keeps how far it is, written at most every `every_s` seconds (at the end of an epoch) and last.

    A training that finds its file goes on from there, and ends with the weights it would have had undisturbed (on the
    same machine, with as many threads). A file of another training is refused. The file stays; remove it when what was
    trained is saved.
    """

    path: str | Path
    every_s: float = 30.0

    def __post_init__(self) -> None:
        if not self.every_s >= 0:
            raise InputError(f"checkpoint: every_s: expected at least 0, found {self.every_s}")


@dataclass
class Standing:
    """Where a training is: epochs done of a phase, epochs since the last gain, and the best so far."""

    phase: int = 0
    epoch: int = 0
    stale: int = 0
    best: Score | None = None
    best_weights: dict[str, Tensor] = field(default_factory=dict)


def write_checkpoint(
    path: str | Path,
    module: nn.Module,
    optimiser: torch.optim.Optimizer | None,
    standing: Standing,
    facts: dict[str, str],
) -> None:
    """Writes all of it, atomically.

    Raises:
        ModelFileError: it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    tensors = {f"weights.{name}": value for name, value in module.state_dict().items()}
    tensors.update({f"best.{name}": value for name, value in standing.best_weights.items()})
    if optimiser is not None:
        for name, parameter in module.named_parameters():
            for key, value in optimiser.state[parameter].items():
                tensors[f"optimiser.{key}.{name}"] = value
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
    """Puts the weights into `module`; returns where the training was, and the optimiser's state by parameter.

    Raises:
        InputError: the checkpoint is of another training. ModelFileError: it is damaged, or no checkpoint.
    """
    header, tensors = _read(Path(path))
    _need_same(path, facts, header["facts"])
    own = module.state_dict()
    device = next(iter(own.values())).device
    groups: dict[str, dict[str, Tensor]] = {"weights": {}, "best": {}}
    optimiser: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        group, _, rest = name.partition(".")
        if group in groups:
            groups[group][rest] = value.to(device)
        else:
            key, _, parameter = rest.partition(".")
            optimiser.setdefault(parameter, {})[key] = value.to(device) if value.ndim else value
    try:
        module.load_state_dict(groups["weights"])
        place = header["standing"]
        best = None if place["best"] is None else (float(place["best"][0]), float(place["best"][1]))
        standing = Standing(int(place["phase"]), int(place["epoch"]), int(place["stale"]), best, groups["best"])
        if (best is not None) != (groups["best"].keys() == own.keys()):
            raise KeyError("best weights")
        _need_shapes(dict(module.named_parameters()), optimiser)
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        raise _damaged(path, error) from error
    return standing, optimiser


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                found = str(header.get("format", "a file of another kind"))[:80]
                raise ModelFileError(f"{path}: expected a checkpoint ({FORMAT}), found {found!r}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        return {name: json.loads(header[name]) for name in ("facts", "standing")}, tensors
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
        raise _damaged(path, error) from error


def _damaged(path: str | Path, error: Exception) -> ModelFileError:
    return ModelFileError(f"{path}: not a readable checkpoint ({error}); remove it to begin anew")


def _need_same(path: str | Path, facts: dict[str, str], found: Any) -> None:
    if not isinstance(found, dict):
        raise _damaged(path, TypeError("facts"))
    for name, value in facts.items():
        if found.get(name) != value:
            raise InputError(
                f"{path}: a checkpoint of another training: {name}: expected {value}, found "
                f"{str(found.get(name))[:200]}; remove it or name another place"
            )


def _need_shapes(parameters: dict[str, nn.Parameter], optimiser: dict[str, dict[str, Tensor]]) -> None:
    for name, state in optimiser.items():
        for key, value in state.items():
            if value.ndim and value.shape != parameters[name].shape:
                raise ValueError(f"optimiser: {name}: {key} of shape {tuple(value.shape)}")
