"""The weights of a target in training: the resulting network computes the same spikes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bl_neuro import Conv, Dense, Flatten, InputError
from bl_neuro.reference import simulate
from bl_neuro.training import ConvSpec, TargetPlan
from bl_neuro.training.bptt import spiking_forward
from bl_neuro.training.plans import NeuronKind
from bl_neuro.training.stack import Stack
from bl_neuro.training.stack_training import RATE, scale_to_rates

SHAPE = (2, 9, 9)


def stack_of(plan: TargetPlan, shape: tuple[int, ...] = SHAPE) -> Stack:
    return Stack(shape, 5, plan, np.random.default_rng(0))


def on_a_grid(stack: Stack) -> None:
    """Weights of so few bits that float32 computes exactly; biases too."""
    with torch.no_grad():
        for number, parameter in enumerate(stack.parameters()):
            drawn = torch.from_numpy(np.random.default_rng(number).integers(-60, 64, size=tuple(parameter.shape)) / 64)
            parameter.copy_(drawn)


@pytest.mark.parametrize("neuron", ["canonical", "authors"])
@pytest.mark.parametrize("conv", [(), (ConvSpec(3, 3, 2), ConvSpec(4, 3, 1, 1))], ids=["dense", "conv"])
def test_the_trained_module_and_the_network_agree(neuron: NeuronKind, conv: tuple[ConvSpec, ...]) -> None:
    stack = stack_of(TargetPlan(hidden=(20,), conv=conv, neuron=neuron, voltage_decay=0.5))
    on_a_grid(stack)
    network = stack.network()
    spikes = np.random.default_rng(1).random((12, 6, *SHAPE)) < 0.2
    fired, membrane = spiking_forward(stack, torch.from_numpy(spikes).float())
    expected = simulate(network, spikes)
    assert 0.02 < expected.spikes.mean() < 0.98
    np.testing.assert_array_equal(fired.detach().numpy() > 0, expected.spikes)
    np.testing.assert_array_equal(membrane.detach().double().numpy(), expected.membrane)
    assert fired.requires_grad


def test_layers_are_as_planned() -> None:
    plan = TargetPlan(hidden=(7,), conv=(ConvSpec(3, 4, 2, 1),), voltage_decay=0.4)
    network = stack_of(plan).network()
    kinds = [type(layer) for layer in network.layers]
    assert kinds == [Conv, Flatten, Dense, Dense]
    assert network.shapes == ((3, 4, 4), (48,), (7,), (5,))
    neuron = network.layers[0].neuron  # type: ignore[union-attr]
    assert neuron.parameters() == {"threshold": 1, "current_decay": 1, "voltage_decay": 0.4, "bias": 0}
    assert neuron.reset == "zero"


def test_the_authors_neuron_has_biases_and_subtracts() -> None:
    network = stack_of(TargetPlan(hidden=(7,), conv=(ConvSpec(3, 3),), neuron="authors")).network()
    neurons = [layer.neuron for layer in network.layers if isinstance(layer, (Conv, Dense))]
    assert [neuron.bias.shape for neuron in neurons] == [(3,), (7,), (5,)]
    assert {neuron.reset for neuron in neurons} == {"subtract_delayed"}


def test_inputs_that_are_flat_stay_so() -> None:
    network = stack_of(TargetPlan(hidden=(4,)), (6,)).network()
    assert network.input_shape == (6,)
    assert [type(layer) for layer in network.layers] == [Dense, Dense]


@pytest.mark.parametrize(
    ("plan", "shape", "message"),
    [
        (TargetPlan(conv=(ConvSpec(3, 3),)), (6,), "expected images"),
        (TargetPlan(conv=(ConvSpec(3, 10),)), SHAPE, "does not fit"),
        (TargetPlan(conv=(ConvSpec(3, 5), ConvSpec(3, 6))), SHAPE, "does not fit"),
        (TargetPlan(conv=(ConvSpec(60_000, 9), ConvSpec(60_000, 1))), SHAPE, "conv: at most"),
        (TargetPlan(hidden=(10**6, 10**6)), SHAPE, "hidden: at most"),
        (TargetPlan(hidden=(10**12,)), SHAPE, "hidden: at most"),
    ],
)
def test_refuses_layers_that_do_not_fit(plan: TargetPlan, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        stack_of(plan, shape)


@pytest.mark.parametrize("conv", [(), (ConvSpec(4, 3),)], ids=["dense", "conv"])
def test_sparse_input_makes_every_layer_fire(conv: tuple[ConvSpec, ...]) -> None:
    stack = stack_of(TargetPlan(hidden=(40,), conv=conv))
    spikes = torch.from_numpy(np.random.default_rng(2).random((40, 8, *SHAPE)) < 0.02).float()
    assert not spiking_forward(stack, spikes)[0].any()
    scale_to_rates(stack, spikes)
    assert RATE / 4 < float(spiking_forward(stack, spikes)[0].mean()) < RATE * 2


def test_no_input_leaves_finite_weights() -> None:
    stack = stack_of(TargetPlan(hidden=(4,)))
    scale_to_rates(stack, torch.zeros(3, 2, *SHAPE))
    assert all(bool(torch.isfinite(parameter).all()) for parameter in stack.parameters())
