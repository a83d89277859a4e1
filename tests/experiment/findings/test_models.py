"""results.json of an audit and its published schema agree."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from bl_neuro.errors import ReportError
from bl_neuro.experiment.findings.estimates import AccuracyChange
from bl_neuro.experiment.findings.models import SCHEMA, Findings, json_schema

PUBLISHED = resources.files("bl_neuro.experiment.findings") / SCHEMA


@pytest.fixture(scope="module")
def text(undisturbed: Path) -> str:
    """The results.json of a small audit."""
    return (undisturbed / "results.json").read_text(encoding="utf-8")


def test_the_published_schema_is_that_of_the_models() -> None:
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == json.loads(json_schema()), (
        "run scripts/audit_results_schema.py --write"
    )


def test_results_survive_a_round_trip(text: str) -> None:
    assert Findings.from_json(text).to_json() == text
    assert text.endswith("}\n")


def test_fields_that_an_older_file_lacks_stay_out_of_it(text: str) -> None:
    older = json.loads(text)
    for name in ("network", "unit", "not_run", "overlap", "arithmetic"):
        del older[name]
    del older["dataset"]["source"]
    findings = Findings.from_json(json.dumps(older))
    assert (findings.network, findings.not_run, findings.arithmetic) == (None, {}, {})
    assert json.loads(findings.to_json()) == older


def test_names_that_python_reserves_are_plain_in_json() -> None:
    change = AccuracyChange.model_validate({"without": 0.9, "with": 0.8, "lost": None})
    assert change.with_ == 0.8
    assert change.model_dump(by_alias=True) == {"without": 0.9, "with": 0.8, "lost": None}


def test_results_hold_to_the_published_schema(text: str) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    schema = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    values = json.loads(text)
    jsonschema.validate(values, schema)
    for name, wrong in (("margin", "large"), ("rows", [{}]), ("format", "bl-neuro/results/1"), ("seeds", [-1])):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**values, name: wrong}, schema)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("margin", "large", "margin: expected a number"),
        ("rows", [{}], "rows.0.target: is required, but missing; .*; and 10 more"),
        ("seeds", None, "seeds: expected a list"),
        ("format", "another", "format: expected"),
        (
            "experiment",
            {"endpoints": [{"name": "chip"}]},
            "experiment: endpoints: expected a list",
        ),
    ],
)
def test_invalid_fields_are_named(text: str, name: str, value: Any, message: str) -> None:
    wrong = json.dumps({**json.loads(text), name: value})
    with pytest.raises(ReportError, match=f"expected results in the format bl-neuro/audit-results/1: {message}"):
        Findings.from_json(wrong)


def test_endpoints_are_those_of_the_experiment(text: str) -> None:
    assert Findings.from_json(text).endpoints == []
    served = {"name": "chip", "url": "http://chip/v2/models/a", "tested": 3}
    changed = {**json.loads(text), "experiment": {"endpoints": [served]}}
    findings = Findings.from_json(json.dumps(changed))
    assert [(endpoint.name, endpoint.url) for endpoint in findings.endpoints] == [("chip", served["url"])]
    assert json.loads(findings.to_json())["experiment"] == {"endpoints": [served]}


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"margin": NaN}', b"\xff"])
def test_other_files_are_refused(text: str | bytes) -> None:
    with pytest.raises(ReportError, match="expected results"):
        Findings.from_json(text)


def test_unknown_fields_of_newer_versions_are_ignored(text: str) -> None:
    values = {**json.loads(text), "of tomorrow": 1}
    assert Findings.from_json(json.dumps(values)) == Findings.from_json(text)
