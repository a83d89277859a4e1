"""Parts of a TOML document as it was read, of whatever types they may be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

from pydantic import BaseModel

from bl_neuro.access import REVEALS
from bl_neuro.attacks import ATTACKS, Attack
from bl_neuro.backends import available_substrates, find_backend
from bl_neuro.data.registry import dataset_source, not_scalable
from bl_neuro.errors import BlNeuroError, InputError
from bl_neuro.experiment.attack_choice import attack_problems
from bl_neuro.experiment.definition import LadderPart, ReplayPart
from bl_neuro.experiment.mitigation_part import MitigationPart
from bl_neuro.experiment.toml_lines import KeyPath
from bl_neuro.mitigations import Mitigation, make_mitigation
from bl_neuro.network import Arithmetic
from bl_neuro.settings import SettingProblem, typed_settings
from bl_neuro.training.plans import TargetPlan, plan_for


def table(value: Any) -> dict[str, Any]:
    """`value` where it is a table, else an empty one."""
    return value if isinstance(value, dict) else {}


def tables(document: dict[str, Any], name: str) -> list[tuple[int, dict[str, Any]]]:
    """The tables of the list `name`, each with its number."""
    values = document.get(name)
    return [(i, each) for i, each in enumerate(values if isinstance(values, list) else []) if isinstance(each, dict)]


def strings(value: Any) -> list[str]:
    """The strings in `value` where it is a list, else none."""
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _or_default(part: dict[str, Any], kind: type[BaseModel], name: str) -> Any:
    """What a table says, or what it stands for where it says nothing."""
    return part.get(name, kind.model_fields[name].default)


Problems = Iterator[tuple[KeyPath, str]]


def dataset_problems(document: dict[str, Any]) -> Problems:
    """Of `[dataset]`, as far as the dataset's source says it."""
    part = table(document.get("dataset"))
    name = part.get("name")
    source = dataset_source(name) if isinstance(name, str) else None
    if source is None:
        return
    if part.get("split") == "official" and source.official_test is False:
        yield ("dataset", "split"), f"the authors of {source.name} name no test part; expected 'three-way'"
    if "size" in part and not source.scalable:
        yield ("dataset", "size"), not_scalable(source.name)


def replay_problems(document: dict[str, Any]) -> Problems:
    """Of every one of `[[replays]]`."""
    black = list(_black_box(document))
    ours = strings(document.get("substrates"))
    for i, each in tables(document, "replays"):
        place: KeyPath = ("replays", i)
        yield from _labels(each, place, black, "a black-box attack")
        yield from _seeds(each, place, document)
        substrate, of = (_or_default(each, ReplayPart, name) for name in ("substrate", "of"))
        if of not in ours:
            yield (*place, "of"), f"expected one of the experiment's substrates, found {of!r}"
        elif substrate in ours:
            yield (*place, "substrate"), f"every attack runs on {substrate} anyway; leave it out of substrates"
        else:
            yield from _same_arithmetic(place, substrate, of)


def ladder_problems(document: dict[str, Any]) -> Problems:
    """Of `[ladder]`."""
    if "ladder" not in document:
        return
    part = table(document["ladder"])
    labels = [str(each.get("label", each.get("attack"))) for _, each in tables(document, "attacks")]
    yield from _labels(part, ("ladder",), labels, "an attack")
    yield from _seeds(part, ("ladder",), document)
    for name in get_args(Arithmetic):
        substrate = _or_default(part, LadderPart, name)
        if substrate not in strings(document.get("substrates")):
            yield ("ladder", name), f"expected one of the experiment's substrates, found {substrate!r}"
        elif substrate in available_substrates() and find_backend(substrate).arithmetic != name:
            yield ("ladder", name), f"expected a substrate of {name} arithmetic, found {substrate!r}"


def mitigation_problems(document: dict[str, Any]) -> Problems:
    """Of every one of `[[mitigations]]`, beyond its settings."""
    black = _black_box(document)
    seen: set[str] = set()
    for i, part in tables(document, "mitigations"):
        place: KeyPath = ("mitigations", i)
        yield from _labels(part, place, list(black), "a black-box attack")
        yield from _seeds(part, place, document)
        substrate = _or_default(part, MitigationPart, "substrate")
        if substrate not in strings(document.get("substrates")):
            yield (*place, "substrate"), f"expected one of the experiment's substrates, found {substrate!r}"
        labels = strings(part.get("attacks")) or list(black)
        yield from _changed_views(part, place, sorted({view for label in labels for view in black.get(label, [])}))
        yield from _restarts(part, place, document)
        same = repr(sorted((key, str(value)) for key, value in part.items()))
        if same in seen:
            yield place, "stands there twice"
        seen.add(same)


