"""Base classes of the tables of an experiment file, and common types of values."""

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

from bl_neuro.checks import problem_text
from bl_neuro.errors import BlNeuroError
from bl_neuro.settings import SettingProblem, setting_names, setting_problems, unknown_setting

MOST_SEEDS = 1000
SETTING: Any = "setting"
"""Error type for pydantic whose message is complete, including the value."""
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Count = Annotated[int, Field(ge=1)]
Restarts = Annotated[int, Field(ge=1, le=1000)]
Names = Annotated[list[str], Field(min_length=1)]


def _counted(value: Any) -> Any:
    """Seeds 0, 1, ... for a number of seeds."""
    if isinstance(value, list):
        return value
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_SEEDS:
        raise PydanticCustomError("seeds", f"expected 1 to {MOST_SEEDS} seeds or a list of seeds")
    return list(range(value))


Seeds = Annotated[list[Seed], BeforeValidator(_counted), Field(min_length=1, max_length=MOST_SEEDS)]


class Part(BaseModel):
    """Base class of tables: rejects unknown keys and values of other types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


P = TypeVar("P", bound="SettingsPart")


class SettingsPart(Part):
    """A table with the `kind` of a registered part and the settings of that part.

    Problems of the settings are reported together with those of the rest of the table.
    """

    model_config = ConfigDict(extra="allow")

    @classmethod
    @abstractmethod
    def settings_class(cls, kind: str) -> type[Any]:
        """The frozen dataclass of the settings of a kind. Raises InputError or PluginError if there is no such kind."""

    @property
    def settings(self) -> dict[str, Any]:
        """The settings as given."""
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
        """Problems of the kind in a table, and of the settings of that kind."""
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


def in_words(error: dict[str, Any]) -> str:
    """One problem that pydantic reported, in words, with its value."""
    return str(error["msg"]) if error["type"] == SETTING else problem_text(error)


def _again(error: dict[str, Any]) -> InitErrorDetails:
    """Repeats a problem that pydantic reported, to report it together with others."""
    return InitErrorDetails(type=_error(SETTING, in_words(error)), loc=error["loc"], input=error["input"])


def _error(kind: Any, message: Any) -> PydanticCustomError:
    """Creates an error for pydantic. Arguments are Any because pydantic's types ask for literal strings."""
    return PydanticCustomError(kind, message)
