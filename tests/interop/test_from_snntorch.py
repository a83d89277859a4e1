from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import bl_neuro as bl
from bl_neuro import InputError, Network, Unsupported
from bl_neuro.interop.any_module import from_module
from bl_neuro.interop.snntorch_modules import from_snntorch
from bl_neuro.reference import simulate

snn = pytest.importorskip("snntorch", reason="snntorch is not installed")
pytestmark = pytest.mark.snntorch
STEPS, BATCH = 40, 5


def leaky(neurons: int = 1, seed: int = 0, **options: Any) -> Any:
    draw = torch.Generator().manual_seed(seed)
    beta, threshold = torch.rand(neurons, generator=draw), 0.5 + torch.rand(neurons, generator=draw)
    return snn.Leaky(beta=beta, threshold=threshold, **options)


def linear(inner: int, out: int, seed: int = 0, bias: bool = True) -> nn.Linear:
    layer = nn.Linear(inner, out, bias=bias)
    draw = torch.Generator().manual_seed(seed)
    layer.weight.data = torch.randn(out, inner, generator=draw) * 3.0 / inner**0.5
    if bias:
        layer.bias.data = torch.randn(out, generator=draw) * 0.1
    return layer


class Net(nn.Module):
    """As snnTorch's tutorials write them: states handed on by a loop over time."""

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.fc1, self.lif1 = linear(12, 10, 1), leaky(10, 1)
        self.fc2, self.lif2 = linear(10, 4, 2), leaky(4, 2)
        self.gain = gain

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes = []
        for step in x:
            spk1, mem1 = self.lif1(self.gain * self.fc1(step), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
        return torch.stack(spikes)


ORDER = ["fc1", "lif1", "fc2", "lif2"]


@pytest.mark.parametrize("mechanism", ["subtract", "zero"])
@pytest.mark.parametrize("hidden", [False, True])
def test_it_spikes_as_the_module_does_in_float32(mechanism: str, hidden: bool) -> None:
    options = {"reset_mechanism": mechanism, "init_hidden": hidden, "learn_beta": True, "learn_threshold": True}
    first, last = leaky(10, 1, **options), leaky(4, 2, **options, output=True)
    module = nn.Sequential(linear(12, 10, 1), first, linear(10, 4, 2), last)
    network = from_snntorch(module, (12,))
    x = np.random.default_rng(3).random((STEPS, BATCH, 12)) < 0.4
    spikes = []
    for cell in (first, last):
        cell.reset_mem()
    with torch.no_grad():
        for step in torch.from_numpy(x).float():
            hidden_spikes = first(module[0](step))
            hidden_spikes = hidden_spikes if hidden else hidden_spikes[0]
            spikes.append(last(module[2](hidden_spikes))[0])
    own = torch.stack(spikes).numpy() > 0
    assert 0.05 < own.mean() < 0.95
    assert (simulate(network, x).spikes == own).all()


@pytest.mark.parametrize(
    ("alpha", "mechanism", "delay"), [(0.6, "zero", False), (0.6, "subtract", True), (0.0, "subtract", True)]
)
def test_synaptic(alpha: float, mechanism: str, delay: bool) -> None:
    cell = snn.Synaptic(alpha=alpha, beta=torch.rand(6), reset_mechanism=mechanism, reset_delay=delay)
    layer = from_snntorch(nn.Sequential(linear(5, 6, bias=alpha == 0), cell), (5,)).layers[0]
    assert isinstance(layer, bl.Dense)
    assert layer.neuron.current_decay.item() == pytest.approx(1 - alpha)
    assert layer.neuron.reset == ("zero" if mechanism == "zero" else "subtract_delayed")


def test_images_with_parameters_per_channel_column_and_neuron() -> None:
    module = nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=(2, 1), padding="valid", groups=2),
        snn.Leaky(beta=torch.rand(4, 1, 1), threshold=0.3 + torch.rand(6), reset_mechanism="zero"),
        nn.AvgPool2d(2, 1),
        nn.Dropout(0.5),
        nn.Sequential(nn.Flatten(), linear(4 * 2 * 5, 3), leaky(3)),
    )
    network = from_snntorch(module, (2, 8, 8))
    conv = network.layers[0]
    assert isinstance(conv, bl.Conv)
    assert conv.neuron.voltage_decay.shape == (4,)
    assert conv.neuron.threshold.shape == (4, 3, 6)
    assert [type(layer).__name__ for layer in network.layers] == ["Conv", "AveragePool", "Flatten", "Dense"]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([nn.Linear(4, 3), nn.BatchNorm1d(5)], "1: expected 3 channels, those of 0, found 5"),
        ([nn.Linear(4, 3), nn.AvgPool2d(2)], "1: expected a convolution or neurons in front of pooling, found 0"),
        ([nn.Linear(4, 3), nn.Flatten()], "1: lies between 0 and its neurons"),
    ],
)
def test_what_cannot_lie_in_front_of_neurons_is_refused(layers: list[nn.Module], message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        from_snntorch(nn.Sequential(*layers, leaky(3)), (4,))


def test_ties_count_as_a_network_counts_them() -> None:
    weights = nn.Linear(3, 1, bias=False)
    module = nn.Sequential(weights, snn.Leaky(beta=1.0, threshold=0.6, reset_mechanism="zero")).double()
    weights.weight.data = torch.tensor([[0.1, 0.2, 0.3]], dtype=torch.float64)
    module[1].threshold = torch.tensor(0.6, dtype=torch.float64)
    assert (
        module[1](weights(torch.ones(1, 3, dtype=torch.float64)))[0].item() == 1
    )  # by rounding alone: 0.1 + 0.2 + 0.3
    network = from_snntorch(module, (3,))
    assert not simulate(network, np.ones((1, 1, 3))).spikes.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reset_mechanism": "subtract", "reset_delay": False}, "1: reset_mechanism 'subtract' with reset_delay=False"),
        ({"reset_mechanism": "none"}, "1: reset_mechanism 'none'"),
        ({"state_quant": lambda x: x}, "1: state_quant"),
        ({"graded_spikes_factor": 2.0}, "1: graded_spikes_factor"),
        ({"inhibition": True}, "1: inhibition"),
        ({"threshold": 0.0}, "1: threshold: expected values above 0"),
    ],
)
@pytest.mark.filterwarnings("ignore:Inhibition")
def test_unsupported_neurons_are_refused(options: dict[str, Any], message: str) -> None:
    module = nn.Sequential(linear(3, 2), snn.Leaky(**{"beta": 0.5, **options}))
    with pytest.raises(Unsupported, match=message):
        from_snntorch(module, (3,))


