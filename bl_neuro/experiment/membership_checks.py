"""Checks of `[membership]` beyond the types of its values."""

from __future__ import annotations

from typing import Any

from bl_neuro.backends import available_substrates, find_backend
from bl_neuro.data.registry import dataset_source
from bl_neuro.experiment.document import Problems, endpoint_names, or_default, strings, table, tables
from bl_neuro.experiment.membership_part import MemberReplayPart, MembershipPart
from bl_neuro.experiment.replay_checks import pair_problems
from bl_neuro.experiment.toml_lines import KeyPath
from bl_neuro.experiment.training_plans import plan_problems
from bl_neuro.mitigations import MITIGATIONS
from bl_neuro.reveals import REVEALS

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
    yield from _replays(part, strings(part.get("substrates")) or ours)
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


def _replays(part: dict[str, Any], ours: list[str]) -> Problems:
    """Problems of `[[membership.replays]]`. ours: the substrates of `[membership]`."""
    asks = tables(part, "asks")
    asked = strings(asks[0][1].get("substrates")) if asks else []
    shown = (strings(asks[0][1].get("reveals")) if asks else []) or strings(part.get("reveals")) or list(REVEALS)
    for i, replay in tables(part, "replays"):
        place: KeyPath = ("membership", "replays", i)
        substrate, of = (or_default(replay, MemberReplayPart, name) for name in ("substrate", "of"))
        yield from pair_problems(place, substrate, of, ours)
        if of in ours and asked and of not in asked:
            yield (*place, "of"), f"expected a substrate of the first of the asks ({', '.join(asked)}), found {of!r}"
        if substrate in available_substrates():
            hidden = () if find_backend(substrate).reveals_membrane else ("membrane", "scores")
            known = [view for view in shown if view not in hidden]
            views = strings(replay.get("reveals"))
            if not known:
                yield place, f"{substrate} reveals none of {', '.join(shown)}, the outputs of the first of the asks"
            for number, view in enumerate(views if known else []):
                if view not in known:
                    yield (*place, "reveals", number), f"expected one of {', '.join(known)}, found {view!r}"
        yield from _sizes(part, replay, place)


def _sizes(part: dict[str, Any], replay: dict[str, Any], place: KeyPath) -> Problems:
    """Problems of numbers of a replay that are larger than those of `[membership]`."""
    pool, count = part.get("pool"), or_default(part, MembershipPart, "networks")
    networks, samples = replay.get("networks"), or_default(replay, MemberReplayPart, "samples")
    numbers = networks if isinstance(networks, list) else [networks - 1] if isinstance(networks, int) else []
    if isinstance(count, int):
        beyond = [number for number in numbers if isinstance(number, int) and number >= count]
        if beyond:
            yield (*place, "networks"), f"expected numbers of the networks, 0 to {count - 1}, found {beyond[0]}"
    if isinstance(pool, int) and isinstance(samples, int) and samples > pool:
        yield (*place, "samples"), f"expected at most the {pool} samples of the pool, found {samples}"
