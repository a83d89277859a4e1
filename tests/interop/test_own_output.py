from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import nn

from bl_neuro import Unsupported
from bl_neuro.interop.own_output import need_own_output
from bl_neuro.interop.snntorch_modules import from_snntorch

DRAW = torch.Generator().manual_seed(0)
SPIKES, HIDDEN = ((torch.rand(30, 4, 3, generator=DRAW) < 0.3).double() for _ in range(2))
VOLTAGE = torch.rand(30, 4, 3, generator=DRAW).double()
LAYERS = [[HIDDEN.numpy()], [SPIKES.numpy(), VOLTAGE.numpy()]]
REFUSED = "its forward returns something else than the spikes of its last neurons"


@pytest.mark.parametrize(
    "output",
    [
        None,
        "text",
        SPIKES,
        VOLTAGE.float(),
        SPIKES.bool(),
        SPIKES.transpose(0, 1),
        SPIKES.movedim(0, -1),
        SPIKES.reshape(30, 4, 3, 1),
        SPIKES[-1],
        SPIKES.sum(0),
        SPIKES.mean(0),
        VOLTAGE.amax(0),
        (SPIKES, VOLTAGE),
        (HIDDEN, SPIKES),
        list(SPIKES),
        SPIKES.numpy(),
        list(SPIKES.bool().numpy()),
        (list(SPIKES), list(VOLTAGE)),
        {"hidden": HIDDEN, "spikes": SPIKES},
        list(zip(SPIKES, VOLTAGE)),
        [{"spikes": step} for step in SPIKES],
        [(step, {"states": [None, voltage]}) for step, voltage in zip(SPIKES, VOLTAGE)],
        [(step,) if index else (step, "first") for index, step in enumerate(SPIKES)],
    ],
)
def test_the_output_of_the_last_neurons_is_accepted(output: Any) -> None:
    need_own_output(output, LAYERS, "it")


@pytest.mark.parametrize(
    "output",
    [
        SPIKES.flip(-1),
        1 - SPIKES,
        SPIKES.sum(0).softmax(-1),
        SPIKES.sum(-1),
        SPIKES.sum(),
        HIDDEN,
        list(SPIKES.flip(-1)),
        (SPIKES.flip(-1), VOLTAGE),
        {"spikes": SPIKES[-1].flip(-1)},
        ((SPIKES.flip(-1), VOLTAGE),),
        {"layers": [HIDDEN, {"spikes": SPIKES.flip(-1)}]},
        list(zip(SPIKES.flip(-1), VOLTAGE)),
        [{"spikes": step} for step in SPIKES.flip(-1)],
        [(voltage, {"layers": [step]}) for step, voltage in zip(SPIKES.flip(-1), VOLTAGE)],
        [
            (voltage, step) if index else (voltage,)
            for index, (step, voltage) in enumerate(zip(SPIKES.flip(-1), VOLTAGE))
        ],
        SPIKES.to_sparse(),
        SPIKES.numpy()[..., ::-1],
        list(SPIKES.flip(-1).numpy()),
        [step.to("meta") if index else step for index, step in enumerate(SPIKES)],
        [torch.nested.nested_tensor([step[0], step[1, :2]]) for step in SPIKES],
    ],
)
def test_another_output_is_refused(output: Any) -> None:
    with pytest.raises(Unsupported, match=REFUSED):
        need_own_output(output, LAYERS, "it")


class Net(nn.Module):
    def __init__(self, after: Callable[[Any], Any]) -> None:
        super().__init__()
        import snntorch as snn

        torch.manual_seed(0)
        self.fc1, self.fc2 = nn.Linear(6, 8), nn.Linear(8, 3)
        for layer in (self.fc1, self.fc2):
            layer.weight.data *= 4
        self.lif1 = snn.Leaky(beta=0.9, init_hidden=True)
        self.lif2 = snn.Leaky(beta=0.9, init_hidden=True, output=True)
        self.after = after

    def forward(self, x: torch.Tensor) -> Any:
        return self.after(self.lif2(self.fc2(self.lif1(self.fc1(x)))))


