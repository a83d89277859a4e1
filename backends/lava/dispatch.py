"""Spreading rounds over several runtimes: threads ask them, answers are handed on by the thread that called."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence

from bl_neuro.backends.lava.runtime import Runtime
from bl_neuro.backends.lava.supervisor import Answer

Ask = Callable[[Runtime, int, "threading.Event | None"], Answer]
Take = Callable[[int, Answer], None]
Outcome = tuple[int, "Answer | BaseException"]


def ask_all(runtimes: Sequence[Runtime], rounds: int, ask: Ask, take: Take) -> None:
    """Asks for rounds 0 .. rounds - 1 and takes each answer with its number, in the order they come.

    Whatever goes wrong, in a runtime, in `take` or by an interrupt: all simulations are ended, then it is raised.
    """
    if len(runtimes) == 1:
        for number in range(rounds):
            take(number, ask(runtimes[0], number, None))
        return
    stop = threading.Event()
    outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    waiting = deque(range(rounds))
    threads = [
        threading.Thread(target=_work, args=(runtime, waiting, ask, outcomes, stop), daemon=True)
        for runtime in runtimes
    ]
    try:
        for thread in threads:
            thread.start()
        for _ in range(rounds):
            number, outcome = outcomes.get()
            if isinstance(outcome, BaseException):
                raise outcome
            take(number, outcome)
    except BaseException:
        stop.set()
        for runtime in runtimes:
            runtime.drop()
        raise
    finally:
        for thread in threads:
            if thread.ident is not None:
                thread.join()
        if stop.is_set():
            for runtime in runtimes:  # one may have been starting when the others were ended
                runtime.drop()


def _work(
    runtime: Runtime,
    waiting: deque[int],
    ask: Ask,
    outcomes: queue.SimpleQueue[Outcome],
    stop: threading.Event,
) -> None:
    while not stop.is_set():
        try:
            number = waiting.popleft()
        except IndexError:
            return
        try:
            outcomes.put((number, ask(runtime, number, stop)))
        except BaseException as error:  # noqa: BLE001 - raised by the thread that waits for it
            outcomes.put((number, error))
            return
