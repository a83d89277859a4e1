"""The model that a command is given, and what its file leaves open: one set of options for all commands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bl_neuro.errors import InputError
from bl_neuro.model_file import load
from bl_neuro.network import Network


@dataclass(frozen=True)
class ModelRequest:
    """A model file as it was named on the command line. input_shape: as it was typed, "2,128,128"."""

    path: Path
    layers: int | None = None
    input_shape: str | None = None
    convention: str | None = None
    dt: float | None = None
    reset: str | None = None

    def open(self) -> Network:
        """The network; InputError or ModelFileError as `bl_neuro.load` raises them."""
        return load(
            self.path,
            self.layers,
            input_shape=None if self.input_shape is None else _sizes(self.input_shape),
            convention=self.convention,  # type: ignore[arg-type]  # load checks them
            dt=self.dt,
            reset=self.reset,  # type: ignore[arg-type]
        )


def _sizes(text: str) -> list[int]:
    try:
        return [int(size) for size in text.split(",")]
    except ValueError as error:
        raise InputError(f"--input-shape: expected whole numbers as in 2,128,128, found {text!r}") from error
