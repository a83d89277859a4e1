"""Checks of an experiment beyond the types of its values."""

from __future__ import annotations

from datetime import date, time
from inspect import signature
from typing import Any, get_args

from bl_neuro.access import REVEALS
from bl_neuro.attacks import ATTACKS, Attack
from bl_neuro.backends import available_substrates, find_backend
from bl_neuro.backends.registry import BACKENDS
from bl_neuro.data.registry import dataset_source, not_scalable
from bl_neuro.experiment.attack_choice import attack_problems
from bl_neuro.experiment.definition import LadderPart, ReplayPart
from bl_neuro.experiment.document import (
    Problems,
    black_box_views,
    endpoint_names,
    label_problems,
    leaves,
    or_default,
    seed_problems,
    strings,
    table,
    tables,
)
from bl_neuro.experiment.membership_checks import membership_problems
from bl_neuro.experiment.mitigation_checks import mitigation_problems
from bl_neuro.experiment.replay_checks import pair_problems
from bl_neuro.experiment.toml_lines import KeyPath
from bl_neuro.experiment.training_plans import plan_problems, twin_problems
from bl_neuro.leakage.baseline_registry import BASELINES, PRIOR
from bl_neuro.network import Arithmetic
from bl_neuro.settings import SettingProblem, unknown_setting


def dataset_problems(document: dict[str, Any]) -> Problems:
    """Problems of `[dataset]` and `[auxiliary]` that do not depend on their files."""
    yield from _size_problems(document, "dataset")
    yield from _size_problems(document, "auxiliary")
    part = table(document.get("dataset"))
    if part.get("redraw") is True and part.get("split", "three-way") not in ("three-way", "official"):
        yield ("dataset", "redraw"), f"a {part['split']} split draws no samples; expected 'three-way' or 'official'"
    if part.get("redraw") is True and not document.get("attacks"):
        yield ("dataset", "redraw"), "is about targets of [[attacks]]; add them, or leave it out"
    name = part.get("name")
    source = dataset_source(name) if isinstance(name, str) else None
    if source is None:
        return
    if part.get("split") == "official" and source.official_test is False:
        yield ("dataset", "split"), f"{source.name} has no official test set; expected 'three-way'"
    name = table(document.get("auxiliary")).get("name")
    auxiliary = dataset_source(name) if isinstance(name, str) else None
    if auxiliary is not None and auxiliary.name == source.name:
        yield ("auxiliary", "name"), f"expected public data other than the targets' dataset, found {name!r} for both"


def _size_problems(document: dict[str, Any], name: str) -> Problems:
    part = table(document.get(name))
    source = dataset_source(part["name"]) if isinstance(part.get("name"), str) else None
    if source is not None and "size" in part and not source.scalable:
        yield (name, "size"), not_scalable(source.name)


def replay_problems(document: dict[str, Any]) -> Problems:
    """Problems of `[[replays]]`."""
    black = list(black_box_views(document))
    ours = strings(document.get("substrates"))
    for i, part in tables(document, "replays"):
        place: KeyPath = ("replays", i)
        yield from label_problems(part, place, black, "a black-box attack")
        yield from seed_problems(part, place, document)
        substrate, of = (or_default(part, ReplayPart, name) for name in ("substrate", "of"))
        yield from pair_problems(place, substrate, of, ours)


def ladder_problems(document: dict[str, Any]) -> Problems:
    """Problems of `[ladder]`."""
    if "ladder" not in document:
        return
    part = table(document["ladder"])
    labels = [str(part.get("label", part.get("attack"))) for _, part in tables(document, "attacks")]
    yield from label_problems(part, ("ladder",), labels, "an attack")
    yield from seed_problems(part, ("ladder",), document)
    for name in get_args(Arithmetic):
        substrate = or_default(part, LadderPart, name)
        if substrate not in strings(document.get("substrates")):
            yield ("ladder", name), f"expected one of the experiment's substrates, found {substrate!r}"
        elif substrate in available_substrates() and find_backend(substrate).arithmetic != name:
            yield ("ladder", name), f"expected a substrate of {name} arithmetic, found {substrate!r}"


