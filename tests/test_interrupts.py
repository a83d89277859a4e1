"""Ctrl-C is held back until it is checked and during imports, and children never receive it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from bl_neuro.interrupts import HeldInterrupts, children_without_interrupts, interrupts_held

BLOCKED = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"

INTERRUPTED = """
import signal, sys
import bl_neuro as bl
if "bl." not in {1!r}:
    from bl_neuro.data import load_dataset

class Interrupt:
    def find_spec(self, name, path, target=None):
        if name == {0!r}:
            sys.meta_path.remove(self)
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
try:
    {1}
except KeyboardInterrupt:
    print("interrupted")
    {1}
    print("repeated")
"""
"""A program in which Ctrl-C is pressed while a module is loaded, and which does the same again."""


def test_an_interrupt_is_raised_when_it_is_checked() -> None:
    before, woken = signal.getsignal(signal.SIGINT), []
    held = HeldInterrupts(lambda: woken.append(True))
    try:
        held.check()
        signal.raise_signal(signal.SIGINT)
        assert woken == [True]
        with pytest.raises(KeyboardInterrupt):
            held.check()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        held.end()
    assert signal.getsignal(signal.SIGINT) is before


def test_an_import_is_not_interrupted() -> None:
    before, steps = signal.getsignal(signal.SIGINT), []

    def imported() -> None:
        with interrupts_held():
            signal.raise_signal(signal.SIGINT)
            steps.append("imported")

    with pytest.raises(KeyboardInterrupt):
        imported()
    assert steps == ["imported"]
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "code"), [("torch.functional", "bl.BlackBox"), ("pandas.core.indexes.multi", "load_dataset('digits')")]
)
def test_what_was_interrupted_while_libraries_load_can_be_repeated(module: str, code: str) -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED.format(module, code)], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("interrupted\nrepeated\n", "")


def test_an_ignored_interrupt_and_other_threads_are_left_alone() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        HeldInterrupts(lambda: None).end()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    thread = threading.Thread(target=lambda: HeldInterrupts(lambda: None).end())
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="needs signal masks")
def test_children_never_receive_it() -> None:
    with children_without_interrupts():
        inside = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, check=True)
    outside = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, check=True)
    assert (inside.stdout, outside.stdout) == ("True\n", "False\n")
