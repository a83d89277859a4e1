"""Every kind of cell, run in this process without workers; the findings, tables and page made from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from bl_neuro.api.result import AuditResult
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.jobs import Job
from bl_neuro.experiment.running.runner import Outcome, Runner
from bl_neuro.experiment.session import Audit
from bl_neuro.experiment.work import Work
from bl_neuro.report import write_report

SUBSTRATES = 'substrates = ["snntorch", "loihi"]\nverify = ["snntorch", "loihi"]'
"""In the place of the substrates of the small experiment."""
MORE = """
[twin]
trainer = "authors"
epochs = 1

[[attacks]]
attack = "ann"
settings = { iterations = 2 }

[[replays]]
of = "loihi"
substrate = "slayer"

[ladder]
seeds = [0]

[[mitigations]]
kind = "weight_bits"
bits = 4
"""
"""Added to the small experiment."""
KINDS = {
    "target", "twin", "evaluator", "rung", "changed", "accuracy", "service", "attack", "judgement", "replay",
    "verification", "baseline", "baseline_judgement",
}  # fmt: skip


class ThisProcess:
    """A `WorkerPool` without workers: `wait` runs the job."""

    capacity = 1

    def __init__(self, work: Work) -> None:
        self.work = work
        self.job: Job | None = None

    @property
    def busy(self) -> bool:
        return self.job is not None

    def start(self, ready: Sequence[Job]) -> list[Job]:
        started = list(ready[:1]) if self.job is None else []
        self.job = started[0] if started else self.job
        return started

    def wait(self) -> list[tuple[Cell, Outcome]]:
        job, self.job = self.job, None
        assert job is not None
        for cell in job:
            self.work.do(cell)
        return [(cell, {}) for cell in job]

    def close(self) -> None:
        self.work.__exit__()


def stored(audit: Audit, cell: Cell) -> tuple[object, bytes | None]:
    """The measures and the bytes of the tensors of a cell that is done."""
    result = audit.store.read(cell.address)
    assert result is not None
    return result.measures, None if result.tensors is None else result.tensors.read_bytes()


@pytest.fixture(scope="module")
def audit(small: Path, tmp_path_factory: pytest.TempPathFactory, needs: Callable[[str], None]) -> Audit:
    """The audit of the experiment, done."""
    for substrate in ("snntorch", "slayer"):
        needs(substrate)
    folder = tmp_path_factory.mktemp("work")
    text = small.read_text().replace('substrates = ["loihi"]', SUBSTRATES).replace("baselines = []\n", "")
    (folder / "every-cell.toml").write_text(text + MORE)
    audit = Audit.of(str(folder / "every-cell.toml"), folder / "out")
    with audit.store.locked():
        audit.store.write_experiment(audit.experiment.model_dump(), None)
        pool = ThisProcess(Work(audit.material, audit.store))
        state = Runner(audit.cells, audit.store, pool).run()
    assert (state.failed, state.left_out, len(state.done)) == ([], [], len(audit.cells))
    return audit


@pytest.fixture(scope="module")
def result(audit: Audit) -> AuditResult:
    """Its result, with the report written."""
    findings, pictures = audit.findings(), audit.pictures()
    write_report(findings, pictures, audit.store.folder)
    return AuditResult(findings, audit.store.folder, pictures=pictures)


def test_every_kind_of_cell_has_a_result(audit: Audit) -> None:
    assert {cell.kind for cell in audit.cells} == KINDS
    assert audit.state().waiting == []


def test_a_cell_run_again_stores_the_same_measures(audit: Audit) -> None:
    cells = [next(cell for cell in audit.cells if cell.kind == kind) for kind in sorted(KINDS)]
    first = [stored(audit, cell) for cell in cells]
    with Work(audit.material, audit.store) as work, audit.store.locked():
        for cell, contents in zip(cells, first):
            work.do(cell)
            assert stored(audit, cell) == contents, cell.kind


def test_findings_have_a_row_for_each_attack_and_substrate(result: AuditResult) -> None:
    rows = result.rows
    views = {("v1", "snntorch"), ("v1", "loihi"), ("v2", "snntorch"), ("v2", "loihi"), ("ann", "ann")}
    assert set(zip(rows["attack"], rows["substrate"])) >= views
    assert rows["attack_accuracy"].between(0, 1).all()
    assert [(replay.seed, replay.identical) for replay in result.findings.replays] == [(0, True), (1, True)]


def test_inversions_come_from_the_store(result: AuditResult) -> None:
    one = result.inversion(attack="v2", substrate="loihi", label=7)
    assert one.images.shape[0] == 1
    assert np.isfinite(one.images.numpy()).all()
    assert len(result.inversions_table) > len(result.rows)
    assert result.show()._repr_png_()[:4] == b"\x89PNG"


def test_the_result_prints_itself(result: AuditResult) -> None:
    assert "small" in repr(result)
    assert "loihi" in result._repr_html_()
    page = result.report.read_text()
    assert page.count("data:image/png") >= 5
    for word in ("snntorch", "loihi", "weight_bits 4"):
        assert word in page
