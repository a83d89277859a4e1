from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from bl_neuro import Unsupported
from bl_neuro.interop.snntorch_modules import from_snntorch

snn = pytest.importorskip("snntorch", reason="snntorch is not installed")
pytestmark = pytest.mark.snntorch


def pair() -> nn.Sequential:
    torch.manual_seed(1)
    layer = nn.Linear(12, 12, bias=False)
    layer.weight.data *= 4
    return nn.Sequential(layer, snn.Leaky(beta=0.8, init_hidden=True))


@pytest.mark.parametrize("name", ["reset_mechanism_val", "threshold", "beta", "graded_spikes_factor"])
@pytest.mark.parametrize("value", [None, "0.5", torch.ones(12).to_sparse(), torch.ones(12) + 1j])
def test_parameters_of_neurons_that_are_not_numbers_are_refused(name: str, value: Any) -> None:
    module = pair()
    if name in {**module[1]._parameters, **module[1]._buffers}:
        delattr(module[1], name)
    module[1].__dict__[name] = value
    with pytest.raises(Unsupported, match=f"1: {name}: expected real"):
        from_snntorch(module, (12,))


def test_parameters_of_neurons_that_cannot_be_read_name_the_neurons() -> None:
    module = pair()
    module[1].reset_dict = None
    with pytest.raises(Unsupported, match=r"1: its parameters cannot be read .AttributeError"):
        from_snntorch(module, (12,))
    module = pair()
    module[1].reset_mechanism_val = torch.tensor([0, 1])
    with pytest.raises(Unsupported, match="1: reset_mechanism_val: expected one number, found shape"):
        from_snntorch(module, (12,))
