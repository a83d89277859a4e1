"""The white-box attack: which spikes it flips, and that its inversions are recognised by the target."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import bl_neuro as bl
from bl_neuro import BlackBox, CubaLIF, Dense, InputError, Network, WhiteBox
from bl_neuro.attacks import BrainLeaksV1
from bl_neuro.backends import Response
from bl_neuro.testing.reference_target import ReferenceTarget, SpikesOnlyBackend, easy_network


class Blind(SpikesOnlyBackend):
    """Gives gradients and shows no membrane."""

    differentiable = True


MANY = 3000
"""Steps enough to see a probability."""


class Scripted(WhiteBox):
    """A white box whose gradients are made up: one for each iteration, (inputs,) or (K, inputs), at every step."""

    def __init__(self, *gradients: Any) -> None:
        super().__init__(ReferenceTarget(easy_network(classes=3, inputs_each=1)))
        self.script, self.asked = list(gradients), list[Tensor]()

    def gradient(self, spikes: Tensor, objective: Callable[[Response], Tensor]) -> tuple[Tensor, Tensor]:
        self.asked.append(spikes)
        made = torch.tensor(self.script[len(self.asked) - 1], dtype=spikes.dtype).expand(spikes.shape)
        return torch.full((spikes.shape[1],), float(len(self.asked))), made


def flipped(*gradients: Any, steps: int = MANY, classes: tuple[int, ...] = (0,)) -> Tensor:
    """The spikes after one iteration along each of `gradients`."""
    inversions = BrainLeaksV1(iterations=len(gradients))(Scripted(*gradients), classes=classes, steps=steps, seed=0)
    return inversions.spikes.float()


def test_starts_from_silence_and_goes_on_from_where_it_was() -> None:
    box = Scripted([1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    BrainLeaksV1(iterations=2)(box, classes=[0], steps=4)
    assert box.asked[0].shape == (4, 1, 3)
    assert not box.asked[0].any()
    assert box.asked[1][:, 0].tolist() == [[1, 0, 0]] * 4


def test_flips_with_the_magnitude_as_its_probability() -> None:
    # |g| is 1, 0.5 and 2; scaled to 0..1 that is a third, none and certainty
    rates = flipped([1.0, 0.5, 2.0]).mean(0)[0]
    assert rates[1:].tolist() == [0.0, 1.0]
    assert float(rates[0]) == pytest.approx(1 / 3, abs=0.03)


def test_flips_towards_the_sign() -> None:
    assert flipped([2.0, -2.0, 0.0])[:, 0].unique(dim=0).tolist() == [[1, 0, 0]]  # silence cannot get quieter
    assert not flipped([2.0, 1.0, 0.0], [-2.0, -2.0, 0.0]).any()  # what is on is put out again
    kept = flipped([2.0, 0.0, 0.0], [-1.0, 0.0, 2.0]).mean(0)[0]
    assert float(kept[0]) == pytest.approx(0.5, abs=0.03)
    assert kept[1:].tolist() == [0.0, 1.0]
    assert flipped([2.0, 0.0, 0.0], [2.0, 0.0, 0.0])[:, 0].unique(dim=0).tolist() == [[1, 0, 0]]  # never more than one


def test_without_a_gradient_nothing_flips() -> None:
    assert not flipped([0.0, 0.0, 0.0]).any()
    assert not flipped([1.0, 1.0, 1.0]).any()  # all alike: none stands out


def test_each_sample_has_a_scale_of_its_own() -> None:
    spikes = flipped([[1e-9, 0.0, 0.0], [0.0, 1e3, 0.0]], classes=(0, 1))
    assert spikes.unique(dim=0).tolist() == [[[1, 0, 0], [0, 1, 0]]]


def test_the_trace_goes_from_silence_to_the_result() -> None:
    box = Scripted([2.0, 0.0, 0.0], [0.0, 2.0, 0.0])
    inversions = BrainLeaksV1(iterations=2)(box, classes=[0, 1], steps=4)
    trace = inversions.trace
    assert trace.queries.tolist() == [0, 0, 2]  # made-up gradients cost nothing; the result is run once
    assert trace.objective[:2].tolist() == [[1, 1], [2, 2]]
    assert trace.rates[:, 0].tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0]]
    final = BlackBox(box.target, "scores").query(inversions.spikes)
    torch.testing.assert_close(trace.objective[2], final.diagonal().float())


def test_climbs_the_mean_softmax_of_the_membrane() -> None:
    # No memory, no spikes: membrane = w x / 8, so that the gradient of softmax is known in closed form.
    weight = torch.tensor([[4.0, -2.0, 1.0], [0.0, 1.0, -3.0]])
    network = Network((3,), [Dense(weight, CubaLIF(threshold=8.0, voltage_decay=1.0))])
    box = WhiteBox(ReferenceTarget(network))
    asked: list[tuple[Tensor, Tensor]] = []

    def spy(spikes: Tensor, objective: Callable[[Response], Tensor]) -> tuple[Tensor, Tensor]:
        asked.append(WhiteBox.gradient(box, spikes, objective))
        return asked[-1]

    box.gradient = spy  # type: ignore[method-assign]
    BrainLeaksV1(iterations=1)(box, classes=[0, 1], steps=5)
    ((values, gradient),) = asked
    assert values.tolist() == [0.5, 0.5]
    # d softmax_c / dx = p (1 - p) (w_c - w_other) / threshold, and a fifth of it at each of five steps
    expected = (weight - weight.flip(0)) * 0.25 / 8 / 5
    torch.testing.assert_close(gradient, expected.expand(5, 2, 3).double())


@pytest.mark.slow
@pytest.mark.parametrize("substrate", ["snntorch", "norse", "slayer"])
def test_finds_its_class_on(substrate: str, needs: Callable[[str], None]) -> None:
    needs(substrate)
    with bl.open_target(easy_network(), substrate) as target:
        inversions = BrainLeaksV1()(WhiteBox(target), classes=[2, 0, 1], steps=8, seed=1)
        assert BlackBox(target, "label").query(inversions.spikes).tolist() == [2, 0, 1]
    assert inversions.queries == 3 * 11


def test_lights_the_inputs_of_its_class() -> None:
    inversions = BrainLeaksV1()(WhiteBox(ReferenceTarget(easy_network())), classes=range(3), steps=8)
    own = inversions.images.reshape(3, 3, 4).mean(2)
    assert own.argmax(1).tolist() == [0, 1, 2]
    assert bool((own.diagonal() > 0.9).all())
    assert float(own.sum() - own.diagonal().sum()) < 0.3


def test_needs_a_membrane() -> None:
    with pytest.raises(InputError, match="needs the membrane"):
        BrainLeaksV1()(WhiteBox(ReferenceTarget(easy_network(), Blind)), classes=[0], steps=2)


def test_a_sparsity_penalty_removes_weak_inputs() -> None:
    def rates(*gradients: list[float]) -> list[float]:
        plan = BrainLeaksV1(iterations=len(gradients), sparsity=0.3)
        values: list[float] = plan(Scripted(*gradients), classes=[0], steps=MANY).images[0].tolist()
        return values

    # 0.3 of the best, 2, is the price: what is left is 0.4, -0.1 and 1.4, and chances are its magnitude scaled to 0..1
    assert rates([1.0, 0.5, 2.0]) == pytest.approx([0.3 / 1.3, 0.0, 1.0], abs=0.03)
    # lit at first; then one is worth nothing, -0.6 after the price, and goes out at 0.6 / 1.4; one is worth the price
    assert rates([2.0, 2.0, 0.0], [0.0, 0.6, 2.0]) == pytest.approx([1 - 0.6 / 1.4, 1.0, 1.0], abs=0.03)


def test_the_output_spikes_can_be_the_objective() -> None:
    box = WhiteBox(ReferenceTarget(easy_network()))
    inversions = BrainLeaksV1(objective="spikes")(box, classes=[0, 2], steps=8)
    spikes = box.run(inversions.spikes).spikes
    expected = torch.softmax(spikes, 2).mean(0)[[0, 1], [0, 2]].float()
    torch.testing.assert_close(inversions.trace.objective[-1], expected)
    assert BlackBox(box.target, "label").query(inversions.spikes).tolist() == [0, 2]


def test_a_target_without_membrane_can_be_attacked_through_its_spikes() -> None:
    inversions = BrainLeaksV1(objective="spikes")(
        WhiteBox(ReferenceTarget(easy_network(), Blind)), classes=[1], steps=8
    )
    assert int(inversions.images[0].reshape(3, 4).mean(1).argmax()) == 1


def test_events_have_settings_of_their_own() -> None:
    assert BrainLeaksV1.for_events() == BrainLeaksV1(iterations=25, sparsity=0.05, time_blur=2.0)
    assert BrainLeaksV1.for_events(iterations=3, blur=1.0) == dataclasses.replace(
        BrainLeaksV1.for_events(), iterations=3, blur=1.0
    )


def test_as_published_it_assumes_nothing() -> None:
    assert BrainLeaksV1().assumptions(WhiteBox(ReferenceTarget(easy_network()))) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": "scores"}, "objective: expected one of membrane, spikes, found 'scores'"),
        ({"sparsity": 1.0}, "sparsity: expected 0 or more, below 1"),
        ({"time_blur": float("inf")}, "time_blur: expected at least 0 steps"),
        ({"blur": -1.0}, "blur: expected at least 0 pixels"),
    ],
)
def test_refuses(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BrainLeaksV1(**changes)


@pytest.mark.parametrize("iterations", [0, -1, 1.5, "10", None])
def test_refuses_iterations(iterations: Any) -> None:
    with pytest.raises(InputError, match="iterations: expected a whole number"):
        BrainLeaksV1(iterations=iterations)


def test_queries_are_one_a_class_and_iteration_and_one_for_the_result() -> None:
    plan = dataclasses.replace(BrainLeaksV1(), iterations=7)
    assert plan(WhiteBox(ReferenceTarget(easy_network())), classes=[0, 0, 1], steps=2).queries == 24
