"""Access to the values of a TOML document whose types have not been checked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from bl_neuro.attacks import ATTACKS
from bl_neuro.experiment.toml_lines import KeyPath

Problems = Iterator[tuple[KeyPath, str]]
"""Locations and messages of problems."""


def table(value: Any) -> dict[str, Any]:
    """`value` if it is a table, else an empty table."""
    return value if isinstance(value, dict) else {}


def tables(document: dict[str, Any], name: str) -> list[tuple[int, dict[str, Any]]]:
    """The tables of the list `name`, each with its index."""
    values = document.get(name)
    return [(i, item) for i, item in enumerate(values if isinstance(values, list) else []) if isinstance(item, dict)]


def strings(value: Any) -> list[str]:
    """The strings in `value` if it is a list, else none."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def leaves(value: Any) -> Iterator[tuple[KeyPath, Any]]:
    """All values in nested tables and lists, each with its place."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield (), value
        return
    for key, item in items:
        yield from (((key, *place), leaf) for place, leaf in leaves(item))


def endpoint_names(document: dict[str, Any]) -> list[str]:
    """The names of the endpoints; entries without a text as name are left out."""
    return [item["name"] for _, item in tables(document, "endpoints") if isinstance(item.get("name"), str)]


def black_box_views(document: dict[str, Any]) -> dict[str, list[str]]:
    """Labels of black-box attacks, with the outputs that they use."""
    return {
        str(item.get("label", item.get("attack"))): strings(item.get("reveals"))
        for _, item in tables(document, "attacks")
        if item.get("attack") in ATTACKS and ATTACKS.find(item["attack"]).access == "black_box"
    }


def label_problems(part: dict[str, Any], place: KeyPath, labels: list[str], what: str) -> Problems:
    """Problems of the attack labels in a part. what: the kind of attacks that they must name."""
    for number, label in enumerate(strings(part.get("attacks"))):
        if label not in labels:
            yield (*place, "attacks", number), f"expected the label of {what}, found {label!r}"


def seed_problems(part: dict[str, Any], place: KeyPath, document: dict[str, Any]) -> Problems:
    """Problems of seeds that are not seeds of the experiment. Wrong types are reported elsewhere."""
    given, ours = _listed(part.get("seeds")), _listed(document.get("seeds"))
    missing = sorted(given - ours) if given and ours else []
    if missing:
        yield (*place, "seeds"), f"expected seeds of the experiment, found {', '.join(map(str, missing))}"


def _listed(seeds: Any) -> set[int]:
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        return set(range(min(seeds, 1000)))
    return {item for item in seeds if isinstance(item, int)} if isinstance(seeds, list) else set()


def or_default(part: dict[str, Any], kind: type[BaseModel], name: str) -> Any:
    """The value in a table, or the default of the model if the table does not contain it."""
    return part.get(name, kind.model_fields[name].default)
