"""Distributes rounds over several runtimes: threads query them, the calling thread receives the answers."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from bl_neuro.arrays import IntArray
from bl_neuro.backends.lava.runtime import Runtime
from bl_neuro.backends.lava.supervisor import Answer
from bl_neuro.deploy.quantize import FixedPointNetwork
from bl_neuro.layers import Conv, Input, Shape
from bl_neuro.loihi_numbers import input_drive

Ask = Callable[[Runtime, int, "threading.Event | None"], Answer]
Take = Callable[[int, Answer], None]
Outcome = tuple[int, "Answer | BaseException"]


def ask_all(runtimes: Sequence[Runtime], rounds: int, ask: Ask, take: Take) -> None:
    """Queries rounds 0 .. rounds - 1 and passes each answer with its number to `take`, in order of completion.

    There must be at least as many rounds as runtimes: each of them answers at least one.

    On any error in a runtime or in `take`, or an interrupt, all simulations are ended before it is raised.
    """
    if len(runtimes) == 1:
        for number in range(rounds):
            take(number, ask(runtimes[0], number, None))
        return
    stop = threading.Event()
    outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    waiting = deque(range(len(runtimes), rounds))
    threads = [
        threading.Thread(target=_work, args=(runtime, first, waiting, ask, outcomes, stop), daemon=True)
        for first, runtime in enumerate(runtimes)
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
            for runtime in runtimes:  # a runtime may have started while the others were ended
                runtime.drop()


def _work(
    runtime: Runtime,
    first: int,
    waiting: deque[int],
    ask: Ask,
    outcomes: queue.SimpleQueue[Outcome],
    stop: threading.Event,
) -> None:
    number = first
    while not stop.is_set():
        try:
            outcomes.put((number, ask(runtime, number, stop)))
        except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
            outcomes.put((number, error))
            return
        try:
            number = waiting.popleft()
        except IndexError:
            return


class Layout:
    """Converts inputs (T, B, *input_shape) into rounds of `replicas` samples each, and answers back."""

    def __init__(self, fixed: FixedPointNetwork, replicas: int) -> None:
        first = fixed.layers[0].source
        self.replicas = replicas
        self._input = first if isinstance(first, Input) else None
        self._images = isinstance(first, (Conv, Input)) and len(fixed.network.input_shape) == 3

    def rounds(self, batch: int) -> int:
        """Number of rounds for a batch of `batch` samples."""
        return -(-batch // self.replicas)

    def frames(self, inputs: Tensor, number: int) -> bytes:
        """Input of the simulation in round `number`: (T, *lava input shape), uint8 spikes or int32 currents."""
        chosen = inputs[:, number * self.replicas : (number + 1) * self.replicas].detach().cpu().numpy()
        values = chosen.astype(np.uint8) if self._input is None else input_drive(self._input, chosen).astype(np.int32)
        if self._images:
            return np.ascontiguousarray(values[:, 0].transpose(0, 3, 2, 1)).tobytes()
        steps, samples = values.shape[:2]
        padded = np.zeros((steps, int(np.prod(values.shape[2:])), self.replicas), values.dtype)
        padded[..., :samples] = values.reshape(steps, samples, -1).transpose(0, 2, 1)
        return padded.tobytes()

    def apart(self, values: IntArray, shape: Shape) -> IntArray:
        """Values of all replicas' neurons, (N, *lava shape), as (N, replicas, *shape)."""
        if len(shape) == 3:
            return values.transpose(0, 3, 2, 1)[:, None]
        return values.reshape(len(values), *shape, self.replicas).transpose(0, 2, 1)
