"""Looking at a user's torch module without touching it: private copies, and its layers in the order they run."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import InputError, NetworkError, Unsupported
from bl_neuro.interop.parts import Part, Step, Synapse
from bl_neuro.layers import AveragePool, Flatten, SumPool

Named = tuple[str, nn.Module]


def private_copy(module: nn.Module, dtype: torch.dtype = torch.float64) -> nn.Module:
    """A copy of `module` on the CPU, in `dtype`, evaluating; nothing it does reaches the original.

    Raises:
        Unsupported: it cannot be copied.
    """
    if not isinstance(module, nn.Module):
        raise InputError(f"module: expected a torch.nn.Module, found {type(module).__name__}")
    for name, each in module.named_modules():
        place = f"{name or 'module'}: {type(each).__name__}"
        if isinstance(each, torch.jit.ScriptModule):
            raise Unsupported(f"{place}: a scripted module does not show its layers; pass the one that it was made of")
        if any(is_lazy(parameter) for parameter in each.parameters(recurse=False)):
            raise Unsupported(f"{place}: its weights are made when it first runs; run the module once before")
    try:
        return _copied(module, dtype)
    except Exception as error:  # a module of any make: anything can go wrong in its copying
        raise Unsupported(f"the module cannot be copied ({type(error).__name__}: {error})") from error


def _copied(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    # torch copies no tensor that belongs to a graph, as states do after a forward pass with gradients
    memo: dict[int, Any] = {}
    for each in module.modules():
        for value in (*vars(each).values(), *each._buffers.values()):
            if isinstance(value, Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    copied: nn.Module = copy.deepcopy(module, memo)
    for parameter in copied.parameters():
        parameter.requires_grad_(False)
        parameter.grad = None
    return copied.to("cpu", dtype).eval()


@contextmanager
def undisturbed() -> Iterator[None]:
    """No gradients, and the random state of torch is put back afterwards."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        yield


def in_order(module: nn.Module, order: Sequence[str] | None, plain: tuple[type[nn.Module], ...]) -> list[Named]:
    """Names and layers of `module` in the order they run.

    order: their names, dotted, for a module with a forward of its own. plain: the containers whose forward runs their
    children one after the other; containers inside containers are opened.

    Raises:
        Unsupported, InputError: the order cannot be known, names nothing, or leaves a layer out.
    """
    if order is None:
        if not _is_plain(module, plain):
            raise Unsupported(
                f"{type(module).__name__} has a forward of its own, which cannot be read from outside; pass "
                "order=[names of its layers in the order they run], such as ['fc1', 'lif1', 'fc2', 'lif2']"
            )
        found = list(_opened("", module, plain))
    else:
        found = _picked(module, order, plain)
    seen: dict[int, str] = {}
    for name, layer in found:
        if id(layer) in seen and not _is_stateless(layer):
            raise Unsupported(
                f"{name}: the same object as {seen[id(layer)]}: the neurons of two layers have to be two objects, also "
                "where their states are handed from step to step; copy.deepcopy makes another"
            )
        seen[id(layer)] = name
    return found


def _is_stateless(layer: nn.Module) -> bool:
    """Whether it is a layer of torch's without values of its own, such as a pooling that is used again."""
    return type(layer).__module__.startswith("torch.nn.modules.") and next(layer.parameters(), None) is None


def _is_plain(module: nn.Module, plain: tuple[type[nn.Module], ...]) -> bool:
    return any(isinstance(module, kind) and type(module).forward is kind.forward for kind in plain)


def _opened(prefix: str, module: nn.Module, plain: tuple[type[nn.Module], ...]) -> Iterator[Named]:
    for name, child in module._modules.items():  # named_children drops an object that comes again
        if child is None:
            continue
        full = f"{prefix}{name}"
        if _is_plain(child, plain):
            yield from _opened(f"{full}.", child, plain)
        else:
            yield full, child


