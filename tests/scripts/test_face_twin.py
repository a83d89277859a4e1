"""The written-out training of the faces' ANN twin does what PyTorch's does."""

from __future__ import annotations

import importlib

import numpy as np
import torch
import torch.nn.functional as F

from bl_neuro.data import load_digits
from bl_neuro.training import AnnTwin

face_twin = importlib.import_module("face_twin")


def test_gradients_are_those_of_autograd() -> None:
    twin = AnnTwin((1, 6, 5), (12,), 4)
    images, labels = torch.rand(7, 30), torch.tensor([0, 1, 2, 3, 0, 1, 2])
    parameters = [value for layer in twin.layers for value in (layer.weight, layer.bias)]
    expected = torch.autograd.grad(F.cross_entropy(twin(images), labels), parameters)
    gradients = [torch.zeros_like(value) for value in parameters]
    face_twin.slopes([value.detach() for value in parameters], images, labels, gradients)
    for one, other in zip(gradients, expected):
        torch.testing.assert_close(one, other)


def test_a_step_is_adams() -> None:
    rng = np.random.default_rng(0)
    start = torch.from_numpy(rng.normal(size=50).astype(np.float32))
    ours, theirs = start.numpy().copy(), start.clone().requires_grad_()
    mean, square = np.zeros(50, np.float32), np.zeros(50, np.float32)
    optimiser = torch.optim.Adam([theirs], lr=1e-2)
    for step in range(1, 6):
        gradient = rng.normal(size=50).astype(np.float32)
        theirs.grad = torch.from_numpy(gradient)
        optimiser.step()
        face_twin.adam(ours, gradient, mean, square, 1e-2 / (1 - 0.9**step), (1 - 0.999**step) ** 0.5)
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_a_twin_learns_and_comes_out_the_same_again() -> None:
    digits = load_digits()
    recipe = face_twin.FaceTwin(epochs=30, rate=2e-2, batch=100)
    twin, again = (recipe.train(digits, 30, 0) for _ in range(2))
    assert twin.accuracy(digits) > 0.95
    torch.testing.assert_close(twin.layers[0].weight, again.layers[0].weight, rtol=0, atol=0)
