from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import bl_neuro as bl
from bl_neuro import Unsupported
from bl_neuro.interop.norse_modules import from_norse
from bl_neuro.layers import Dense
from bl_neuro.reference import simulate

pytestmark = [pytest.mark.norse, pytest.mark.skipif(find_spec("norse") is None, reason="Norse is not installed")]
number = torch.as_tensor


def norse() -> Any:
    """Norse's module, imported by the first test that runs: it brings Matplotlib along."""
    return import_module("norse.torch")


def linear(inner: int, out: int, bias: bool = True) -> nn.Linear:
    layer = nn.Linear(inner, out, bias=bias)
    draw = torch.Generator().manual_seed(inner)
    layer.weight.data = torch.randn(out, inner, generator=draw) * 12 / inner**0.5
    if bias:
        layer.bias.data = torch.randn(out, generator=draw)
    return layer


def box(**parameters: Any) -> Any:
    return norse().LIFBoxCell(norse().LIFBoxParameters(**parameters))


def lif(**parameters: Any) -> Any:
    return norse().LIFCell(norse().LIFParameters(**parameters))


def iaf() -> Any:
    from norse.torch.module.iaf import IAFCell

    return IAFCell()


def subtracting() -> Any:
    from norse.torch.functional.reset import reset_subtract

    return box(reset_method=reset_subtract)


@pytest.mark.parametrize("kind", ["box", "lif", "iaf", "leak", "subtract"])
def test_it_spikes_as_the_module_does_in_float32(kind: str) -> None:
    cell: Any = {
        "box": lambda: box(tau_mem_inv=torch.linspace(100, 900, 10), v_th=number(0.7)),
        "lif": lambda: lif(tau_syn_inv=number(300.0), tau_mem_inv=number(250.0)),
        "iaf": iaf,
        "leak": lambda: box(v_leak=number(0.2), v_reset=number(0.2)),
        "subtract": subtracting,
    }[kind]()
    module = norse().SequentialState(linear(12, 10, bias=kind != "lif"), cell, linear(10, 4, bias=False), lif())
    network = from_norse(module, (12,))
    x = np.random.default_rng(3).random((40, 5, 12)) < 0.4
    state = None
    spikes = []
    with torch.no_grad():
        for step in torch.from_numpy(x).float():
            fired, state = module(step, state)
            spikes.append(fired)
    own = torch.stack(spikes).numpy() > 0
    assert own.any()
    assert (simulate(network, x).spikes == own).all()


