"""The model file that a command reads, with the options that say how to read it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bl_neuro.errors import InputError
from bl_neuro.model_file import load
from bl_neuro.network import Network


@dataclass(frozen=True)
class ModelRequest:
    """A model file, with options as given on the command line. input_shape: text such as "2,128,128"."""

    path: Path
    layers: int | None = None
    input_shape: str | None = None
    convention: str | None = None
    dt: float | None = None
    reset: str | None = None

    def open(self) -> Network:
        """Reads the network. Raises the errors of `bl_neuro.load`."""
        return load(
            self.path,
            self.layers,
            input_shape=None if self.input_shape is None else _sizes(self.input_shape),
            convention=self.convention,  # type: ignore[arg-type]  # load checks it
            dt=self.dt,
            reset=self.reset,  # type: ignore[arg-type]  # load checks it
        )


def _sizes(text: str) -> list[int]:
    try:
        return [int(size) for size in text.split(",")]
    except ValueError as error:
        raise InputError(f"--input-shape: expected whole numbers as in 2,128,128, found {text!r}") from error
