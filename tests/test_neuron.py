"""The neuron's parameters: accepted and refused values, and that they are immutable."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from bl_neuro import CubaLIF, NetworkError


@pytest.mark.parametrize("given", [2, 2.0, np.float32(2), [2.0], np.array([2], np.int8), torch.tensor(2.0)])
def test_takes_anything_that_holds_numbers(given: Any) -> None:
    neuron = CubaLIF(threshold=given)
    assert neuron.threshold.dtype == np.float64
    assert (neuron.threshold == 2).all()


def test_takes_a_tensor_with_a_gradient() -> None:
    assert CubaLIF(bias=torch.tensor([0.5], requires_grad=True)).bias == 0.5


def test_defaults() -> None:
    values = {name: float(array) for name, array in CubaLIF().parameters().items()}
    assert values == {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.3, "bias": 0.0}
    assert CubaLIF().reset == "zero"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold": -0.5}, "threshold: expected values above 0, found -0.5"),
        ({"threshold": [1.0, -2.0]}, "threshold: expected values above 0, found -2.0"),
        ({"current_decay": -0.1}, "current_decay: expected values in 0..1"),
        ({"current_decay": 1.1}, "current_decay: expected values in 0..1"),
        ({"voltage_decay": [0.1, 1.5]}, "voltage_decay: expected values in 0..1"),
        ({"bias": float("nan")}, "bias: expected finite numbers, found nan"),
        ({"bias": [[0.0, np.inf]]}, r"bias: expected finite numbers, found inf at index \(0, 1\)"),
        ({"threshold": "high"}, "threshold: expected numbers, found str"),
        ({"threshold": None}, "threshold: expected"),
        ({"threshold": 1j}, "threshold: expected numbers, found complex"),
        ({"threshold": np.array([1 + 1j])}, "threshold: expected numbers"),
        ({"threshold": torch.tensor([1 + 1j])}, "threshold: expected numbers"),
        ({"bias": [[1.0], [1.0, 2.0]]}, "bias: expected numbers, found list"),
        ({"bias": 10**400}, "bias: expected numbers"),
        ({"reset": "soft"}, "reset: expected one of zero, subtract, subtract_delayed, found 'soft'"),
        ({"reset": None}, "reset: expected one of"),
    ],
)
def test_refuses(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(NetworkError, match=message) as error:
        CubaLIF(**changes)
    assert len(error.value.problems) == 1


@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_takes_decays_at_both_ends(decay: float) -> None:
    assert CubaLIF(current_decay=decay, voltage_decay=decay).voltage_decay == decay


def test_lists_every_problem() -> None:
    with pytest.raises(NetworkError) as error:
        CubaLIF(threshold=-1, current_decay=2, voltage_decay="x", bias=np.nan, reset="none")  # type: ignore[arg-type]
    named = [problem.split(":")[0] for problem in error.value.problems]
    assert sorted(named) == ["bias", "current_decay", "reset", "threshold", "voltage_decay"]
    assert all(problem in str(error.value) for problem in error.value.problems)


def test_holds_copies_that_cannot_be_written() -> None:
    given = np.array([1.0, 2.0])
    neuron = CubaLIF(threshold=given)
    given[0] = -5
    assert neuron.threshold.tolist() == [1.0, 2.0]
    for array in neuron.parameters().values():
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 9
    with pytest.raises(dataclasses.FrozenInstanceError):
        neuron.bias = np.zeros(())  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "shape", "expected"),
    [
        (2.0, (3,), [2, 2, 2]),
        ([2.0], (3,), [2, 2, 2]),
        ([1.0, 2.0, 3.0], (3,), [1, 2, 3]),
        ([1.0, 2.0], (2, 1, 2), [[[1, 1]], [[2, 2]]]),
        ([[[1.0]], [[2.0]]], (2, 1, 2), [[[1, 1]], [[2, 2]]]),
        ([[[1.0, 3.0]], [[2.0, 4.0]]], (2, 1, 2), [[[1, 3]], [[2, 4]]]),
        ([1.0, 2.0], (2, 2, 2), [[[1, 1], [1, 1]], [[2, 2], [2, 2]]]),
    ],
)
def test_spreads_over_neurons(given: Any, shape: tuple[int, ...], expected: Any) -> None:
    neuron = CubaLIF(threshold=given)
    assert neuron.shape_problems(shape) == []
    spread = neuron.expanded("threshold", shape)
    assert spread.shape == shape
    assert spread.tolist() == expected


@pytest.mark.parametrize(
    ("given", "shape"),
    [([1.0, 1.0], (3,)), ([[1.0, 1.0, 1.0]], (3,)), ([1.0, 1.0], (3, 1, 2)), ([[1.0, 1.0]], (2, 1, 2)), ([], (3,))],
)
def test_does_not_spread_over_other_shapes(given: Any, shape: tuple[int, ...]) -> None:
    (problem,) = CubaLIF(bias=given).shape_problems(shape)
    assert problem.startswith("bias: expected a scalar or one value per neuron")
