"""Global settings of a calling program, none of which may change a result; see `bl_neuro.isolation`."""

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


@contextmanager
def _all_at_once() -> Iterator[None]:
    with (
        _dtype(torch.float16),
        _default_device("meta"),
        torch.autocast("cpu", torch.bfloat16),
        torch.inference_mode(),
        np.errstate(all="raise"),
        _drawn_numbers(),
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
    "all at once": _all_at_once,
}
"""Context managers by the setting that they make."""


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
        (random.getstate(), legacy, bytes(torch.get_rng_state().numpy())),
    )
