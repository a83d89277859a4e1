"""The written-out training of an ANN twin does what PyTorch's does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bl_neuro.data import Split
from bl_neuro.errors import InputError
from bl_neuro.training import AnnTwin, AuthorsTwinPlan, Checkpoint, train_authors_twin
from bl_neuro.training import authors_twin as module_of_twin
from bl_neuro.training.adam_pass import adam_pass
from bl_neuro.training.authors_twin import FIRST, SECOND, gradients

PLAN = AuthorsTwinPlan(epochs=3, batch=20, rate=1e-2)


def test_gradients_are_those_of_autograd() -> None:
    twin = AnnTwin((1, 6, 5), (12,), 4)
    images, labels = torch.rand(7, 30), torch.tensor([0, 1, 2, 3, 0, 1, 2])
    parameters = list(twin.parameters())
    expected = torch.autograd.grad(F.cross_entropy(twin(images), labels), parameters)
    written = [torch.zeros_like(value) for value in parameters]
    gradients([value.detach() for value in parameters], images, labels, written)
    for one, other in zip(written, expected):
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
        rate, correction = 1e-2 / (1 - FIRST**step), (1 - SECOND**step) ** 0.5
        adam_pass(ours, gradient, mean, square, FIRST, SECOND, rate, correction)
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_it_learns_the_digits(split: Split) -> None:
    twin = train_authors_twin(split.target, AuthorsTwinPlan(epochs=30, rate=2e-2, batch=100), (30,))
    assert twin.accuracy(split.test) > 0.9
    assert not twin.training


def test_it_comes_from_its_seed_alone(few: Split) -> None:
    first, again, other = (train_authors_twin(few.target, PLAN, (8,), seed=seed) for seed in (1, 1, 2))
    assert all(map(torch.equal, first.state_dict().values(), again.state_dict().values()))
    assert not any(map(torch.equal, first.state_dict().values(), other.state_dict().values()))


def test_it_resumes_an_interrupted_training(few: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed = train_authors_twin(few.target, PLAN, (8,))
    place, run = Checkpoint(tmp_path / "checkpoint.safetensors", every_s=0), module_of_twin._Training.run_epoch

    def cut_short(training: Any, epoch: int) -> None:
        if epoch == 2:
            raise KeyboardInterrupt
        run(training, epoch)

    monkeypatch.setattr(module_of_twin._Training, "run_epoch", cut_short)
    with pytest.raises(KeyboardInterrupt):
        train_authors_twin(few.target, PLAN, (8,), checkpoint=place)
    epochs: list[int] = []

    def counted(self: Any, epoch: int) -> Any:
        epochs.append(epoch)
        return run(self, epoch)

    monkeypatch.setattr(module_of_twin._Training, "run_epoch", counted)
    again = train_authors_twin(few.target, PLAN, (8,), checkpoint=place)
    assert epochs == [2]
    assert all(map(torch.equal, undisturbed.state_dict().values(), again.state_dict().values()))
    with pytest.raises(InputError, match="another training: seed"):
        train_authors_twin(few.target, PLAN, (8,), seed=1, checkpoint=place)


@pytest.mark.parametrize("settings", [{"epochs": -1}, {"batch": 0}, {"rate": 1.0}])
def test_invalid_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        AuthorsTwinPlan(**settings)


def test_it_has_one_hidden_layer(few: Split) -> None:
    with pytest.raises(InputError, match="hidden: expected one hidden layer"):
        train_authors_twin(few.target, PLAN, (8, 8))
