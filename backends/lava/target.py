"""A network on Lava: simulations of it are kept running, and samples are streamed through them."""

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
from bl_neuro.backends.declaration import Declaration, Start
from bl_neuro.backends.lava.dispatch import Layout, ask_all
from bl_neuro.backends.lava.graded import values_of
from bl_neuro.backends.lava.relu import unit_blocks, with_relu
from bl_neuro.backends.lava.replicas import MAX_REQUESTED_REPLICAS, NOT_REPLICABLE, Replicas, can_replicate
from bl_neuro.backends.lava.runtime import Runtime
from bl_neuro.backends.lava.supervisor import Answer, Plan
from bl_neuro.backends.target import Response, Target
from bl_neuro.deploy.net_file import write_net
from bl_neuro.deploy.quantize import FixedPointNetwork, quantize
from bl_neuro.errors import InputError, SubstrateFailed, Unsupported
from bl_neuro.layers import Dense
from bl_neuro.network import Network

MAX_RUNTIMES = 64
CLEARED_PER_S = 2000
"""Neurons of a sigma-delta network whose states Lava sets to zero in a second, with a margin: it sets them singly."""


@dataclass(frozen=True)
class Timing:
    """Time measurements of a target since it was opened.

    samples: number of answered samples. queries_per_second: rate of the running simulations. start_s, run_s: seconds
    spent starting and answering, summed over all simulations. restarts: number of simulations that were killed and
    replaced. runtimes: number of simulations that answered. replicas: parallel samples in each.
    """

    samples: int
    queries_per_second: float
    start_s: float
    run_s: float
    restarts: int
    runtimes: int
    replicas: int


