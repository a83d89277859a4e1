"""bl-neuro in a Jupyter kernel: displayed results, progress, child processes, a running event loop and interrupts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.slow
jupyter_client = pytest.importorskip("jupyter_client", reason="ipykernel is not installed (the test extra)")
pytest.importorskip("ipykernel", reason="ipykernel is not installed (the test extra)")

LONGEST_S = 120
"""Maximum number of seconds that a cell may take."""
SET_UP = """\
import bl_neuro as bl
from bl_neuro.testing.random_networks import random_dense, random_spikes

network = random_dense(602, (64, 8, 10), biases=False)
small = bl.Experiment(
    name="small", dataset="digits", seeds=1, steps=4, classes=[0, 7], substrates=["loihi"],
    target={"hidden": [8], "proxy_epochs": 1, "spiking_epochs": 0}, evaluators=[{"kind": "conv", "epochs": 1}],
    attacks=[bl.BrainLeaksV2(queries=16, warm_start=20, window=3.0)], reveals=["counts"],
)
"""


@dataclass
class Ran:
    """What a cell of a notebook left. error: name of its exception, or "". outputs: displayed objects by MIME type.

    updates: number of times that an output was replaced. text: standard output and standard error.
    """

    error: str = ""
    outputs: list[dict[str, Any]] = field(default_factory=list)
    updates: int = 0
    text: str = ""


class Kernel:
    """A Jupyter kernel of this interpreter, and the messages that a notebook would receive from it."""

    def __init__(self, folder: Path) -> None:
        from jupyter_client.kernelspec import KernelSpecManager

        self.folder = folder
        self.manager: Any = jupyter_client.KernelManager(
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),  # of no other interpreter
            connection_file=str(folder / "kernel.json"),
            transport="ipc",
            ip=str(folder / "kernel"),
        )
        self.manager.start_kernel(cwd=str(folder), env={**os.environ, "IPYTHONDIR": str(folder / "ipython")})
        self.client: Any = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=LONGEST_S)
        self.process = psutil.Process(self.manager.provisioner.process.pid)

    def run(self, code: str) -> Ran:
        """Runs a cell to its end."""
        return self.result(self.start(code))

    def start(self, code: str) -> str:
        """Starts a cell; the identifier of its messages."""
        return str(self.client.execute(code, allow_stdin=False))

    def result(self, cell: str) -> Ran:
        """Waits for the end of a cell."""
        ran, displays = Ran(), dict[str, dict[str, Any]]()
        while True:
            message = self.client.get_iopub_msg(timeout=LONGEST_S)
            kind, content = message["msg_type"], message["content"]
            if message["parent_header"].get("msg_id") != cell:
                continue
            if kind == "status" and content["execution_state"] == "idle":
                return ran
            if kind == "stream":
                ran.text += content["text"]
            elif kind == "error":
                ran.error = content["ename"]
            elif kind == "update_display_data":
                displays[content["transient"]["display_id"]].update(content["data"])
                ran.updates += 1
            elif kind in ("display_data", "execute_result"):
                ran.outputs.append(content["data"])
                displays[content.get("transient", {}).get("display_id", "")] = content["data"]

    def interrupt(self) -> None:
        """The button "interrupt the kernel"."""
        self.manager.interrupt_kernel()

    def children(self) -> set[int]:
        """Process ids of all child processes of the kernel and their children."""
        return {child.pid for child in self.process.children(recursive=True)}


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    kernel = Kernel(tmp_path_factory.mktemp("kernel"))
    assert kernel.run(SET_UP) == Ran()
    yield kernel
    kernel.client.stop_channels()
    kernel.manager.shutdown_kernel(now=True)


@pytest.mark.parametrize(
    "options", ["jobs=2", pytest.param("scheduler='local'", marks=pytest.mark.dask)], ids=["workers", "dask"]
)
def test_an_interrupted_audit_leaves_no_process_and_resumes(
    kernel: Kernel, options: str, wait_until: Callable[..., None], request: pytest.FixtureRequest
) -> None:
    if "local" in options:
        pytest.importorskip("distributed", reason="distributed is not installed (the dask extra)")
        kernel.run("from multiprocessing import resource_tracker; resource_tracker.ensure_running()")
    out = kernel.folder / request.node.callspec.id
    before = kernel.children()
    cell = kernel.start(f"bl.audit(small, {str(out)!r}, {options})")
    wait_until(lambda: list(out.glob("cells/*.json")), LONGEST_S)
    kernel.interrupt()
    interrupted = kernel.result(cell)
    assert (interrupted.error, interrupted.text) == ("KeyboardInterrupt", "")
    assert kernel.children() == before
    kept = {path: path.stat().st_mtime_ns for path in out.glob("cells/*.json")}

    resumed = kernel.run(f"bl.audit(small, {str(out)!r}, {options})")
    assert (resumed.error, resumed.text) == ("", "")
    assert kernel.children() == before
    cells = list(out.glob("cells/*.json"))
    assert len(cells) > len(kept)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    progress, result = resumed.outputs
    assert f"{len(cells)} of {len(cells)}" in progress["text/plain"]
    assert len(progress["text/plain"].splitlines()) == 1
    assert resumed.updates <= len(cells) + 1
    assert "<table" in result["text/html"]


def test_results_are_displayed(kernel: Kernel) -> None:
    for code, kind, begin in (
        ("network", "text/html", "<table"),
        ("bl.plan_audit(small, 'none')", "text/html", "<table"),
        ("bl.inspect(network)", "text/html", "<p>"),
        ("attack = bl.attack_network(network, 'v2', dataset='digits', steps=4, budget=640)", "", ""),
        ("attack.inversions", "image/png", "iVBOR"),
        ("attack.inversions.show()", "image/png", "iVBOR"),
    ):
        ran = kernel.run(code)
        assert (ran.error, ran.text, ran.updates) == ("", "", 0), code
        assert [output[kind][: len(begin)] for output in ran.outputs] == [begin] * bool(kind), code


def test_a_file_is_read_in_a_child_process(kernel: Kernel) -> None:
    before = kernel.children()
    ran = kernel.run("bl.export(network, 'network.nir')\nassert bl.load('network.nir') == network")
    assert (ran.error, ran.text) == ("", "")
    assert len(kernel.children() - before) <= 1  # it waits for further files


@pytest.mark.lava
def test_lava_runs_in_child_processes(kernel: Kernel, needs: Callable[[str], None]) -> None:
    needs("lava")
    before = kernel.children()
    ran = kernel.run(
        "spikes = random_spikes(network, 0, 10, 1)\n"
        "with bl.open_target(network, 'lava') as lava, bl.open_target(network, 'loihi') as loihi:\n"
        "    assert lava.run(spikes).spikes.equal(loihi.run(spikes).spikes)\n"
    )
    assert (ran.error, ran.text) == ("", "")
    assert kernel.children() == before
