"""The record of runs in a folder of results."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bl_neuro.errors import ModelFileError, ReportError
from bl_neuro.experiment.cell_measures import CellMeasures
from bl_neuro.experiment.cells import Cell, canonical_json, content_address
from bl_neuro.experiment.measures import AccuracyMeasures, ChangedMeasures, ReplayMeasures
from bl_neuro.experiment.running.runner import run_state
from bl_neuro.experiment.store import Result, Store, Subject, Times
from bl_neuro.training.checkpoint import Checkpoint, resume

ACCURACY = Cell("accuracy", {"kind": "accuracy", "seed": 0})
MEASURED = AccuracyMeasures(accuracy=0.5, samples=8)


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


def test_a_command_from_outside_is_printable(tmp_path: Path) -> None:
    (tmp_path / "command.json").write_text('{"command": "audit \\u001b[2J\\u202e\\ud800"}')
    command = Store(tmp_path).command()
    assert command is not None
    assert command.isprintable()
    assert command.encode().startswith(b"audit ")


@pytest.mark.parametrize(
    "content",
    ['{"versions": null}', '{"versions": {"a": [1]}}', '{"machine": 5}', '{"restarted": [1]}', '{"seconds": NaN}',
     '{"seconds": -5}', "[]", "{", '"x"'],
)  # fmt: skip
def test_damaged_times_are_not_known(content: str, tmp_path: Path) -> None:
    (tmp_path / "times").mkdir()
    (tmp_path / "times" / f"{ACCURACY.address}.json").write_text(content)
    assert Store(tmp_path).times(ACCURACY.address) == Times()
    assert Store(tmp_path).seconds(ACCURACY.address) is None


def written(store: Store, cell: Cell, measures: dict[str, object]) -> Path:
    """A cell with a correct digest, as a program that knows nothing about measures could write it."""
    body = {"definition": cell.definition, "measures": measures, "tensors": None}
    path = store.folder / "cells" / f"{cell.address}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(canonical_json({**body, "digest": content_address(body)}) + "\n")
    return path


def test_measures_are_read_as_they_were_written(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(ACCURACY.definition, MEASURED, Times())
    result = store.read(ACCURACY.address)
    assert result == Result(ACCURACY.definition, MEASURED, None)
    text = (tmp_path / "cells" / f"{ACCURACY.address}.json").read_bytes()
    assert written(store, ACCURACY, {"accuracy": 0.5, "samples": 8}).read_bytes() == text


@pytest.mark.parametrize(
    ("measures", "reason"),
    [
        ({"accuracy": 0.5}, "samples: is required, but missing"),
        ({"accuracy": 50.0, "samples": 8}, "accuracy: expected a number of at most 1"),
        ({"accuracy": "0.5", "samples": 8}, "accuracy: expected a number"),
        ({"accuracy": 0.5, "samples": 8, "queries": 1}, "queries: unknown name"),
    ],
)
def test_measures_that_do_not_fit_count_as_damaged_and_are_computed_again(
    measures: dict[str, object], reason: str, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    path = written(store, ACCURACY, measures)
    assert store.read(ACCURACY.address) is None
    state = run_state([ACCURACY], store)
    assert state.waiting == [ACCURACY]
    (torn,) = state.torn
    assert torn.startswith(f"{path}: measures that do not fit the kind of the cell ({reason}")


def test_measures_of_another_kind_of_cell_are_not_written(tmp_path: Path) -> None:
    replay: CellMeasures = ReplayMeasures(identical=True, differs=[], queries=1)
    with pytest.raises(ReportError, match="expected AccuracyMeasures for a cell of kind accuracy, found ReplayM"):
        Store(tmp_path).write(ACCURACY.definition, replay, Times())
    assert Store(tmp_path).check(ACCURACY.address) is None


def test_the_definition_of_a_changed_network_may_name_its_own_kind(tmp_path: Path) -> None:
    store, cell = Store(tmp_path), Cell("changed", {"kind": "coarse", "bits": 3})
    store.write(cell.definition, ChangedMeasures(fingerprint="ab"), Times())
    result = store.read(cell.address)
    assert result is not None
    assert result.measures == ChangedMeasures(fingerprint="ab")


@pytest.mark.parametrize("name", ["results.json", "report.html", "summary.md", "experiment.json", "command.json"])
def test_files_that_are_not_of_an_audit_are_not_replaced(name: str, tmp_path: Path) -> None:
    subject = Subject("digits", None)
    (tmp_path / name).write_text("mine")
    with pytest.raises(ReportError, match=rf"{name}: already exists and is not of an audit; choose another folder"):
        Store(tmp_path).need_subject(subject)
    Store(tmp_path).write_subject(subject)
    Store(tmp_path).need_subject(subject)


@pytest.mark.parametrize("text", ["{", "[]", '{"dataset": "digits"}', "\x00"])
def test_a_folder_whose_subject_is_damaged_is_refused(text: str, tmp_path: Path) -> None:
    """It may be an audit of another model."""
    (tmp_path / "cells").mkdir()
    (tmp_path / "subject.json").write_text(text)
    with pytest.raises(ReportError, match=r"subject\.json: cannot be read .*; choose another folder"):
        Store(tmp_path).need_subject(Subject("digits", None))


def test_links_in_the_folder_are_refused_before_anything_runs(tmp_path: Path) -> None:
    subject = Subject("digits", None)
    Store(tmp_path).write_subject(subject)
    (tmp_path / "report.html").symlink_to(tmp_path / "elsewhere.html")
    with pytest.raises(ReportError, match=r"report.html: could not be written \(.*found a symbolic link"):
        Store(tmp_path).need_subject(subject)
    (tmp_path / ".lock").symlink_to(tmp_path / "precious.txt")
    (tmp_path / "precious.txt").write_text("precious")
    with pytest.raises(ReportError, match=r"\.lock: expected a regular file or a free name"), Store(tmp_path).locked():
        pass
    assert (tmp_path / "precious.txt").read_text() == "precious"


@pytest.mark.parametrize("name", ["cells/{}.json", "cells/{}.safetensors", "times/{}.json", "failed/{}.json"])
@pytest.mark.parametrize(("kind", "create"), [("a named pipe", os.mkfifo), ("a folder", Path.mkdir)])
def test_a_special_file_in_the_place_of_a_result_is_refused_before_anything_runs(
    kind: str, create: Callable[[Path], None], name: str, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    store.write(ACCURACY.definition, MEASURED, Times(), lambda path: save_file({"values": torch.ones(1)}, path))
    path = tmp_path / name.format(ACCURACY.address)
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    create(path)
    with pytest.raises(ReportError, match=f"expected a regular file or a free name, found {kind}; remove it"):
        run_state([ACCURACY], store)


def test_a_named_pipe_in_the_place_of_a_checkpoint_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = store.checkpoint(ACCURACY.address)
    path.parent.mkdir()
    os.mkfifo(path)
    with pytest.raises(ReportError, match="found a named pipe; remove it"):
        run_state([ACCURACY], store)
    with pytest.raises(ModelFileError, match="expected a checkpoint or a free name, found a named pipe"):
        resume(Checkpoint(path), torch.nn.Linear(1, 1), {})


def test_a_lock_file_with_content_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("of another program")
    with pytest.raises(ReportError, match="expected an empty lock file or a free name"), Store(tmp_path).locked():
        pass
    assert (tmp_path / ".lock").read_text() == "of another program"
