"""The course of an attack refuses what its trace and its inversions cannot hold, where the attack hands it over."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bl_neuro import BlackBox
from bl_neuro.attacks import QueryCourse, Status
from bl_neuro.errors import InputError
from bl_neuro.testing.reference_target import ReferenceTarget, easy_network

CLASSES, STEPS = (0, 1), 4


@pytest.fixture
def box() -> BlackBox:
    return BlackBox(ReferenceTarget(easy_network()), "counts")


def test_a_trace_takes_frames_and_no_spikes_in_time(box: BlackBox) -> None:
    shape = (len(CLASSES), *box.input_shape)
    course = QueryCourse(box, CLASSES)
    with pytest.raises(InputError, match=r"rates: expected shape \(2, 12\), .*mean of spikes.*; found \(4, 2, 12\)"):
        course.add(np.zeros(2), np.zeros((STEPS, *shape)))
    assert len(course) == 0
    course.add(np.zeros(2), np.zeros(shape))
    assert len(course) == 1


def test_a_trace_takes_one_objective_a_class(box: BlackBox) -> None:
    with pytest.raises(InputError, match=r"objective: expected shape \(2,\), .*; found \(2, 3\)"):
        QueryCourse(box, CLASSES).add(np.zeros((2, 3)), np.zeros((2, *box.input_shape)))


@pytest.mark.parametrize("shape", [(2, 12), (2, STEPS, 12), (STEPS, 3, 12), ()])
def test_inversions_are_spikes_time_first(box: BlackBox, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"spikes: expected shape .*time first"):
        QueryCourse(box, CLASSES).inversions("mine", 0, Status.COMPLETED, torch.zeros(shape))