def _changed_views(part: dict[str, Any], place: KeyPath, revealed: list[str]) -> Problems:
    """Each view that is named must be one that attacks see and that the mitigation changes, and so must what it shows.

    revealed: what the boxes of its attacks reveal.
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
                f"expected what shows more than {mitigation.reveals(view)} ({more}), found {view!r}",
            )
    for view in {mitigation.reveals(view) for view in mitigation.acts_on if view in (named or revealed)}:
        if view not in revealed:
            setting = [name for name, value in mitigation.settings().items() if value == view][:1]
            yield (*place, *setting), f"expected what its attacks reveal ({', '.join(revealed)}), found {view!r}"


def _mitigation(part: dict[str, Any]) -> Mitigation | None:
    """The mitigation of a table; None where its settings are wrong, which is reported elsewhere."""
    settings = {name: value for name, value in part.items() if name not in MitigationPart.model_fields}
    try:
        return make_mitigation(str(part.get("kind")), settings)
    except BlNeuroError:
        return None


def _restarts(part: dict[str, Any], place: KeyPath, document: dict[str, Any]) -> Problems:
    """No more than the attacks have that it is compared with."""
    wanted = part.get("restarts")
    ours = document.get("restarts", 1)
    named = strings(part.get("attacks"))
    for _, attack in tables(document, "attacks"):
        label, most = str(attack.get("label", attack.get("attack"))), attack.get("restarts", ours)
        if isinstance(wanted, int) and isinstance(most, int) and (not named or label in named) and wanted > most:
            yield (*place, "restarts"), f"expected at most the {most} of attack {label}, found {wanted}"
            return


def verify_problems(document: dict[str, Any]) -> Problems:
    """Of `verify`."""
    known = available_substrates()
    for number, name in enumerate(strings(document.get("verify"))):
        if name not in known:
            yield ("verify", number), f"expected one of {', '.join(known)}, found {name!r}"


def _black_box(document: dict[str, Any]) -> dict[str, list[str]]:
    """Labels of black-box attacks, and what they reveal."""
    return {
        str(each.get("label", each.get("attack"))): strings(each.get("reveals"))
        for _, each in tables(document, "attacks")
        if each.get("attack") in ATTACKS and ATTACKS.find(each["attack"]).access == "black_box"
    }


def _labels(part: dict[str, Any], place: KeyPath, labels: list[str], what: str) -> Problems:
    for number, label in enumerate(strings(part.get("attacks"))):
        if label not in labels:
            yield (*place, "attacks", number), f"expected the label of {what}, found {label!r}"


def _seeds(part: dict[str, Any], place: KeyPath, document: dict[str, Any]) -> Problems:
    """Seeds must be the experiment's; wrong types are told elsewhere."""
    given, ours = _listed(part.get("seeds")), _listed(document.get("seeds"))
    missing = sorted(given - ours) if given and ours else []
    if missing:
        yield (*place, "seeds"), f"expected seeds of the experiment, found {', '.join(map(str, missing))}"


def _listed(seeds: Any) -> set[int]:
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        return set(range(min(seeds, 1000)))
    return {each for each in seeds if isinstance(each, int)} if isinstance(seeds, list) else set()


def _same_arithmetic(place: KeyPath, substrate: Any, of: str) -> Problems:
    known = available_substrates()
    if substrate not in known:
        yield (*place, "substrate"), f"expected one of {', '.join(known)}, found {substrate!r}"
    elif of in known:
        promised, other = find_backend(substrate).arithmetic, find_backend(of).arithmetic
        if promised is None or promised != other:
            yield (*place, "substrate"), f"{substrate} and {of} do not promise the same; expected one arithmetic"


ALONE = ("replays", "ladder", "mitigations", "verify")
"""Parts that take the network itself."""


def endpoint_names(document: dict[str, Any]) -> list[str]:
    """The names of the endpoints, as far as they are names."""
    return [each["name"] for _, each in tables(document, "endpoints") if isinstance(each.get("name"), str)]


