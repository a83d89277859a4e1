"""The record of runs in a folder of results."""

from __future__ import annotations

from pathlib import Path

import pytest

from bl_neuro.experiment.store import Store


def test_the_command_is_that_of_the_first_run_of_an_experiment(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.command() is None
    store.write_experiment({"name": "one"}, "first")
    store.write_experiment({"name": "one"}, "again")
    assert store.command() == "first"
    store.write_experiment({"name": "two"}, "another")
    assert store.command() == "another"


def test_an_earlier_run_without_a_record_gets_none(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_experiment({"name": "one"}, "first")
    (tmp_path / "command.json").unlink()
    store.write_experiment({"name": "one"}, "again")
    assert store.command() is None


@pytest.mark.parametrize("text", ["", "[1]", '{"command": 3}', "{}"])
def test_a_damaged_record_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "command.json").write_text(text)
    assert Store(tmp_path).command() is None
