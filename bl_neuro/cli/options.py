"""Options that several commands have, and the application that they belong to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bl_neuro.cli.model import ModelRequest

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="How much of its training data a spiking network gives away, and whether its substrate changes that.",
)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of everything that chance decides.")]
Model = Annotated[Path, typer.Argument(help="A network, as .safetensors, .net or .nir.", show_default=False)]
Layers = Annotated[int | None, typer.Option("--layers", help="Open only the first so many blocks of a .net file.")]
InputShape = Annotated[
    str | None,
    typer.Option("--input-shape", help="CHANNELS,HEIGHT,WIDTH or FEATURES of a .net file that does not state it."),
]
Convention = Annotated[
    str | None,
    typer.Option("--convention", help="Who wrote a .nir file: snntorch, norse, or nir for its own equations."),
]
Dt = Annotated[float | None, typer.Option("--dt", help="Length of a step in a .nir file's unit of time.")]
Reset = Annotated[
    str | None, typer.Option("--reset", help="How snnTorch's neurons of a .nir file reset: subtract_delayed or zero.")
]


def model_request(
    path: Path, layers: int | None, shape: str | None, convention: str | None, dt: float | None, reset: str | None
) -> ModelRequest:
    """The model that the options name."""
    from bl_neuro.cli.model import ModelRequest

    return ModelRequest(path, layers, shape, convention, dt, reset)
