"""The part of the backend contract about gradients; `BackendContract` includes it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bl_neuro.arrays import FloatArray
from bl_neuro.backends import find_backend
from bl_neuro.backends.target import Response, Target
from bl_neuro.deploy.quantize import quantize
from bl_neuro.layers import SPIKING, Conv, Dense, Flatten, Layer, SumPool
from bl_neuro.network import Network
from bl_neuro.neuron import CubaLIF
from bl_neuro.testing.fixed_point import effective_network
from bl_neuro.testing.random_networks import random_conv, random_dense, random_spikes
from bl_neuro.testing.substrate_fixture import PLAIN, Opener, SubstrateFixture

NETWORKS: dict[str, Network] = {
    "dense": random_dense(200),
    "dense, unfiltered": random_dense(201, filtered=False),
    "grid": random_dense(202, grid=True),
    "conv": random_conv(203),
    "conv, unfiltered": random_conv(204, filtered=False),
}


class GradientContract(SubstrateFixture):
    """White-box substrates return the canonical gradient, independent of their library; others return none."""

    def test_gradients_are_as_announced(self, opener: Opener) -> None:
        """Gradients flow if and only if `differentiable`, and never in no-gradient mode."""
        target = opener()
        assert target.differentiable == find_backend(self.substrate).differentiable
        inputs = torch.from_numpy(random_spikes(PLAIN, 0, steps=8)).float().requires_grad_()
        response = target.run(inputs)
        with torch.no_grad():
            assert not target.run(inputs).spikes.requires_grad
        assert response.spikes.requires_grad == target.differentiable
        if response.membrane is not None:
            assert response.membrane.requires_grad == target.differentiable

    def test_asking_for_a_gradient_changes_nothing_else(self, opener: Opener) -> None:
        """Spikes and membrane are the same with a gradient, which has the dtype of the input."""
        target = opener()
        if not target.differentiable:
            pytest.skip(f"substrate '{self.substrate}' has no gradients")
        spikes = random_spikes(PLAIN, 1, steps=8)
        plain = target.run(spikes)
        inputs = torch.from_numpy(spikes).float().requires_grad_()
        with_gradient = target.run(inputs, layers=True)
        assert with_gradient.membrane is not None
        assert plain.membrane is not None
        assert torch.equal(with_gradient.spikes.double(), plain.spikes.double())
        np.testing.assert_allclose(with_gradient.membrane.detach(), plain.membrane, rtol=1e-6)
        with_gradient.membrane.sum().backward()
        assert inputs.grad is not None
        assert inputs.grad.dtype == inputs.dtype

    def test_a_sample_has_the_gradient_it_has_alone(self, opener: Opener) -> None:
        """Gradients do not leak across the batch."""
        target = opener()
        if not target.differentiable:
            pytest.skip(f"substrate '{self.substrate}' has no gradients")
        spikes = random_spikes(PLAIN, 2, steps=8)
        together = target_gradient(target, spikes, label=1)
        for index in range(spikes.shape[1]):
            alone = target_gradient(target, spikes[:, index : index + 1], label=1)
            assert relative_difference(together[:, index : index + 1], alone) < 1e-5

    def test_a_held_frame_has_the_gradient_of_every_step(self, opener: Opener) -> None:
        """Steps that share memory have separate gradients."""
        target = opener()
        if not target.differentiable:
            pytest.skip(f"substrate '{self.substrate}' has no gradients")
        frame = torch.from_numpy(random_spikes(PLAIN, 4, steps=1)).double()
        held, repeated = frame.expand(8, -1, -1).requires_grad_(), frame.repeat(8, 1, 1).requires_grad_()
        of_held, of_repeated = (
            torch.autograd.grad(class_score(target.run(inputs), label=1).sum(), inputs)[0]
            for inputs in (held, repeated)
        )
        assert relative_difference(of_held, of_repeated) < 1e-5

    @pytest.mark.parametrize("what", NETWORKS)
    def test_the_gradient_is_the_canonical_one(self, opener: Opener, what: str) -> None:
        """The gradient equals that of torch's autograd on the unrolled network, within 1e-6 in float64."""
        network = NETWORKS[what]
        if not find_backend(self.substrate).differentiable:
            pytest.skip(f"substrate '{self.substrate}' has no gradients")
        spikes = random_spikes(network, 3, steps=12, batch=2)
        gradient = target_gradient(opener(network), spikes, label=1)
        assert gradient.isfinite().all()
        if self.arithmetic == "real":
            assert relative_difference(gradient, unrolled_gradient(network, spikes, label=1)) < 1e-6
        elif self.arithmetic == "loihi":
            rounded = effective_network(quantize(network))
            assert cosine(gradient, unrolled_gradient(rounded, spikes, label=1)) > 0.95


