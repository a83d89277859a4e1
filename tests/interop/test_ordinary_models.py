"""Models as tutorials write them: each equals its own module, in float32, or is refused with advice that works."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bl_neuro import Network, Unsupported
from bl_neuro.interop.norse_modules import from_norse
from bl_neuro.interop.snntorch_modules import from_snntorch
from bl_neuro.reference import simulate

snn = pytest.importorskip("snntorch", reason="snntorch is not installed")
pytestmark = pytest.mark.snntorch
FEATURES, IMAGE = (12,), (2, 9, 8)


def module_of(*layers: nn.Module) -> nn.Sequential:
    """The layers with random weights that let the neurons fire, and random statistics, in evaluation mode."""
    draw = torch.Generator().manual_seed(0)
    for layer in layers:
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            layer.weight.data = torch.randn(layer.weight.shape, generator=draw) * 3 / layer.weight[0].numel() ** 0.5
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            features = (layer.num_features,)
            if layer.track_running_stats:
                layer.running_mean = 0.3 * torch.randn(features, generator=draw)
                layer.running_var = 0.5 + torch.rand(features, generator=draw)
            if layer.affine:
                layer.weight.data = torch.randn(features, generator=draw)
                layer.bias.data = 0.5 * torch.randn(features, generator=draw)
    return nn.Sequential(*layers).eval()


def frames(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return (np.random.default_rng(3).random((25, 4, *shape)) < 0.4).astype(np.uint8)


def spikes_of(module: nn.Sequential, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The spikes of a snnTorch module, run in float32 layer by layer."""
    for layer in module:
        if isinstance(layer, snn.SpikingNeuron):
            layer.reset_mem()
    steps = []
    with torch.no_grad():
        for step in torch.from_numpy(x.astype(np.float32)):
            for layer in module:
                step = layer(step)
                step = step[0] if isinstance(step, tuple) else step
            steps.append(step)
    return torch.stack(steps).numpy()


def require_equal(network: Network, expected: np.ndarray[Any, Any], x: np.ndarray[Any, Any]) -> None:
    assert 0.02 < expected.mean() < 0.98
    np.testing.assert_array_equal(simulate(network, x).layer_spikes[-1], expected)


def leaky(**options: Any) -> Any:
    return snn.Leaky(beta=0.9, init_hidden=True, **options)


POOLED = {
    "average": (nn.Conv2d(2, 4, 3), nn.AvgPool2d(2)),
    "overlapping": (nn.Conv2d(2, 4, 3, padding=1), nn.AvgPool2d(3, 2)),
    "sum": (nn.Conv2d(2, 4, (3, 2), padding="valid"), nn.AvgPool2d((2, 3), (1, 2), divisor_override=1)),
    "stride": (nn.Conv2d(2, 4, 2, stride=(2, 1), groups=2, bias=False), nn.AvgPool2d(2)),
    "dilation": (nn.Conv2d(2, 4, 3, dilation=(2, 1), padding=(2, 0)), nn.AvgPool2d(2, 1)),
    "twice": (nn.Conv2d(2, 4, 2), nn.AvgPool2d(2, 1), nn.AvgPool2d(2)),
    "norm, pool": (nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), nn.AvgPool2d(2)),
    "pool, norm": (nn.Conv2d(2, 4, 3), nn.AvgPool2d(2), nn.BatchNorm2d(4, affine=False), nn.Dropout2d(0.4)),
}


@pytest.mark.parametrize("name", POOLED)
def test_layers_between_a_convolution_and_its_neurons_are_folded(name: str) -> None:
    module = module_of(*POOLED[name], leaky())
    x = frames(IMAGE)
    require_equal(from_snntorch(module, IMAGE, checked=False), spikes_of(module, x), x)


NEURONS: dict[str, Any] = {
    "norm": lambda: (nn.BatchNorm1d(6), nn.Dropout(0.5), leaky(learn_beta=True)),
    "norm, filtered current": lambda: (nn.BatchNorm1d(6), snn.Synaptic(alpha=0.5, beta=0.8, init_hidden=True)),
    "RLeaky": lambda: (snn.RLeaky(beta=0.8, linear_features=6, init_hidden=True),),
    "RLeaky V": lambda: (snn.RLeaky(beta=0.8, V=torch.linspace(-1, 1, 6), all_to_all=False),),
    "RLeaky one V": lambda: (nn.BatchNorm1d(6), snn.RLeaky(beta=0.8, V=-0.5, all_to_all=False)),
    "RSynaptic": lambda: (snn.RSynaptic(alpha=0.4, beta=0.8, linear_features=6, init_hidden=True),),
    "Lapicque beta": lambda: (snn.Lapicque(beta=0.8, init_hidden=True),),
    "Lapicque R, C": lambda: (snn.Lapicque(R=3.0, C=1.5, time_step=0.8),),
}


