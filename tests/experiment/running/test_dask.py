"""A Dask cluster of two workers gives the same results, also when workers are lost."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from bl_neuro.errors import InputError, SubstrateFailed
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.provenance import versions
from bl_neuro.experiment.running import dask_cluster
from bl_neuro.experiment.running.runner import RunState
from bl_neuro.experiment.session import Audit

pytestmark = pytest.mark.dask
distributed = pytest.importorskip("distributed", reason="needs Dask: pip install 'bl-neuro[dask]'")

CELLS = 17
LOSES = """\
import os, signal
from pathlib import Path
from bl_neuro.experiment.running import worker
from bl_neuro.experiment import store
from bl_neuro.experiment import work

begun, do, write = Path(__file__).with_suffix(".begun"), work.Work.do, store.Store.write

def logged(self, cell):
    with begun.open("a") as file:
        file.write(cell.address + "\\n")
    do(self, cell)

def lose(when):
    try:
        Path(__file__).with_suffix(when).touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getppid(), signal.SIGKILL)  # the Dask worker
    signal.pause()

def kept(self, definition, *rest):
    if definition.get("attack") == "v2":
        lose(".before")
    write(self, definition, *rest)
    if definition.get("attack") == "v1":
        lose(".after")

work.Work.do, store.Store.write = logged, kept
worker.main()
"""
WAITS = """\
import os, signal
from pathlib import Path
from bl_neuro.experiment import work; from bl_neuro.experiment.running import worker

def attack(self, cell):
    Path(__file__).with_suffix(".pid").write_text(str(os.getpid()))
    os.kill(int(Path(__file__).with_suffix(".run").read_text()), signal.SIGKILL)
    signal.pause()

work.Work._attack = attack
worker.main()
"""
RUN = """\
import os, sys
from pathlib import Path
from bl_neuro.experiment.session import Audit

