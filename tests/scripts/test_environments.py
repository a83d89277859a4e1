"""The table of environments: the committed page has all rows, and each has the outcome that the script expects."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return importlib.import_module("environments")


def test_the_page_has_every_environment_and_the_expected_outcomes(script: ModuleType) -> None:
    page = (ROOT / "docs" / "environments.md").read_text(encoding="utf-8")
    rows = page.partition(script.HEADER)[2].splitlines()
    assert len(rows) == len(script.ENVIRONMENTS)
    for row, environment in zip(rows, script.ENVIRONMENTS):
        name, command, outcome = row.strip("| ").split(" | ")
        assert (name, command) == (environment.name, f"`{environment.command}`")
        assert script.is_expected(environment, outcome)


def test_an_outcome_that_is_not_expected_is_noticed(script: ModuleType) -> None:
    works, fails = script.Environment("one", "true"), script.Environment("two", "false", "no room")
    assert script.is_expected(works, "works")
    assert not script.is_expected(works, "works: a warning")
    assert not script.is_expected(works, "exit code 1: no room")
    assert script.is_expected(fails, "exit code 1: error: no room")
    assert not script.is_expected(fails, "works")
    assert script.table([(works, "works")]) == f"{script.HEADER}| one | `true` | works |\n"


def test_rows_that_did_not_run_are_kept(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, three = (script.Environment(name, "true") for name in ("one", "two", "three"))
    monkeypatch.setattr(script, "ENVIRONMENTS", [one, two, three])
    page = f"# Page\n\n{script.table([(two, 'works'), (script.Environment('gone', 'true'), 'works')])}"
    rows = [(one, "works"), (two, "exit code 1")]
    assert script.with_rows(page, rows[:1]) == f"# Page\n\n{script.table([(one, 'works'), (two, 'works')])}"
    assert script.with_rows(page, rows) == f"# Page\n\n{script.table(rows)}"
