"""Progress bars in Jupyter notebooks, whose output is not a terminal."""

from __future__ import annotations

import sys
import time
from io import StringIO
from typing import Any

from rich.console import Console
from rich.progress import Progress, ProgressColumn, TaskID

WIDTH = 100
"""Maximum width in characters of a line of progress."""
INTERVAL_S = 0.2
"""Minimum time in seconds between two updates of the output, each of which is a message to the browser."""


def in_notebook() -> bool:
    """Whether this process is a Jupyter kernel."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class NotebookProgress(Progress):
    """Progress bars as one output of the running cell, which is replaced when they change.

    Rich would need ipywidgets for this, and its widgets are empty in a stored notebook.
    """

    def __init__(self, *columns: ProgressColumn) -> None:
        console = Console(width=WIDTH, file=StringIO(), color_system=None, force_jupyter=False)
        super().__init__(*columns, console=console, auto_refresh=False)
        self._output: Any = None
        self._next_s = 0.0

    def start(self) -> None:
        """Does nothing: the first visible task displays the bars."""

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """Changes a task. Displays the bars unless they were displayed a moment ago."""
        super().update(task_id, **changes)
        if time.monotonic() >= self._next_s:
            self.refresh()

    def refresh(self) -> None:
        """Displays the bars, if there are any."""
        from IPython.display import display

        if not any(task.visible for task in self.tasks):
            return
        with self.console.capture() as captured:
            self.console.print(self.get_renderable())
        text = {"text/plain": captured.get().rstrip()}
        if self._output is None:
            self._output = display(text, raw=True, display_id=True)
        else:
            self._output.update(text, raw=True)
        self._next_s = time.monotonic() + INTERVAL_S

    def stop(self) -> None:
        """Displays the final state."""
        self.refresh()