def test_every_problem_is_reported_at_once() -> None:
    cell = snn.Synaptic(alpha=0.5, beta=0.5, reset_mechanism="zero")
    module = nn.Sequential(nn.BatchNorm1d(4), linear(4, 3), cell, linear(3, 3), snn.Alpha(alpha=0.9, beta=0.8))
    with pytest.raises(Unsupported) as caught:
        from_snntorch(module, (4,))
    for message in (
        "0: expected it between a linear or convolutional layer and its neurons",
        "2: reset_mechanism 'zero' with reset_delay=True",
        "4: Alpha: expected Leaky",
    ):
        assert message in str(caught.value)


def test_the_advice_for_any_module_names_the_converter() -> None:
    advice = r"pass order=.* Pass these options to the converter, .*: bl\.from_snntorch\(module, input_shape="
    with pytest.raises(Unsupported, match=advice):
        from_module(Net(), (12,))
    with pytest.raises(Unsupported) as caught:
        from_module(nn.Sequential(nn.Linear(12, 3), snn.Alpha(alpha=0.9, beta=0.8)), (12,))
    assert "converter" not in str(caught.value)  # no option helps


def test_a_forward_of_its_own_needs_an_order_and_is_run() -> None:
    with pytest.raises(Unsupported, match="has a custom forward"):
        from_snntorch(Net(), (12,))
    assert isinstance(from_snntorch(Net(), (12,), order=ORDER), Network)
    with pytest.raises(Unsupported, match=r"\d+ of \d+ bins differ"):
        from_snntorch(Net(gain=2.0), (12,), order=ORDER)
    assert from_snntorch(Net(gain=2.0), (12,), order=ORDER, checked=False) == from_snntorch(Net(), (12,), order=ORDER)


def test_an_order_names_every_layer_once() -> None:
    for order in (["fc1", "lif1"], ["fc1", "lif1", "fc3", "lif2"], "fc1"):
        with pytest.raises(InputError, match="order: "):
            from_snntorch(Net(), (12,), order=order)
    with pytest.raises(Unsupported, match="the same object"):
        from_snntorch(Net(), (12,), order=["fc1", "lif1", "fc2", "lif2", "fc2", "lif2"])


def test_run_says_how_a_module_is_run() -> None:
    class Steps(Net):
        def forward(self, x: torch.Tensor, steps: int) -> torch.Tensor:  # type: ignore[override]
            return super().forward(x[:steps])

    with pytest.raises(
        Unsupported, match=r"failed on .* pass run=, such as run=lambda copy, spikes: copy\(spikes, len\(spikes\)\)"
    ):
        from_snntorch(Steps(), (12,), order=ORDER)
    assert from_snntorch(Steps(), (12,), order=ORDER, run=lambda copy, spikes: copy(spikes, len(spikes))).layers