@pytest.mark.snntorch
@pytest.mark.skipif(find_spec("snntorch") is None, reason="snntorch is not installed")
def test_what_a_snntorch_module_does_after_its_neurons_is_noticed() -> None:
    order = ["fc1", "lif1", "fc2", "lif2"]
    plain = from_snntorch(Net(lambda result: result), (6,), order=order)
    assert from_snntorch(Net(lambda result: result[0]), (6,), order=order) == plain
    assert from_snntorch(Net(lambda result: {"spikes": result[0]}), (6,), order=order) == plain
    for after in (
        lambda result: result[0].flip(-1),
        lambda result: (result[0].flip(-1), result[1]),
        lambda result: {"spikes": result[0].flip(-1)},
    ):
        with pytest.raises(Unsupported, match=REFUSED):
            from_snntorch(Net(after), (6,), order=order)

    def run(module: nn.Module, spikes: torch.Tensor) -> None:
        for step in spikes:
            module(step)

    assert from_snntorch(Net(lambda result: result[0].flip(-1)), (6,), order=order, run=run) == plain


@pytest.mark.norse
@pytest.mark.skipif(find_spec("norse") is None, reason="Norse is not installed")
def test_what_a_norse_module_does_after_its_neurons_is_noticed() -> None:
    import norse.torch

    from bl_neuro.interop.norse_modules import from_norse

    layer = nn.Linear(5, 4, bias=False)
    layer.weight.data *= 12
    module = norse.torch.SequentialState(layer, norse.torch.LIF())
    outputs = {"same": lambda copy, x: copy(x)[0], "flipped": lambda copy, x: copy(x)[0].flip(-1)}
    assert from_norse(module, (5,), run=outputs["same"]) == from_norse(module, (5,))
    with pytest.raises(Unsupported, match=REFUSED):
        from_norse(module, (5,), run=outputs["flipped"])


@pytest.mark.norse
@pytest.mark.skipif(find_spec("norse") is None, reason="Norse is not installed")
def test_states_of_norse_neurons_are_not_taken_for_spikes() -> None:
    """The membrane potential of neurons that all spike in the last step is 0 after the reset."""
    import norse.torch

    from bl_neuro.interop.norse_modules import from_norse

    layer = nn.Linear(5, 2, bias=False)
    layer.weight.data = torch.full((2, 5), 40.0)
    module = norse.torch.SequentialState(layer, norse.torch.LIF(norse.torch.LIFParameters(tau_mem_inv=1000.0)))
    assert from_norse(module, (5,), run=lambda copy, x: copy(x)) == from_norse(module, (5,))

    def run(copy: nn.Module, x: torch.Tensor) -> Any:
        spikes, states = copy(x)
        return {"layers": [(1 - spikes, states)]}

    with pytest.raises(Unsupported, match=REFUSED):
        from_norse(module, (5,), run=run)


@pytest.mark.slayer
def test_what_a_slayer_module_does_after_its_blocks_is_noticed(needs: Callable[[str], None]) -> None:
    needs("slayer")
    from lava.lib.dl.slayer.block import cuba

    from bl_neuro.interop.slayer_modules import from_slayer

    class Flipping(nn.Module):
        def __init__(self, flips: bool) -> None:
            super().__init__()
            torch.manual_seed(0)
            neuron = {"threshold": 1.25, "current_decay": 0.25, "voltage_decay": 0.03}
            self.blocks = nn.ModuleList([cuba.Dense(neuron, 12, 9, weight_scale=4)])
            self.flips = flips

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            spikes: torch.Tensor = self.blocks[0](x)
            return spikes.flip(1) if self.flips else spikes

    assert from_slayer(Flipping(False), (12,)).layers
    with pytest.raises(Unsupported, match=REFUSED):
        from_slayer(Flipping(True), (12,))
