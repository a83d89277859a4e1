"""`bl-neuro data`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bl_neuro.cli.options import Json, Root, app

if TYPE_CHECKING:
    from bl_neuro.data.source import DataStatus

data = typer.Typer(no_args_is_help=True, help="Show the datasets that targets are trained on.")
app.add_typer(data, name="data")


@data.command()
def status(root: Root = None, as_json: Json = False) -> None:
    """List which datasets are on this machine, whether they are complete, and how to get the others."""
    from dataclasses import asdict

    from bl_neuro.cli.output import print_json
    from bl_neuro.data.registry import data_status
    from bl_neuro.data.source import data_root
    from bl_neuro.errors import DataError

    base = data_root(root)
    if base is not None and not base.is_dir():
        raise DataError(f"{base}: expected the folder of the datasets, found {_instead(base)}")
    datasets = data_status(root)
    if as_json:
        print_json({"root": None if base is None else str(base), "datasets": [asdict(dataset) for dataset in datasets]})
    else:
        _print(base, datasets)


def _print(base: Path | None, datasets: list[DataStatus]) -> None:
    from bl_neuro.cli.output import print_table, say
    from bl_neuro.data.source import VARIABLE

    if base is None:
        say(f"No data folder: give --root or set {VARIABLE}.")
    columns = ["name", "state", "samples", "of", "folder"]
    print_table("Datasets" if base is None else f"Datasets in {base}", columns, [_row(it) for it in datasets], 2)
    for dataset in datasets:
        if dataset.problem is not None:
            say(f"\n{dataset.name}: {dataset.problem}")
        if dataset.state != "complete":
            say(f"\n{dataset.name}: {dataset.how_to_get}")


def _row(dataset: DataStatus) -> list[str]:
    place = dataset.folder or ("in a package" if dataset.state == "complete" else "no folder")
    return [dataset.name, dataset.state, _count(dataset.found), _count(dataset.published), place]


def _count(samples: int | None) -> str:
    return "" if samples is None else f"{samples:,}"


def _instead(base: Path) -> str:
    return "a file" if base.exists() else "nothing"
