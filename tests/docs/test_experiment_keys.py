"""The tables of keys in docs/audit.md are those of the models that read an experiment file."""

from __future__ import annotations

import json
import re
from dataclasses import fields
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
from bl_neuro.experiment.membership_part import AskPart, MemberReplayPart, MembershipPart
from bl_neuro.experiment.mitigation_part import MitigationPart
from bl_neuro.experiment.part import Part
from bl_neuro.experiment.secrets_part import SecretAttackPart, SecretReplayPart, SecretsPart
from bl_neuro.experiment.secrets_plants import PLANTS
from bl_neuro.registries import KINDS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "audit.md"
SECRETS = DOCS / "secrets.md"
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
    "`[membership]`": MembershipPart,
    "`[[membership.asks]]`": AskPart,
    "`[[membership.replays]]`": MemberReplayPart,
}


def written(heading: str, page: Path = PAGE, title: str = "### Keys of an experiment file") -> dict[str, str]:
    """The keys of a table of the page, with their defaults."""
    section = page.read_text(encoding="utf-8").partition(title)[2].partition("\n## ")[0]
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
        own = ("dataset", "secrets", *(heading.strip("`[]") for heading in TABLES))
        fields = {name: value for name, value in fields.items() if name not in own}
    assert written(heading) == fields


@pytest.mark.parametrize(
    ("heading", "part"),
    [
        ("`[secrets]`", SecretsPart),
        ("`[[secrets.attacks]]`", SecretAttackPart),
        ("`[[secrets.replays]]`", SecretReplayPart),
    ],
)
def test_every_key_of_secrets_is_listed_with_its_default(heading: str, part: type[Part]) -> None:
    listed = {name: default(field) for name, field in part.model_fields.items()}
    assert written(heading, SECRETS, "## Keys of `[secrets]`") == listed


def test_every_kind_of_secret_is_listed_with_its_settings() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)$", SECRETS.read_text(encoding="utf-8"), re.MULTILINE))
    for name, kind in PLANTS.items():
        assert all(f"`{setting.name}" in rows[name] for setting in fields(kind))


@pytest.mark.parametrize("kind", ["evaluators", "mitigations"])
def test_every_kind_of_ours_is_listed(kind: str) -> None:
    (row,) = re.findall(
        rf"^`\[\[{kind}\]\]`.*?\n(\| `kind`.*?)\n", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert {name for name in KINDS[kind].ours if f"`{name}`" not in row} == set()