def option_problems(document: dict[str, Any]) -> Problems:
    """Problems of `[options]`."""
    parts = (document, table(document.get("secrets")), table(document.get("membership")))
    replayed = [
        str(or_default(replay, ReplayPart, "substrate")) for part in parts for _, replay in tables(part, "replays")
    ]
    ours = [name for name in (*strings(document.get("substrates")), *replayed) if name not in endpoint_names(document)]
    for substrate, options in table(document.get("options")).items():
        if substrate not in ours:
            yield ("options", substrate), f"expected one of {', '.join(ours)}, found {substrate!r}"
        elif substrate in available_substrates():
            backend = find_backend(substrate)
            named = list(signature(backend.open).parameters.values())[1:]
            known = [option.name for option in named if option.kind is not option.VAR_KEYWORD]
            known = [name for name in known if name not in backend.single_thread]
            for name in table(options):
                if known and name not in known:
                    yield ("options", substrate, name), unknown_setting(name, known)
    for place, value in leaves(document.get("options")):
        if isinstance(value, (date, time)):
            yield ("options", *place), f"expected text, a number or a truth value, found the date or time {value}"


def baseline_problems(document: dict[str, Any]) -> Problems:
    """Problems of `baselines`."""
    known = [*BASELINES, PRIOR]
    names = strings(document.get("baselines"))
    for number, name in enumerate(names):
        if name not in known:
            yield ("baselines", number), f"expected one of {', '.join(known)}, found {name!r}"
        elif name in names[:number]:
            yield ("baselines", number), f"{name!r} occurs twice"


def verify_problems(document: dict[str, Any]) -> Problems:
    """Problems of `verify`."""
    known = available_substrates()
    for number, name in enumerate(strings(document.get("verify"))):
        if name not in known:
            yield ("verify", number), f"expected one of {', '.join(known)}, found {name!r}"


SERVED_TOKENS = "BL_NEURO_TOKENS"
"""The environment variable with the tokens of all clients of `bl-neuro serve`."""
ALONE = ("replays", "ladder", "mitigations", "verify")
"""Parts that need the network."""


def endpoint_problems(document: dict[str, Any]) -> Problems:
    """Problems of `[[endpoints]]`, and of parts that cannot be combined with endpoints."""
    names, ours = endpoint_names(document), strings(document.get("substrates"))
    if not names:
        return
    for i, part in tables(document, "endpoints"):
        name = part.get("name")
        if name in available_substrates():
            yield ("endpoints", i, "name"), f"expected a name that is not a substrate, found {name!r}"
        elif isinstance(name, str) and name in BACKENDS.reserved:
            yield (
                ("endpoints", i, "name"),
                f"expected another name, since {name!r} stands for {BACKENDS.reserved[name]}",
            )
        elif isinstance(name, str) and name not in ours:
            yield ("endpoints", i, "name"), f"expected one of the experiment's substrates, found {name!r}"
        if part.get("token") == SERVED_TOKENS:
            yield ("endpoints", i, "token"), f"expected another variable, since {SERVED_TOKENS} is that of a server"
        if names.count(str(name)) > 1:
            yield ("endpoints", i, "name"), f"{name!r} occurs twice"
        if not any(part.get("reveals") in strings(attack.get("reveals")) for _, attack in tables(document, "attacks")):
            yield ("endpoints", i, "reveals"), f"no attack uses its output {part.get('reveals')!r}"
        for key in ("class_map", "encoder", "trained_on"):
            if "model" in document and key in part:
                yield ("endpoints", i, key), "already stated by [model]; leave it out"
    yield from _no_network_there(document, names)
    if "model" not in document:
        yield from _alone(document, names, ours)


def _no_network_there(document: dict[str, Any], names: list[str]) -> Problems:
    """Problems of parts that need the network on a substrate of this machine."""
    own = "expected a substrate of this machine, not an endpoint"
    for i, part in tables(document, "mitigations"):
        if part.get("substrate") in names:
            yield ("mitigations", i, "substrate"), own
    for i, part in tables(document, "replays"):
        if part.get("of") in names:
            yield ("replays", i, "of"), own
    for name in get_args(Arithmetic):
        if table(document.get("ladder")).get(name) in names:
            yield ("ladder", name), own


def _alone(document: dict[str, Any], names: list[str], ours: list[str]) -> Problems:
    """Problems of an endpoint whose network is not available."""
    if len(names) > 1 or [name for name in ours if name not in names]:
        yield ("substrates",), "expected only one endpoint, or a [model] to compare it with"
    for name in ALONE:
        if name in document:
            yield (name,), "needs the network, but an endpoint only answers queries; leave it out"
    for i, part in tables(document, "attacks"):
        name = str(part.get("attack"))
        if name in ATTACKS and "twin" in ATTACKS.find(name).needs:
            yield ("attacks", i), f"{name} needs a copy of the network, but an endpoint only answers queries"


