"""Whether a call of a module runs the forward pass of its class and nothing else.

Layers are converted by their class and their parameters, and containers by their children. What an instance or a
subclass puts in place of the call would be ignored, so such layers are refused, and such containers are custom modules.
Forward hooks are treated in `plain_weights`.
"""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from bl_neuro.errors import Unsupported

_CALL = ("__call__", "_call_impl", "_wrapped_call_impl", "__getattr__")
"""Methods of torch's modules that a call of a module uses."""
_CONTAINER = ("forward", "__iter__", "__len__")
"""Methods that the forward pass of a container uses."""


def is_plain_container(module: nn.Module, kinds: tuple[type[nn.Module], ...]) -> bool:
    """Whether `module` is one of the container classes `kinds`, or a subclass that runs its children like them."""
    if changed_call(module):
        return False
    return any(isinstance(module, kind) and not _overridden(type(module), kind, _CONTAINER) for kind in kinds)


def changed_call(module: nn.Module) -> str:
    """What the call of `module` does differently from the forward pass of its class; "" if nothing."""
    own = [name for name in vars(module) if _is_method(inspect.getattr_static(type(module), name, None))]
    if own:
        return f"has its own {own[0]}, set on the instance"
    overridden = _overridden(type(module), nn.Module, _CALL)
    return f"overrides {overridden}" if overridden else ""


def need_plain_call(name: str, layer: nn.Module) -> None:
    """Checks a layer, which is converted by its class, and the modules in it.

    Raises:
        Unsupported: a module replaces its call.
    """
    for inner, module in layer.named_modules(prefix=name):
        change = changed_call(module)
        if change:
            raise Unsupported(
                f"{inner}: {type(module).__name__} {change}, which the conversion of this layer would ignore; use a "
                "plain layer, or convert the weights with bl.from_state_dict"
            )


def _overridden(kind: type, base: Any, names: tuple[str, ...]) -> str:
    """The first of the methods `names` that `kind` does not have from `base`; "" if there is none."""
    return next((name for name in names if getattr(kind, name, None) is not getattr(base, name, None)), "")


def _is_method(attribute: Any) -> bool:
    return inspect.isroutine(attribute) or isinstance(attribute, (staticmethod, classmethod))
