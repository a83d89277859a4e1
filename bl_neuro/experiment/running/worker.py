"""A process that runs cells for a runner: `python -m bl_neuro.experiment.running.worker`.

It reads lines of JSON: first the task (the experiment and its folders), which it answers with {} when it is ready, and
then jobs, which are lists of addresses of cells (see `jobs`). It answers a job with one line for each cell, in order:
{} when it is done, perhaps with "copied" and "warnings" (see `shared_work.Done`), {"failed": why}, or
{"unwritable": why} if results cannot be written any more. It ends when its input ends, even during a cell, since the
run is then over.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, TextIO

LINES_OF_TRACE = 30


def main() -> None:
    """Serves the runner on standard input and output. Output of libraries goes to standard error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of a terminal's processes; the runner decides
    signal.signal(signal.SIGTERM, _end)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    serve(lines, answers)


def serve(lines: queue.Queue[str | None], answers: TextIO) -> None:
    """Answers line by line until None."""
    import torch

    from bl_neuro.experiment.cells import THREADS
    from bl_neuro.experiment.definition import Experiment
    from bl_neuro.experiment.material import Material, Place
    from bl_neuro.experiment.plan import plan_cells
    from bl_neuro.experiment.shared_work import SharedWork
    from bl_neuro.experiment.store import Store
    from bl_neuro.experiment.work import Work

    torch.set_num_threads(THREADS)
    task_line = lines.get()
    if task_line is None:
        return
    task = json.loads(task_line)
    experiment = Experiment.model_validate(task["experiment"])
    root, token_file = (None if task[name] is None else Path(task[name]) for name in ("root", "token_file"))
    place = Place(Path(task["folder"]), root, token_file)
    material = Material(experiment, place)
    cells = {cell.address: cell for cell in plan_cells(experiment, material)}
    with Work(material, Store(Path(task["out"]))) as work:
        try:
            shared = SharedWork.of_user(work, task["cache"])
            _answer(answers, {})
            while (line := lines.get()) is not None:
                job = [cells.get(address) for address in json.loads(line)]
                with shared.together(tuple(cell for cell in job if cell is not None)):
                    for cell in job:
                        _answer(answers, _outcome(shared, cell))
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a repeated signal does not interrupt the closing of targets


def _outcome(work: Any, cell: Any) -> dict[str, Any]:
    from bl_neuro.errors import BlNeuroError, ReportError

    if cell is None:
        return {"failed": "the data or the model changed while the audit ran; run it again"}
    try:
        done = work.do(cell)
    except ReportError as error:
        return {"unwritable": str(error)}
    except Exception as error:  # noqa: BLE001 - the other cells go on
        reason = str(error) if isinstance(error, BlNeuroError) else f"{type(error).__name__}: {error}"
        trace = "".join(traceback.format_exc().splitlines(keepends=True)[-LINES_OF_TRACE:])
        return {"failed": reason, "trace": trace}
    return {name: value for name, value in done._asdict().items() if value}


def _answer(answers: TextIO, value: dict[str, Any]) -> None:
    answers.write(json.dumps(value) + "\n")
    answers.flush()


def _listen(lines: queue.Queue[str | None]) -> None:
    for line in sys.stdin:
        lines.put(line)
    lines.put(None)  # should a library that is being imported swallow the signal
    os.kill(os.getpid(), signal.SIGTERM)


def _end(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main()