OF_ATTACKS = ("controls", "replays", "ladder", "mitigations", "verify")
"""Parts that repeat or explain `[[attacks]]`."""


PART_CHECKS = (
    dataset_problems,
    option_problems,
    endpoint_problems,
    replay_problems,
    ladder_problems,
    mitigation_problems,
    verify_problems,
    membership_problems,
    baseline_problems,
)


def further_problems(document: dict[str, Any]) -> list[tuple[KeyPath, str]]:
    """All problems beyond types, each with its location."""
    own = (_subject, _measured, _evaluators, _substrates, _attacks, _controls, _twice)
    return [problem for check in (*own, *PART_CHECKS) for problem in check(document)]


def attacks_and_replays(document: dict[str, Any]) -> Problems:
    """Problems of the attacks and replays of a document; others are left out."""
    for check in (_substrates, _attacks, _twice, replay_problems):
        for place, message in check(document):
            if place[:1] in (("attacks",), ("replays",)):
                yield place, message


def _subject(document: dict[str, Any]) -> Problems:
    if "model" in document or endpoint_names(document):
        for name in ("seeds", "target", "twin", "controls"):
            if name in document:
                yield (name,), "a [model] or an endpoint is not trained by the audit; leave it out"
        if table(document.get("dataset")).get("redraw") is True:
            yield ("dataset", "redraw"), "a [model] or an endpoint has one training; leave it out"
        for i, part in tables(document, "evaluators"):
            if part.get("data") == "target":
                yield (
                    ("evaluators", i, "data"),
                    "the training data of a [model] or an endpoint is not available; leave it out",
                )
        if "steps" not in document:
            where = "model" if "model" in document else "endpoints"
            yield (where,), "expected `steps` of the experiment, the number of time steps of an input"
        return
    if "seeds" not in document and ("attacks" in document or "secrets" in document):
        yield (), "expected seeds of targets to train, or a [model], or [[endpoints]]"
    dataset = str(table(document.get("dataset")).get("name", ""))
    target = table(document.get("target"))
    yield from plan_problems(("target",), dataset, target, {})
    for i, part in tables(document, "controls"):
        if table(part.get("target")):
            yield from plan_problems(("controls", i, "target"), dataset, table(part["target"]), target)
    yield from twin_problems(table(document.get("twin")))
    if "twin" in document and not _twin_labels(document) and not _trains_twins(document):
        yield ("twin",), "no attack needs an ANN twin, as ann does; leave it out"


def _trains_twins(document: dict[str, Any]) -> bool:
    """Whether planted secrets or membership ask for ANN twins."""
    return any(table(document.get(name)).get("twins") for name in ("membership", "secrets"))


def _measured(document: dict[str, Any]) -> Problems:
    """Problems of an experiment that measures nothing, or whose attacks nobody judges."""
    if not document.get("attacks") and "secrets" not in document and "membership" not in document:
        yield (), "expected [[attacks]], each a table, or [secrets], or [membership]"
    if document.get("attacks") and not document.get("evaluators"):
        yield (), "expected [[evaluators]], which judge what attacks reconstruct"
    for name in OF_ATTACKS if not document.get("attacks") else ():
        if name in document:
            yield (name,), "needs [[attacks]]; add them, or leave it out"


def _evaluators(document: dict[str, Any]) -> Problems:
    """Problems of evaluators; two evaluators with equal training would be the same evaluator under two names."""
    seen: list[dict[str, Any]] = []
    for i, part in tables(document, "evaluators"):
        training = {"seed": 0, "data": "evaluator", **{name: part[name] for name in part if name != "label"}}
        if training in seen:
            yield ("evaluators", i), "is trained exactly like another evaluator; give it another seed, data or settings"
        seen.append(training)


def _substrates(document: dict[str, Any]) -> Problems:
    ours = strings(document.get("substrates"))
    known = [*available_substrates(), *endpoint_names(document)]
    for number, name in enumerate(ours):
        if name not in known:
            yield ("substrates", number), f"expected one of {', '.join(known)}, found {name!r}"
    for group in ("attacks", "controls"):
        for i, part in tables(document, group):
            for number, name in enumerate(strings(part.get("substrates"))):
                if name not in ours:
                    yield (group, i, "substrates", number), f"expected one of the experiment's, found {name!r}"
    for i, part in tables(document, "attacks"):
        if isinstance(part.get("twin"), str) and part["twin"] not in known:
            yield ("attacks", i, "twin"), f"expected one of {', '.join(known)}, found {part['twin']!r}"


