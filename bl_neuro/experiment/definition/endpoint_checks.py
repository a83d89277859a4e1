"""What must hold of `[[endpoints]]` beyond the types of their values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bl_neuro.backends import available_substrates
from bl_neuro.experiment.definition.document import strings, table, tables
from bl_neuro.experiment.definition.toml_lines import Path

Found = Iterator[tuple[Path, str]]
ALONE = ("replays", "ladder", "mitigations", "verify")
"""Parts that take the network itself."""


def endpoint_names(document: dict[str, Any]) -> list[str]:
    """The names of the endpoints, as far as they are names."""
    return [each["name"] for _, each in tables(document, "endpoints") if isinstance(each.get("name"), str)]


def endpoint_problems(document: dict[str, Any]) -> Found:
    """Of every one of `[[endpoints]]`, and of what does not go with them."""
    names, ours = endpoint_names(document), strings(document.get("substrates"))
    if not names:
        return
    for i, each in tables(document, "endpoints"):
        name = each.get("name")
        if name in available_substrates():
            yield ("endpoints", i, "name"), f"expected a name of its own, found the substrate {name!r}"
        elif isinstance(name, str) and name not in ours:
            yield ("endpoints", i, "name"), f"expected one of the experiment's substrates, found {name!r}"
        if names.count(str(name)) > 1:
            yield ("endpoints", i, "name"), f"{name!r} stands there twice"
        if not any(each.get("reveals") in strings(attack.get("reveals")) for _, attack in tables(document, "attacks")):
            yield ("endpoints", i, "reveals"), f"no attack takes what it reveals, {each.get('reveals')!r}"
        for key in ("class_map", "encoder", "trained_on"):
            if "model" in document and key in each:
                yield ("endpoints", i, key), "the [model] says it; leave it out"
    yield from _no_network_there(document, names)
    if "model" not in document:
        yield from _alone(document, names, ours)


def _no_network_there(document: dict[str, Any], names: list[str]) -> Found:
    """Parts that want a network on a substrate of this machine."""
    own = "takes a substrate of this machine, not an endpoint"
    for i, each in tables(document, "mitigations"):
        if each.get("substrate") in names:
            yield ("mitigations", i, "substrate"), own
    for i, each in tables(document, "replays"):
        if each.get("of") in names:
            yield ("replays", i, "of"), own
    for name in ("real", "loihi"):
        if table(document.get("ladder")).get(name) in names:
            yield ("ladder", name), own


def _alone(document: dict[str, Any], names: list[str], ours: list[str]) -> Found:
    """An endpoint whose network nobody here has."""
    if len(names) > 1 or [name for name in ours if name not in names]:
        yield ("substrates",), "expected one endpoint alone, or a [model] that the others are compared with"
    for name in ALONE:
        if name in document:
            yield (name,), "takes the network itself, and an endpoint does not give it; leave it out"
    for i, each in tables(document, "attacks"):
        if each.get("attack") == "transfer":
            yield ("attacks", i), "transfer attacks a copy of the network, and an endpoint does not give it"
