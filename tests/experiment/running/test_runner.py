"""An interrupted run keeps its finished cells, and the next run gives the results of an undisturbed one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bl_neuro.api.audit import run_audit
from bl_neuro.errors import ReportError
from bl_neuro.experiment.running.runner import RunState
from bl_neuro.experiment.session import Audit
from bl_neuro.report.limits import limits

pytestmark = pytest.mark.slow

CELLS = 17
KILLED = """\
import os, signal, sys
from pathlib import Path
from bl_neuro.experiment.session import Audit

def on_change(state):
    if len(state.done) == 4:
        os.kill(os.getpid(), signal.SIGKILL)

Audit.of(sys.argv[1], Path(sys.argv[2])).run(1, on_change)
"""
DIES = """\
import os, signal
from pathlib import Path
from bl_neuro.experiment.running import worker; from bl_neuro.experiment import store

real, deaths = store.Store.write, Path(__file__).with_suffix(".deaths")

def write(self, definition, measures, times, save=None):
    died = deaths.read_text() if deaths.exists() else ""
    attack = definition.get("attack")
    if definition["kind"] == "attack" and died.count(attack) < {"v2": 1, "v1": 2}[attack]:
        deaths.write_text(died + attack)
        store.atomic_path(self.folder / "cells" / "half").__enter__().write_text("{")
        os.kill(os.getpid(), signal.SIGKILL)
    real(self, definition, measures, times, save)

