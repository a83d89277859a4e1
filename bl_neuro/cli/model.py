"""The model file that a command reads, with the options that say how to read it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bl_neuro.model_file import load
from bl_neuro.network import Network


@dataclass(frozen=True)
class ModelRequest:
    """A model file, with the options of the command line."""

    path: Path
    layers: int | None = None
    input_shape: list[int] | None = None
    convention: str | None = None
    dt: float | None = None
    reset: str | None = None

    @property
    def file_options(self) -> dict[str, object]:
        """The options that apply only to files, by their names on the command line; None if not given."""
        return {"--layers": self.layers, "--convention": self.convention, "--dt": self.dt, "--reset": self.reset}

    def open(self) -> Network:
        """Reads the network. Raises the errors of `bl_neuro.load`."""
        return load(
            self.path,
            self.layers,
            input_shape=self.input_shape,
            convention=self.convention,  # type: ignore[arg-type]  # load checks it
            dt=self.dt,
            reset=self.reset,  # type: ignore[arg-type]  # load checks it
        )
