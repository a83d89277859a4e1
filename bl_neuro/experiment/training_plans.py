"""`[target]` and `[twin]` of an experiment: the trainers of targets and their ANN twins, with settings.

    [target]                      [twin]
    trainer = "authors"           trainer = "authors"
    hidden = [3000]               epochs = 70

The settings are those of the trainer's plan; see `bl_neuro.training.trainers`. Others have the defaults of the dataset.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bl_neuro.errors import InputError
from bl_neuro.experiment.toml_lines import KeyPath
from bl_neuro.settings import SettingProblem, setting_problems, typed_settings, with_settings
from bl_neuro.training import ConvSpec
from bl_neuro.training.plans import TargetDesign
from bl_neuro.training.trainers import target_trainer, twin_trainer

DEFAULT = "default"


def target_plan(dataset: str, steps: int | None, *settings: dict[str, Any]) -> TargetDesign:
    """The plan for a dataset, with the settings of a file. Raises InputError if they are invalid."""
    given = {name: value for part in settings for name, value in part.items()}
    trainer = target_trainer(str(given.pop("trainer", DEFAULT)))
    if isinstance(given.get("conv"), list):  # a string each, as on the command line
        given["conv"] = tuple(ConvSpec.parse(str(text)) for text in given["conv"])
    conv = {"conv": given.pop("conv")} if "conv" in given else {}
    values, problems = typed_settings(trainer.plan, given)
    if problems:
        raise InputError("; ".join(problem.message for problem in problems))
    changes: dict[str, Any] = {**values, **conv, **({} if steps is None else {"steps": steps})}
    return replace(trainer.plan_for(dataset), **changes)


def twin_plan(settings: dict[str, Any]) -> Any:
    """The plan of the twins. Raises InputError if the settings are invalid."""
    given = dict(settings)
    return with_settings(twin_trainer(str(given.pop("trainer", DEFAULT))).plan, given)


def plan_problems(place: KeyPath, dataset: str, own: dict[str, Any], below: dict[str, Any]) -> Iterator[Any]:
    """Problems of the training settings `own` at `place`, which override `below`."""
    if "steps" in own:
        yield (*place, "steps"), "expected `steps` at the top level of the experiment"
    try:
        trainer = target_trainer(str(own.get("trainer", below.get("trainer", DEFAULT))))
    except InputError as error:
        yield (*place, "trainer"), str(error).removeprefix("trainer: ")
        return
    wrong = typed_settings(trainer.plan, {name: own[name] for name in own if name not in ("conv", "trainer")})[1]
    for problem in wrong:
        yield (*place, problem.setting or ""), problem.message
    if wrong:
        return
    try:
        target_plan(dataset, None, below, own)
    except InputError as error:
        yield place, str(error)


def twin_problems(settings: dict[str, Any]) -> Iterator[Any]:
    """Problems of `[twin]`."""
    given = dict(settings)
    try:
        problems = setting_problems(twin_trainer(str(given.pop("trainer", DEFAULT))).plan, given)
    except InputError as error:
        problems = [SettingProblem("trainer", str(error))]
    for problem in problems:
        place = ("twin",) if problem.setting is None else ("twin", problem.setting)
        yield place, problem.message.removeprefix(f"{problem.setting}: ")
