"""Figures are drawn where Matplotlib alone does not import: without a home folder."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

WITHOUT_HOME = """
import os, pwd

def no_user(number):
    raise KeyError(number)

pwd.getpwuid = no_user  # as under a user id that has no entry
from bl_neuro.drawing.figure import new_figure

folder = os.environ.get("MPLCONFIGDIR")
figure = new_figure(2, 1)
print(figure.get_size_inches().tolist(), folder, os.path.isdir(os.environ["MPLCONFIGDIR"]), os.environ["MPLCONFIGDIR"])
"""


@pytest.mark.slow
def test_figures_need_no_home_folder() -> None:
    known = {name: value for name, value in os.environ.items() if name not in ("HOME", "MPLCONFIGDIR")}
    known.pop("XDG_CONFIG_HOME", None)
    done = subprocess.run([sys.executable, "-c", WITHOUT_HOME], env=known, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    size, before, there, folder = done.stdout.strip().rsplit(" ", 3)
    assert (size, before, there) == ("[2.0, 1.0]", "None", "True")
    assert not os.path.exists(folder)  # removed when the process ended