class LavaTarget(Target):
    """A network on Lava. Like a chip, it reveals spikes and no membrane potential.

    The output values of a sigma-delta network follow from its messages, so they are revealed.

    Threads may share it; only one run is active at a time. A fork of the process that opened it can neither run nor
    close it. The attribute `progress`, called as progress(done, total) as samples finish, may be set at any time.
    """

    takes_floats: ClassVar[bool] = False

    def __init__(
        self,
        network: Network,
        backend: type[Declaration],
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
        requested = _checked_replicas(self._fixed, replicas)
        self._requested_runtimes = _checked_count("runtimes", runtimes, MAX_RUNTIMES)
        self._sample_count = 0
        self._lock = threading.Lock()
        self._running: int | None = None  # the thread whose run is active
        self._folder = Path(tempfile.mkdtemp(prefix="bl-neuro-lava-"))
        self._owner_pid = os.getpid()
        count = self._requested_runtimes or len(os.sched_getaffinity(0))
        self._replicas = Replicas(self._fixed, requested, count)
        deadline = float(deadline_s) + _clearing_s(self._fixed)
        self._runtimes = [Runtime(self._folder, python, deadline, spare) for _ in range(count)]
        self._finalizer = weakref.finalize(self, _release, self._runtimes, self._folder, self._owner_pid)
        self._net = self._folder / "network.net"
        try:
            write_net(quantize(with_relu(network)), self._net)
        except BaseException:
            self._finalizer()
            raise

    @property
    def timing(self) -> Timing:
        """Time measurements so far."""
        used = [runtime for runtime in self._runtimes if runtime.rounds]
        rounds = sum(runtime.rounds for runtime in used)
        rate = sum(runtime.rounds / runtime.run_s for runtime in used if runtime.run_s > 0)
        return Timing(
            samples=self._sample_count,
            queries_per_second=rate * self._sample_count / rounds if rounds else 0.0,
            start_s=sum(runtime.start_s for runtime in self._runtimes),
            run_s=sum(runtime.run_s for runtime in self._runtimes),
            restarts=self.restarts,
            runtimes=len(used),
            replicas=self._replicas.count,
        )

    @property
    def reveals_membrane(self) -> bool:
        """Whether the network is a sigma-delta network, whose output values are its membrane."""
        return self.network.is_sigma_delta

    @property
    def restarts(self) -> int:
        """Number of simulations that were killed and replaced."""
        return sum(runtime.restarts for runtime in self._runtimes)

    @property
    def pids(self) -> list[int]:
        """Process ids (and process groups) of the running simulations."""
        return [process.pid for runtime in self._runtimes if (process := runtime.process) is not None]

    def _run_with_states(self, inputs: Tensor, start: Start) -> Response:
        return self._answer(inputs, True, start, states=True)

    def _chunk(self, steps: int) -> int:
        return 2**31  # the batch is split into rounds of replicas below

    def _run(self, spikes: Tensor, layers: bool, start: Start) -> Response:
        return self._answer(spikes, layers, start)

    def _answer(self, inputs: Tensor, layers: bool, start: Start, states: bool = False) -> Response:
        if os.getpid() != self._owner_pid:
            raise SubstrateFailed("lava: a target works only in the process that opened it; open another one here")
        if self._running == threading.get_ident():
            raise SubstrateFailed("lava: `progress` queried its own target, which is in the middle of a run")
        with self._lock:
            self._running = threading.get_ident()
            try:
                return self._in_rounds(inputs, layers, self._start(start), states)
            finally:
                self._running = None

    def _in_rounds(self, inputs: Tensor, layers: bool, start: Start, states: bool) -> Response:
        steps, batch = inputs.shape[:2]
        replicas = self._replicas.choose(steps, batch)
        layout = Layout(self._fixed, replicas)
        rounds = layout.rounds(batch)
        plan = Plan(self._net, steps, layers, replicas, start, unit_blocks(self.network))
        collected = _Collected(self._fixed, layout, (steps, batch), layers, states, start)

        def take(number: int, answer: Answer) -> None:
            count = collected.take(number, answer)
            self._sample_count += count
            if self.progress is not None:
                self.progress(collected.sample_count, batch)

        ask_all(
            self._chosen(plan, rounds),
            rounds,
            lambda runtime, number, stop: runtime.ask(plan, layout.frames(inputs, number), states, stop),
            take,
        )
        return collected.response()

    def _start(self, start: Start) -> Start:
        """How the simulation is reset; without biases both ways give the same result, so the faster one is used."""
        if self.network.has_bias:
            return start
        pauses = self.network.is_sigma_delta or any(map(_holds_spikes, self.network.layers))
        return "cold" if pauses else "aligned"

    def _chosen(self, plan: Plan, rounds: int) -> list[Runtime]:
        """The runtimes for these rounds: as requested, or those that are running or worth starting."""
        limit = max(1, min(len(self._runtimes), rounds))
        if self._requested_runtimes is not None:
            return self._runtimes[:limit]
        running = sum(runtime.has(plan) for runtime in self._runtimes)
        return self._runtimes[: min(limit, max(1, running, self._replicas.starts_worthwhile(rounds)))]

    def _close(self) -> None:
        self._finalizer()


class _Collected:
    """Collects the answers of one run in arrays of the whole batch."""

    def __init__(
        self,
        fixed: FixedPointNetwork,
        layout: Layout,
        size: tuple[int, int],
        layers: bool,
        states: bool,
        start: Start,
    ) -> None:
        self._network, self._layout = fixed.network, layout
        self._steps, self._batch = size
        self._shapes = [layer.shape for layer in fixed.layers]
        self._with_layers, self._with_states = layers, states
        recorded = self._shapes if layers else self._shapes[-1:]
        dtype = torch.int32 if self._network.is_sigma_delta else torch.uint8
        lengths = [self._steps] * len(recorded)
        if self._network.is_sigma_delta and start == "cold":  # one step more for each synapse before the output
            lengths[-1] += len(self._shapes) - 1
        rows = zip(lengths, recorded)
        self._spikes = [torch.zeros((length, self._batch, *shape), dtype=dtype) for length, shape in rows]
        self._recorded = recorded
        self._states: list[tuple[Tensor, ...]] = []
        self.sample_count = 0

    def take(self, number: int, answer: Answer) -> int:
        """Stores the answer to a round; returns its number of samples."""
        first = number * self._layout.replicas
        count = min(self._layout.replicas, self._batch - first)
        for room, spikes, shape in zip(self._spikes, answer.spikes, self._recorded):
            room[:, first : first + count] = self._placed(spikes, shape)[:, :count]
        if self._with_states and not self._states:
            self._states = [
                tuple(torch.zeros((self._batch, *shape), dtype=torch.int64) for _ in states)
                for states, shape in zip(answer.states, self._shapes)
            ]
        for rooms, states, shape in zip(self._states, answer.states, self._shapes):
            for room, state in zip(rooms, states):
                room[first : first + count] = self._placed(state[None], shape)[0, :count]
        self.sample_count += count
        return count

    def _placed(self, values: IntArray, shape: tuple[int, ...]) -> Tensor:
        return torch.from_numpy(self._layout.apart(values, shape).copy())

    def response(self) -> Response:
        """The response of `Target.run`."""
        graded = self._network.is_sigma_delta
        spikes = [room[-self._steps :].to(torch.float64 if graded else torch.float32) for room in self._spikes]
        spikes[-1] = spikes[-1].reshape(*spikes[-1].shape[:2], *self._network.output_shape)
        values = None
        if graded:
            values = values_of(self._network, self._spikes[-1], self._steps).reshape(spikes[-1].shape)
        layers = spikes if self._with_layers else None
        return Response(spikes[-1], values, layers, self._states if self._with_states else None)


def _clearing_s(fixed: FixedPointNetwork) -> float:
    """Seconds that Lava may need to clear the states of a sigma-delta network before a sample."""
    neurons = sum(math.prod(layer.shape) for layer in fixed.layers)
    return neurons / CLEARED_PER_S if fixed.network.is_sigma_delta else 0.0


def _holds_spikes(layer: Any) -> bool:
    """Whether the layer's synapses hold spikes for more than one time step."""
    return isinstance(layer, Dense) and (layer.delay is not None or layer.recurrent is not None)


def _release(runtimes: list[Runtime], folder: Path, owner_pid: int) -> None:
    if os.getpid() != owner_pid:  # the exit of a forked process
        return
    try:
        for runtime in runtimes:
            runtime.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _checked_count(name: str, value: int | None, largest: int) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= largest):
        raise InputError(f"{name}: expected a whole number in 1..{largest}, found {value!r}")
    return value


def _checked_replicas(fixed: FixedPointNetwork, requested: int | None) -> int | None:
    checked = _checked_count("replicas", requested, MAX_REQUESTED_REPLICAS)
    if checked is not None and checked > 1 and not can_replicate(fixed):
        raise Unsupported(f"substrate 'lava': replicas {checked}: {NOT_REPLICABLE}; expected 1")
    return checked
