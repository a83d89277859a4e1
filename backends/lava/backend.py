"""The `lava` backend: exports a network, keeps one real simulation of it running, and streams queries through it."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import threading
import time
import weakref
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from bl_neuro.arrays import SpikeArray
from bl_neuro.backends.base import Backend, Response, Start, Target
from bl_neuro.backends.lava.supervisor import ChildDied, LavaProcess
from bl_neuro.deploy.net_file import NOT_REPLICABLE, can_replicate, write_net
from bl_neuro.deploy.quantize import FixedPointNetwork, quantization_problems, quantize
from bl_neuro.errors import InputError, SubstrateFailed, TargetClosed, Unsupported
from bl_neuro.layers import Conv
from bl_neuro.network import Arithmetic, Network

MOST_REPLICAS = 32
REPLICA_VALUES = 2**23
"""Most values of a block-diagonal weight matrix: netx builds it densely before it makes it sparse."""
START_DEADLINE_S = 180.0
RESTARTS = 3
"""How often a query whose simulation was killed is replayed on a fresh one."""


class LavaBackend(Backend):
    """Opens networks on Lava's CPU simulator of Loihi 2 (`Loihi2SimCfg`, fixed point). Black box only.

    Options: deadline_s, most seconds for one sample's answer before the simulation counts as hung (60 by default);
    replicas, how many samples run side by side, as copies of the network in one simulation (chosen by size; 1 for
    convolutions).
    """

    name: ClassVar[str] = "lava"
    summary: ClassVar[str] = "Lava's CPU simulator of Loihi 2, bit-accurate fixed point, black box only"
    modules: ClassVar[tuple[str, ...]] = ("lava.magma", "lava.lib.dl.netx")
    imported_here: ClassVar[bool] = False
    extra: ClassVar[str] = "lava"
    differentiable: ClassVar[bool] = False
    arithmetic: ClassVar[Arithmetic | None] = "loihi"

    @classmethod
    def problems(cls, network: Network) -> list[str]:
        """See `Backend.problems`."""
        return quantization_problems(network)

    @classmethod
    def open(cls, network: Network, deadline_s: float = 60.0, replicas: int | None = None, **options: Any) -> Target:
        """Opens `network`; see the class for the options."""
        return LavaTarget(network, deadline_s, replicas, **options)


class LavaTarget(Target):
    """A network on real Lava. It shows spikes, as a chip does, and no membrane.

    `restarts` counts simulations that were killed and replaced, `run_s` and `start_s` where the seconds went.
    Threads may share it: one query runs at a time. A fork of the process that opened it can neither run nor end it.
    """

    substrate = "lava"
    reveals_membrane = False

    def __init__(self, network: Network, deadline_s: float, replicas: int | None) -> None:
        super().__init__(network)
        if isinstance(deadline_s, bool) or not (isinstance(deadline_s, (int, float)) and deadline_s > 0):
            raise InputError(f"deadline_s: expected seconds above 0, found {deadline_s!r}")
        self._deadline_s = float(deadline_s)
        self._fixed = quantize(network)
        self._replicas = _choose_replicas(self._fixed, replicas)
        self._lock = threading.Lock()
        self._process: LavaProcess | None = None
        self._key: tuple[int, bool, bool] | None = None
        self._held: list[LavaProcess | None] = [None]  # for the finalizer, which must not hold the target itself
        self._folder = Path(tempfile.mkdtemp(prefix="bl-neuro-lava-"))
        self._owner = os.getpid()
        self._finalizer = weakref.finalize(self, _give_back, self._held, self._folder, self._owner)
        self.restarts = 0
        self.run_s = 0.0
        self.start_s = 0.0
        self._net = self._folder / "network.net"
        try:
            write_net(self._fixed, self._net, self._replicas)
        except BaseException:
            self._finalizer()
            raise

    def _chunk(self, steps: int) -> int:
        return 2**31  # chunks are made below, in units of replicas

    def _run(self, spikes: Tensor, layers: bool, start: Start) -> Response:
        if os.getpid() != self._owner:
            raise SubstrateFailed("lava: a target works only in the process that opened it; open another one here")
        frames = spikes.detach().cpu().numpy().astype(np.uint8)
        if not isinstance(self._fixed.layers[0].source, Conv):
            frames = frames.reshape(*frames.shape[:2], -1)
        steps, batch = frames.shape[:2]
        streamed = start == "aligned" or not self.network.has_bias
        samples = _side_by_side(_lava_order(frames), self._replicas)
        with self._lock:
            pieces = [self._ask(sample, steps, layers, streamed) for sample in samples]
        recorded = [
            torch.from_numpy(_in_our_order(np.stack(layer), steps, batch, self._replicas, fixed.shape)).float()
            for layer, fixed in zip(zip(*pieces), self._fixed.layers if layers else self._fixed.layers[-1:])
        ]
        return Response(
            recorded[-1].reshape(steps, batch, *self.network.output_shape), None, recorded if layers else None
        )

    def _ask(self, sample: SpikeArray, steps: int, layers: bool, streamed: bool) -> list[SpikeArray]:
        """Spikes of the recorded layers for one sample of the simulation; replayed where the simulation was killed."""
        kills = 0
        while True:
            try:
                process = self._started(steps, layers, streamed)
                began = time.monotonic()
                shapes, payload = process.run(1, sample.tobytes(), self._deadline_s)
                self.run_s += time.monotonic() - began
                if not streamed:  # it takes one sample and is not reset
                    self._drop()
                return _unpacked(shapes, payload)
            except ChildDied:
                self._drop()
                if kills == RESTARTS:
                    raise
                kills += 1
                self.restarts += 1
            except BaseException:
                self._drop()
                raise

    def _started(self, steps: int, layers: bool, streamed: bool) -> LavaProcess:
        """The running simulation for samples of this length; another one is ended first."""
        self._need_open()
        if self._process is None or self._key != (steps, layers, streamed):
            self._drop()
            began = time.monotonic()
            process = LavaProcess(self._folder)
            self._process = self._held[0] = process
            self._need_open()  # another thread may have looked for what to close before there was anything
            self._key = (steps, layers, streamed)
            process.open(self._net, steps, layers, self._replicas > 1, streamed, START_DEADLINE_S)
            self.start_s += time.monotonic() - began
        return self._process

    def _need_open(self) -> None:
        if self._closed:
            raise TargetClosed("this lava target was closed while it was running")

    def _drop(self) -> None:
        if self._process is not None:
            self._process.close()
        self._process = self._held[0] = None  # not before: an interrupted close must be made up for

    def _close(self) -> None:
        self._finalizer()

    @property
    def pid(self) -> int | None:
        """Process id (and process group) of the running simulation, or None while there is none."""
        return None if self._process is None else self._process.pid


def _give_back(held: list[LavaProcess | None], folder: Path, owner: int) -> None:
    if os.getpid() != owner:  # a fork of the process that opened the target, ending
        return
    try:
        if held[0] is not None:
            held[0].close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _choose_replicas(fixed: FixedPointNetwork, wanted: int | None) -> int:
    if wanted is not None:
        if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 1:
            raise InputError(f"replicas: expected a whole number of at least 1, found {wanted!r}")
        if wanted > 1 and not can_replicate(fixed):
            raise Unsupported(f"substrate 'lava': replicas {wanted}: {NOT_REPLICABLE}; expected 1")
        return wanted
    if not can_replicate(fixed):
        return 1
    largest = max(layer.weight.size for layer in fixed.layers)
    return max(1, min(MOST_REPLICAS, math.isqrt(REPLICA_VALUES // largest)))


def _lava_order(frames: SpikeArray) -> SpikeArray:
    """(T, B, features) as it is; images (T, B, C, H, W) become (T, B, W, H, C)."""
    return frames.transpose(0, 1, 4, 3, 2) if frames.ndim == 5 else frames


def _side_by_side(frames: SpikeArray, replicas: int) -> list[SpikeArray]:
    """Samples of the simulation: `replicas` of ours laid next to each other in (T, replicas * features)."""
    if replicas == 1:
        return [np.ascontiguousarray(frames[:, index]) for index in range(frames.shape[1])]
    steps, batch, features = frames.shape
    rounds = -(-batch // replicas)
    padded = np.zeros((steps, rounds * replicas, features), np.uint8)
    padded[:, :batch] = frames
    return [np.ascontiguousarray(part) for part in padded.reshape(steps, rounds, -1).transpose(1, 0, 2)]


def _in_our_order(answers: SpikeArray, steps: int, batch: int, replicas: int, shape: tuple[int, ...]) -> SpikeArray:
    """Answers (rounds, T, lava shape) as (T, B, *shape)."""
    if len(shape) == 3:
        return np.ascontiguousarray(answers.transpose(1, 0, 4, 3, 2))
    apart = answers.reshape(len(answers), steps, replicas, shape[0]).transpose(1, 0, 2, 3)
    return np.ascontiguousarray(apart.reshape(steps, -1, shape[0])[:, :batch])


def _unpacked(shapes: list[list[int]], payload: bytes) -> list[SpikeArray]:
    """The arrays of one answer, without their axis over samples."""
    arrays, offset = [], 0
    for shape in shapes:
        size = math.prod(shape)
        arrays.append(np.frombuffer(payload, np.uint8, size, offset).reshape(shape)[0])
        offset += size
    return arrays
