"""Inspection of a user's torch module without modifying it: private copies, and its layers in execution order."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from bl_neuro.errors import InputError, NetworkError, Unsupported
from bl_neuro.interop.parts import Normalization, Part, Step, Synapse
from bl_neuro.interop.plain_calls import changed_call, is_plain_container, need_plain_call
from bl_neuro.interop.plain_values import tensor_kind, values_of
from bl_neuro.interop.plain_weights import make_plain
from bl_neuro.layers import AveragePool, Flatten, SumPool

Named = tuple[str, nn.Module]


def private_copy(module: nn.Module, dtype: torch.dtype = torch.float64) -> nn.Module:
    """A copy of `module` on the CPU, in `dtype` and evaluation mode, that is independent of the original.

    Raises:
        Unsupported: the module cannot be copied.
    """
    if not isinstance(module, nn.Module):
        raise InputError(f"module: expected a torch.nn.Module, found {type(module).__name__}")
    for name, submodule in module.named_modules():
        place = f"{name or 'module'}: {type(submodule).__name__}"
        if isinstance(submodule, torch.jit.ScriptModule):
            raise Unsupported(f"{place}: a scripted module does not expose its layers; pass the original module")
        if any(is_lazy(parameter) for parameter in submodule.parameters(recurse=False)):
            raise Unsupported(f"{place}: its weights are created by the first forward pass; run the module once before")
        for kind, tensors in (("parameter", submodule._parameters), ("buffer", submodule._buffers)):
            for key, value in tensors.items():
                unusual = "" if value is None else tensor_kind(value)
                if unusual:
                    raise Unsupported(f"{place}: {kind} {key}: expected real values in a dense tensor, found {unusual}")
    try:
        return _copied(module, dtype)
    except Unsupported:
        raise
    except Exception as error:  # copying an arbitrary module may raise anything
        raise Unsupported(f"the module cannot be copied ({type(error).__name__}: {error})") from error


def _copied(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    # torch cannot copy tensors that belong to a graph, like states after a forward pass with gradients
    memo: dict[int, Any] = {}
    for submodule in module.modules():
        for value in (*vars(submodule).values(), *submodule._buffers.values()):
            if isinstance(value, Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    copied: nn.Module = copy.deepcopy(module, memo)
    copied.eval()
    for name, submodule in list(copied.named_modules()):
        make_plain(name, submodule)
    for parameter in copied.parameters():
        parameter.requires_grad_(False)
        parameter.grad = None
    return copied.to("cpu", dtype)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Disables gradients and restores torch's random state afterwards."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        yield


def in_order(module: nn.Module, order: Sequence[str] | None, plain: tuple[type[nn.Module], ...]) -> list[Named]:
    """Names and layers of `module` in execution order.

    order: dotted names of the layers, for a module with a custom forward. plain: container classes whose forward runs
    their children in sequence; nested containers are expanded.

    Raises:
        Unsupported, InputError: the order is unknown, contains invalid names, or omits a layer.
    """
    if order is None:
        if not is_plain_container(module, plain):
            raise Unsupported(
                f"{type(module).__name__} {changed_call(module) or 'has a custom forward'}, so the order of its layers "
                "is unknown; pass order=[names of its layers in execution order], such as "
                "['fc1', 'lif1', 'fc2', 'lif2']"
            )
        layers = layers_inside("", module, plain)
    else:
        layers = _picked(module, order, plain)
    need_plain_layers(layers)
    return layers


def need_plain_layers(layers: Sequence[Named]) -> None:
    """Checks that `layers` are plain layers (see `plain_calls`), and that no layer with a state occurs twice.

    Raises:
        Unsupported: a layer cannot be converted.
    """
    names: dict[int, str] = {}
    for name, layer in layers:
        need_plain_call(name, layer)
        if id(layer) in names and not _is_stateless(layer):
            raise Unsupported(
                f"{name}: the same object as {names[id(layer)]}: the neurons of two layers must be two objects, "
                "even if their states are passed explicitly; use copy.deepcopy"
            )
        names[id(layer)] = name


def _is_stateless(layer: nn.Module) -> bool:
    """Whether `layer` is a torch layer without parameters, such as pooling, which may be used repeatedly."""
    return type(layer).__module__.startswith("torch.nn.modules.") and next(layer.parameters(), None) is None


def layers_inside(prefix: str, container: nn.Module, plain: tuple[type[nn.Module], ...]) -> list[Named]:
    """Names, with `prefix`, and layers of a plain container in execution order; containers in it are expanded."""
    layers: list[Named] = []
    for name, child in container._modules.items():  # named_children omits repeated objects
        if child is not None and is_plain_container(child, plain):
            layers += layers_inside(f"{prefix}{name}.", child, plain)
        elif child is not None:
            layers.append((f"{prefix}{name}", child))
    return layers


def _picked(module: nn.Module, order: Sequence[str], plain: tuple[type[nn.Module], ...]) -> list[Named]:
    modules = dict(module.named_modules())
    missing = [name for name in order if not isinstance(name, str) or not name or name not in modules]
    if isinstance(order, str) or missing:
        raise InputError(f"order: expected names among {', '.join(filter(None, modules))}; found {order!r}")
    layers: list[Named] = []
    for name in order:
        is_container = is_plain_container(modules[name], plain)
        layers += layers_inside(f"{name}.", modules[name], plain) if is_container else [(name, modules[name])]
    used = {id(submodule) for _, layer in layers for submodule in layer.modules()}
    unused = [
        name for name, submodule in modules.items() if not list(submodule.children()) and id(submodule) not in used
    ]
    missing_layers = [
        name for name in unused if name and not isinstance(modules[name], (nn.Identity, nn.Dropout, nn.Dropout2d))
    ]
    if missing_layers:
        raise InputError(f"order: expected every layer of the module; missing: {', '.join(missing_layers)}")
    return layers


INACTIVE: tuple[type[nn.Module], ...] = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d)
"""Layers without effect in evaluation mode."""
_HINTS: dict[str, str] = {
    "MaxPool2d": "a maximum is not linear; put an AvgPool2d of the same size in its place, which has no weights of its "
    "own, and train again for a few epochs",
}


def torch_part(name: str, layer: nn.Module, lead: int = 1) -> Part | None:
    """`layer` as a part, None if it has no effect. lead: number of axes (batch, or time and batch) before the shape.

    Raises:
        NetworkError: the layer is not supported; the message gives its name and the reason.
    """
    kind = type(layer)
    if kind in INACTIVE:
        return None
    if kind is nn.Linear:
        return Synapse(name, values_of(layer.weight, f"{name}: weight"), _bias(name, layer))
    if kind is nn.Conv2d:
        return Synapse(name, values_of(layer.weight, f"{name}: weight"), _bias(name, layer), _geometry(name, layer))
    if kind is nn.Flatten:
        if layer.start_dim != lead or layer.end_dim not in (-1, lead + 2):
            raise NetworkError([f"{name}: Flatten({layer.start_dim}, {layer.end_dim}): expected Flatten({lead}, -1)"])
        return Step(name, Flatten())
    if kind is nn.AvgPool2d:
        return Step(name, _pool(name, layer))
    if kind in (nn.BatchNorm1d, nn.BatchNorm2d):
        return _normalization(name, layer)
    hint = _HINTS.get(kind.__name__, "it has no counterpart in a network")
    raise NetworkError([f"{name}: {kind.__name__}: {hint}"])


def _bias(name: str, layer: Any) -> Any:
    return None if layer.bias is None else values_of(layer.bias, f"{name}: bias")


def _geometry(name: str, layer: Any) -> dict[str, Any]:
    padding: Any = layer.padding
    if layer.padding_mode != "zeros":
        raise NetworkError([f"{name}: padding_mode '{layer.padding_mode}': expected 'zeros'"])
    if padding == "valid":
        padding = 0
    elif padding == "same":
        reach = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size)]
        if any(extent % 2 for extent in reach):
            raise NetworkError([f"{name}: padding 'same' with an even kernel is asymmetric, which is not supported"])
        padding = tuple(extent // 2 for extent in reach)
    return {"stride": layer.stride, "padding": padding, "dilation": layer.dilation, "groups": layer.groups}


def _normalization(name: str, layer: Any) -> Normalization:
    """Batch normalization as in evaluation mode, with its running statistics."""
    if layer.running_mean is None or layer.running_var is None:
        raise NetworkError(
            [
                f"{name}: {type(layer).__name__}: track_running_stats=False: it normalizes by each batch, so that a "
                "sample's spikes depend on the others; use track_running_stats=True and train again"
            ]
        )
    mean, variance = (values_of(getattr(layer, f"running_{what}"), f"{name}: {what}") for what in ("mean", "var"))
    gamma = np.ones_like(mean) if layer.weight is None else values_of(layer.weight, f"{name}: weight")
    beta = np.zeros_like(mean) if layer.bias is None else values_of(layer.bias, f"{name}: bias")
    scale = gamma / np.sqrt(variance + layer.eps)
    if not np.isfinite(scale).all():
        raise NetworkError([f"{name}: {type(layer).__name__}: expected a running variance above 0"])
    return Normalization(name, scale, beta - scale * mean)


def _pool(name: str, layer: Any) -> AveragePool | SumPool:
    if layer.ceil_mode or any(torch.as_tensor(layer.padding).ravel().tolist()):
        raise NetworkError([f"{name}: AvgPool2d with padding or ceil_mode: expected neither"])
    if layer.divisor_override not in (None, 1):
        raise NetworkError([f"{name}: AvgPool2d: divisor_override {layer.divisor_override}: expected None or 1"])
    pool = AveragePool if layer.divisor_override is None else SumPool
    return pool(layer.kernel_size, layer.stride)
