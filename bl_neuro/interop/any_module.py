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
OPTIONS = ("order", "run", "checked")
"""Options of converters that their errors advise to pass, and that `from_module` does not take."""


def from_module(module: nn.Module, input_shape: Iterable[int]) -> Network:
    """The network that `module` is, a module of snnTorch, Norse or Lava-DL's SLAYER.

    Raises:
        Unsupported: it has neurons of none of these, or something of it cannot be expressed exactly; the converters
            take options for modules with a forward of their own.
    """
    packages = {type(part).__module__.partition(".")[0] for part in module.modules()}
    for package, converter in CONVERTERS.items():
        if package in packages:
            return _converted(converter, module, tuple(input_shape))
    raise Unsupported(
        f"module: expected neurons of snnTorch, Norse or SLAYER, found {type(module).__name__} of "
        f"{', '.join(sorted(packages))}; convert its weights with bl.from_state_dict"
    )


def _converted(converter: Any, module: nn.Module, input_shape: tuple[int, ...]) -> Network:
    """The network by `converter`. An error that names an option of the converter says where to pass it."""
    try:
        network: Network = converter(module, input_shape)
    except Unsupported as error:
        if not any(f"{option}=" in str(error) for option in OPTIONS):
            raise
        raise Unsupported(
            f"{error}. Pass these options to the converter, and its network here: "
            f"bl.{converter.__name__}(module, input_shape=..., ...)"
        ) from error
    return network
