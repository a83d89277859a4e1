"""What the tables of an experiment's file have in common, and the types of values that stand in several of them."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from bl_neuro.errors import BlNeuroError
from bl_neuro.settings import SettingProblem, setting_names, setting_problems, unknown_setting

MOST_SEEDS = 1000
SETTING: Any = "setting"
"""The type of an error of pydantic's whose message says all, also what was found."""
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Count = Annotated[int, Field(ge=1)]
Restarts = Annotated[int, Field(ge=1, le=1000)]
Names = Annotated[list[str], Field(min_length=1)]


def _counted(value: Any) -> Any:
    """So many seeds, as the seeds 0, 1, ..."""
    if isinstance(value, list):
        return value
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_SEEDS:
        raise PydanticCustomError("seeds", f"expected 1 to {MOST_SEEDS} seeds or a list of seeds")
    return list(range(value))


Seeds = Annotated[list[Seed], BeforeValidator(_counted), Field(min_length=1, max_length=MOST_SEEDS)]


class Part(BaseModel):
    """A table of the file: nothing unknown in it, no value of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


P = TypeVar("P", bound="SettingsPart")


class SettingsPart(Part):
    """A table that names a registered part by `kind`, with the settings of that part beside it.

    What is wrong with the settings is reported together with what is wrong with the rest of the table.
    """

    model_config = ConfigDict(extra="allow")

    @classmethod
    @abstractmethod
    def settings_class(cls, kind: str) -> type[Any]:
        """The frozen dataclass of the settings of a kind. InputError or PluginError where there is no such kind."""

    @property
    def settings(self) -> dict[str, Any]:
        """The settings, as they were given."""
        return dict(self.model_extra or {})

    @model_validator(mode="wrap")
    @classmethod
    def _with_settings(cls: type[P], value: Any, handler: ModelWrapValidatorHandler[P]) -> P:
        details = [_detail(problem, value) for problem in cls.problems_of_settings(value)]
        try:
            part = handler(value)
        except ValidationError as error:
            details = [*(_again(dict(problem)) for problem in error.errors(include_url=False)), *details]
        if details:
            raise ValidationError.from_exception_data(cls.__name__, details)
        return part

    @classmethod
    def problems_of_settings(cls, table: Any) -> list[SettingProblem]:
        """What is wrong with the kind that a table names, and with the settings of that kind."""
        if not isinstance(table, dict) or not isinstance(table.get("kind"), str):
            return []  # a missing kind, or one of another type, is the model's to report
        try:
            kind = cls.settings_class(table["kind"])
        except BlNeuroError as error:
            return [SettingProblem("kind", str(error).partition(": ")[2])]
        settings = {name: value for name, value in table.items() if name not in cls.model_fields}
        known = [*setting_names(kind), *cls.model_fields]
        return [
            SettingProblem(problem.setting, unknown_setting(problem.setting, known))
            if problem.setting is not None and problem.setting not in known
            else problem
            for problem in setting_problems(kind, settings)
        ]


def _detail(problem: SettingProblem, table: Any) -> InitErrorDetails:
    if problem.setting is None:
        return InitErrorDetails(type=_error(SETTING, problem.message), loc=(), input=table)
    message = problem.message.removeprefix(f"{problem.setting}: ")
    return InitErrorDetails(type=_error(SETTING, message), loc=(problem.setting,), input=table.get(problem.setting))


def _again(error: dict[str, Any]) -> InitErrorDetails:
    """A problem that pydantic reported, to be reported once more together with others."""
    return InitErrorDetails(type=_error(error["type"], error["msg"]), loc=error["loc"], input=error["input"])


def _error(kind: Any, message: Any) -> PydanticCustomError:
    """Arguments are Any because pydantic asks for literal strings; without a context it takes them as they are."""
    return PydanticCustomError(kind, message)