class _Spike(torch.autograd.Function):
    """s = [v > threshold], with ds/dv = 1 / (1 + 25 |v - threshold| / threshold)^2."""

    @staticmethod
    def forward(ctx: Any, voltage: Tensor, threshold: Tensor) -> Tensor:
        ctx.save_for_backward(voltage, threshold)
        return (voltage > threshold).to(voltage.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        voltage, threshold = ctx.saved_tensors
        return gradients[0] / (1 + 25 * (voltage - threshold).abs() / threshold) ** 2, None


def class_score(response: Response, label: int) -> Tensor:
    """J = mean over time of softmax(membrane)[label], (B,), the objective of white-box attacks."""
    if response.membrane is None:
        raise AssertionError("a differentiable target reveals its membrane potential")
    return torch.softmax(response.membrane, dim=2)[..., label].mean(0)


def target_gradient(target: Target, spikes: Any, label: int) -> Tensor:
    """dJ/dspikes of `target`, in float64."""
    inputs = torch.as_tensor(spikes, dtype=torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(class_score(target.run(inputs), label).sum(), inputs)
    return gradient


def unrolled_gradient(network: Network, spikes: Any, label: int) -> Tensor:
    """dJ/dspikes of the unrolled canonical network, in float64."""
    inputs = torch.as_tensor(spikes, dtype=torch.float64).requires_grad_()
    values = list(inputs)
    membrane: list[Tensor] = []
    for layer, shape in zip(network.layers, network.shapes):
        if isinstance(layer, (Dense, Conv)):
            recurrent = layer.recurrent if isinstance(layer, Dense) else None
            values, membrane = _spiking(layer.neuron, [_synapse(layer, frame) for frame in values], shape, recurrent)
        else:
            values = [_shape_only(layer, frame) for frame in values]
            membrane = [frame.flatten(1) for frame in membrane] if isinstance(layer, Flatten) else membrane
    response = Response(torch.stack(values), torch.stack(membrane))
    (gradient,) = torch.autograd.grad(class_score(response, label).sum(), inputs)
    return gradient


def relative_difference(actual: Tensor, expected: Tensor) -> float:
    """Largest difference as a fraction of the largest expected value."""
    return float((actual - expected).abs().max() / expected.abs().max())


def cosine(one: Tensor, other: Tensor) -> float:
    """Cosine of the angle between two gradients."""
    return float(F.cosine_similarity(one.double().flatten(), other.double().flatten(), dim=0))


def _spiking(
    neuron: CubaLIF, drive: list[Tensor], shape: tuple[int, ...], recurrent: FloatArray | None = None
) -> tuple[list[Tensor], list[Tensor]]:
    names = ("threshold", "current_decay", "voltage_decay", "bias")
    threshold, current_decay, voltage_decay, bias = (
        torch.from_numpy(neuron.expanded(name, shape).copy()) for name in names
    )
    current = voltage = late = torch.zeros_like(drive[0])
    fired: list[Tensor] = []
    membrane: list[Tensor] = []
    for inputs in drive:
        current = (1 - current_decay) * current + inputs
        if recurrent is not None and fired:
            current = current + fired[-1] @ torch.from_numpy(recurrent.copy()).T
        voltage = (1 - voltage_decay) * voltage + current + bias - late
        spikes: Tensor = _Spike.apply(voltage, threshold)  # type: ignore[no-untyped-call]  # torch has no types for it
        fired.append(spikes)
        membrane.append(voltage / threshold)
        reset = spikes.detach()
        if neuron.reset == "zero":
            voltage = voltage * (1 - reset)
        elif neuron.reset == "subtract":
            voltage = voltage - threshold * reset
        else:
            late = threshold * reset
    return fired, membrane


def _synapse(layer: Dense | Conv, frame: Tensor) -> Tensor:
    weight = torch.from_numpy(layer.weight.copy())
    bias = None if layer.current_bias is None else torch.from_numpy(layer.current_bias.copy())
    if isinstance(layer, Dense):
        if layer.delay is not None:
            raise TypeError(f"{layer}: delays are not part of this oracle")
        return F.linear(frame, weight, bias)
    return F.conv2d(frame, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups)


def _shape_only(layer: Layer, frame: Tensor) -> Tensor:
    if isinstance(layer, Flatten):
        return frame.flatten(1)
    if isinstance(layer, SPIKING):
        raise TypeError(f"{layer} has neurons")
    mean = F.avg_pool2d(frame, layer.size, layer.stride)
    return mean * (layer.size[0] * layer.size[1]) if isinstance(layer, SumPool) else mean
