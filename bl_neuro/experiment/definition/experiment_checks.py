"""What the types of an experiment's parts do not say: names that must exist, settings, what goes with what.

All of it looks at the document as it was read, so that it is told beside whatever else is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bl_neuro.attacks.registry import ATTACKS
from bl_neuro.backends import available_substrates
from bl_neuro.errors import InputError
from bl_neuro.experiment.definition.attack_choice import Problem, attack_problems, typed_settings
from bl_neuro.experiment.definition.document import strings, table, tables
from bl_neuro.experiment.definition.endpoint_checks import endpoint_names, endpoint_problems
from bl_neuro.experiment.definition.part_checks import (
    ladder_problems,
    mitigation_problems,
    replay_problems,
    verify_problems,
)
from bl_neuro.experiment.definition.toml_lines import Path
from bl_neuro.training.plans import TargetPlan, plan_for

Found = Iterator[tuple[Path, str]]
PART_CHECKS = (endpoint_problems, replay_problems, ladder_problems, mitigation_problems, verify_problems)


def further_problems(document: dict[str, Any]) -> list[tuple[Path, str]]:
    """Where something is wrong and what, beyond what types say."""
    own = (_subject, _substrates, _attacks, _controls, _twice)
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


def _subject(document: dict[str, Any]) -> Found:
    if "model" in document or endpoint_names(document):
        for name in ("seeds", "target", "controls"):
            if name in document:
                yield (name,), "a given [model] is not trained, nor is what an endpoint serves; leave this out"
        if "steps" not in document:
            where = "model" if "model" in document else "endpoints"
            yield (where,), "expected steps of the experiment: what is given does not say how long an input lasts"
        return
    if "seeds" not in document:
        yield (), "expected seeds of targets to train, or a [model], or [[endpoints]]"
    dataset = str(table(document.get("dataset")).get("name", ""))
    plans: list[tuple[Path, dict[str, Any]]] = [(("target",), table(document.get("target")))]
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


def _substrates(document: dict[str, Any]) -> Found:
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


def _attacks(document: dict[str, Any]) -> Found:
    for i, each in tables(document, "attacks"):
        name, preset, settings = each.get("attack"), each.get("preset"), table(each.get("settings"))
        if not isinstance(name, str) or not (preset is None or isinstance(preset, str)):
            continue
        for problem in attack_problems(name, preset, settings):
            yield _place(i, problem, name in ATTACKS, settings), problem.message
        if name not in ATTACKS:
            continue
        white = ATTACKS[name].access == "white_box"
        for key in ("reveals", "budget"):
            if white and key in each:
                yield ("attacks", i, key), f"{name} has the gradients and asks no queries; leave it out"
        if not white and "reveals" not in each:
            yield ("attacks", i), f"expected reveals, what a box shows to {name}"
        if "twin" in each and name != "transfer":
            yield ("attacks", i, "twin"), f"only transfer attacks a copy first, {name} does not; leave it out"


def _place(number: int, problem: Problem, known: bool, settings: dict[str, Any]) -> Path:
    if problem.setting is not None:
        return ("attacks", number, "settings", problem.setting)
    if not known:
        return ("attacks", number, "attack")
    return ("attacks", number, "preset" if problem.message.startswith("preset") or not settings else "settings")


def _controls(document: dict[str, Any]) -> Found:
    labels = [each.get("label", each.get("attack")) for _, each in tables(document, "attacks")]
    for i, each in tables(document, "controls"):
        for number, label in enumerate(strings(each.get("attacks"))):
            if label not in labels:
                yield ("controls", i, "attacks", number), f"expected the label of an attack, found {label!r}"


def _twice(document: dict[str, Any]) -> Found:
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
    for group in ("evaluators", "controls"):
        kinds = [str(each.get("kind")) for _, each in tables(document, group)]
        for i, kind in enumerate(kinds):
            if kind in kinds[:i]:
                yield (group, i, "kind"), f"{kind} stands there twice"
