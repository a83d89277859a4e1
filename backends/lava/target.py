"""A network on real Lava: simulations of it are kept running, and samples are streamed through them."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from bl_neuro.arrays import IntArray
from bl_neuro.backends.base import Backend, Response, Start, Target
from bl_neuro.backends.lava.dispatch import Layout, ask_all
from bl_neuro.backends.lava.runtime import Runtime
from bl_neuro.backends.lava.supervisor import Answer, Plan
from bl_neuro.deploy.net_file import NOT_REPLICABLE, can_replicate, write_net
from bl_neuro.deploy.quantize import FixedPointNetwork, quantize
from bl_neuro.errors import InputError, SubstrateFailed, Unsupported
from bl_neuro.layers import Dense
from bl_neuro.network import Network

MOST_REPLICAS = 32
REPLICA_VALUES = 2**23
"""Most values of a block-diagonal weight matrix: netx builds it densely before it makes it sparse."""
MOST_REPLICA_VALUES = 2**27
"""The same where replicas are asked for: a gigabyte."""
MOST_RUNTIMES = 64
WORTH_A_START = 40
"""Rounds from which another simulation is started by itself: it takes seconds."""


@dataclass(frozen=True)
class Timing:
    """Where the time of a target went, since it was opened.

    samples: answered. queries_per_second: the rate at which its simulations answer, once they run. start_s, run_s:
    seconds spent in starting and in answering, those of all simulations together. restarts: simulations that were
    killed and replaced. runtimes: how many have answered. replicas: samples side by side in each.
    """

    samples: int
    queries_per_second: float
    start_s: float
    run_s: float
    restarts: int
    runtimes: int
    replicas: int


class LavaTarget(Target):
    """A network on real Lava. It shows spikes, as a chip does, and no membrane.

    Threads may share it: one run at a time. A fork of the process that opened it can neither run nor end it.
    `progress`, called as progress(done, total) as samples finish, may be set at any time.
    """

    takes_floats: ClassVar[bool] = False

    def __init__(
        self,
        network: Network,
        backend: type[Backend],
        deadline_s: float,
        replicas: int | None,
        runtimes: int | None,
        python: str,
        progress: Callable[[int, int], None] | None = None,
        spare: bool = False,
    ) -> None:
        super().__init__(network, backend)
        if isinstance(deadline_s, bool) or not (isinstance(deadline_s, (int, float)) and deadline_s > 0):
            raise InputError(f"deadline_s: expected seconds above 0, found {deadline_s!r}")
        if not isinstance(spare, bool):
            raise InputError(f"spare: expected True or False, found {spare!r}")
        self.progress = progress
        self._fixed = quantize(network)
        self._replicas = _choose_replicas(self._fixed, replicas)
        self._most_runtimes = _whole("runtimes", runtimes, MOST_RUNTIMES)
        self._layout = Layout(self._fixed, self._replicas)
        self._answered = 0
        self._lock = threading.Lock()
        self._running: int | None = None  # the thread whose run is going on
        self._folder = Path(tempfile.mkdtemp(prefix="bl-neuro-lava-"))
        self._owner = os.getpid()
        count = self._most_runtimes or len(os.sched_getaffinity(0))
        self._runtimes = [Runtime(self._folder, python, float(deadline_s), spare) for _ in range(count)]
        self._finalizer = weakref.finalize(self, _give_back, self._runtimes, self._folder, self._owner)
        self._net = self._folder / "network.net"
        try:
            write_net(self._fixed, self._net, self._replicas)
        except BaseException:
            self._finalizer()
            raise

    @property
    def timing(self) -> Timing:
        """Where the time went so far."""
        used = [runtime for runtime in self._runtimes if runtime.rounds]
        rounds = sum(runtime.rounds for runtime in used)
        rate = sum(runtime.rounds / runtime.run_s for runtime in used if runtime.run_s > 0)
        return Timing(
            samples=self._answered,
            queries_per_second=rate * self._answered / rounds if rounds else 0.0,
            start_s=sum(runtime.start_s for runtime in self._runtimes),
            run_s=sum(runtime.run_s for runtime in self._runtimes),
            restarts=self.restarts,
            runtimes=len(used),
            replicas=self._replicas,
        )

    @property
    def restarts(self) -> int:
        """How many simulations were killed and replaced."""
        return sum(runtime.restarts for runtime in self._runtimes)

    @property
    def pids(self) -> list[int]:
        """Process ids (and process groups) of the running simulations."""
        return [process.pid for runtime in self._runtimes if (process := runtime.process) is not None]

    def _run_with_states(self, inputs: Tensor, start: Start) -> Response:
        return self._answer(inputs, True, start, states=True)

    def _chunk(self, steps: int) -> int:
        return 2**31  # pieces are made below, in units of replicas

    def _run(self, spikes: Tensor, layers: bool, start: Start) -> Response:
        return self._answer(spikes, layers, start)

    def _answer(self, inputs: Tensor, layers: bool, start: Start, states: bool = False) -> Response:
        if os.getpid() != self._owner:
            raise SubstrateFailed("lava: a target works only in the process that opened it; open another one here")
        steps, batch = inputs.shape[:2]
        rounds = self._layout.rounds(batch)
        plan = Plan(self._net, steps, layers, self._replicas > 1, self._start(start))
        collected = _Collected(self._fixed, self._layout, steps, batch, layers, states)

        def take(number: int, answer: Answer) -> None:
            done = collected.take(number, answer)
            self._answered += done
            if self.progress is not None:
                self.progress(collected.done, batch)

        if self._running == threading.get_ident():
            raise SubstrateFailed("lava: `progress` queried its own target, which is in the middle of a run")
        with self._lock:
            self._running = threading.get_ident()
            try:
                ask_all(
                    self._chosen(plan, rounds),
                    rounds,
                    lambda runtime, number, stop: runtime.ask(plan, self._layout.frames(inputs, number), states, stop),
                    take,
                )
            finally:
                self._running = None
        return collected.response()

    def _start(self, start: Start) -> Start:
        """How the simulation is made as new: without biases both are the same, and one of them is quicker."""
        if self.network.has_bias:
            return start
        return "cold" if any(map(_holds_spikes, self.network.layers)) else "aligned"

    def _chosen(self, plan: Plan, rounds: int) -> list[Runtime]:
        """The runtimes that share these rounds: those asked for, or those that run already or are worth a start."""
        most = max(1, min(len(self._runtimes), rounds))
        if self._most_runtimes is not None:
            return self._runtimes[:most]
        running = sum(runtime.has(plan) for runtime in self._runtimes)
        return self._runtimes[: min(most, max(1, running, rounds // WORTH_A_START))]

    def _close(self) -> None:
        self._finalizer()


class _Collected:
    """The answers to one run as they come, put in their places."""

    def __init__(
        self, fixed: FixedPointNetwork, layout: Layout, steps: int, batch: int, layers: bool, states: bool
    ) -> None:
        self._network, self._layout, self._batch = fixed.network, layout, batch
        self._shapes = [layer.shape for layer in fixed.layers]
        self._with_layers = layers
        recorded = self._shapes if layers else self._shapes[-1:]
        self._spikes = [torch.zeros((steps, batch, *shape), dtype=torch.uint8) for shape in recorded]
        self._recorded = recorded
        self._states: list[tuple[Tensor, Tensor]] | None = None
        if states:
            rooms = [[torch.zeros((batch, *shape), dtype=torch.int64) for _ in range(2)] for shape in self._shapes]
            self._states = [(current, voltage) for current, voltage in rooms]
        self.done = 0

    def take(self, number: int, answer: Answer) -> int:
        """Puts the answer to a round in its place; how many samples that were."""
        first = number * self._layout.replicas
        count = min(self._layout.replicas, self._batch - first)
        for room, spikes, shape in zip(self._spikes, answer.spikes, self._recorded):
            room[:, first : first + count] = self._placed(spikes, shape)[:, :count]
        for rooms, states, shape in zip(self._states or (), answer.states, self._shapes):
            for room, state in zip(rooms, states):
                room[first : first + count] = self._placed(state[None], shape)[0, :count]
        self.done += count
        return count

    def _placed(self, values: IntArray, shape: tuple[int, ...]) -> Tensor:
        return torch.from_numpy(self._layout.apart(values, shape).copy())

    def response(self) -> Response:
        """What `Target.run` answers."""
        found = [room.float() for room in self._spikes]
        found[-1] = found[-1].reshape(*found[-1].shape[:2], *self._network.output_shape)
        return Response(found[-1], None, found if self._with_layers else None, self._states)


def _holds_spikes(layer: Any) -> bool:
    """Whether its synapses hold spikes for longer than the one step to the next."""
    return isinstance(layer, Dense) and (layer.delay is not None or layer.recurrent is not None)


def _give_back(runtimes: list[Runtime], folder: Path, owner: int) -> None:
    if os.getpid() != owner:  # a fork of the process that opened the target, ending
        return
    try:
        for runtime in runtimes:
            runtime.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _whole(name: str, wanted: int | None, most: int) -> int | None:
    if wanted is not None and (isinstance(wanted, bool) or not isinstance(wanted, int) or not 1 <= wanted <= most):
        raise InputError(f"{name}: expected a whole number in 1..{most}, found {wanted!r}")
    return wanted


def _choose_replicas(fixed: FixedPointNetwork, wanted: int | None) -> int:
    largest = max(layer.weight.size for layer in fixed.layers)
    if _whole("replicas", wanted, max(1, math.isqrt(MOST_REPLICA_VALUES // largest))) is None:
        chosen = min(MOST_REPLICAS, math.isqrt(REPLICA_VALUES // largest))
        return max(1, chosen) if can_replicate(fixed) else 1
    if wanted is not None and wanted > 1 and not can_replicate(fixed):
        raise Unsupported(f"substrate 'lava': replicas {wanted}: {NOT_REPLICABLE}; expected 1")
    return wanted or 1