def test_modules_that_take_all_steps_at_once() -> None:
    conv = norse().Lift(nn.Conv2d(2, 3, 3, bias=False))
    conv.lifted_module.weight.data *= 12
    module = norse().SequentialState(conv, norse().LIF(), nn.Flatten(2), linear(108, 5, bias=False), norse().LIF())
    network = from_norse(module, (2, 8, 8))
    assert [type(layer).__name__ for layer in network.layers] == ["Conv", "Flatten", "Dense"]
    x = np.random.default_rng(3).random((30, 2, 2, 8, 8)) < 0.4
    own = module(torch.from_numpy(x).float())[0].detach().numpy() > 0
    assert own.any()
    assert (simulate(network, x).spikes == own).all()


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (lambda: box(v_reset=number(0.1)), "1: v_reset: expected v_leak"),
        (lambda: box(v_leak=number(0.1)), "1: v_reset: expected v_leak"),
        (lambda: box(tau_mem_inv=number(2000.0)), "1: dt . tau_mem_inv: expected values above 0 and up to 1"),
        (lambda: box(v_th=number(0.0)), "1: v_th: expected values above v_leak"),
        (lambda: norse().LIFRecurrentCell(4, 4), "1: LIFRecurrentCell: expected"),
        (lambda: norse().LICell(), "1: LICell: expected"),
    ],
)
def test_unsupported_modules_are_refused(cell: Any, message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        from_norse(norse().SequentialState(linear(3, 4), cell()), (3,))


def test_a_bias_of_a_current_is_kept() -> None:
    (layer,) = from_norse(norse().SequentialState(linear(3, 4), lif()), (3,)).layers  # compares them on random spikes
    assert isinstance(layer, Dense)
    assert layer.current_bias is not None


def test_a_forward_of_its_own_is_run_as_it_says() -> None:
    class Net(nn.Module):
        def __init__(self, gain: float) -> None:
            super().__init__()
            self.fc, self.lif, self.gain = linear(5, 4), box(), gain

        def forward(self, x: torch.Tensor) -> None:
            state = None
            for step in x:
                _, state = self.lif(self.gain * self.fc(step), state)

    with pytest.raises(Unsupported, match=r"pass run=, .* such as run=lambda copy, spikes: copy\(spikes\)"):
        from_norse(Net(1.0), (5,), order=["fc", "lif"])
    assert from_norse(Net(1.0), (5,), order=["fc", "lif"], run=lambda copy, x: copy(x)).layers
    with pytest.raises(Unsupported, match="bins differ"):
        from_norse(Net(2.0), (5,), order=["fc", "lif"], run=lambda copy, x: copy(x))


def test_the_module_is_left_as_it_was() -> None:
    cell = box()
    module = norse().SequentialState(linear(5, 4), cell)
    before, random = cell.p, torch.random.get_rng_state()
    network = from_norse(module, (5,))
    assert cell.p is before
    assert cell.p.v_th.dtype == torch.float32
    assert not cell._forward_hooks
    assert torch.equal(torch.random.get_rng_state(), random)
    layer = network.layers[0]
    assert isinstance(layer, bl.Dense)
    assert layer.neuron.threshold == pytest.approx(1.0 / 0.1)  # Norse's voltage is dv times ours


def test_a_container_that_drops_states_is_named() -> None:
    with pytest.raises(Unsupported, match="SequentialState"):
        from_norse(nn.Sequential(linear(5, 4), box()), (5,))


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("place", ["", "1", "2"])
def test_hooks_of_containers_and_neurons_are_refused(place: str, checked: bool) -> None:
    inner = norse().SequentialState(linear(4, 4, bias=False), box())
    module = norse().SequentialState(linear(5, 4), box(), inner)
    assert from_norse(module, (5,), checked=checked).layers
    module.get_submodule(place).register_forward_hook(lambda _, __, result: (0 * result[0], result[1]))
    with pytest.raises(Unsupported, match=f"{place or 'module'}: .* has a forward hook"):
        from_norse(module, (5,), checked=checked)


def test_containers_with_a_call_of_their_own_are_no_plain_containers() -> None:
    class Louder(norse().SequentialState):  # type: ignore[misc]
        def __call__(self, x: Any, state: Any = None) -> Any:
            return super().__call__(3 * x, state)

    with pytest.raises(Unsupported, match="Louder overrides __call__, so the order"):
        from_norse(Louder(linear(5, 4), box()), (5,))


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
@pytest.mark.parametrize("kind", ["sparse", "complex", "meta", "quantized", "text", "none"])
@pytest.mark.parametrize("name", ["v_th", "v_leak", "v_reset", "tau_mem_inv"])
def test_parameters_that_are_not_dense_real_numbers_are_refused_by_name(kind: str, name: str) -> None:
    ones = torch.ones(4)
    values: dict[str, Any] = {
        "sparse": ones.to_sparse,
        "complex": lambda: ones + 1j,
        "meta": lambda: ones.to("meta"),
        "quantized": lambda: torch.quantize_per_tensor(ones, 0.1, 0, torch.qint8),
        "text": lambda: "1.0",
        "none": lambda: None,
    }
    module = norse().SequentialState(linear(5, 4), box(**{name: values[kind]()}))
    with pytest.raises(Unsupported, match=f"1: {name}: expected real"):
        from_norse(module, (5,))


def test_cells_without_their_parameters_or_time_step_are_refused() -> None:
    module = norse().SequentialState(linear(5, 4), box())
    module[1].dt = None
    with pytest.raises(Unsupported, match="1: dt: expected real numbers, found NoneType"):
        from_norse(module, (5,))
    module[1].p = None
    with pytest.raises(Unsupported, match="1: p: expected LIFBoxParameters, found NoneType"):
        from_norse(module, (5,))
