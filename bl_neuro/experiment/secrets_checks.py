"""Checks of `[secrets]` beyond the types of its values."""

from __future__ import annotations

from typing import Any

from bl_neuro.attacks import ATTACKS
from bl_neuro.experiment.checks import attacks_and_replays
from bl_neuro.experiment.document import Problems, endpoint_names, table, tables
from bl_neuro.experiment.secrets_part import SecretsPart


def secret_problems(document: dict[str, Any]) -> Problems:
    """Problems of `[secrets]`. Its attacks and replays are checked like those of the experiment."""
    if "secrets" not in document:
        return
    part = table(document["secrets"])
    if "model" in document or endpoint_names(document):
        yield ("secrets",), "a [model] or an endpoint is not trained by the audit; leave it out"
    own = {**document, "attacks": part.get("attacks"), "replays": part.get("replays")}
    for place, message in attacks_and_replays(own):
        yield ("secrets", *place), message
    for i, attack in tables(part, "attacks"):
        name = attack.get("attack")
        if name in ATTACKS and ATTACKS.find(str(name)).access == "ann" and not part.get("twins"):
            yield ("secrets", "attacks", i, "attack"), f"{name} needs an ANN twin; set `twins = true` in [secrets]"
    for key in ("queries", "informed"):
        values = part.get(key)
        if isinstance(values, list) and len({str(value) for value in values}) < len(values):
            yield ("secrets", key), f"expected distinct values, found {values}"
    yield from _budgets(part)


def _budgets(part: dict[str, Any]) -> Problems:
    """Problems of replays of budgets that no attack has."""
    default = SecretsPart.model_fields["queries"].get_default(call_default_factory=True)
    ours = part.get("queries", default)
    for i, replay in tables(part, "replays"):
        asked = replay.get("queries")
        if isinstance(asked, list) and isinstance(ours, list) and not all(count in ours for count in asked):
            yield ("secrets", "replays", i, "queries"), f"expected some of {ours}, found {asked}"