def endpoint_problems(document: dict[str, Any]) -> Problems:
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


def _no_network_there(document: dict[str, Any], names: list[str]) -> Problems:
    """Parts that want a network on a substrate of this machine."""
    own = "takes a substrate of this machine, not an endpoint"
    for i, each in tables(document, "mitigations"):
        if each.get("substrate") in names:
            yield ("mitigations", i, "substrate"), own
    for i, each in tables(document, "replays"):
        if each.get("of") in names:
            yield ("replays", i, "of"), own
    for name in get_args(Arithmetic):
        if table(document.get("ladder")).get(name) in names:
            yield ("ladder", name), own


def _alone(document: dict[str, Any], names: list[str], ours: list[str]) -> Problems:
    """An endpoint whose network nobody here has."""
    if len(names) > 1 or [name for name in ours if name not in names]:
        yield ("substrates",), "expected one endpoint alone, or a [model] that the others are compared with"
    for name in ALONE:
        if name in document:
            yield (name,), "takes the network itself, and an endpoint does not give it; leave it out"
    for i, each in tables(document, "attacks"):
        name = str(each.get("attack"))
        if name in ATTACKS and "twin" in ATTACKS.find(name).needs:
            yield ("attacks", i), f"{name} attacks a copy of the network, and an endpoint does not give it"


PART_CHECKS = (
    dataset_problems,
    endpoint_problems,
    replay_problems,
    ladder_problems,
    mitigation_problems,
    verify_problems,
)


def further_problems(document: dict[str, Any]) -> list[tuple[KeyPath, str]]:
    """Where something is wrong and what, beyond what types say."""
    own = (_subject, _evaluators, _substrates, _attacks, _controls, _twice)
    return [problem for check in (*own, *PART_CHECKS) for problem in check(document)]


def target_plan(dataset: str, steps: int | None, *settings: dict[str, Any]) -> TargetPlan:
    """The plan for a dataset with settings of a file on top. InputError where they are wrong."""
    given = {name: value for each in settings for name, value in each.items()}
    if isinstance(given.get("conv"), list):  # a string each, as on the command line
        given["conv"] = tuple(_conv(text) for text in given["conv"])
    conv = {"conv": given.pop("conv")} if "conv" in given else {}
    values, problems = typed_settings(TargetPlan, given)
    if problems:
        raise InputError("; ".join(problem.message for problem in problems))
    changes: dict[str, Any] = {**values, **conv, **({} if steps is None else {"steps": steps})}
    return replace(plan_for(dataset), **changes)


def _conv(text: Any) -> Any:
    from bl_neuro.training import ConvSpec

    return ConvSpec.parse(str(text))


def _subject(document: dict[str, Any]) -> Problems:
    if "model" in document or endpoint_names(document):
        for name in ("seeds", "target", "controls"):
            if name in document:
                yield (name,), "a given [model] is not trained, nor is what an endpoint serves; leave this out"
        for i, part in tables(document, "evaluators"):
            if part.get("data") == "target":
                yield ("evaluators", i, "data"), "the training data of what is given is not at hand; leave this out"
        if "steps" not in document:
            where = "model" if "model" in document else "endpoints"
            yield (where,), "expected steps of the experiment: what is given does not say how long an input lasts"
        return
    if "seeds" not in document:
        yield (), "expected seeds of targets to train, or a [model], or [[endpoints]]"
    dataset = str(table(document.get("dataset")).get("name", ""))
    plans: list[tuple[KeyPath, dict[str, Any]]] = [(("target",), table(document.get("target")))]
    plans += [(("controls", i, "target"), table(each.get("target"))) for i, each in tables(document, "controls")]
    for place, own in plans:
        if "steps" in own:
            yield (*place, "steps"), "steps are those of the experiment; give them there"
        wrong = typed_settings(TargetPlan, {name: own[name] for name in own if name != "conv"})[1]
        for problem in wrong:
            yield (*place, problem.setting or ""), problem.message
        try:
            target_plan(dataset, None, {} if wrong else own)
        except InputError as error:
            yield place, str(error)


