"""A network on the emulator: exact fixed point forward, and the canonical surrogate gradient backward."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from bl_neuro.backends.declaration import Declaration, Start
from bl_neuro.backends.inputs import Accepted, need_valid_values, per_frame, shaped_input
from bl_neuro.backends.loihi.gradient import Differentiator
from bl_neuro.backends.loihi.program import LayerTrace, Program, compile_network
from bl_neuro.backends.target import Response, Target, joined
from bl_neuro.errors import InputError
from bl_neuro.layers import Flatten, Input, Shape
from bl_neuro.loihi_numbers import input_drive
from bl_neuro.network import Network

PIECE_VALUES = 2**23
"""Maximum number of values (T x B x widest layer) of one piece of a batch: about a megabyte of bits, which fits in
cache."""
SHARED_VALUES = 2**20
"""Number of values from which a batch is shared among threads."""
NARROWEST = 128
"""Minimum number of values that a frame counts for, however narrow the layers are."""
Engine = Literal["kernel", "torch"]


class _Runs(Protocol):
    def run(self, inputs: Any, lead: int, records: list[bool]) -> Sequence[LayerTrace]: ...


class LoihiTarget(Target):
    """A network on the emulator."""

    takes_floats = False

    def __init__(
        self,
        network: Network,
        backend: type[Declaration],
        engine: Engine | None,
        device: str | torch.device,
        threads: int | None,
    ) -> None:
        super().__init__(network, backend)
        self._device = checked_device(device)
        chosen = engine or ("kernel" if self._device.type == "cpu" and not _compilation_is_disabled() else "torch")
        if chosen not in ("kernel", "torch") or (chosen == "kernel" and self._device.type != "cpu"):
            raise InputError(f"engine: expected 'kernel' (CPU only) or 'torch', found {engine!r}")
        if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
            raise InputError(f"threads: expected a whole number of at least 1, found {threads!r}")
        self._threads = threads
        self._lock = threading.Lock()
        self._pool: tuple[tuple[int, int], ThreadPoolExecutor] | None = None
        self._programs = compile_network(network)
        self._engine = _engine(chosen, self._programs, self._device)
        self._differentiator = Differentiator(network, self._programs)
        self._packs = chosen == "kernel" and self._programs[0].kind != "input"

    def _checked(self, x: Any) -> Accepted:
        if not self._packs:
            return super()._checked(x)
        from bl_neuro.backends.loihi.kernel_engine import PACKED_DTYPES, pack

        spikes = shaped_input(x, self.network)
        if spikes.dtype not in PACKED_DTYPES or not spikes.is_cpu:
            need_valid_values(spikes, self.network)
            return Accepted(spikes)
        frames, valid = pack(spikes.detach())
        if not valid:
            need_valid_values(spikes, self.network)
        return Accepted(spikes, frames)

    def _run_with_states(self, inputs: Tensor, start: Start) -> Response:
        pieces = inputs.split(self._chunk(inputs.shape[0]), dim=1)
        return joined([self._answer(self._engine_input(piece), True, start, states=True) for piece in pieces])

    def _chunk(self, steps: int) -> int:
        widest = max(int(np.prod(shape)) for shape in (self.network.input_shape, *self.network.shapes))
        return max(1, min(super()._chunk(steps), PIECE_VALUES // (steps * max(widest, NARROWEST))))

    def _run_batch(self, accepted: Accepted, layers: bool, start: Start) -> Response:
        spikes, threads = accepted.spikes, self._threads or torch.get_num_threads()
        chunk = self._chunk(len(spikes))
        if spikes.numel() >= SHARED_VALUES and self._device.type == "cpu":
            rounds = -(-accepted.batch // (chunk * threads))
            chunk = -(-accepted.batch // (rounds * threads))
        if accepted.packed is not None:
            pieces = [accepted.packed.part(low, low + chunk) for low in range(0, accepted.batch, chunk)]
        else:
            pieces = [self._engine_input(piece) for piece in spikes.split(chunk, dim=1)]
        if len(pieces) == 1 or threads == 1 or self._device.type != "cpu":
            return joined([self._answer(piece, layers, start) for piece in pieces])
        return joined(list(self._workers(threads).map(lambda piece: self._answer(piece, layers, start), pieces)))

    def _workers(self, threads: int) -> ThreadPoolExecutor:
        """The target's thread pool, kept between runs, since new threads for each run would increase memory use."""
        key = os.getpid(), threads  # a forked process does not have its parent's threads
        with self._lock:
            if self._pool is None or self._pool[0] != key:
                self._pool = key, ThreadPoolExecutor(threads, thread_name_prefix="bl-neuro-loihi")
            return self._pool[1]

    def _close(self) -> None:
        if self._pool is not None and self._pool[0][0] == os.getpid():
            self._pool[1].shutdown()

    def _run(self, spikes: Tensor, layers: bool, start: Start) -> Response:
        if not (spikes.requires_grad and torch.is_grad_enabled()):
            return self._answer(self._engine_input(spikes), layers, start)
        lead = self._lead(start)
        with torch.no_grad():
            traces = self._engine.run(self._engine_input(spikes), lead, [True] * len(self._programs))
        return self._differentiator.response(traces, spikes, lead, layers)

    def _answer(self, inputs: Any, layers: bool, start: Start, states: bool = False) -> Response:
        records = [False] * (len(self._programs) - 1) + [True]
        lead = self._lead(start)
        traces = self._engine.run(inputs, lead, records)
        last = self._programs[-1]
        voltage = traces[-1].voltage
        if voltage is None:
            raise RuntimeError("the output layer's voltages were not recorded")
        steps = len(voltage) - lead * sum(program.kind != "input" for program in self._programs)
        shape = self.network.output_shape
        membrane = _shaped(voltage, last, steps, shape).to(torch.float32) / last.membrane_unit
        return Response(
            _shaped(traces[-1].spikes, last, steps, shape).to(torch.float32),
            membrane,
            self._layers(traces, steps) if layers else None,
            self._states(traces) if states else None,
        )

    def _layers(self, traces: Sequence[LayerTrace], steps: int) -> list[Tensor]:
        shapes = [program.shape for program in self._programs]
        if isinstance(self.network.layers[-1], Flatten):
            shapes[-1] = self.network.output_shape
        rows = zip(traces, self._programs, shapes)
        return [_shaped(trace.spikes, program, steps, shape).to(torch.float32) for trace, program, shape in rows]

    def _states(self, traces: Sequence[LayerTrace]) -> list[tuple[Tensor, ...]]:
        states: list[tuple[Tensor, ...]] = []
        for trace, program in zip(traces, self._programs):
            pair = [state.reshape(-1, *program.shape).long() for state in (trace.current, trace.final_voltage)]
            states.append((pair[0], pair[1]))
        return states

    def _lead(self, start: Start) -> int:
        """Time steps that a layer runs before its first input; without biases they have no effect and are skipped."""
        return 1 if start == "cold" and self.network.has_bias else 0

    def _engine_input(self, inputs: Tensor) -> Any:
        """Input of the engine: packed spikes, or spikes (T, B, M) as uint8, or the drive of input neurons as int32."""
        first = self._programs[0].layer.source
        if isinstance(first, Input):
            drive = torch.from_numpy(input_drive(first, inputs.detach().to(torch.float64).numpy()))
            return drive.flatten(2).to(torch.int32)
        spikes = per_frame(lambda frames: frames.detach().to(torch.uint8).flatten(2), inputs.detach())
        if not self._packs:
            return spikes
        from bl_neuro.backends.loihi.kernel_engine import pack

        return pack(spikes)[0]


