"""The black-box attack on event data: its search over patterns and its stated assumptions."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

import bl_neuro as bl
from bl_neuro import BlackBox, InputError, Network
from bl_neuro.attacks import BrainLeaksV2
from bl_neuro.attacks import query_search as oracle
from bl_neuro.attacks.input_form import InputForm, TimeSegments
from bl_neuro.attacks.moving_pattern import MovingPattern
from bl_neuro.testing.attack_assertions import assert_same
from bl_neuro.testing.reference_target import ReferenceTarget, easy_images

FORMS = {"moving": MovingPattern(), "segments": TimeSegments(count=2)}
STEPS = 20


@pytest.fixture(scope="module")
def halves() -> Network:
    """Class 0 answers to what is lit on the left of (1, 12, 12), class 1 to the right, class 2 in the middle."""
    where = np.full((3, 1, 12, 12), -0.2)
    for label, columns in enumerate((slice(0, 4), slice(8, 12), slice(4, 8))):
        where[label, :, :, columns] = 0.2
    return Network((1, 12, 12), [bl.Flatten(), bl.Dense(where.reshape(3, -1), bl.CubaLIF(voltage_decay=0.3))])


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_finds_its_class(form: InputForm, halves: Network) -> None:
    target = ReferenceTarget(halves)
    plan = BrainLeaksV2.for_events(queries=160, warm_start=200, form=form)
    inversions = plan(BlackBox(target), classes=[2, 0, 1], steps=STEPS)
    assert BlackBox(target, "label").query(inversions.spikes).tolist() == [2, 0, 1]
    mass = inversions.images[:, 0].reshape(3, 12, 3, 4).sum((1, 3))
    assert (mass / mass.sum(1, keepdim=True)).argmax(1).tolist() == [1, 0, 2]


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_the_trace_holds_mean_frames_and_the_rates_are_of_each_step(form: InputForm, halves: Network) -> None:
    plan = BrainLeaksV2.for_events(queries=32, warm_start=40, form=form)
    inversions = plan(BlackBox(ReferenceTarget(halves)), classes=[0, 1], steps=STEPS)
    assert inversions.trace.rates.shape == (3, 2, 1, 12, 12)
    assert inversions.rates is not None
    assert inversions.rates.shape == inversions.spikes.shape
    torch.testing.assert_close(inversions.rates.mean(0), inversions.trace.rates[-1])
    if isinstance(form, MovingPattern):
        assert torch.equal(inversions.rates, inversions.spikes.float())


def test_both_polarities_are_events_of_one_picture(halves: Network) -> None:
    both = np.tile(halves.layers[1].weight, 2)  # type: ignore[union-attr]
    target = ReferenceTarget(Network((2, 12, 12), [bl.Flatten(), bl.Dense(both, bl.CubaLIF(voltage_decay=0.3))]))
    form = MovingPattern(polarities=2)
    inversions = BrainLeaksV2.for_events(queries=160, warm_start=200, form=form)(
        BlackBox(target), classes=[0, 1, 2], steps=STEPS
    )
    assert BlackBox(target, "label").query(inversions.spikes).tolist() == [0, 1, 2]
    assert inversions.spikes.shape == (STEPS, 3, 2, 12, 12)
    assert inversions.trace.rates.shape[1:] == (3, 2, 12, 12)
    brighter, darker = inversions.spikes[:, :, 0], inversions.spikes[:, :, 1]
    assert not bool((brighter * darker).any())  # a pixel lights up or dims, never both
    assert bool(brighter.any() and darker.any())


def test_large_queries_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = BrainLeaksV2.for_nmnist(queries=32, warm_start=50)
    whole = plan(BlackBox(ReferenceTarget(easy_images())), classes=[0, 1, 2], steps=6)
    asked: list[int] = []
    query = BlackBox.query

    def counted(box: BlackBox, spikes: Any) -> Any:
        asked.append(spikes.shape[1])
        return query(box, spikes)

    monkeypatch.setattr(BlackBox, "query", counted)
    monkeypatch.setattr(oracle, "MOST_BYTES", 6 * 12 * 7)
    assert_same(whole, plan(BlackBox(ReferenceTarget(easy_images())), classes=[0, 1, 2], steps=6))
    assert max(asked) == 7
    assert sum(asked) == whole.queries


def test_states_its_assumptions() -> None:
    box = BlackBox(ReferenceTarget(easy_images()))
    moving = BrainLeaksV2.for_nmnist().assumptions(box)
    assert any("edges of a picture that moves ((0, 0) to (2.5, 5)" in assumption for assumption in moving)
    assert any("middle" in assumption for assumption in moving)
    in_time = BrainLeaksV2.for_events(form=TimeSegments(count=5)).assumptions(box)
    assert "little changes within 5 equal parts of the recording" in in_time


def test_settings_name_the_form() -> None:
    assert BrainLeaksV2().settings()["form"] == {"name": "still"}
    assert BrainLeaksV2.for_events().settings()["form"] == {"name": "segments", "count": 4, "density": 0.15}
    assert BrainLeaksV2.for_nmnist().settings()["form"]["path"][1] == [2.5, 5.0]
    assert dataclasses.replace(BrainLeaksV2.for_nmnist(), form=TimeSegments()) != BrainLeaksV2.for_nmnist()


def test_refuses_other_forms() -> None:
    with pytest.raises(InputError, match="form: expected an object of class InputForm, found 'moving'"):
        BrainLeaksV2(form="moving")  # type: ignore[arg-type]


def test_refuses_inputs_that_are_not_images() -> None:
    box = BlackBox(ReferenceTarget(Network((12,), easy_images().layers[1:])))
    with pytest.raises(InputError, match="only images"):
        BrainLeaksV2.for_nmnist(window=None)(box, classes=[0], steps=6)
    assert box.spent == 0
