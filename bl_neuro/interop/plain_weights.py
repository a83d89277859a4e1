"""Weights that a module computes in its forward pass, as plain parameters with the values that it would compute.

After `load_state_dict`, the attribute `weight` of such a module is outdated until the module runs. torch's own
parametrisations, weight and spectral normalisation, and pruning are removed from a private copy, which keeps their
values. Other hooks of linear and convolutional layers are run once, and refused if they change what goes in or comes
out. All other hooks are refused: converters read containers and neurons without running them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from bl_neuro.errors import Unsupported

_NORMS = (WeightNorm, SpectralNorm, BasePruningMethod)


def computes_weights(module: nn.Module) -> bool:
    """Whether `module` computes weights in its forward pass, by one of torch's methods that `make_plain` removes."""
    return parametrize.is_parametrized(module) or any(
        isinstance(hook, _NORMS) for hook in module._forward_pre_hooks.values()
    )


def make_plain(name: str, module: nn.Module) -> None:
    """Replaces what computes weights of `module`, a private copy in evaluation mode, by the weights.

    Raises:
        Unsupported: a hook changes inputs or outputs, or belongs to a module that is not a linear or
            convolutional layer (`Linear`, `Conv2d`).
    """
    if parametrize.is_parametrized(module):
        _remove_parametrisations(module)
    for key, hook in list(module._forward_pre_hooks.items()):
        if isinstance(hook, _NORMS):
            hook.remove(module)
            del module._forward_pre_hooks[key]
    if not (module._forward_pre_hooks or module._forward_hooks):
        return
    if not isinstance(module, (nn.Linear, nn.Conv2d)):
        raise Unsupported(
            f"{name or 'module'}: {type(module).__name__} has a forward {_hook_kind(module)}, which the conversion "
            "would ignore; remove it before the conversion (its handle has remove())"
        )
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        _run_hooks(name, module)


def _hook_kind(module: nn.Module) -> str:
    return "pre-hook" if module._forward_pre_hooks else "hook"


def _remove_parametrisations(module: Any) -> None:
    """Like torch's `remove_parametrizations`, which would also change the class, shared with the user's module."""
    with torch.no_grad():
        values = {parameter: getattr(module, parameter).clone() for parameter in module.parametrizations}
    module.__class__ = parametrize.type_before_parametrizations(module)
    del module.parametrizations
    for parameter, value in values.items():
        module.register_parameter(parameter, nn.Parameter(value, requires_grad=False))


def _run_hooks(name: str, module: nn.Linear | nn.Conv2d) -> None:
    example = _example(module)
    given = example.clone()
    for key, hook in module._forward_pre_hooks.items():
        with_names = key in module._forward_pre_hooks_with_kwargs
        result: Any = hook(module, (given,), {}) if with_names else hook(module, (given,))
        arguments = result[0] if with_names and result is not None else result
        _need_unchanged(name, "pre-hook", "inputs", example, given if arguments is None else arguments)
    expected = module.forward(example)
    output = expected.clone()
    for key, after in module._forward_hooks.items():
        with_names = key in module._forward_hooks_with_kwargs
        result = after(module, (example,), {}, output) if with_names else after(module, (example,), output)
        _need_unchanged(name, "hook", "outputs", expected, output if result is None else result)


def _example(module: nn.Linear | nn.Conv2d) -> Tensor:
    like = module.weight
    if isinstance(module, nn.Linear):
        return torch.ones((1, module.in_features), dtype=like.dtype, device=like.device)
    sides = [dilation * (size - 1) + 1 for dilation, size in zip(module.dilation, module.kernel_size)]
    return torch.ones((1, module.in_channels, *sides), dtype=like.dtype, device=like.device)


def _need_unchanged(name: str, kind: str, what: str, expected: Tensor, value: Any) -> None:
    value = value[0] if isinstance(value, tuple) and len(value) == 1 else value
    if not isinstance(value, Tensor) or not torch.equal(value, expected):
        raise Unsupported(
            f"{name}: a forward {kind} changes its {what}, which a network cannot express; remove the hook"
        )
