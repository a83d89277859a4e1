"""`[[mitigations]]` of an experiment: what a deployment does against inversion, measured for what it costs and removes.

    kind = "reveal"          to = "label"     shows less
    kind = "rounding"        step = 0.1       scores or a membrane in whole multiples
    kind = "noise"           sd = 0.1         on scores or a membrane; on counts, then rounded
    kind = "query_cap"       queries = 1280   for all inversions of one attack together
    kind = "input_dropout"   rate = 0.2       of the spikes that come in
    kind = "weight_bits"     bits = 4         of every weight

`kind` is the name of any registered mitigation (`bl_neuro.mitigations.MITIGATIONS`), with its settings beside it. Each
is run on one substrate, on the same targets, from the same seeds as the attacks without it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from bl_neuro.errors import BlNeuroError
from bl_neuro.experiment.part import SETTING, Names, Part, Restarts, Seeds
from bl_neuro.mitigations import MITIGATIONS, Mitigation, make_mitigation
from bl_neuro.reveals import Reveals
from bl_neuro.settings import SettingProblem, setting_names, setting_problems, unknown_setting


class MitigationPart(Part):
    """One of `[[mitigations]]`: the name of a mitigation, its settings, and what it is measured on.

    attacks: labels of black-box attacks, all by default. reveals: what their boxes show, by default all of an attack's
    that the mitigation acts on. seeds, restarts: of the experiment's, all by default. substrate: where it is run.
    """

    model_config = ConfigDict(extra="allow")

    attacks: Names | None = None
    reveals: Annotated[list[Reveals], Field(min_length=1)] | None = None
    seeds: Seeds | None = None
    restarts: Restarts | None = None
    substrate: str = "loihi"
    kind: str

    @model_validator(mode="wrap")
    @classmethod
    def _with_settings(cls, value: Any, handler: ModelWrapValidatorHandler[MitigationPart]) -> MitigationPart:
        """The settings are those of the mitigation's class; its problems are told together with all others."""
        problems = [_detail(problem, value) for problem in mitigation_setting_problems(value)]
        try:
            part = handler(value)
        except ValidationError as error:
            problems = [*(_again(dict(each)) for each in error.errors(include_url=False)), *problems]
        if problems:
            raise ValidationError.from_exception_data(cls.__name__, problems)
        return part

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the mitigation, as they were given."""
        return dict(self.model_extra or {})

    @cached_property
    def mitigation(self) -> Mitigation:
        """The mitigation, with its settings."""
        return make_mitigation(self.kind, self.settings)

    def acts_on(self, reveals: Reveals) -> bool:
        """Whether it changes anything where a box reveals that."""
        acts = reveals in self.mitigation.acts_on
        return acts and (not self.mitigation.changes("reveals") or self.mitigation.reveals(reveals) != reveals)


def mitigation_setting_problems(table: Any) -> list[SettingProblem]:
    """What is wrong with the kind of a table of `[[mitigations]]` and with the settings of that kind."""
    if not isinstance(table, dict) or not isinstance(table.get("kind"), str):
        return []  # a missing kind, or one of another type, is the model's to report
    try:
        kind = MITIGATIONS.find(table["kind"])
    except BlNeuroError as error:
        return [SettingProblem("kind", str(error).removeprefix("mitigation: "))]
    settings = {name: value for name, value in table.items() if name not in MitigationPart.model_fields}
    known = [*setting_names(kind), *MitigationPart.model_fields]
    return [
        SettingProblem(problem.setting, unknown_setting(problem.setting, known))
        if problem.setting is not None and problem.setting not in known
        else problem
        for problem in setting_problems(kind, settings)
    ]


def _detail(problem: SettingProblem, table: Any) -> InitErrorDetails:
    if problem.setting is None:
        return InitErrorDetails(type=PydanticCustomError(SETTING, _literal(problem.message)), loc=(), input=table)
    message = problem.message.removeprefix(f"{problem.setting}: ")
    kind = PydanticCustomError(SETTING, _literal(message))
    return InitErrorDetails(type=kind, loc=(problem.setting,), input=table.get(problem.setting))


def _again(error: dict[str, Any]) -> InitErrorDetails:
    """A problem that pydantic reported, to be reported once more together with others."""
    kind = PydanticCustomError(error["type"], _literal(error["msg"]))
    return InitErrorDetails(type=kind, loc=error["loc"], input=error["input"])


def _literal(message: str) -> Any:
    """Pydantic's types ask for a message that stands in the source; without a context it is taken as it is."""
    return message