experiment, out, scheduler, worker = sys.argv[1:]
Path(worker).with_suffix(".run").write_text(str(os.getpid()))
Audit.of(experiment, Path(out)).run(scheduler=scheduler, worker=[sys.executable, worker])
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a scheduler with two workers; one that is killed is replaced."""
    options = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": 0, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options, silence_logs="CRITICAL") as made:
        yield made.scheduler_address


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that a run of cells writes, without times and the lock."""
    files = [*folder.glob("cells/*"), folder / "experiment.json", folder / "command.json"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def counts(state: RunState) -> tuple[int, int, int]:
    return len(state.done), len(state.failed), len(state.left_out)


def test_a_cluster_gives_the_results_of_one_process(
    cluster: str, small: Path, undisturbed: Path, tmp_path: Path
) -> None:
    capacities = []
    state = Audit.of(str(small), tmp_path).run(
        on_change=lambda state: capacities.append(state.capacity), scheduler=cluster
    )
    assert counts(state) == (CELLS, 0, 0)
    assert contents(tmp_path) == contents(undisturbed)
    assert set(capacities) == {2}
    threads = [json.loads(path.read_text())["machine"]["threads"] for path in (tmp_path / "times").iterdir()]
    assert threads == ["1"] * CELLS
    assert [path.name for path in tmp_path.glob(".*")] == [".lock"]


def test_lost_workers_are_replaced_and_nothing_finished_runs_again(
    cluster: str, small: Path, undisturbed: Path, tmp_path: Path
) -> None:
    out, worker = tmp_path / "out", tmp_path / "worker.py"
    worker.write_text(LOSES)
    state = Audit.of(str(small), out).run(scheduler=cluster, worker=[sys.executable, str(worker)])
    assert counts(state) == (CELLS, 0, 0)
    assert contents(out) == contents(undisturbed)
    assert worker.with_suffix(".before").exists()
    assert worker.with_suffix(".after").exists()
    begun = worker.with_suffix(".begun").read_text().split()
    again = {address for address in begun if begun.count(address) > 1}
    attacks = {cell.address: cell.facts["attack"] for cell in state.done if cell.kind == "attack"}
    assert [attacks[address] for address in again] == ["v2"]  # lost before its end; v1 only after it
    assert len(begun) == CELLS + 1


def test_a_killed_run_is_dropped_by_the_cluster_and_goes_on(
    cluster: str, small: Path, undisturbed: Path, tmp_path: Path
) -> None:
    script, worker, out = tmp_path / "run.py", tmp_path / "worker.py", tmp_path / "out"
    script.write_text(RUN)
    worker.write_text(WAITS)
    killed = subprocess.run([sys.executable, script, small, out, cluster, worker], capture_output=True, timeout=240)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    pid = int(worker.with_suffix(".pid").read_text())
    if psutil.pid_exists(pid):
        psutil.Process(pid).wait(timeout=60)
    before = list(out.glob("cells/[!.]*.json"))
    assert len(list(out.glob(".bl-neuro-*"))) == 1
    state = Audit.of(str(small), out).run(scheduler=cluster)
    assert counts(state) == (CELLS - len(before), 0, 0)
    assert contents(out) == contents(undisturbed)
    assert list(out.glob(".bl-neuro-*")) == []


@pytest.mark.lava
@pytest.mark.slow
def test_a_cell_on_lava_runs_on_a_dask_worker(
    needs: Callable[[str], None], cluster: str, small: Path, undisturbed: Path, tmp_path: Path
) -> None:
    needs("lava")
    file, out = tmp_path / "lava.toml", tmp_path / "out"
    text = small.read_text().replace('["loihi"]', '["loihi", "lava"]').replace("seeds = 2", "seeds = 1")
    file.write_text(text[: text.index("[[controls]]")])
    shutil.copytree(undisturbed, out)
    state = Audit.of(str(file), out).run(scheduler=cluster)
    assert counts(state) == (3, 0, 0)  # accuracy, attack, judgement
    store = Audit.of(str(file), out).store
    judged: dict[str, object] = {}
    for cell in Audit.of(str(file), out).cells:
        if cell.kind == "judgement" and cell.facts["attack"] == "v2":
            result = store.read(cell.address)
            assert result is not None
            judged[cell.facts["substrate"]] = result.measures
    assert judged["lava"] == judged["loihi"]


def test_workers_that_do_not_see_the_folder_or_differ_are_refused(
    cluster: str, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unseen(_: RunState) -> None:
        for mark in tmp_path.glob(".bl-neuro-*"):
            mark.unlink()

    with pytest.raises(SubstrateFailed, match=r"does not see the folder of the results, .*that all machines share"):
        Audit.of(str(small), tmp_path).run(on_change=unseen, scheduler=cluster)
    others = {**versions(), "torch": "0.1"}
    monkeypatch.setattr(dask_cluster, "versions", lambda: others)
    with pytest.raises(SubstrateFailed, match=r"has torch .*, not 0\.1, as the run has: results could differ"):
        Audit.of(str(small), tmp_path).run(scheduler=cluster)


def test_an_unreachable_scheduler_is_an_error(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_cluster, "CONNECT_S", 1)
    audit = Audit.of(str(small), tmp_path)
    for address in ("tcp://127.0.0.1:1", "nowhere://x", "127.0.0.1:1"):
        with pytest.raises(InputError, match="expected the address of a Dask scheduler that answers"):
            audit.run(scheduler=address)
    with pytest.raises(InputError, match="jobs: expected 1 beside a scheduler, found 2"):
        audit.run(2, scheduler="tcp://127.0.0.1:1")
    assert not list(tmp_path.glob(".bl-neuro-*"))


def test_a_local_cluster_without_workers_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_cluster, "ALONE_S", 0.1)
    pool = dask_cluster.DaskPool({"out": str(tmp_path)}, "local")
    try:
        pool._cluster.scale(0)
        pool._cluster.sync(pool._cluster._correct_state)
        pool.start([(Cell("target", {"number": 1}, (), {}),)])
        with pytest.raises(SubstrateFailed, match="all Dask workers died; finished cells are kept"):
            pool.wait()
    finally:
        pool.close()
    assert list(tmp_path.iterdir()) == []


def test_a_script_without_a_main_guard_prints_nothing(small: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    call = f"bl.audit({str(small)!r}, out={str(tmp_path / 'out')!r}, scheduler='local', progress=False)"
    script.write_text(f"import bl_neuro as bl\n{call}\nprint('done')\n")
    ended = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=300)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "done\n"