@pytest.mark.parametrize("name", NEURONS)
def test_dense_models_equal_their_module(name: str) -> None:
    torch.manual_seed(0)
    module = module_of(nn.Linear(12, 6), *NEURONS[name]())
    x = frames(FEATURES)
    require_equal(from_snntorch(module, FEATURES), spikes_of(module, x), x)


class Held(nn.Module):
    """As snnTorch's tutorial 5: one frame, given to the first layer in every step."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.fc1, self.lif1, self.fc2, self.lif2 = module_of(
            nn.Linear(12, 8), snn.Leaky(beta=0.9), nn.Linear(8, 4), snn.Leaky(beta=0.9)
        )
        self.steps, self.gain = steps, 1.0

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes, membranes = [], []
        for _ in range(self.steps):
            spk1, mem1 = self.lif1(self.gain * self.fc1(x), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
            membranes.append(mem2)
        return torch.stack(spikes), torch.stack(membranes)


@pytest.mark.parametrize("steps", [25, 30])  # 30 is also the number of steps of the check
def test_a_forward_that_holds_one_frame_is_run_as_it_is(steps: int) -> None:
    module = Held(steps)
    order = ["fc1", "lif1", "fc2", "lif2"]
    network = from_snntorch(module, FEATURES, order=order)
    x = np.repeat(frames(FEATURES)[:1], steps, axis=0)
    with torch.no_grad():
        require_equal(network, module(torch.from_numpy(x[0].astype(np.float32)))[0].numpy(), x)
    module.gain = 1.5
    with pytest.raises(Unsupported, match="is not identical"):
        from_snntorch(module, FEATURES, order=order)


@pytest.mark.parametrize("kind", ["RLeaky", "Lapicque"])
def test_a_reset_to_zero_that_drops_the_input_is_refused(kind: str) -> None:
    options = {"linear_features": 4} if kind == "RLeaky" else {}
    cell = getattr(snn, kind)(beta=0.8, reset_mechanism="zero", **options)
    with pytest.raises(Unsupported, match=f"a {kind} then ignores the input"):
        from_snntorch(module_of(nn.Linear(12, 4), cell), FEATURES)


REFUSED = {
    "MaxPool2d": (
        IMAGE,
        (nn.Conv2d(2, 4, 3), nn.MaxPool2d(2), leaky()),
        (nn.Conv2d(2, 4, 3), nn.AvgPool2d(2), leaky()),
    ),
    "Alpha": (
        FEATURES,
        (nn.Linear(12, 4), snn.Alpha(alpha=0.9, beta=0.8, init_hidden=True)),
        (nn.Linear(12, 4), snn.Synaptic(alpha=0.9, beta=0.8, init_hidden=True)),
    ),
    "'none'": (
        FEATURES,
        (nn.Linear(12, 4), leaky(reset_mechanism="none")),
        (nn.Linear(12, 4), leaky(reset_mechanism="zero")),
    ),
    "last layer must spike": (
        FEATURES,
        (nn.Linear(12, 6), leaky(), nn.Linear(6, 4)),
        (nn.Linear(12, 6), leaky(), nn.Linear(6, 4), leaky()),
    ),
    "between a linear or convolutional layer and its neurons": (
        IMAGE,
        (nn.Conv2d(2, 4, 3), leaky(), nn.BatchNorm2d(4)),
        (nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), leaky()),
    ),
    "use track_running_stats=True": (
        FEATURES,
        (nn.Linear(12, 4), nn.BatchNorm1d(4, track_running_stats=False), leaky()),
        (nn.Linear(12, 4), nn.BatchNorm1d(4), leaky()),
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_the_advice_of_a_refusal_leads_to_a_network(message: str) -> None:
    shape, layers, advised = REFUSED[message]
    with pytest.raises(Unsupported, match=f"{message}.*train again"):
        from_snntorch(module_of(*layers), shape)
    from_snntorch(module_of(*advised), shape)


@pytest.mark.norse
def test_norse_models_fold_too_and_readouts_are_refused_with_advice() -> None:
    norse = pytest.importorskip("norse.torch", reason="norse is not installed")
    front = (nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.AvgPool2d(2))
    parameters = norse.LIFParameters(v_th=torch.tensor(0.05))
    module = norse.SequentialState(*module_of(*front), norse.LIFCell(parameters)).eval()
    x = frames(IMAGE)
    state, spikes = None, []
    with torch.no_grad():
        for step in torch.from_numpy(x.astype(np.float32)):
            fired, state = module(step, state)
            spikes.append(fired)
    require_equal(from_norse(module, IMAGE), torch.stack(spikes).numpy(), x)
    recurrent = norse.SequentialState(norse.LIFRecurrentCell(12, 4), nn.Linear(4, 3), norse.LICell())
    with pytest.raises(Unsupported) as caught:
        from_norse(recurrent, FEATURES)
    assert "its input and recurrent weights are not read" in str(caught.value)
    assert "LICell" in str(caught.value)
    advised = (nn.Linear(12, 4), norse.LIFCell(), nn.Linear(4, 3), norse.LIFCell())
    from_norse(norse.SequentialState(*advised), FEATURES)
