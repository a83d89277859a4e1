"""The application, and the options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperArgument, TyperCommand, TyperOption

from bl_neuro.reveals import REVEALS

if TYPE_CHECKING:
    from bl_neuro.cli.model import ModelRequest

Number = TypeVar("Number", int, float)
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Measure how much of its training data a spiking network leaks, and whether its substrate changes that.",
)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON to standard output.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of all random choices.")]
Root = Annotated[
    Path | None,
    typer.Option("--root", help="Folder of downloaded datasets. Default: the environment variable BL_NEURO_DATA."),
]
Backend = Annotated[str, typer.Option("--backend", help="Substrate that runs the network: {substrates}.")]
Steps = Annotated[
    int | None,
    typer.Option("--steps", help="Number of time steps of an input. Default: that of the dataset, or 20 without one."),
]
InputRange = Annotated[
    str | None,
    typer.Option(
        "--input-range",
        help="LOW,HIGH: the input currents of pixel values 0 and 1, for a network with current inputs. Default: "
        "inferred with a dataset, else 0,1.",
    ),
]
REVEALED = typer.Option("--reveals", help=f"Output that a black box reveals: {', '.join(REVEALS)}.")
Force = Annotated[bool, typer.Option("--force", help="Overwrite existing results.")]
Jobs = Annotated[int, typer.Option("--jobs", help="Number of processes that run cells in parallel.")]
Model = Annotated[Path, typer.Argument(help="Model file: .safetensors, .net or .nir.", show_default=False)]
Layers = Annotated[
    int | None, typer.Option("--layers", help="Number of blocks to read from the start of a .net file. Default: all.")
]
InputShape = Annotated[
    str | None,
    typer.Option(
        "--input-shape", help="Input shape of a .net file that does not contain it: CHANNELS,HEIGHT,WIDTH or FEATURES."
    ),
]
Convention = Annotated[
    str | None,
    typer.Option(
        "--convention", help="How to read the equations of a .nir file: snntorch, norse or nir (as NIR defines them)."
    ),
]
Dt = Annotated[float | None, typer.Option("--dt", help="Duration of a time step, in the time unit of the .nir file.")]
Reset = Annotated[
    str | None,
    typer.Option("--reset", help="Reset of the neurons in a .nir file from snnTorch: subtract_delayed or zero."),
]


class ListingCommand(TyperCommand):
    """A command whose help lists what can be chosen, such as `{substrates}`, also from other packages.

    The names are looked up when the help is printed, because that takes a while.
    """

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the help, with the names."""
        for parameter in self.params:
            if isinstance(parameter, (TyperArgument, TyperOption)) and parameter.help:
                parameter.help = with_names(parameter.help)
        super().format_help(ctx, formatter)


def with_names(text: str) -> str:
    """`text` with names in place of `{experiments}` and of the kinds of parts, such as `{substrates}`."""
    from bl_neuro.experiment.ready_made import ready_made
    from bl_neuro.registries import KINDS, part_names

    def names(match: re.Match[str]) -> str:
        kind = match[1]
        if kind not in KINDS and kind != "experiments":
            return match[0]
        *most, last = ready_made() if kind == "experiments" else part_names(kind)
        return f"{', '.join(most)} or {last}"

    return re.sub(r"\{(\w+)\}", names, text)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Measure how much of its training data a spiking network leaks, and whether its substrate changes that."""
    if show:
        from bl_neuro import __version__

        typer.echo(f"bl-neuro {__version__}")
        raise typer.Exit


def model_request(
    path: Path, layers: int | None, shape: str | None, convention: str | None, dt: float | None, reset: str | None
) -> ModelRequest:
    """The model file and the options that say how to read it."""
    from bl_neuro.cli.model import ModelRequest

    return ModelRequest(path, layers, numbers(shape, "--input-shape", int), convention, dt, reset)


def numbers(text: str | None, option: str, kind: Callable[[str], Number]) -> list[Number] | None:
    """The comma-separated numbers of an option; None if the option was not given.

    Raises:
        InputError: the text is not a list of numbers, or an entry is empty.
    """
    from bl_neuro.errors import InputError

    if text is None:
        return None
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError as error:
        sort = "whole numbers" if kind is int else "numbers"
        raise InputError(f"{option}: expected comma-separated {sort}, found {text!r}") from error


def words(text: str) -> list[str]:
    """The comma-separated names of an option."""
    return [word.strip() for word in text.split(",") if word.strip()]


def assignments(texts: Sequence[str] | None) -> list[tuple[str, str]]:
    """The names and values of --set NAME=VALUE.

    Raises:
        InputError: a text without a name or "=".
    """
    from bl_neuro.errors import InputError

    pairs = []
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InputError(f"--set: expected NAME=VALUE, found {text!r}")
        pairs.append((name.strip(), value.strip()))
    return pairs
