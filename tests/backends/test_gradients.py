"""Gradients across substrates: the canonical one is the same everywhere, the libraries' own are not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import bl_neuro as bl
from bl_neuro.backends import find_backend, missing_reason
from bl_neuro.backends.canonical import SLOPE, canonical_states, differentiable, surrogate
from bl_neuro.backends.loihi.gradient import _one_channel
from bl_neuro.backends.target import Target
from bl_neuro.deploy.quantize import quantize
from bl_neuro.layers import Layer
from bl_neuro.network import Network
from bl_neuro.neuron import Reset
from bl_neuro.reference import simulate
from bl_neuro.testing.fixed_point import effective_network
from bl_neuro.testing.gradient_contract import cosine, relative_difference, target_gradient, unrolled_gradient
from bl_neuro.testing.random_networks import random_conv, random_dense, random_pooled, random_spikes

NETWORKS = {
    "dense": random_dense(300),
    "dense, unfiltered": random_dense(301, filtered=False),
    "dense, grid": random_dense(302, grid=True),
    "conv": random_conv(303),
    "conv, grid": random_conv(304, grid=True),
}
FRAMEWORK = [
    pytest.param("snntorch", marks=pytest.mark.snntorch),
    pytest.param("norse", marks=pytest.mark.norse),
    pytest.param("slayer", marks=pytest.mark.slayer),
]


def opened(network: Network, substrate: str, **options: str) -> Target:
    reason = missing_reason(find_backend(substrate))
    if reason:
        pytest.skip(f"substrate '{substrate}': {reason}")
    return bl.open_target(network, substrate, **options)


@pytest.mark.snntorch
@pytest.mark.norse
@pytest.mark.parametrize("what", NETWORKS)
def test_snntorch_and_norse_agree(what: str) -> None:
    network = NETWORKS[what]
    spikes = random_spikes(network, 1, steps=15, batch=2)
    one, other = (target_gradient(opened(network, name), spikes, label=2) for name in ("snntorch", "norse"))
    assert relative_difference(one, other) < 1e-6


@pytest.mark.slayer
@pytest.mark.snntorch
@pytest.mark.parametrize("what", NETWORKS)
def test_slayer_agrees_with_snntorch_on_the_rounded_network(what: str) -> None:
    network = NETWORKS[what]
    spikes = random_spikes(network, 2, steps=15, batch=2)
    gradient = target_gradient(opened(network, "slayer"), spikes, label=2)
    rounded = effective_network(quantize(network))
    assert cosine(gradient, target_gradient(opened(rounded, "snntorch"), spikes, label=2)) > 0.95


@pytest.mark.parametrize("substrate", FRAMEWORK)
@pytest.mark.parametrize("what", ["dense", "dense, unfiltered", "conv"])
def test_the_native_surrogate_is_another_one(substrate: str, what: str) -> None:
    network = NETWORKS[what]
    spikes = random_spikes(network, 3, steps=15, batch=2)
    canonical, native = opened(network, substrate), opened(network, substrate, surrogate="native")
    assert canonical.run(spikes).spikes.equal(native.run(spikes).spikes), "values and dtype are the same"
    ours, theirs = (target_gradient(target, spikes, label=2) for target in (canonical, native))
    assert theirs.isfinite().all()
    assert theirs.any()
    assert cosine(ours, theirs) < 0.95


@pytest.mark.parametrize("substrate", FRAMEWORK)
def test_an_unknown_surrogate_is_refused(substrate: str) -> None:
    with pytest.raises(bl.InputError, match="surrogate: expected one of canonical, native, found 'arctan'"):
        opened(NETWORKS["dense"], substrate, surrogate="arctan")


@pytest.mark.parametrize(
    ("substrate", "reset"),
    [
        pytest.param("snntorch", "subtract_delayed", marks=pytest.mark.snntorch),
        pytest.param("norse", "subtract", marks=pytest.mark.norse),
    ],
)
def test_other_resets_have_their_gradient(substrate: str, reset: Reset) -> None:
    network = random_dense(305, filtered=False, reset=reset)
    spikes = random_spikes(network, 4, steps=15, batch=2)
    gradient = target_gradient(opened(network, substrate), spikes, label=2)
    assert relative_difference(gradient, unrolled_gradient(network, spikes, label=2)) < 1e-6


@pytest.mark.parametrize("substrate", FRAMEWORK[:2])
def test_pooling_passes_the_gradient_on(substrate: str) -> None:
    network = random_pooled(306)
    spikes = random_spikes(network, 5, steps=15, batch=2)
    gradient = target_gradient(opened(network, substrate), spikes, label=2)
    assert relative_difference(gradient, unrolled_gradient(network, spikes, label=2)) < 1e-6


def test_the_surrogate_is_the_documented_function() -> None:
    membrane = torch.tensor([1.0, 1.2, 0.8, 0.0, -3.0], dtype=torch.float64)
    expected = [1 / (1 + 25 * distance) ** 2 for distance in (0.0, 0.2, 0.2, 1.0, 4.0)]
    assert SLOPE == 25
    torch.testing.assert_close(surrogate(membrane), torch.tensor(expected, dtype=torch.float64))


def test_the_canonical_states_need_no_framework() -> None:
    """What training runs on: the same spikes and gradient as the unrolled network."""
    network = random_dense(307, (9, 7))
    (layer,) = network.layers
    assert isinstance(layer, bl.Dense)
    spikes = random_spikes(network, 6, steps=15, batch=2)
    names = ("current_decay", "voltage_decay", "threshold", "bias")
    du, dv, threshold, bias = (torch.from_numpy(layer.neuron.expanded(name, (7,)).copy()) for name in names)
    inputs = torch.from_numpy(spikes).double().requires_grad_()
    drive = inputs @ torch.from_numpy(layer.weight.copy()).T
    fired, membrane = canonical_states(drive, du, dv, threshold, bias)
    fired, membrane = differentiable(drive, fired, membrane, du, dv, threshold, "zero")
    assert fired.detach().numpy().tolist() == simulate(network, spikes).spikes.tolist()
    score = torch.softmax(membrane, dim=2)[..., 2].mean(0).sum()
    (gradient,) = torch.autograd.grad(score, inputs)
    assert relative_difference(gradient, unrolled_gradient(network, spikes, label=2)) < 1e-6


@pytest.mark.snntorch
@pytest.mark.norse
@pytest.mark.parametrize("substrate", ["snntorch", "norse", "loihi"])
def test_the_gradient_runs_back_through_recurrent_synapses(substrate: str) -> None:
    rng = np.random.default_rng(0)
    on_loihi = substrate == "loihi"
    bias = None if on_loihi else rng.normal(0, 0.2, 7)
    recurrent = 2 * rng.integers(-40, 60, (7, 7)) if on_loihi else rng.normal(0, 0.5, (7, 7))
    weight = 2 * rng.integers(-60, 80, (7, 6)) if on_loihi else rng.normal(0, 0.8, (7, 6))
    neuron = bl.CubaLIF(160.0 if on_loihi else 1.0, 2048 / 4096, 1024 / 4096)
    network = Network((6,), [bl.Dense(weight, neuron, recurrent=recurrent, current_bias=bias)])
    assert isinstance(network.layers[0], bl.Dense)
    spikes = random_spikes(network, 1, steps=15, batch=2)
    gradient = target_gradient(opened(network, substrate), spikes, label=2)
    expected = unrolled_gradient(network, spikes, label=2)
    without = Network((6,), [bl.Dense(weight, neuron, current_bias=bias)])
    assert cosine(gradient, unrolled_gradient(without, spikes, label=2)) < 0.9
    if on_loihi:  # whose states are rounded
        assert cosine(gradient, expected) > 0.95
    else:
        assert relative_difference(gradient, expected) < 1e-6


@pytest.mark.parametrize("neurons", [1, 4])
def test_gradients_reach_input_neurons_without_a_warning(neurons: int, recwarn: pytest.WarningsRecorder) -> None:
    gain = 10 + np.arange(neurons)
    layers: list[Layer] = [
        bl.Input(gain, bl.CubaLIF(15, 1, 0.25)),
        bl.Dense(2 * np.ones((3, 4)), bl.CubaLIF(5, 1, 0.5)),
    ]
    network = bl.Network((4,), layers, arithmetic="loihi")
    torch.set_warn_always(True)  # torch says most things once a process
    try:
        gradient = target_gradient(opened(network, "loihi"), np.ones((5, 2, 4), np.float32), label=1)
    finally:
        torch.set_warn_always(False)
    assert gradient.any()
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize(("stride", "padding", "dilation"), [(1, 0, 1), (2, 1, 1), ((2, 1), (0, 2), (1, 2))])
def test_an_image_of_one_channel_has_the_gradient_of_conv2d(stride: object, padding: object, dilation: object) -> None:
    generator = np.random.default_rng(5)
    layer = bl.Conv(
        generator.normal(size=(3, 1, 3, 2)),
        bl.CubaLIF(threshold=1.0),
        stride=stride,
        padding=padding,
        dilation=dilation,
    )
    weight = torch.tensor(np.array(layer.weight), dtype=torch.float64)
    images = torch.zeros(70, 1, 9, 8, dtype=torch.float64, requires_grad=True)
    geometry = layer.stride, layer.padding, layer.dilation
    sums = torch.nn.functional.conv2d(images, weight, None, *geometry)
    gradient = torch.as_tensor(generator.normal(size=sums.shape))
    (expected,) = torch.autograd.grad(sums, images, gradient)
    torch.testing.assert_close(_one_channel(layer, tuple(images.shape), weight, gradient), expected)
