"""What `bl.audit` returns and writes, and that the command line does the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import bl_neuro as bl
from bl_neuro.api.result import AuditResult
from bl_neuro.cli import run
from bl_neuro.experiment.running.runner import RunState
from bl_neuro.experiment.store import Store


def test_tables_hold_every_row_verdict_and_inversion(audited: AuditResult) -> None:
    assert audited.complete
    assert list(audited.rows["attack"] + " " + audited.rows["reveals"]) == ["v1 gradient", "v2 counts", "v2 label"]
    assert set(audited.rows["evaluator"]) == {"conv"}
    assert (audited.rows["inversions"] == 2).all()
    table = audited.inversions_table
    assert len(table) == 3 * 2
    for (attack, reveals), inversions in table.groupby(["attack", "reveals"]):
        row = audited.rows[(audited.rows["attack"] == attack) & (audited.rows["reveals"] == reveals)].iloc[0]
        assert row["attack_accuracy"] == inversions["hit"].mean()
        assert row["confidence"] == pytest.approx(inversions["confidence"].mean())
    assert len(audited.verdicts) == 0  # one substrate


def test_it_has_a_readable_repr(audited: AuditResult) -> None:
    lines = repr(audited).splitlines()
    assert lines[0] == f"<AuditResult small: {audited.findings.cells.done} of 9 cells, {audited.folder}>"
    assert lines[2].startswith("Does the substrate change leakage? Not compared. This audit has one substrate, loihi")
    (row,) = [row for row in audited.findings.rows if row.attack == "v1"]
    mean = row.evaluators["conv"].attack_accuracy
    assert mean.low is not None
    assert mean.high is not None
    interval = f"{mean.value:.2f} [{mean.low:.2f}, {mean.high:.2f}]"
    assert lines[3] == f"  v1, gradient on loihi: attack accuracy {interval}"
    assert lines[6] == "  evaluator conv; 95% intervals over target seeds in brackets"
    assert audited.findings.overlap is not None
    assert lines[7] == audited.findings.overlap.sentence
    assert "attack_accuracy_low" in audited._repr_html_()
    assert "The targets were trained on " in audited._repr_html_()
    assert "<table" in audited._repr_html_()
    picture = audited.show()
    assert picture.alt == (
        "Grid of 8 images, a column for each of: 0, 7, a row for each of: class mean, v1, gradient, loihi, "
        "v2, counts, loihi, v2, label, loihi."
    )
    assert audited.report.read_text().startswith("<!doctype html>")


def test_inversions_come_back(audited: AuditResult) -> None:
    both = audited.inversion("v2", "loihi", reveals="counts")
    assert (both.classes.tolist(), both.images.shape) == ([0, 7], (2, 1, 8, 8))
    seven = audited.inversion("v2", "loihi", reveals="counts", seed=0, restart=0, label=7)
    assert (seven.images[0] == both.images[1]).all()
    assert (audited.inversion("v2").spikes == both.spikes).all()  # the first of each kind
    with pytest.raises(bl.InputError, match=r"no inversions of attack 'v3', .*; expected attacks v1, v2 on substrates"):
        audited.inversion("v3", "loihi")
    with pytest.raises(bl.InputError, match=r"label: expected one of \[0, 7\], found 3"):
        audited.inversion("v1", "loihi", label=3)


def test_an_audit_is_loaded_as_it_was(audited: AuditResult) -> None:
    loaded = bl.load_audit(audited.folder)
    assert loaded.findings == audited.findings
    assert repr(loaded) == repr(audited)
    assert loaded.rows.equals(audited.rows)
    assert "class mean" not in loaded.show().alt  # the samples may not be here
    with pytest.raises(bl.ReportError, match="expected the folder of a finished audit"):
        bl.load_audit(audited.folder / "cells" / "none")


@pytest.mark.slow
def test_python_and_the_command_line_write_the_same_bytes(audited: AuditResult, file: Path, tmp_path: Path) -> None:
    states: list[RunState] = []
    result = bl.audit(file, tmp_path / "python", jobs=2, progress=states.append)
    assert len(states) == 1 + result.findings.cells.planned
    assert run(["audit", str(file), "--out", str(tmp_path / "command")]) == 0
    for name in ("results.json", "summary.md", "report.html", "experiment.json", "command.json"):
        assert (tmp_path / "python" / name).read_bytes() == (tmp_path / "command" / name).read_bytes(), name
    assert json.loads((tmp_path / "python" / "command.json").read_text()) == {"command": "bl-neuro audit small.toml"}
    assert result.findings.inversions == audited.findings.inversions  # nor does it matter how it was written


def test_results_are_those_of_one_run_where_another_uses_the_folder(
    small: Callable[..., bl.Experiment], tmp_path: Path
) -> None:
    with Store(tmp_path).locked(), pytest.raises(bl.ReportError, match="another run uses this folder"):
        bl.audit(small(), tmp_path)
    assert not (tmp_path / "results.json").exists()


def test_a_plan_counts_what_is_done_and_writes_nothing(
    small: Callable[..., bl.Experiment], audited: AuditResult, tmp_path: Path
) -> None:
    plan = bl.plan_audit(small(), tmp_path / "none")
    assert (plan.cells, plan.done, plan.unknown) == (9, 0, 0)
    assert not (tmp_path / "none").exists()
    done = bl.plan_audit(small(), audited.folder)
    assert (done.cells, done.done, done.seconds_left, done.unknown) == (9, 9, 0, 0)
    assert done.power == tuple(audited.findings.power)
    assert done.table["cells"].sum() == 9
    assert repr(done) == "<AuditPlan of small: 9 of 9 cells done, 0 s left>"
    more = bl.plan_audit(small(seeds=2), audited.folder)
    assert more.done == 9
    assert more.unknown == 0
    assert more.seconds_left > 0


@pytest.mark.parametrize("name", ["att_faces", "mnist", "nmnist"])
def test_experiments_are_planned_without_their_data(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("BL_NEURO_DATA", raising=False)
    plan = bl.plan_audit(name, tmp_path)
    assert plan.done == 0
    assert plan.cells > 50
    assert plan.missing_data is not None
    assert f"{name}: no data folder" in plan.missing_data
    with pytest.raises(bl.DataError, match="no data folder"):
        bl.audit(name, tmp_path)


def test_runs_are_compared_as_objects_or_folders(audited: AuditResult, tmp_path: Path) -> None:
    shutil.copytree(audited.folder, tmp_path / "copy")
    compared = bl.compare([audited, tmp_path / "copy"], page=tmp_path / "compared.html")
    assert [run.name for run in compared.runs] == ["out", "copy"]
    assert (tmp_path / "compared.html").is_file()
    with pytest.raises(bl.InputError, match="expected different audits, found the same one twice"):
        bl.compare([audited, audited.folder])
