"""The tables of keys in docs/audit.md are those of the models that read an experiment file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic.fields import FieldInfo

from bl_neuro.experiment.auxiliary_part import AuxiliaryPart
from bl_neuro.experiment.definition import (
    AttackPart,
    ControlPart,
    DatasetPart,
    EndpointPart,
    EvaluatorPart,
    Experiment,
    LadderPart,
    ModelPart,
    ReplayPart,
)
from bl_neuro.experiment.mitigation_part import MitigationPart
from bl_neuro.experiment.part import Part
from bl_neuro.registries import KINDS

PAGE = Path(__file__).parents[2] / "docs" / "audit.md"
TABLES: dict[str, type[Part]] = {
    "At the top level": Experiment,
    "`[dataset]`": DatasetPart,
    "`[auxiliary]`": AuxiliaryPart,
    "`[model]`": ModelPart,
    "`[[evaluators]]`": EvaluatorPart,
    "`[[attacks]]`": AttackPart,
    "`[[controls]]`": ControlPart,
    "`[[replays]]`": ReplayPart,
    "`[ladder]`": LadderPart,
    "`[[mitigations]]`": MitigationPart,
    "`[[endpoints]]`": EndpointPart,
}


def written(heading: str) -> dict[str, str]:
    """The keys of a table of the page, with their defaults."""
    section = PAGE.read_text(encoding="utf-8").partition("### Keys of an experiment file")[2].partition("\n## ")[0]
    table = section.partition(f"\n{heading}")[2].partition("|---|---|---|\n")[2].partition("\n\n")[0]
    defaults = {}
    for row in table.splitlines():
        keys, default, _ = (column.strip() for column in row.strip("|").split("|", 2))
        defaults.update(dict.fromkeys(re.findall(r"`(\w+)`", keys), default))
    return defaults


def default(field: FieldInfo) -> str:
    """A default as the page writes it."""
    value: Any = field.get_default(call_default_factory=True)
    return "" if field.is_required() else "-" if value is None else f"`{json.dumps(value)}`"


@pytest.mark.parametrize("heading", TABLES)
def test_every_key_is_listed_with_its_default(heading: str) -> None:
    fields = {name: default(field) for name, field in TABLES[heading].model_fields.items()}
    if heading == "At the top level":  # tables of their own
        lists = ("evaluators", "attacks", "controls", "replays", "mitigations", "endpoints")
        own = ("dataset", "auxiliary", "model", "ladder", *lists)
        fields = {name: value for name, value in fields.items() if name not in own}
    assert written(heading) == fields


@pytest.mark.parametrize("kind", ["evaluators", "mitigations"])
def test_every_kind_of_ours_is_listed(kind: str) -> None:
    (row,) = re.findall(rf"`\[\[{kind}\]\]`.*?\n(\| `kind`.*?)\n", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert {name for name in KINDS[kind].ours if f"`{name}`" not in row} == set()