def _compilation_is_disabled() -> bool:
    """Whether NUMBA_DISABLE_JIT is set, with which the kernels do not work."""
    import numba

    config: Any = numba.config
    return bool(config.DISABLE_JIT)


def _engine(name: str, programs: list[Program], device: torch.device) -> _Runs:
    if name == "torch":
        from bl_neuro.backends.loihi.torch_engine import TorchEngine

        return TorchEngine(programs, device)
    if _compilation_is_disabled():
        raise InputError("engine: expected 'torch' while NUMBA_DISABLE_JIT disables compilation, found 'kernel'")
    from bl_neuro.backends.loihi.kernel_engine import KernelEngine

    return KernelEngine(programs)


def checked_device(device: str | torch.device) -> torch.device:
    """The device of an option. Raises InputError if torch cannot use it."""
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen)
    except (RuntimeError, AssertionError, TypeError) as error:  # AssertionError: built without this device
        raise InputError(f"device: expected a device that torch can use, found {device!r} ({error})") from error
    return chosen


def _shaped(values: Tensor, program: Program, steps: int, shape: Shape) -> Tensor:
    """The last `steps` of a layer's values (T, B, N) as (T, B, *shape) on the CPU."""
    return values[-steps:].reshape(steps, values.shape[1], *shape).cpu()
