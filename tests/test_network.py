"""The one definition: shapes, problems, identity."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from bl_neuro import AveragePool, Conv, CubaLIF, Dense, Flatten, InputError, Network, NetworkError, SumPool

NEURON = CubaLIF()
FINGERPRINT = "fc795b5997c749ba3112668cab08d2dbc1ab1954f745a6c67d40d088d9859d82"


def numbered(*shape: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Weights that every machine computes alike."""
    return (np.arange(math.prod(shape)).reshape(shape) % 7 - 3.0) / 4


def layered(**changes: Any) -> Network:
    """A network of every kind of layer, with some of its parts changed."""
    parts = {
        "weight": numbered(2, 1, 3, 3),
        "threshold": 1.0,
        "current_decay": 0.5,
        "voltage_decay": [0.25, 0.75],
        "bias": 0.125,
        "reset": "zero",
        "stride": 1,
        "padding": 1,
        "dilation": 1,
        "pool": SumPool(2),
        "dense": numbered(3, 2),
        "readout": "spikes",
        "height": 3,
        **changes,
    }
    neuron = CubaLIF(*(parts[name] for name in ("threshold", "current_decay", "voltage_decay", "bias", "reset")))
    geometry = {name: parts[name] for name in ("stride", "padding", "dilation")}
    layers = [Conv(parts["weight"], neuron, **geometry), parts["pool"], Flatten(), Dense(parts["dense"], NEURON)]
    return Network((1, parts["height"], 3), layers, parts["readout"])


def test_knows_its_shapes(image_network: Network) -> None:
    assert image_network.input_shape == (2, 6, 6)
    assert image_network.shapes == ((4, 6, 6), (4, 3, 3), (3, 2, 2), (3, 1, 1), (3,), (3,))
    assert image_network.output_shape == (3,)
    assert image_network.classes == 3
    assert image_network.parameters == 4 * 9 + 3 * 4 * 4 + 9
    assert [line.split(" -> ")[-1] for line in image_network.describe()] == [str(s) for s in image_network.shapes]


def test_an_image_as_output_has_no_classes() -> None:
    network = Network((1, 3, 3), [Conv(np.ones((2, 1, 3, 3)), NEURON)])
    assert network.output_shape == (2, 1, 1)
    with pytest.raises(InputError, match="expected a vector as"):
        network.classes  # noqa: B018
    assert Network((1, 3, 3), [*network.layers, Flatten()]).classes == 2


@pytest.mark.parametrize(("bias", "expected"), [(0.0, False), ([0.0, 0.5], True), (-1e-9, True)])
def test_knows_whether_it_has_a_bias(bias: Any, expected: bool) -> None:
    assert Network((2,), [Dense(np.ones((2, 2)), CubaLIF(bias=bias))]).has_bias is expected


@pytest.mark.parametrize(
    "shape",
    [(), (2, 2), (1, 2, 3, 4), (0,), (-4,), (4.5,), (True,), "4", ("4",), (None,), (math.inf,), (2**40,), 4, None],
)
def test_refuses_input_shapes(shape: Any) -> None:
    with pytest.raises(NetworkError, match="input_shape: expected"):
        Network(shape, [Dense(np.ones((2, 4)), NEURON)])


