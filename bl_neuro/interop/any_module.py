"""A module of any framework whose neurons are known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

from bl_neuro.errors import Unsupported
from bl_neuro.interop.norse_modules import from_norse
from bl_neuro.interop.slayer_modules import from_slayer
from bl_neuro.interop.snntorch_modules import from_snntorch
from bl_neuro.network import Network

CONVERTERS: dict[str, Any] = {"snntorch": from_snntorch, "norse": from_norse, "lava": from_slayer}
"""The converter for each package that neurons come from."""


def from_module(module: nn.Module, input_shape: Iterable[int]) -> Network:
    """The network that `module` is, a module of snnTorch, Norse or Lava-DL's SLAYER.

    Raises:
        Unsupported: it has neurons of none of these, or something of it cannot be expressed exactly; the converters
            take options for modules with a forward of their own.
    """
    packages = {type(part).__module__.partition(".")[0] for part in module.modules()}
    for package, converter in CONVERTERS.items():
        if package in packages:
            network: Network = converter(module, input_shape)
            return network
    raise Unsupported(
        f"module: expected neurons of snnTorch, Norse or SLAYER, found {type(module).__name__} of "
        f"{', '.join(sorted(packages))}; convert its weights with bl.from_state_dict"
    )
