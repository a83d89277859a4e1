"""The part of the backend contract that is about gradients; `BackendContract` includes it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bl_neuro.backends import find_backend
from bl_neuro.deploy.quantize import quantize
from bl_neuro.network import Network
from bl_neuro.testing.fixed_point import effective_network
from bl_neuro.testing.gradients import class_score, cosine, relative_difference, target_gradient, unrolled_gradient
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
    """White-box substrates give the canonical gradient, whatever their library would say; others give none."""

    def test_gradients_are_as_announced(self, opener: Opener) -> None:
        """`differentiable` says whether a gradient flows; without gradient mode none does."""
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
        """The same spikes and membrane, and a gradient of the input's dtype."""
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
        """Steps that share their memory are differentiated one by one."""
        target = opener()
        if not target.differentiable:
            pytest.skip(f"substrate '{self.substrate}' has no gradients")
        frame = torch.from_numpy(random_spikes(PLAIN, 4, steps=1)).double()
        held, repeated = frame.expand(8, -1, -1).requires_grad_(), frame.repeat(8, 1, 1).requires_grad_()
        found, expected = (
            torch.autograd.grad(class_score(target.run(inputs), label=1).sum(), inputs)[0]
            for inputs in (held, repeated)
        )
        assert relative_difference(found, expected) < 1e-5

    @pytest.mark.parametrize("what", NETWORKS)
    def test_the_gradient_is_the_canonical_one(self, opener: Opener, what: str) -> None:
        """As torch's autograd finds it on the unrolled network, within 1e-6 in float64."""
        network = NETWORKS[what]
        if not find_backend(self.substrate).differentiable:
            pytest.skip(f"substrate '{self.substrate}' has no gradients")
        spikes = random_spikes(network, 3, steps=12, batch=2)
        found = target_gradient(opener(network), spikes, label=1)
        assert found.isfinite().all()
        if self.arithmetic == "float":
            assert relative_difference(found, unrolled_gradient(network, spikes, label=1)) < 1e-6
        else:
            rounded = effective_network(quantize(network))
            assert cosine(found, unrolled_gradient(rounded, spikes, label=1)) > 0.95
