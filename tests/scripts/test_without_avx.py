"""`make test-portable` runs without AVX, and the libraries accept the variables that it sets."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="AVX is of x86-64 alone"),
    pytest.mark.slow,
]
SCRIPT = Path(__file__).parents[2] / "scripts" / "without_avx.py"
ASKS = """
import numba.core.registry as registry
import numpy as np
import torch
try:
    from numpy._core import _multiarray_umath as core
except ImportError:
    from numpy.core import _multiarray_umath as core
print("torch", torch.backends.cpu.get_cpu_capability())
print("numpy", *(name for name in core.__cpu_dispatch__ if core.__cpu_features__[name]))
print("numba", registry.cpu_target.target_context.codegen()._get_host_cpu_features())
"""


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """What the script prints when it is called with a command."""
    return subprocess.run([sys.executable, str(SCRIPT), *command], capture_output=True, text=True, check=True)


def test_no_library_uses_avx_or_complains() -> None:
    completed = run(sys.executable, "-W", "error", "-c", ASKS)
    assert completed.stderr == ""
    capability, features, compiled = completed.stdout.splitlines()
    assert capability in ("torch DEFAULT", "torch NO AVX")
    assert features.split() == ["numpy"]
    assert compiled.split() == ["numba"]


def test_without_a_command_it_prints_the_environment() -> None:
    lines = run().stdout.splitlines()
    assert "export ATEN_CPU_CAPABILITY='default'" in lines
    assert all(line.startswith("export ") for line in lines)


def test_the_rest_of_the_environment_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("NPY_DISABLE_CPU_FEATURES", "AVX2")
    completed = run(sys.executable, "-c", "import os; print(os.environ['OMP_NUM_THREADS'], os.getpid())")
    assert completed.stdout.split()[0] == os.environ["OMP_NUM_THREADS"]
