"""Ctrl-C is held back until it is checked, and children never receive it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from bl_neuro.experiment.running.interrupts import HeldInterrupts, children_without_interrupts

BLOCKED = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"


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