def test_takes_input_shapes_however_written() -> None:
    dense = Dense(np.ones((2, 4)), NEURON)
    shapes: tuple[Any, ...] = ([4], np.array([4]), (np.int64(4),), torch.Size([4]), (4.0,))
    for shape in shapes:
        assert Network(shape, [dense]).input_shape == (4,)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "expected at least one layer with neurons"),
        ([Flatten()], "expected at least one layer with neurons"),
        (None, "layers: expected several layers, found NoneType"),
        (["dense"], "layer 0: expected a layer of bl_neuro, found str"),
        ([Dense(np.ones((2, 4)), NEURON)], "layer 0: Dense expects an input of shape"),
        ([Flatten(), Dense(np.ones((2, 35)), NEURON)], "layer 1: Dense expects an input of shape"),
        ([Conv(np.ones((1, 1, 7, 7)), NEURON)], "layer 0: a window of 7x7 does not fit"),
        (
            [Conv(np.ones((1, 1, 3, 3)), NEURON), SumPool(2)],
            "expected a layer with neurons after the last pooling layer",
        ),
        ([Conv(np.ones((1, 1, 3, 3)), NEURON), SumPool(2), Flatten()], "after the last pooling layer"),
        ([Conv(np.ones((1, 1, 3, 3)), CubaLIF(bias=[1.0, 2.0]))], "layer 0: bias: expected a scalar or one value"),
        ([Conv(np.ones((1, 1, 3, 3)), NEURON, padding=2**15)], "weights and neurons: expected at most"),
    ],
)
def test_refuses_layers(layers: Any, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        Network((1, 6, 6), layers)


def test_counts_inputs_weights_and_neurons_against_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [Dense(np.ones((4, 6)), NEURON), Dense(np.ones((2, 4)), NEURON)]
    count = 6 + 6 * 4 + 4 + 4 * 2 + 2
    monkeypatch.setattr("bl_neuro.network.MAX_VALUES", count)
    assert Network((6,), layers).classes == 2
    monkeypatch.setattr("bl_neuro.network.MAX_VALUES", count - 1)
    with pytest.raises(NetworkError, match=f"weights and neurons: expected at most {count - 1}, found {count}"):
        Network((6,), layers)


def test_lists_every_problem_with_its_layer() -> None:
    wrong = CubaLIF(threshold=[1.0, 1.0, 1.0], bias=[0.0, 0.0])
    layers = [Dense(np.ones((4, 6)), wrong), Dense(np.ones((2, 4)), CubaLIF(voltage_decay=[0.1] * 5))]
    with pytest.raises(NetworkError) as error:
        Network((6,), layers, "votes")  # type: ignore[arg-type]
    starts = ("layer 0: threshold:", "layer 0: bias:", "layer 1: voltage_decay:", "readout:")
    assert len(error.value.problems) == len(starts)
    assert all(problem.startswith(start) for problem, start in zip(error.value.problems, starts))


def test_cannot_be_changed(small_network: Network) -> None:
    for name in ("input_shape", "layers", "readout", "shapes", "anything"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(small_network, name, None)
    assert isinstance(small_network.layers, tuple)
    for array in small_network.arrays().values():
        assert not array.flags.writeable


def test_fingerprint_is_the_same_for_ever() -> None:
    assert layered().fingerprint == FINGERPRINT


@pytest.mark.parametrize(
    "given",
    [
        numbered(3, 2).tolist(),
        numbered(3, 2).astype(np.float32),
        np.asfortranarray(numbered(3, 2)),
        numbered(3, 2).astype(">f8"),
        torch.from_numpy(numbered(3, 2)).requires_grad_(),
        np.repeat(numbered(3, 2), 2, axis=1)[:, ::2],
        np.where(numbered(3, 2) == 0, -0.0, numbered(3, 2)),
    ],
    ids=["list", "float32", "fortran order", "big endian", "torch", "strided", "negative zero"],
)
def test_fingerprint_is_of_the_values_alone(given: Any) -> None:
    assert layered(dense=given).fingerprint == FINGERPRINT


def bumped(index: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    weight = numbered(3, 2)
    weight.flat[index] = np.nextafter(weight.flat[index], 9)
    return weight


CHANGES: list[dict[str, Any]] = [
    {"threshold": np.nextafter(1.0, 2)},
    {"threshold": [1.0, 1.0]},
    {"current_decay": 0.75},
    {"voltage_decay": [0.75, 0.25]},
    {"bias": -0.125},
    {"reset": "subtract"},
    {"reset": "subtract_delayed"},
    {"stride": 2, "pool": SumPool(1), "dense": numbered(3, 8)},
    {"padding": (2, 1), "dilation": (2, 1)},
    {"pool": AveragePool(2)},
    {"pool": SumPool(2, 1), "dense": numbered(3, 8)},
    {"readout": "membrane"},
    {"height": 2},
    {"weight": -numbered(2, 1, 3, 3)},
    {"weight": numbered(2, 1, 3, 3).swapaxes(2, 3)},
    *({"dense": bumped(index)} for index in range(6)),
]


@pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: ",".join(changes))
def test_fingerprint_changes_with_anything(changes: dict[str, Any]) -> None:
    other = layered(**changes)
    assert other.fingerprint != FINGERPRINT
    assert other != layered()


def test_every_change_has_a_fingerprint_of_its_own() -> None:
    assert len({layered(**changes).fingerprint for changes in CHANGES}) == len(CHANGES)


def test_equality_is_that_of_fingerprints(small_network: Network) -> None:
    rebuilt = Network(small_network.input_shape, small_network.layers)
    assert rebuilt == small_network
    assert hash(rebuilt) == hash(small_network)
    assert len({rebuilt, small_network, layered()}) == 2
    assert small_network != small_network.fingerprint


@pytest.mark.parametrize("make", [repr, lambda network: "\n".join(network.describe())])
def test_has_a_readable_repr(make: Callable[[Network], str], image_network: Network) -> None:
    message = make(image_network)
    for word in ("Conv 2 -> 4", "3x3", "SumPool 2x2", "AveragePool 2x2, stride (1, 1)", "Flatten", "Dense 3 -> 3"):
        assert word in message
