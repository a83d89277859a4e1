"""What torch's own layers are in a network: synapses, steps of shape, or nothing while evaluating."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from bl_neuro.errors import NetworkError
from bl_neuro.interop.module_copy import values_of
from bl_neuro.interop.parts import Part, Step, Synapse
from bl_neuro.layers import AveragePool, Flatten, SumPool

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