def _evaluators(document: dict[str, Any]) -> Problems:
    """Evaluators that are trained alike would be one evaluator under two names."""
    seen: list[dict[str, Any]] = []
    for i, part in tables(document, "evaluators"):
        training = {"seed": 0, "data": "evaluator", **{name: part[name] for name in part if name != "label"}}
        if training in seen:
            yield ("evaluators", i), "is trained as another evaluator is; give it another seed, data or settings"
        seen.append(training)


def _substrates(document: dict[str, Any]) -> Problems:
    ours = strings(document.get("substrates"))
    known = [*available_substrates(), *endpoint_names(document)]
    for number, name in enumerate(ours):
        if name not in known:
            yield ("substrates", number), f"expected one of {', '.join(known)}, found {name!r}"
    for group in ("attacks", "controls"):
        for i, each in tables(document, group):
            for number, name in enumerate(strings(each.get("substrates"))):
                if name not in ours:
                    yield (group, i, "substrates", number), f"expected one of the experiment's, found {name!r}"
    for i, each in tables(document, "attacks"):
        if isinstance(each.get("twin"), str) and each["twin"] not in known:
            yield ("attacks", i, "twin"), f"expected one of {', '.join(known)}, found {each['twin']!r}"


def _attacks(document: dict[str, Any]) -> Problems:
    for i, each in tables(document, "attacks"):
        name, preset, settings = each.get("attack"), each.get("preset"), table(each.get("settings"))
        if not isinstance(name, str) or not (preset is None or isinstance(preset, str)):
            continue
        for problem in attack_problems(name, preset, settings):
            yield _place(i, problem, name in ATTACKS, settings), problem.message
        if name not in ATTACKS:
            continue
        yield from _access(("attacks", i), ATTACKS.find(name), name, each)


def _access(place: KeyPath, kind: type[Attack[Any]], name: str, part: dict[str, Any]) -> Problems:
    """What a part of `[[attacks]]` says of the attacker's access must go with the attack's."""
    if kind.access == "ann":
        yield (*place, "attack"), f"{name} takes a network that does not spike, and the targets of an experiment spike"
        return
    asks = kind.access == "black_box"
    for key in ("reveals", "budget"):
        if not asks and key in part:
            yield (*place, key), f"{name} has the gradients and asks no queries; leave it out"
    if asks and "reveals" not in part:
        yield place, f"expected reveals, what a box shows to {name}"
    for number, view in enumerate(strings(part.get("reveals"))):
        if asks and view in REVEALS and view not in kind.reveals:
            yield (
                (*place, "reveals", number),
                f"expected what {name} can use ({', '.join(kind.reveals)}), found {view!r}",
            )
    if "twin" in part and "twin" not in kind.needs:
        yield (*place, "twin"), f"{name} needs no copy of the network; leave it out"


def _place(number: int, problem: SettingProblem, known: bool, settings: dict[str, Any]) -> KeyPath:
    if problem.setting is not None:
        return ("attacks", number, "settings", problem.setting)
    if not known:
        return ("attacks", number, "attack")
    return ("attacks", number, "preset" if problem.message.startswith("preset") or not settings else "settings")


def _controls(document: dict[str, Any]) -> Problems:
    labels = [each.get("label", each.get("attack")) for _, each in tables(document, "attacks")]
    for i, each in tables(document, "controls"):
        for number, label in enumerate(strings(each.get("attacks"))):
            if label not in labels:
                yield ("controls", i, "attacks", number), f"expected the label of an attack, found {label!r}"


def _twice(document: dict[str, Any]) -> Problems:
    """What stands there more than once: its cells could not be told apart."""
    for name in ("seeds", "substrates", "classes"):
        values = document.get(name)
        if isinstance(values, list) and len({str(value) for value in values}) < len(values):
            yield (name,), f"expected each once, found {values}"
    seen: set[Any] = set()
    for i, each in tables(document, "attacks"):
        for shown in strings(each.get("reveals")) or ["gradient"]:
            key = (str(each.get("label", each.get("attack"))), shown)
            if key in seen:
                yield ("attacks", i), f"{key[0]} on {key[1]} stands there twice; give one a label"
            seen.add(key)
    for group, hint in (("evaluators", "; give one a label"), ("controls", "")):
        names = [str(part.get("label", part.get("kind"))) for _, part in tables(document, group)]
        for i, name in enumerate(names):
            if name in names[:i]:
                yield (group, i, "kind"), f"{name} stands there twice{hint}"
