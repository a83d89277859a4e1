"""Concurrent first queries must not run torch's own set-up at once, which can deadlock."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import sys, threading
import bl_neuro.backends.inputs
import torch
together = threading.Barrier(16)
sys.setswitchinterval(1e-6)
def compare():
    values = torch.ones(2, 1, 12)
    together.wait()
    for _ in range(5):
        bool(((values != 0) & (values != 1)).any())
threads = [threading.Thread(target=compare, daemon=True) for _ in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done")
"""


def test_many_threads_compare_first_at_once() -> None:
    for _ in range(2):
        completed = subprocess.run(
            [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=True
        )
        assert completed.stdout == "done\n"
