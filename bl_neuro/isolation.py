"""Isolates computations from the global settings of the calling program, so that these never change a result.

Set for the duration of a computation, and restored afterwards:

    of the thread       autocast off, inference mode off, gradients on, default device CPU, denormal numbers kept,
                        NumPy's floating-point errors as by default
    of the process      default dtype float32, float32 products in full precision, oneDNN on

Settings of the process are restored when no other thread computes any more. Settings that change no result are left
alone: deterministic algorithms, the filling of uninitialised memory, anomaly detection, random states. The number of
threads is left alone too: it may change the last bits of floating-point sums, as anywhere in PyTorch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

from bl_neuro.errors import InputError

P = ParamSpec("P")
R = TypeVar("R")
Undo = Callable[[], object]
PRECISION = "highest"
NUMPY_ERRORS: dict[str, Any] = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
_on_device: Any = torch.is_autocast_enabled
_cpu_autocast: Callable[[], bool] = partial(_on_device, "cpu")
try:
    _cpu_autocast()
except TypeError:  # torch before 2.4
    _cpu_autocast = torch.is_autocast_cpu_enabled
_DENORMAL, _FACTOR = 5e-324, 1.0  # variables: a product of constants would be computed once, by the compiler


def isolated(function: Callable[P, R]) -> Callable[P, R]:
    """Decorates a function so that it runs in `isolation`."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with isolation():
            return function(*args, **kwargs)

    return run


@contextmanager
def isolation(keeps_grad_mode: bool = False) -> Iterator[None]:
    """Runs a block with the settings above. keeps_grad_mode: whether `torch.no_grad()` around the block stays in force.

    Raises:
        InputError: a mode is active that replaces tensors, such as torch's FakeTensorMode.
    """
    grad_mode = torch.is_grad_enabled() or not keeps_grad_mode
    changes = _PROCESS.enter()
    try:
        with ExitStack() as stack:
            if np.geterr() != NUMPY_ERRORS:
                stack.enter_context(np.errstate(**NUMPY_ERRORS))
            if torch.is_inference_mode_enabled():
                stack.enter_context(torch.inference_mode(False))  # turns gradients on
            if torch.is_grad_enabled() != grad_mode:
                stack.enter_context(torch.set_grad_enabled(grad_mode))
            fresh = torch.empty(0)
            if type(fresh) is not Tensor:
                raise InputError(
                    f"torch: a mode is active that makes every tensor a {type(fresh).__name__}; leave it before"
                )
            if not fresh.is_cpu:
                stack.enter_context(torch.device("cpu"))
            if torch.is_autocast_enabled():  # of GPUs
                stack.enter_context(torch.autocast("cuda", enabled=False))
            if _cpu_autocast():
                stack.enter_context(torch.autocast("cpu", enabled=False))
            if _DENORMAL * _FACTOR == 0.0 and torch.set_flush_denormal(False):
                stack.callback(torch.set_flush_denormal, True)
            yield
    finally:
        _PROCESS.leave(changes)


class _ProcessSettings:
    """The settings of the process, which threads share: the last thread to leave restores them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside: dict[int, int] = {}
        self._postponed: list[Undo] = []

    def enter(self) -> list[Undo]:
        """Sets what is not as above; returns how to restore it."""
        with self._lock:
            thread = threading.get_ident()
            self._inside[thread] = self._inside.get(thread, 0) + 1
            return _set_process()

    def leave(self, changes: list[Undo]) -> None:
        """Restores the changes of one `enter`, or postpones that while other threads compute."""
        thread = threading.get_ident()
        with self._lock:
            depth = self._inside.pop(thread) - 1
            if self._inside:  # other threads
                self._postponed += changes
            else:
                if not depth:
                    changes, self._postponed = self._postponed + changes, []
                for undo in changes:
                    undo()
            if depth:
                self._inside[thread] = depth


def _set_process() -> list[Undo]:
    changes: list[Undo] = []
    dtype, precision = torch.get_default_dtype(), torch.get_float32_matmul_precision()
    if dtype != torch.float32:
        torch.set_default_dtype(torch.float32)
        changes.append(partial(torch.set_default_dtype, dtype))
    if precision != PRECISION:
        torch.set_float32_matmul_precision(PRECISION)
        changes.append(partial(torch.set_float32_matmul_precision, precision))
    if not torch.backends.mkldnn.enabled:
        torch.backends.mkldnn.set_flags(True)
        changes.append(partial(torch.backends.mkldnn.set_flags, False))
    return changes


_PROCESS = _ProcessSettings()