def test_the_module_is_left_as_it_was() -> None:
    first = leaky(10, 1, init_hidden=True, learn_beta=True)
    module = nn.Sequential(linear(12, 10), nn.Dropout(0.3), first, linear(10, 4), leaky(4, 2, init_hidden=True))
    module(torch.rand(6, 12))  # leaves states with gradients behind
    module.train()
    state = {name: value.clone() for name, value in module.state_dict().items()}
    memory, random = first.mem, torch.random.get_rng_state()
    made, hooks = len(snn.SpikingNeuron.instances), len(first._forward_hooks)
    from_snntorch(module, (12,))
    assert module.training
    assert first.mem is memory
    assert memory.requires_grad
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), random)
    assert (len(snn.SpikingNeuron.instances), len(first._forward_hooks)) == (made, hooks)


def test_objects_that_are_not_modules_are_refused() -> None:
    with pytest.raises(InputError, match="found dict"):
        from_snntorch({}, (3,))  # type: ignore[arg-type]


class Flattening(nn.Module):
    """As snnTorch's sixth tutorial writes it: flattened by a call, not by a layer; one pooling used twice."""

    def __init__(self, across: bool = False) -> None:
        super().__init__()
        self.conv, self.lif1, self.pool = nn.Conv2d(1, 4, 3), leaky(1, 1), nn.AvgPool2d(1)
        self.fc, self.lif2 = linear(64, 3), leaky(3, 2)
        self.across = across

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes = torch.zeros(())
        for step in x:
            image, mem1 = self.lif1(self.conv(step), mem1)
            image = self.pool(self.pool(image))
            image = image.movedim(1, -1) if self.across else image
            spikes, mem2 = self.lif2(self.fc(image.reshape(len(image), -1)), mem2)
        return spikes


def test_flattening_within_forward_is_recognised() -> None:
    order = ["conv", "lif1", "pool", "pool", "fc", "lif2"]
    network = from_snntorch(Flattening(), (1, 6, 6), order=order)
    assert [type(layer).__name__ for layer in network.layers] == [
        "Conv", "AveragePool", "AveragePool", "Flatten", "Dense",
    ]  # fmt: skip
    with pytest.raises(Unsupported, match="bins differ"):
        from_snntorch(Flattening(across=True), (1, 6, 6), order=order)


def test_neurons_used_twice_are_named() -> None:
    lif = leaky()
    module = nn.Sequential(linear(4, 4), lif, linear(4, 3), lif)
    with pytest.raises(Unsupported, match=r"3: the same object as 1: .* two objects"):
        from_snntorch(module, (4,))


def test_a_layer_that_is_not_read_hides_what_follows_from_it() -> None:
    module = nn.Sequential(
        nn.Conv2d(1, 2, 3), leaky(), nn.MaxPool2d(2), nn.Flatten(), linear(8, 3), nn.ReLU(), nn.Softmax(1)
    )
    with pytest.raises(Unsupported) as caught:
        from_snntorch(module, (1, 6, 6))
    assert "2: MaxPool2d: a maximum" in str(caught.value)
    assert "6: Softmax" in str(caught.value)
    assert "Dense expects" not in str(caught.value)


@pytest.mark.parametrize("shape", [64, None])
def test_an_invalid_input_shape_is_refused(shape: Any) -> None:
    with pytest.raises(InputError, match="input_shape: expected"):
        from_snntorch(nn.Sequential(linear(64, 3), leaky(3)), shape)


@pytest.mark.filterwarnings("ignore:Lazy modules", "ignore:.*torch.jit.script.* is deprecated")
def test_modules_that_do_not_show_their_weights_are_refused() -> None:
    with pytest.raises(Unsupported, match="0: LazyLinear: its weights are created by the first forward pass"):
        from_snntorch(nn.Sequential(nn.LazyLinear(3), leaky(3)), (4,))
    with pytest.raises(Unsupported, match="a scripted module does not expose its layers"):
        from_snntorch(torch.jit.script(nn.Sequential(linear(4, 3), nn.ReLU())), (4,))


WEIGHTED: dict[str, Any] = {
    "weight_norm": torch.nn.utils.weight_norm,
    "spectral_norm": torch.nn.utils.spectral_norm,
    "pruned": lambda layer: torch.nn.utils.prune.random_unstructured(layer, "weight", amount=0.4),
    "parametrised weight_norm": torch.nn.utils.parametrizations.weight_norm,
    "parametrised spectral_norm": torch.nn.utils.parametrizations.spectral_norm,
}