def _attacks(document: dict[str, Any]) -> Problems:
    for i, part in tables(document, "attacks"):
        name, preset, settings = part.get("attack"), part.get("preset"), table(part.get("settings"))
        if not isinstance(name, str) or not (preset is None or isinstance(preset, str)):
            continue
        for problem in attack_problems(name, preset, settings):
            yield _place(i, problem, name in ATTACKS, settings), problem.message
        if name not in ATTACKS:
            continue
        if ATTACKS.find(name).access == "ann" and ("model" in document or endpoint_names(document)):
            yield ("attacks", i, "attack"), f"{name} needs the ANN twin of a target that the audit trains; leave it out"
        if "auxiliary" in ATTACKS.find(name).needs and "auxiliary" not in document:
            yield ("attacks", i, "attack"), f"{name} needs images of the attacker; add [auxiliary]"
        yield from _access(("attacks", i), ATTACKS.find(name), name, part)


def _twin_labels(document: dict[str, Any]) -> list[str]:
    """Labels of attacks on an ANN twin."""
    return [
        str(part.get("label", part.get("attack")))
        for _, part in tables(document, "attacks")
        if part.get("attack") in ATTACKS and ATTACKS.find(part["attack"]).access == "ann"
    ]


def _access(place: KeyPath, kind: type[Attack[Any]], name: str, part: dict[str, Any]) -> Problems:
    """Problems of `[[attacks]]` whose settings do not apply to the access of the attack."""
    asks = kind.access == "black_box"
    if kind.access == "ann" and "substrates" in part:
        yield (*place, "substrates"), f"{name} attacks an ANN, which runs on no substrate; leave it out"
    for key in ("reveals", "budget"):
        if not asks and key in part:
            yield (*place, key), f"{name} uses gradients instead of queries; leave it out"
    if asks and "reveals" not in part:
        yield place, f"expected `reveals`, the outputs that {name} uses"
    for number, view in enumerate(strings(part.get("reveals"))):
        if asks and view in REVEALS and view not in kind.reveals:
            yield (
                (*place, "reveals", number),
                f"expected what {name} can use ({', '.join(kind.reveals)}), found {view!r}",
            )
    if "twin" in part and "twin" not in kind.needs:
        yield (*place, "twin"), f"{name} does not use a copy of the network; leave it out"


def _place(number: int, problem: SettingProblem, known: bool, settings: dict[str, Any]) -> KeyPath:
    if problem.setting is not None:
        return ("attacks", number, "settings", problem.setting)
    if not known:
        return ("attacks", number, "attack")
    return ("attacks", number, "preset" if problem.message.startswith("preset") or not settings else "settings")


def _controls(document: dict[str, Any]) -> Problems:
    labels = [part.get("label", part.get("attack")) for _, part in tables(document, "attacks")]
    on_twins = _twin_labels(document)
    for i, part in tables(document, "controls"):
        for number, label in enumerate(strings(part.get("attacks"))):
            if label not in labels:
                yield ("controls", i, "attacks", number), f"expected the label of an attack, found {label!r}"
            elif label in on_twins:
                yield ("controls", i, "attacks", number), f"{label} needs an ANN twin, which controls do not have"


def _twice(document: dict[str, Any]) -> Problems:
    """Problems of duplicate entries, whose cells could not be distinguished."""
    for name in ("seeds", "substrates", "classes"):
        values = document.get(name)
        if isinstance(values, list) and len({str(value) for value in values}) < len(values):
            yield (name,), f"expected distinct values, found {values}"
    seen: set[Any] = set()
    for i, part in tables(document, "attacks"):
        for shown in strings(part.get("reveals")) or ["gradient"]:
            key = (str(part.get("label", part.get("attack"))), shown)
            if key in seen:
                yield ("attacks", i), f"{key[0]} on {key[1]} occurs twice; give one of them a label"
            seen.add(key)
    for group, hint in (("evaluators", "; give one of them a label"), ("controls", "")):
        names = [str(part.get("label", part.get("kind"))) for _, part in tables(document, group)]
        for i, name in enumerate(names):
            if name in names[:i]:
                yield (group, i, "kind"), f"{name} occurs twice{hint}"
