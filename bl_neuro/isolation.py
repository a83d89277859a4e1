"""Isolates computations from the global settings of the calling program, so that these never change a result.

Set for the duration of a computation, and restored afterwards:

    of the thread       autocast off, inference mode off, gradients on, default device CPU, denormal numbers kept,
                        NumPy's floating-point errors as by default
    of the process      default dtype float32, float32 products in full precision, oneDNN on

Settings of the process are restored when no other thread computes any more. Settings that change no result are left
alone: deterministic algorithms, the filling of uninitialised memory, anomaly detection, random states. The number of
threads is left alone too: it may change the last bits of floating-point sums, as anywhere in PyTorch.

Hooks for saved tensors and `torch.compile` are kept out of the computation. Code of the caller that torch would run in
the middle of it, and that may change any value, is refused by name: modes (TorchFunctionMode, TorchDispatchMode),
transforms of torch.func, torch.jit.trace, and hooks that are registered for all modules or all optimizers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
import torch.nn.modules.module as torch_modules
import torch.optim.optimizer as torch_optimizers
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


def _private(path: str) -> Any:
    """A function of torch._C that is not part of its public interface; where it is missing, one that returns None."""
    part: Any = torch._C
    for name in path.split("."):
        part = getattr(part, name, None)
    return part or _nothing


def _nothing(*_: object) -> None:
    return None


_function_modes, _function_mode = _private("_len_torch_function_stack"), _private("_get_function_stack_at")
_dispatch_modes, _dispatch_mode = _private("_len_torch_dispatch_stack"), _private("_get_dispatch_stack_at")
_transform = _private("_functorch.peek_interpreter_stack")
_is_traced = _private("_is_tracing")
_set_frame_compiler = _private("_dynamo.eval_frame.set_eval_frame")
_never_compile = _private("_dynamo.eval_frame.skip_code")
_forbid_saved_hooks = _private("_autograd._saved_tensors_hooks_disable")
_allow_saved_hooks = _private("_autograd._saved_tensors_hooks_enable")
_are_saved_hooks_allowed = _private("_autograd._saved_tensors_hooks_is_enabled")


def _global_hooks(module: Any) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """The variables of a module of torch, and the names of those that hold hooks of the whole process."""
    variables = vars(module)
    return variables, tuple(name for name in variables if name.startswith("_global_") and name.endswith("_hooks"))


_MODULE_VARIABLES, _MODULE_HOOKS = _global_hooks(torch_modules)
_OPTIMIZER_VARIABLES, _OPTIMIZER_HOOKS = _global_hooks(torch_optimizers)


def isolated(function: Callable[P, R]) -> Callable[P, R]:
    """Decorates a function so that it runs in `isolation`, and never inside `torch.compile`."""
    return _decorated(function, keeps_grad_mode=False)


def isolated_in_grad_mode(function: Callable[P, R]) -> Callable[P, R]:
    """Like `isolated`, but `torch.no_grad()` around a call stays in force."""
    return _decorated(function, keeps_grad_mode=True)


def _decorated(function: Callable[P, R], keeps_grad_mode: bool) -> Callable[P, R]:
    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with isolation(keeps_grad_mode):
            return function(*args, **kwargs)

    # what torch.compiler.disable does, without its import of the compiler, which takes seconds
    wrapper: Any = run
    _never_compile(wrapper.__code__)
    wrapper._torchdynamo_disable = True
    return run


def isolation(keeps_grad_mode: bool = False) -> AbstractContextManager[None]:
    """Runs a block with the settings above. keeps_grad_mode: whether `torch.no_grad()` around the block stays in force.

    Raises:
        InputError: torch would run code of the caller in the middle of the computation, such as a FakeTensorMode.
    """
    return _Isolation(keeps_grad_mode)


class _Isolation(AbstractContextManager[None]):
    """A class, which is faster than a generator: every query enters one."""

    def __init__(self, keeps_grad_mode: bool) -> None:
        self._keeps_grad_mode = keeps_grad_mode
        self._thread: list[Undo] = []

    def __enter__(self) -> None:
        self._frame_compiler = _set_frame_compiler(None)
        try:
            self._process = _PROCESS.enter()
        except BaseException:
            self._restore_compiler()
            raise
        try:
            _check_interception()
            _set_thread(torch.is_grad_enabled() or not self._keeps_grad_mode, self._thread)
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *error: object) -> None:
        try:
            if self._thread:
                _undo_all(self._thread)
        finally:
            try:
                _PROCESS.leave(self._process)
            finally:
                self._restore_compiler()

    def _restore_compiler(self) -> None:
        if self._frame_compiler is not None:
            _set_frame_compiler(self._frame_compiler)


def _undo_all(changes: list[Undo]) -> None:
    """Restores all changes, the last one first, also if restoring one of them fails."""
    with ExitStack() as stack:
        for undo in changes:
            stack.callback(undo)


def _set_thread(grad_mode: bool, changes: list[Undo]) -> None:
    """Sets what is not as above in this thread; adds to `changes` how to restore it."""
    if np.geterr() != NUMPY_ERRORS:
        _enter(np.errstate(**NUMPY_ERRORS), changes)
    if torch.is_inference_mode_enabled():
        _enter(torch.inference_mode(False), changes)  # turns gradients on
    if torch.is_grad_enabled() != grad_mode:
        _enter(torch.set_grad_enabled(grad_mode), changes)
    fresh = torch.empty(0)
    if type(fresh) is not Tensor:
        raise InputError(f"torch: a mode is active that makes every tensor a {type(fresh).__name__}; leave it before")
    if not fresh.is_cpu:
        _enter(torch.device("cpu"), changes)
    if torch.is_autocast_enabled():  # of GPUs
        _enter(torch.autocast("cuda", enabled=False), changes)
    if _cpu_autocast():
        _enter(torch.autocast("cpu", enabled=False), changes)
    if _DENORMAL * _FACTOR == 0.0 and torch.set_flush_denormal(False):
        changes.append(partial(torch.set_flush_denormal, True))
    if _has_saved_hooks():  # only the innermost pair acts
        _enter(torch.autograd.graph.saved_tensors_hooks(Tensor.detach, _unchanged), changes)


def _enter(context: AbstractContextManager[Any], changes: list[Undo]) -> None:
    context.__enter__()
    changes.append(partial(context.__exit__, None, None, None))


def _check_interception() -> None:
    """Raises InputError if torch would run code of the caller in the middle of a computation."""
    if (
        _function_modes()
        or _dispatch_modes()
        or _transform() is not None
        or _is_traced()
        or any(map(_MODULE_VARIABLES.get, _MODULE_HOOKS))
        or any(map(_OPTIMIZER_VARIABLES.get, _OPTIMIZER_HOOKS))
    ):
        problems = _interceptions()
        if problems:
            raise InputError(f"torch: {'; '.join(problems)}")


def _has_saved_hooks() -> bool:
    """Whether hooks for saved tensors are active in this thread: torch refuses to forbid them then."""
    if not _are_saved_hooks_allowed():
        return False
    try:
        _forbid_saved_hooks("bl_neuro.isolation")
    except RuntimeError:
        return True
    finally:
        _allow_saved_hooks()
    return False


def _unchanged(tensor: Tensor) -> Tensor:
    return tensor


def _interceptions() -> list[str]:
    """All code of the caller that torch would run in the middle of a computation, and how to prevent it."""
    modes = [_function_mode(place) for place in range(_function_modes() or 0)]
    modes = [mode for mode in modes if type(mode).__module__ != "torch.utils._device"]  # the default device
    modes += [_dispatch_mode(place) for place in range(_dispatch_modes() or 0)]
    problems = [
        f"{type(mode).__module__}.{type(mode).__qualname__} is active; leave it before the call" for mode in modes
    ]
    transform = _transform()
    if transform is not None:
        problems.append(
            f"a transform of torch.func ({transform.key().name.lower()}) is active; make the call outside of it, and "
            "use WhiteBox.gradient for derivatives"
        )
    if _is_traced():
        problems.append("torch.jit.trace is active; make the call outside of the traced function")
    hooks = [(_MODULE_VARIABLES, name) for name in _MODULE_HOOKS]
    hooks += [(_OPTIMIZER_VARIABLES, name) for name in _OPTIMIZER_HOOKS]
    problems += [
        f"hooks are registered for the whole process ({variables['__name__']}.{name}: "
        f"{', '.join(map(_hook_name, variables[name].values()))}); call remove() of the handles that their "
        "registration returned"
        for variables, name in hooks
        if variables[name]
    ]
    return problems


def _hook_name(hook: Any) -> str:
    return getattr(hook, "__qualname__", type(hook).__name__)


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
