from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from bl_neuro import InputError, Unsupported
from bl_neuro.interop.snntorch_modules import from_snntorch

snn = pytest.importorskip("snntorch", reason="snntorch is not installed")
pytestmark = pytest.mark.snntorch


def changed_forward(module: nn.Module) -> None:
    kind: Any = type(module)
    setattr(module, "forward", lambda x: kind.forward(module, 3 * x))  # noqa: B010 - torch types attributes as tensors


class Louder(nn.Sequential):
    def __call__(self, x: torch.Tensor) -> Any:
        return super().__call__(3 * x)


class Looking(nn.Sequential):
    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name)


class Backwards(nn.Sequential):
    def __iter__(self) -> Any:
        return iter(list(self._modules.values())[::-1])


class Named(nn.Sequential):
    """A container that only has a name of its own."""


def pair(container: type[nn.Sequential] = nn.Sequential, seed: int = 1) -> nn.Sequential:
    torch.manual_seed(seed)
    layer = nn.Linear(12, 12, bias=False)
    layer.weight.data *= 4
    return container(layer, snn.Leaky(beta=0.8, init_hidden=True))


CHANGES: dict[str, Any] = {
    "a forward pre-hook": lambda module: module.register_forward_pre_hook(lambda _, x: (3 * x[0],)),
    "a forward hook": lambda module: module.register_forward_hook(lambda _, __, output: 0 * output),
    "its own forward": changed_forward,
}


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("place", ["", "1", "1.1"])
@pytest.mark.parametrize("change", CHANGES)
def test_what_a_container_or_a_neuron_does_besides_its_forward_is_refused(
    change: str, place: str, checked: bool
) -> None:
    """The hooks of a container do not run in the check, which calls the layers."""
    module = nn.Sequential(pair(), pair(seed=2))
    assert from_snntorch(module, (12,), checked=checked).layers
    CHANGES[change](module.get_submodule(place))
    with pytest.raises(Unsupported, match=rf"{place or '(module|Sequential)'}.* has {change}"):
        from_snntorch(module, (12,), checked=checked)


@pytest.mark.parametrize("container", [Louder, Backwards])
def test_containers_with_a_call_of_their_own_are_no_plain_containers(container: type[nn.Sequential]) -> None:
    assert from_snntorch(pair(Named), (12,)) == from_snntorch(pair(), (12,))
    with pytest.raises(Unsupported, match=r"(overrides __call__|has a custom forward), so the order"):
        from_snntorch(pair(container), (12,))
    with pytest.raises(Unsupported, match="Looking overrides __getattr__, so the order"):
        from_snntorch(pair(Looking), (12,))
    with pytest.raises(Unsupported, match=r"1: (Louder|Backwards)"):
        from_snntorch(nn.Sequential(pair(), pair(container)), (12,))
    with pytest.raises(Unsupported, match=r"bins differ|failed on spikes"):  # with an order, the module itself is run
        from_snntorch(pair(container), (12,), order=["0", "1"])


def test_hooks_of_all_modules_are_refused() -> None:
    handle = torch.nn.modules.module.register_module_forward_hook(lambda _, __, output: output)
    try:
        with pytest.raises(InputError, match="hooks are registered for the whole process"):
            from_snntorch(pair(), (12,))
    finally:
        handle.remove()


def test_methods_replaced_on_a_layer_are_refused() -> None:
    linear_forward, fire = pair(), pair()
    changed_forward(linear_forward[0])
    fire[1].fire = lambda membrane: membrane
    with pytest.raises(Unsupported, match="0: Linear has its own forward, set on the instance"):
        from_snntorch(linear_forward, (12,), checked=False)
    with pytest.raises(Unsupported, match="1: Leaky has its own fire, set on the instance"):
        from_snntorch(fire, (12,), checked=False)
