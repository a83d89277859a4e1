"""results.json of an audit and its published schema hold each other."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from bl_neuro.errors import ReportError
from bl_neuro.experiment.findings.models import SCHEMA, AuditResults, json_schema
from bl_neuro.report.page import write_audit_report

PUBLISHED = resources.files("bl_neuro.report") / SCHEMA


def test_the_published_schema_is_that_of_the_models() -> None:
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == json.loads(json_schema()), (
        "run scripts/audit_results_schema.py --write"
    )


def test_results_come_back_as_they_were(audit: AuditResults) -> None:
    assert AuditResults.from_json(audit.to_json()) == audit
    assert audit.to_json().endswith("}\n")
    assert json.loads(audit.to_json())["mitigations"][0]["leakage"]["with"]["seeds"] == 4


def test_made_up_results_hold_to_the_published_schema(audit: AuditResults) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    schema = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    values = json.loads(audit.to_json())
    jsonschema.validate(values, schema)
    for name, wrong in (("margin", "large"), ("rows", [{}]), ("format", "bl-neuro/results/1"), ("seeds", [-1])):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**values, name: wrong}, schema)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("margin", None, "margin: Input should be a valid number"),
        ("rows", [{}], "rows.0.target: Field required; .*; and 10 more"),
        ("evaluators", [], "evaluators: List should have at least 1 item"),
        ("format", "another", "format: Input should be"),
    ],
)
def test_what_is_wrong_is_named(audit: AuditResults, name: str, value: Any, message: str) -> None:
    text = json.dumps({**json.loads(audit.to_json()), name: value})
    with pytest.raises(ReportError, match=f"not results in the format bl-neuro/audit-results/1: {message}"):
        AuditResults.from_json(text)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"margin": NaN}', b"\xff"])
def test_what_is_no_results_is_an_error(text: str | bytes) -> None:
    with pytest.raises(ReportError, match="not results"):
        AuditResults.from_json(text)


def test_a_newer_version_may_say_more(audit: AuditResults) -> None:
    values = {**json.loads(audit.to_json()), "of tomorrow": 1}
    assert AuditResults.from_json(json.dumps(values)) == audit


def test_files_are_written_together(
    audit: AuditResults, make_audit_pictures: Callable[..., Any], tmp_path: Path
) -> None:
    old = tmp_path / "report-cells" / "999-of-before.html"
    old.parent.mkdir()
    old.write_text("")
    page = write_audit_report(audit, make_audit_pictures(), tmp_path)
    assert page == tmp_path / "report.html"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "report-cells", "report.html", "results.json", "summary.md",
    ]  # fmt: skip
    assert not old.exists()
    assert AuditResults.from_json((tmp_path / "results.json").read_bytes()) == audit
    (tmp_path / "blocked").write_text("")
    with pytest.raises(ReportError, match="cannot write the report"):
        write_audit_report(audit, make_audit_pictures(), tmp_path / "blocked")
