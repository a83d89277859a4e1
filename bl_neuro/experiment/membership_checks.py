"""Checks of `[membership]` beyond the types of its values."""

from __future__ import annotations

from typing import Any

from bl_neuro.data.registry import dataset_source
from bl_neuro.experiment.document import Problems, endpoint_names, strings, table
from bl_neuro.experiment.training_plans import plan_problems
from bl_neuro.mitigations import MITIGATIONS

UNUSED = ("attacks", "seeds", "restarts")
"""Keys of a mitigation that belong to attacks by inversion."""


def membership_problems(document: dict[str, Any]) -> Problems:
    """All problems of `[membership]` beyond types."""
    if "membership" not in document:
        return
    part = table(document["membership"])
    if "model" in document or endpoint_names(document):
        yield (
            ("membership",),
            "it trains networks on samples that it knows, but here a model or an endpoint is given; leave it out, and "
            "attack your model with bl.attack_membership",
        )
    ours = strings(document.get("substrates"))
    for number, name in enumerate(strings(part.get("substrates"))):
        if name not in ours:
            yield ("membership", "substrates", number), f"expected one of the experiment's substrates, found {name!r}"
    yield from _asks(part, document)
    yield from _mitigations(part, ours)
    if "shadows" in part:
        dataset = str(table(document.get("dataset")).get("name", ""))
        shadows, target = table(part["shadows"]), table(document.get("target"))
        yield from plan_problems(("membership", "shadows"), dataset, shadows, target)
        if not shadows:
            yield ("membership", "shadows"), "expected training settings that differ from those of the targets"
    elif "wrong_shadows" in part:
        yield ("membership", "wrong_shadows"), "needs `shadows`, the training settings of these networks"


def _asks(part: dict[str, Any], document: dict[str, Any]) -> Problems:
    source = dataset_source(str(table(document.get("dataset")).get("name", "")))
    seen: set[str] = set()
    tried = strings(part.get("substrates")) or strings(document.get("substrates"))
    asks = part.get("asks")
    for i, ask in enumerate(asks if isinstance(asks, list) else []):
        if not isinstance(ask, dict):
            continue
        place, kind = ("membership", "asks", i), ask.get("kind", "plain")
        name = str(ask.get("label", kind))
        if name in seen:
            yield place, f"{name} occurs twice; give one of them a label"
        seen.add(name)
        if kind == "plain" and "size" in ask:
            yield (*place, "size"), "plain asks have no size; leave it out"
        if kind == "noise" and source is not None and source.kind == "events":
            yield (*place, "kind"), "noise changes pixels, but events have none; use 'dropout'"
        for number, substrate in enumerate(strings(ask.get("substrates"))):
            if substrate not in tried:
                yield (*place, "substrates", number), f"expected one of {', '.join(tried)}, found {substrate!r}"


def _mitigations(part: dict[str, Any], ours: list[str]) -> Problems:
    parts = part.get("mitigations")
    seen: list[dict[str, Any]] = []
    for i, mitigation in enumerate(parts if isinstance(parts, list) else []):
        if not isinstance(mitigation, dict):
            continue
        place = ("membership", "mitigations", i)
        for key in UNUSED:
            if key in mitigation:
                yield (*place, key), "belongs to attacks by inversion; leave it out"
        if mitigation.get("substrate", "loihi") not in ours:
            yield (*place, "substrate"), f"expected one of {', '.join(ours)}"
        kind = mitigation.get("kind")
        if isinstance(kind, str) and kind in MITIGATIONS and MITIGATIONS.find(kind).changes("budget"):
            yield (*place, "kind"), f"{kind} limits queries; state fewer asks (`count`) instead"
        if mitigation in seen:
            yield place, "occurs twice"
        seen.append(mitigation)