def hooked(make: Any, seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(make(linear(12, 10, seed)), leaky(10, 1), make(linear(10, 4, seed + 1)), leaky(4, 2))


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("kind", WEIGHTED)
def test_weights_computed_in_the_forward_pass_are_those_it_would_compute(kind: str, checked: bool) -> None:
    """A module that was loaded but never ran still holds the weights from before."""
    trained, module = hooked(WEIGHTED[kind], 1), hooked(WEIGHTED[kind], 5)
    module.load_state_dict(trained.state_dict())
    before = {name: value.clone() for name, value in module.state_dict().items()}
    network = from_snntorch(module, (12,), checked=checked)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    module.eval()
    for layer, computed, inputs in zip(network.layers, (module[0], module[2]), (12, 10)):
        assert isinstance(layer, bl.Dense)
        computed(torch.zeros(1, inputs))
        np.testing.assert_array_equal(layer.weight, computed.weight.detach().double().numpy())


def test_a_hook_that_sets_the_weight_is_run() -> None:
    module = nn.Sequential(linear(12, 4), leaky(4))

    def halve(layer: Any, _: Any) -> None:
        layer.weight.data = torch.full((4, 12), 0.5)

    module[0].register_forward_pre_hook(halve)
    layer = from_snntorch(module, (12,), checked=False).layers[0]
    assert isinstance(layer, bl.Dense)
    assert (layer.weight == 0.5).all()
    assert not bool((module[0].weight == 0.5).all())


def test_hooks_that_change_what_passes_are_refused_and_others_are_not() -> None:
    module = nn.Sequential(linear(12, 4), leaky(4))
    shapes: list[Any] = []
    module[0].register_forward_hook(lambda _, __, output: shapes.append(output.shape))
    from_snntorch(module, (12,), checked=False)
    handle = module[0].register_forward_hook(lambda _, __, output: 2 * output)
    with pytest.raises(Unsupported, match="0: a forward hook changes its outputs"):
        from_snntorch(module, (12,), checked=False)
    handle.remove()
    module[0].register_forward_pre_hook(lambda _, inputs: (inputs[0] * 2,))
    with pytest.raises(Unsupported, match="0: a forward pre-hook changes its inputs"):
        from_snntorch(module, (12,), checked=False)


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("made", ["subtract", "zero"])
@pytest.mark.parametrize("assigned", [False, True])
def test_a_reset_changed_after_the_neuron_was_made_is_the_one_that_runs(
    made: str, assigned: bool, checked: bool
) -> None:
    other = "zero" if made == "subtract" else "subtract"
    module = nn.Sequential(linear(12, 6), leaky(6, reset_mechanism=made))
    if assigned:
        module[1].reset_mechanism = other
    else:
        module.load_state_dict(nn.Sequential(linear(12, 6), leaky(6, reset_mechanism=other)).state_dict())
    network = from_snntorch(module, (12,), checked=checked)
    layer = network.layers[0]
    assert isinstance(layer, bl.Dense)
    assert layer.neuron.reset == ("subtract_delayed" if made == "subtract" else "zero")


def test_two_resets_at_once_are_refused() -> None:
    module = nn.Sequential(linear(12, 6), leaky(6, reset_mechanism="zero", reset_delay=False))
    module[1].reset_mechanism = "subtract"
    with pytest.raises(Unsupported, match="1: reset_mechanism: it was changed from 'zero' to 'subtract'"):
        from_snntorch(module, (12,))


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
@pytest.mark.parametrize("kind", ["complex", "sparse", "csr", "quantized", "meta"])
def test_weights_that_are_not_dense_real_numbers_are_refused_by_name(kind: str) -> None:
    module = nn.Sequential(linear(12, 4), leaky(4))
    weight = module[0].weight.detach()
    changed = {
        "complex": lambda: weight + 1j,
        "sparse": weight.to_sparse,
        "csr": weight.to_sparse_csr,
        "quantized": lambda: torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8),
        "meta": lambda: weight.to("meta"),
    }[kind]()
    module[0].weight = nn.Parameter(changed, requires_grad=False)
    with pytest.raises(Unsupported, match="0: Linear: parameter weight: expected real values in a dense tensor"):
        from_snntorch(module, (12,))
    description = [{"kind": "dense", "weight": "w", "beta": 0.9, "reset": "zero"}]
    with pytest.raises(InputError, match=r"layer 0: weight: tensor 'w': expected real values"):
        bl.from_state_dict({"w": changed}, description, (12,))