store.Store.write = write
worker.main()
"""


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that a run of cells writes, without times and the lock."""
    files = [*folder.glob("cells/*"), folder / "experiment.json", folder / "command.json"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def times(folder: Path) -> dict[str, bytes]:
    """When each finished cell was finished."""
    return {path.name: path.read_bytes() for path in (folder / "times").iterdir()}


def counts(state: RunState) -> tuple[int, int, int]:
    return len(state.done), len(state.failed), len(state.left_out)


def test_two_jobs_give_the_results_of_one(small: Path, undisturbed: Path, tmp_path: Path) -> None:
    assert counts(Audit.of(str(small), tmp_path).run(jobs=2)) == (CELLS, 0, 0)
    assert contents(tmp_path) == contents(undisturbed)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, also where the tests run in a shell's background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_repeatedly_killed_run_gives_the_same_results(small: Path, undisturbed: Path, tmp_path: Path) -> None:
    script, out = tmp_path / "killed.py", tmp_path / "out"
    script.write_text(KILLED)
    killed = subprocess.run([sys.executable, script, small, out], capture_output=True, text=True, timeout=240)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    finished = times(out)
    assert 4 <= len(finished) <= 5  # a worker may finish what it is at before its input ends
    for number, expected in ((signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)):

        def on_change(state: RunState, number: int = number) -> None:
            if len(state.done) == 4:
                os.kill(os.getpid(), number)

        with pytest.raises(expected):
            Audit.of(str(small), out).run(1, on_change)
        assert finished.items() <= times(out).items()  # nothing finished ran twice
        assert 4 <= len(times(out)) - len(finished) <= 5
        finished = times(out)
    assert counts(Audit.of(str(small), out).run()) == (CELLS - len(finished), 0, 0)
    assert contents(out) == contents(undisturbed)


def test_dead_workers_are_replaced_and_damaged_results_made_anew(
    small: Path, undisturbed: Path, tmp_path: Path
) -> None:
    out, worker = tmp_path / "out", tmp_path / "worker.py"
    worker.write_text(DIES)
    state = Audit.of(str(small), out).run(worker=[sys.executable, str(worker)])
    assert worker.with_suffix(".deaths").read_text() == "v2v1v1"  # v2 was tried again, v1 given up
    assert counts(state) == (CELLS - 2, 1, 1)
    assert "its worker died, 2 times: ended by signal 9" in state.failed[0].error
    assert len(list((out / "failed").iterdir())) == 1
    assert list((out / "cells").glob(".half*")) != []

    results, tensors = sorted((out / "cells").glob("*.json")), sorted((out / "cells").glob("*.safetensors"))
    results[0].write_bytes(results[0].read_bytes()[:-40])
    results[1].write_bytes(results[2].read_bytes())
    changed = next(path for path in tensors if path.stem not in (results[0].stem, results[1].stem))
    changed.write_bytes(changed.read_bytes()[:-1] + b"\x07")
    again = Audit.of(str(small), out).run()
    assert len(again.torn) == 3
    assert counts(again) == (5, 0, 0)
    assert list((out / "failed").iterdir()) == []
    assert list((out / "cells").glob(".half*")) == []
    assert contents(out) == contents(undisturbed)


def test_a_cell_that_fails_is_recorded_and_the_others_go_on(small: Path, undisturbed: Path, tmp_path: Path) -> None:
    out, file, worker = tmp_path / "out", tmp_path / "changed.toml", tmp_path / "worker.py"
    shutil.copytree(undisturbed, out)
    file.write_text(small.read_text().replace("iterations = 2", "iterations = 3"))
    worker.write_text(
        "from bl_neuro.experiment import work; from bl_neuro.experiment.running import worker\n"
        "real = work.Work._attack\n"
        "def attack(self, cell):\n"
        "    if cell.facts['seed'] == 0: raise ZeroDivisionError('on purpose')\n"
        "    return real(self, cell)\n"
        "work.Work._attack = attack\n"
        "worker.main()\n"
    )
    state = Audit.of(str(file), out).run(worker=[sys.executable, str(worker)])
    assert counts(state) == (2, 1, 1)
    assert state.failed[0].error == "ZeroDivisionError: on purpose"
    (failure,) = (json.loads(path.read_text()) for path in (out / "failed").iterdir())
    assert failure["definition"] == state.failed[0].cell.definition
    assert "on purpose" in failure["trace"]


def test_a_full_disk_ends_the_run_and_keeps_finished_cells(small: Path, undisturbed: Path, tmp_path: Path) -> None:
    full = "raise OSError(28, 'No space left on device')"
    script = tmp_path / "worker.py"
    script.write_text(
        "from bl_neuro.experiment.running import worker; from bl_neuro.experiment import store\n"
        "real = store.write_text\n"
        "def write(path, text):\n"
        f"    if len(list(path.parent.parent.glob('cells/*.json'))) >= 5: {full}\n"
        "    real(path, text)\n"
        "store.write_text = write\n"
        "worker.main()\n"
    )
    out = tmp_path / "out"
    with pytest.raises(ReportError, match=r"No space left on device.*earlier results are kept"):
        Audit.of(str(small), out).run(worker=[sys.executable, str(script)])
    assert len(Audit.of(str(small), out).state().finished) == 5
    assert contents(out).items() <= contents(undisturbed).items()


def test_a_folder_that_cannot_be_written_to_is_refused(small: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match="expected a writable folder"):
        Audit.of(str(small), tmp_path / "file" / "out").run()


def test_two_runs_do_not_share_a_folder(small: Path, tmp_path: Path) -> None:
    audit = Audit.of(str(small), tmp_path)
    with audit.store.locked(), pytest.raises(ReportError, match="another run uses this folder"):
        Audit.of(str(small), tmp_path).run()


def test_a_changed_definition_runs_what_it_changes(small: Path, undisturbed: Path, tmp_path: Path) -> None:
    def waiting(old: str, new: str) -> list[str]:
        file = tmp_path / "changed.toml"
        file.write_text(small.read_text().replace(old, new))
        assert file.read_text() != small.read_text()
        return [cell.kind for cell in Audit.of(str(file), undisturbed).state().waiting]

    assert waiting('name = "small"', 'name = "smaller"\nmargin = 0.2') == []
    assert waiting("iterations = 2", "iterations = 3") == ["attack", "judgement"] * 2
    assert waiting("seeds = 2", "seeds = 3") == ["target", "accuracy", *["attack", "judgement"] * 2]
    assert waiting("epochs = 1\n\n[[attacks]]", "epochs = 2\n\n[[attacks]]") == ["evaluator", *["judgement"] * 5]
    assert waiting('["loihi"]', '["loihi", "snntorch"]').count("target") == 0
    assert len(waiting("hidden = [16]", "hidden = [17]")) == CELLS - 1


def test_a_damaged_checkpoint_costs_time_but_no_result_and_is_reported(
    small: Path, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "audit"
    shutil.copytree(undisturbed, out)
    targets = [
        path.stem for path in out.glob("cells/*.json") if json.loads(path.read_text())["definition"]["kind"] == "target"
    ]
    for suffix in (".json", ".safetensors"):
        (out / "cells" / f"{targets[0]}{suffix}").unlink()
    checkpoint = out / "unfinished" / f"{targets[0]}.safetensors"
    checkpoint.parent.mkdir(exist_ok=True)
    checkpoint.write_bytes(b"cut")
    result = run_audit(Audit.of(str(small), out))
    assert result.failures == ()
    assert contents(out) == contents(undisturbed)
    (restart,) = result.findings.made.restarted
    assert restart.startswith(f"{checkpoint.name}: damaged checkpoint (")
    assert any("One training started anew because of a damaged" in text for text in limits(result.findings))
    assert "restarted" in json.loads((out / "results.json").read_text())["made"]
    assert "restarted" not in json.loads((undisturbed / "results.json").read_text())["made"]
