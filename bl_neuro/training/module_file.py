"""Trained torch modules as .safetensors files, with the facts that are needed to rebuild them in the header."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from bl_neuro.errors import BlNeuroError, ModelFileError
from bl_neuro.files import atomic_path
from bl_neuro.isolation import isolated
from bl_neuro.strangers.safetensors_header import need_numbers, tensor_types

M = TypeVar("M", bound=nn.Module)
MAX_SIDE = 512
MAX_CLASSES = 10_000


def write_module(path: str | Path, module: nn.Module, facts: dict[str, str]) -> None:
    """Writes the weights and `facts`, atomically.

    Raises:
        ModelFileError: the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    weights = {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
    try:
        with atomic_path(path) as temporary:
            save_file(weights, temporary, metadata=facts)
    except (OSError, SafetensorError) as error:
        raise ModelFileError(f"{path}: could not be written ({error})") from error


@isolated
def read_module(path: str | Path, kind: str, form: str, build: Callable[[dict[str, str]], M]) -> M:
    """The module that `build` creates from the facts in a file, with the weights of the file. kind: for errors.

    `build` runs without allocating memory for tensors, since a small file may state huge sizes. It raises KeyError,
    ValueError or an error of bl-neuro if the facts are invalid.

    Raises:
        ModelFileError: the file is missing, damaged, not of format `form`, or its weights do not fit its facts.
    """
    from safetensors import SafetensorError, safe_open

    try:
        types = tensor_types(Path(path))
        for name in types:
            need_numbers(Path(path), types, name)
        with safe_open(str(path), framework="pt") as file:
            facts = file.metadata() or {}
            if facts.get("format") != form:
                stated = str(facts.get("format"))[:80]
                raise ModelFileError(f"{path}: expected {kind} ({form}), found {stated!r}")
            with torch.device("meta"):
                module = build(facts)
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            module.load_state_dict(weights, assign=True)
        for name, weight in weights.items():
            if weight.dtype != torch.float32 or not bool(torch.isfinite(weight).all()):
                raise ValueError(f"{name}: expected finite float32 values")
    except ModelFileError:
        raise
    except (BlNeuroError, SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise ModelFileError(f"{path}: not a readable {kind.partition(' ')[2]} ({error})") from error
    return module.eval()


def image_facts(shape: tuple[int, ...], classes: int) -> dict[str, str]:
    """Image shape and number of classes as facts of a file."""
    return {"shape": ",".join(map(str, shape)), "classes": str(classes)}


def stated_image(facts: dict[str, str]) -> tuple[tuple[int, ...], int]:
    """Image shape and number of classes from the facts of `image_facts`.

    Raises:
        KeyError, ValueError: they are missing, not numbers, or out of range.
    """
    shape = tuple(int(size) for size in facts["shape"].split(","))
    classes = int(facts["classes"])
    if len(shape) not in (1, 3) or not all(1 <= size <= MAX_SIDE**2 for size in shape):
        raise ValueError(f"invalid image shape {str(shape)[:80]}")
    if len(shape) == 3 and max(shape) > MAX_SIDE:
        raise ValueError(f"invalid image shape {shape}: expected at most {MAX_SIDE} per side")
    if not 1 <= classes <= MAX_CLASSES:
        raise ValueError(f"invalid number of classes {classes}")
    return shape, classes
