"""The baseline on an ANN: its descent, its stopping rule, and the models it accepts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bl_neuro import InputError, WhiteBox
from bl_neuro.attacks import AnnBox, GradientInversion, Inversions
from bl_neuro.testing.reference_target import EasyAnn, ReferenceTarget, easy_network
from bl_neuro.training.ann_twin import AnnTwin


def inverted(twin: nn.Module, classes: list[int], seed: int = 0, **changes: Any) -> Inversions:
    return GradientInversion(**changes)(AnnBox(twin), classes=classes, steps=8, seed=seed)


def written_out(twin: nn.Module, label: int, plan: GradientInversion) -> Tensor:
    """The authors' loop for one class."""
    image = torch.zeros(1, 12)
    last, stalled = float("inf"), 0
    for _ in range(plan.iterations):
        image = image.detach().requires_grad_()
        cost = 1 - torch.softmax(twin(image), 1)[0, label]
        (gradient,) = torch.autograd.grad(cost, image)
        image = image.detach() - plan.learning_rate * gradient
        image = image.clamp(0, 1) if plan.clip else image
        stalled = stalled + 1 if cost >= last else 0
        if stalled >= plan.patience or cost <= plan.goal:
            break
        last = float(cost.detach())
    return (image - image.min()) / (image.max() - image.min())


@pytest.mark.parametrize("clip", [True, False])
def test_is_the_authors_loop(clip: bool) -> None:
    plan = GradientInversion(clip=clip)
    inversions = inverted(EasyAnn(), [2, 0], clip=clip)
    for row, label in enumerate([2, 0]):
        assert inversions.rates is not None
        torch.testing.assert_close(inversions.rates[row], written_out(EasyAnn(), label, plan)[0], rtol=1e-4, atol=1e-5)


def test_a_class_stops_when_it_is_done() -> None:
    quick = inverted(EasyAnn(), [0, 1, 2], goal=0.3).queries
    assert quick < inverted(EasyAnn(), [0, 1, 2], goal=0.01).queries
    flat = EasyAnn(gain=0.0)  # never improves: `patience` iterations after the first, and the result shown once
    assert inverted(flat, [0, 1], patience=5).queries == 2 * (6 + 1)
    assert inverted(flat, [0], iterations=3).queries == 3 + 1


def test_one_class_going_on_does_not_wait_for_another() -> None:
    twin = EasyAnn()
    with torch.no_grad():
        twin.weight[1] *= 3  # class 1 is easy
    alone = {label: inverted(twin, [label]).queries for label in (0, 1)}
    assert alone[1] < alone[0]
    assert inverted(twin, [0, 1]).queries == sum(alone.values())


def test_lights_its_class_and_codes_it() -> None:
    inversions = inverted(EasyAnn(), [2, 0, 1])
    assert inversions.rates is not None
    own = inversions.rates.reshape(3, 3, 4).mean(2)
    assert own.argmax(1).tolist() == [2, 0, 1]
    assert bool((inversions.spikes.float().mean(0)[inversions.rates == 1] == 1).all())
    assert not inversions.spikes.float().mean(0)[inversions.rates == 0].any()


def test_image_priors_shape_the_gradient() -> None:
    twin = EasyAnn(input_shape=(1, 3, 4))
    plain, blurred = inverted(twin, [1]), inverted(twin, [1], blur=1.0)
    assert plain.rates is not None
    assert blurred.rates is not None
    assert not plain.rates[0, 0, 0].any()
    assert bool((blurred.rates[0, 0, 0] > 0).any())
    assert GradientInversion(blur=1.0).assumptions(AnnBox(twin)) == ["neighbouring pixels agree (blur of 1 pixels)"]


def test_accepts_the_ann_twins_of_this_package() -> None:
    torch.manual_seed(0)
    inversions = inverted(AnnTwin((1, 4, 3), (16,), 5), [4, 0], iterations=20)
    assert inversions.spikes.shape == (8, 2, 1, 4, 3)
    assert bool((inversions.trace.objective[-1] > inversions.trace.objective[0]).all())


def test_leaves_the_module_as_it_was() -> None:
    twin = EasyAnn().train()
    inverted(twin, [0])
    assert twin.training
    assert twin.weight.grad is None


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda images: images, "expected a torch module"),
        (nn.Linear(12, 3), "with a valid input_shape, found None"),
        (SimpleNamespace(input_shape=(2,), classes=3), "expected a torch module"),
    ],
)
def test_the_box_requires_modules_with_a_known_input_shape(model: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        AnnBox(model)


def test_the_box_needs_classes_and_shapes_that_hold() -> None:
    twin = EasyAnn()
    twin.classes = 0
    with pytest.raises(InputError, match="how many classes"):
        AnnBox(twin)
    twin.classes = 4
    with pytest.raises(InputError, match=r"expected logits \(2, 4\), found \(2, 3\)"):
        AnnBox(twin).run(torch.zeros(2, 12))
    with pytest.raises(InputError, match="images: expected shape"):
        AnnBox(EasyAnn()).run(torch.zeros(2, 11))
    twin.input_shape = (0,)
    with pytest.raises(InputError, match="whose input_shape is known"):
        AnnBox(twin)


def test_a_spiking_target_is_refused_with_advice() -> None:
    with ReferenceTarget(easy_network()) as target:
        with pytest.raises(InputError, match="WhiteBox"):
            AnnBox(target)
        with pytest.raises(InputError, match="ann: expected a box of type AnnBox, found WhiteBox"):
            GradientInversion()(WhiteBox(target), classes=[0], steps=2)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"iterations": 0}, "iterations: expected a whole number"),
        ({"patience": None}, "patience: expected a whole number"),
        ({"learning_rate": -1.0}, "learning_rate: expected above 0"),
        ({"goal": 1.0}, "goal: expected 0 or more, below 1"),
    ],
)
def test_refuses(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        GradientInversion(**changes)
