"""`bl-neuro data`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from bl_neuro.cli.output import print_json, print_table, say
from bl_neuro.data.catalogue import VARIABLE, data_root
from bl_neuro.data.status import DataStatus, data_status
from bl_neuro.errors import DataError


def status(root: Path | None, as_json: bool) -> None:
    """Says which datasets are here, how complete they are, and how to get the others."""
    base = data_root(root)
    if base is not None and not base.is_dir():
        raise DataError(f"{base}: expected the folder that holds the datasets, found {_instead(base)}")
    found = data_status(root)
    if as_json:
        print_json({"root": None if base is None else str(base), "datasets": [asdict(each) for each in found]})
        return
    if base is None:
        say(f"No data root: name one with --root or in {VARIABLE}.")
    rows = [[each.name, each.state, f"{each.found:,}", f"{each.published:,}", _place(each)] for each in found]
    print_table("Datasets" if base is None else f"Datasets in {base}", ["name", "", "found", "of", "where"], rows, 2)
    for each in found:
        if each.problem is not None:
            say(f"\n{each.name}: {each.problem}")
        if each.state != "complete":
            say(f"\n{each.name}: {each.how_to_get}")


def _place(each: DataStatus) -> str:
    return each.folder or ("inside a package" if each.state == "complete" else "nowhere to look")


def _instead(base: Path) -> str:
    return "a file" if base.exists() else "nothing"
