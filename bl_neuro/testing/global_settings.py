"""Global settings of a calling program, which change no result or are refused; see `bl_neuro.isolation`."""

from __future__ import annotations

import decimal
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.modules.module as torch_modules
import torch.optim.optimizer as torch_optimizers
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

Refusal = Callable[[Callable[[], Any]], Any]


@contextmanager
def _changed(get: Callable[[], Any], put: Callable[[Any], object], value: Any) -> Iterator[None]:
    before = get()
    put(value)
    try:
        yield
    finally:
        put(before)


@contextmanager
def _default_device(device: str) -> Iterator[None]:
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def _denormals_flushed() -> Iterator[None]:
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@contextmanager
def _deterministic(warn_only: bool, fill: bool) -> Iterator[None]:
    memory: Any = torch.utils.deterministic
    before = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=warn_only)
    memory.fill_uninitialized_memory = fill
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)
        memory.fill_uninitialized_memory = before


@contextmanager
def _anomaly_detection() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that it takes time
        with torch.autograd.anomaly_mode.detect_anomaly():
            yield


@contextmanager
def _drawn_numbers() -> Iterator[None]:
    """Other states of the global random generators."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002 - the global generator
    random.seed(987)
    np.random.seed(987)  # noqa: NPY002
    torch.manual_seed(987)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])


def _saved_in_bfloat16() -> AbstractContextManager[None]:
    """Hooks that compress what the backward pass needs, with a loss."""

    def pack(tensor: Tensor) -> tuple[torch.dtype, Tensor]:
        return tensor.dtype, tensor.to(torch.bfloat16) if tensor.is_floating_point() else tensor

    def unpack(packed: tuple[torch.dtype, Tensor]) -> Tensor:
        return packed[1].to(packed[0])

    hooks: AbstractContextManager[None] = torch.autograd.graph.saved_tensors_hooks(pack, unpack)
    return hooks


@contextmanager
def _all_at_once() -> Iterator[None]:
    with (
        _dtype(torch.float16),
        _default_device("meta"),
        torch.autocast("cpu", torch.bfloat16),
        torch.inference_mode(),
        np.errstate(all="raise"),
        _drawn_numbers(),
        _saved_in_bfloat16(),
    ):
        yield


def _dtype(value: torch.dtype) -> AbstractContextManager[None]:
    return _changed(torch.get_default_dtype, torch.set_default_dtype, value)


def _threads(count: int) -> AbstractContextManager[None]:
    return _changed(torch.get_num_threads, torch.set_num_threads, count)


SETTINGS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "autocast to bfloat16": partial(torch.autocast, "cpu", torch.bfloat16),
    "default dtype bfloat16": partial(_dtype, torch.bfloat16),
    "default dtype float16": partial(_dtype, torch.float16),
    "default dtype float64": partial(_dtype, torch.float64),
    "default device meta": partial(_default_device, "meta"),
    "inside torch.device": partial(torch.device, "meta"),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "gradients disabled": partial(torch.set_grad_enabled, False),
    "deterministic algorithms": partial(_deterministic, warn_only=False, fill=False),
    "deterministic algorithms, with warnings": partial(_deterministic, warn_only=True, fill=False),
    "uninitialised memory filled": partial(_deterministic, warn_only=False, fill=True),
    "one thread": partial(_threads, 1),
    "two threads": partial(_threads, 2),
    "float32 products in bfloat16": partial(
        _changed, torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "medium"
    ),
    "denormals flushed": _denormals_flushed,
    "without oneDNN": partial(torch.backends.mkldnn.flags, False),
    "anomaly detection": _anomaly_detection,
    "NumPy raises": partial(np.errstate, all="raise"),
    "other random states": _drawn_numbers,
    "decimals of two digits": partial(decimal.localcontext, decimal.Context(prec=2, rounding=decimal.ROUND_UP)),
    "saved tensors in bfloat16": _saved_in_bfloat16,
    "saved tensors on the CPU": torch.autograd.graph.save_on_cpu,
    "hooks for saved tensors forbidden": partial(torch.autograd.graph.disable_saved_tensors_hooks, "forbidden"),
    "all at once": _all_at_once,
}
"""Context managers by the setting that they make; none changes a result."""


def _rounded(result: Any) -> Any:
    exact = isinstance(result, Tensor) and result.dtype in (torch.float32, torch.float64)
    return result.to(torch.bfloat16).to(result.dtype) if exact else result


class RoundedFunctions(TorchFunctionMode):
    """Rounds the results of torch's functions."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Calls `func` and rounds its result."""
        return _rounded(func(*args, **(kwargs or {})))


