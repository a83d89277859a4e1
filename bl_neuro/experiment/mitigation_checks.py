"""Checks of `[[mitigations]]` beyond their own settings."""

from __future__ import annotations

from typing import Any

from bl_neuro.access import REVEALS
from bl_neuro.errors import BlNeuroError
from bl_neuro.experiment.document import Problems, black_box_views, label_problems, seed_problems, strings, tables
from bl_neuro.experiment.mitigation_part import MitigationPart
from bl_neuro.experiment.toml_lines import KeyPath
from bl_neuro.mitigations import Mitigation, make_mitigation


def mitigation_problems(document: dict[str, Any]) -> Problems:
    """All problems of `[[mitigations]]` beyond their own settings."""
    black = black_box_views(document)
    seen: set[str] = set()
    for i, part in tables(document, "mitigations"):
        place: KeyPath = ("mitigations", i)
        yield from label_problems(part, place, list(black), "a black-box attack")
        yield from seed_problems(part, place, document)
        substrate = part.get("substrate", "loihi")
        if substrate not in strings(document.get("substrates")):
            yield (*place, "substrate"), f"expected one of the experiment's substrates, found {substrate!r}"
        labels = strings(part.get("attacks")) or list(black)
        yield from _changed_views(part, place, sorted({view for label in labels for view in black.get(label, [])}))
        yield from _restarts(part, place, document)
        same = repr(sorted((key, str(value)) for key, value in part.items()))
        if same in seen:
            yield place, "occurs twice"
        seen.add(same)


def _changed_views(part: dict[str, Any], place: KeyPath, revealed: list[str]) -> Problems:
    """Problems of stated outputs: attacks must use them, and the mitigation must change them.

    revealed: the outputs that the boxes of its attacks reveal.
    """
    named = strings(part.get("reveals"))
    if any(view in REVEALS and view not in revealed for view in named):
        wrong = ", ".join(repr(view) for view in named if view not in revealed)
        yield (*place, "reveals"), f"expected what its attacks reveal ({', '.join(revealed)}), found {wrong}"
    mitigation = _mitigation(part)
    if mitigation is None:
        return
    for number, view in enumerate(named):
        if view in REVEALS and view not in mitigation.acts_on:
            changed = ", ".join(mitigation.acts_on)
            yield (*place, "reveals", number), f"expected what {mitigation.name} changes ({changed}), found {view!r}"
        elif view in REVEALS and mitigation.changes("reveals") and mitigation.reveals(view) == view:
            more = ", ".join(other for other in REVEALS if mitigation.reveals(other) != other)
            yield (
                (*place, "reveals", number),
                f"expected an output with more information than {mitigation.reveals(view)} ({more}), found {view!r}",
            )
    for view in {mitigation.reveals(view) for view in mitigation.acts_on if view in (named or revealed)}:
        if view not in revealed:
            setting = [name for name, value in mitigation.settings().items() if value == view][:1]
            yield (*place, *setting), f"expected what its attacks reveal ({', '.join(revealed)}), found {view!r}"


def _mitigation(part: dict[str, Any]) -> Mitigation | None:
    """The mitigation of a table; None if its settings are invalid, which is reported elsewhere."""
    settings = {name: value for name, value in part.items() if name not in MitigationPart.model_fields}
    try:
        return make_mitigation(str(part.get("kind")), settings)
    except BlNeuroError:
        return None


def _restarts(part: dict[str, Any], place: KeyPath, document: dict[str, Any]) -> Problems:
    """Problems of restarts: there may be at most as many as of the attacks without the mitigation."""
    wanted = part.get("restarts")
    ours = document.get("restarts", 1)
    named = strings(part.get("attacks"))
    for _, attack in tables(document, "attacks"):
        label, most = str(attack.get("label", attack.get("attack"))), attack.get("restarts", ours)
        if isinstance(wanted, int) and isinstance(most, int) and (not named or label in named) and wanted > most:
            yield (*place, "restarts"), f"expected at most the {most} of attack {label}, found {wanted}"
            return