def _picked(module: nn.Module, order: Sequence[str], plain: tuple[type[nn.Module], ...]) -> list[Named]:
    named = dict(module.named_modules())
    missing = [name for name in order if not isinstance(name, str) or not name or name not in named]
    if isinstance(order, str) or missing:
        raise InputError(f"order: expected names among {', '.join(filter(None, named))}; found {order!r}")
    found: list[Named] = []
    for name in order:
        inside = list(_opened(f"{name}.", named[name], plain)) if _is_plain(named[name], plain) else None
        found += inside if inside is not None else [(name, named[name])]
    used = {id(each) for _, layer in found for each in layer.modules()}
    left = [name for name, each in named.items() if not list(each.children()) and id(each) not in used]
    counted = [name for name in left if name and not isinstance(named[name], (nn.Identity, nn.Dropout, nn.Dropout2d))]
    if counted:
        raise InputError(f"order: leaves out {', '.join(counted)}")
    return found


def values_of(value: Any) -> FloatArray:
    """A parameter, tensor or number as float64."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().to(torch.float64).numpy()
    return np.asarray(value, dtype=np.float64)


SILENT: tuple[type[nn.Module], ...] = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d)
"""Layers that do nothing while a module is evaluated."""
_HINTS: dict[str, str] = {
    "MaxPool2d": "the maximum of spikes is not linear; use AvgPool2d or a stride",
    "BatchNorm2d": "fold it into the convolution first: torch.nn.utils.fusion.fuse_conv_bn_eval",
    "BatchNorm1d": "fold it into the linear layer first: torch.nn.utils.fusion.fuse_linear_bn_eval",
}


def torch_part(name: str, layer: nn.Module, lead: int = 1) -> Part | None:
    """The part that `layer` is, None where it does nothing; `lead` axes (batch, or time and batch) come before shapes.

    Raises:
        NetworkError: it is none; the reason is said under its name.
    """
    kind = type(layer)
    if kind in SILENT:
        return None
    if kind is nn.Linear:
        return Synapse(name, values_of(layer.weight), _bias(layer))
    if kind is nn.Conv2d:
        return Synapse(name, values_of(layer.weight), _bias(layer), _geometry(name, layer))
    if kind is nn.Flatten:
        if layer.start_dim != lead or layer.end_dim not in (-1, lead + 2):
            raise NetworkError([f"{name}: Flatten({layer.start_dim}, {layer.end_dim}): expected Flatten({lead}, -1)"])
        return Step(name, Flatten())
    if kind is nn.AvgPool2d:
        return Step(name, _pool(name, layer))
    hint = _HINTS.get(kind.__name__, "it has no counterpart in a network")
    raise NetworkError([f"{name}: {kind.__name__}: {hint}"])


def _bias(layer: Any) -> Any:
    return None if layer.bias is None else values_of(layer.bias)


def _geometry(name: str, layer: Any) -> dict[str, Any]:
    padding: Any = layer.padding
    if layer.padding_mode != "zeros":
        raise NetworkError([f"{name}: padding_mode '{layer.padding_mode}': expected 'zeros'"])
    if padding == "valid":
        padding = 0
    elif padding == "same":
        reach = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size)]
        if any(each % 2 for each in reach):
            raise NetworkError([f"{name}: padding 'same' of an even kernel pads one side more than the other"])
        padding = tuple(each // 2 for each in reach)
    return {"stride": layer.stride, "padding": padding, "dilation": layer.dilation, "groups": layer.groups}


def _pool(name: str, layer: Any) -> AveragePool | SumPool:
    if layer.ceil_mode or any(torch.as_tensor(layer.padding).ravel().tolist()):
        raise NetworkError([f"{name}: AvgPool2d with padding or ceil_mode: expected neither"])
    if layer.divisor_override not in (None, 1):
        raise NetworkError([f"{name}: AvgPool2d: divisor_override {layer.divisor_override}: expected None or 1"])
    pool = AveragePool if layer.divisor_override is None else SumPool
    return pool(layer.kernel_size, layer.stride)