class RoundedOperators(TorchDispatchMode):
    """Rounds the results of torch's operators, except those that write in place."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Calls `func` and rounds its result."""
        result = func(*args, **(kwargs or {}))
        return result if func._schema.is_mutable else _rounded(result)


@contextmanager
def _registered(register: Callable[[Any], Any]) -> Iterator[None]:
    handle = register(lambda *_: None)
    try:
        yield
    finally:
        handle.remove()


def _inside(context: Callable[[], AbstractContextManager[Any]]) -> Refusal:
    def call(function: Callable[[], Any]) -> Any:
        with context():
            return function()

    return call


def _transformed(transform: Callable[[Any], Any]) -> Refusal:
    """Calls a function inside the function that `transform` makes of one with a tensor as its argument."""
    return lambda function: transform(lambda _: function())(torch.ones(1))


_HOOKS: dict[str, Callable[[Any], Any]] = {
    "forward_pre_hooks": torch_modules.register_module_forward_pre_hook,
    "forward_hooks": torch_modules.register_module_forward_hook,
    "backward_pre_hooks": torch_modules.register_module_full_backward_pre_hook,
    "backward_hooks": torch_modules.register_module_full_backward_hook,
    "buffer_registration_hooks": torch_modules.register_module_buffer_registration_hook,
    "module_registration_hooks": torch_modules.register_module_module_registration_hook,
    "parameter_registration_hooks": torch_modules.register_module_parameter_registration_hook,
    "optimizer_pre_hooks": torch_optimizers.register_optimizer_step_pre_hook,
    "optimizer_post_hooks": torch_optimizers.register_optimizer_step_post_hook,
}
_FUNC: Any = torch.func  # without types
REFUSED: dict[str, Refusal] = {
    "RoundedFunctions": _inside(RoundedFunctions),
    "RoundedOperators": _inside(RoundedOperators),
    "FlopCounterMode": _inside(partial(FlopCounterMode, display=False)),
    "FakeTensorMode": _inside(FakeTensorMode),
    "CloneArgBeforeMutateMode": _inside(torch.autograd.graph.allow_mutation_on_saved_tensors),
    "vmap": _transformed(torch.vmap),
    "grad": _transformed(_FUNC.grad),
    "jvp": _transformed(lambda function: lambda one: _FUNC.jvp(function, (one,), (one,))),
    "functionalize": _transformed(_FUNC.functionalize),
    "torch.jit.trace": _transformed(lambda function: lambda one: torch.jit.trace(function, one)),
    **{f"_global_{name}: .*lambda": _inside(partial(_registered, register)) for name, register in _HOOKS.items()},
}
"""Calls a function under a setting that is refused, by the pattern by which the error names the setting."""


def visible_interceptors() -> tuple[Any, ...]:
    """What intercepts computations in this thread."""
    return (
        torch._C._len_torch_function_stack(),
        torch._C._len_torch_dispatch_stack(),
        torch._C._functorch.peek_interpreter_stack() is None,
        [dict(hooks) for name, hooks in vars(torch_modules).items() if name.endswith("_hooks")],
        [dict(hooks) for name, hooks in vars(torch_optimizers).items() if name.endswith("_hooks")],
    )


def _derivative() -> float:
    """A derivative that depends on a saved tensor."""
    with torch.inference_mode(False), torch.enable_grad():
        one_third = torch.tensor(1 / 3, dtype=torch.float64, device="cpu", requires_grad=True)
        (derivative,) = torch.autograd.grad(one_third * one_third, one_third)
    return float(derivative)


def visible_settings() -> tuple[Any, ...]:
    """What a computation must leave as it was: settings and random states."""
    legacy = repr(np.random.get_state())  # noqa: NPY002
    return (
        torch.get_default_dtype(),
        torch.empty(0).device,
        torch.mm(torch.ones(1, 1, dtype=torch.float32, device="cpu"), torch.ones(1, 1, device="cpu").float()).dtype,
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_num_threads(),
        torch.get_float32_matmul_precision(),
        torch.backends.mkldnn.enabled,
        torch.are_deterministic_algorithms_enabled(),
        torch.is_anomaly_enabled(),
        float(torch.tensor(1e-310, dtype=torch.float64, device="cpu") * 1.0),
        np.geterr(),
        _derivative(),
        torch._C._autograd._saved_tensors_hooks_get_disabled_error_message(),
        visible_interceptors(),
        (random.getstate(), legacy, bytes(torch.get_rng_state().numpy())),
    )
