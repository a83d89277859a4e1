from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bl_neuro import Conv, CubaLIF, Dense, Flatten, InputError, SumPool, Unsupported
from bl_neuro.errors import NetworkError
from bl_neuro.interop.assembly import assemble, laid_out
from bl_neuro.interop.parts import Neurons, Part, Step, Synapse, Unread


def dense(name: str = "fc", out: int = 4, inner: int = 3, **more: object) -> Synapse:
    return Synapse(name, np.ones((out, inner)), **more)  # type: ignore[arg-type]


def test_each_synapse_takes_the_neurons_behind_it() -> None:
    parts: list[Part] = [
        dense(),
        Neurons("a", 1.0),
        dense("fc2", 2, 4),
        Neurons("b", [0.5, 0.6], 0.5, 0.2, 0.1, "subtract"),
    ]
    network = assemble(parts, (3,), "it")
    last = network.layers[1]
    assert isinstance(last, Dense)
    assert repr(last.neuron) == repr(CubaLIF([0.5, 0.6], 0.5, 0.2, 0.1, "subtract"))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([dense(), dense("fc2")], "fc: expected neurons after it, found fc2"),
        ([dense()], "fc: expected neurons after it"),
        ([Neurons("lif", 1.0)], "lif: expected a linear or convolutional layer"),
        ([dense(), Step("flat", Flatten()), Neurons("lif", 1.0)], "flat: lies between fc and its neurons"),
        ([dense(inner=5), Neurons("lif", 1.0)], "fc: Dense expects an input of shape"),
        ([dense(), Neurons("lif", 1.0, voltage_decay=1.5)], "lif: voltage_decay: expected values in 0..1"),
        ([dense(), Neurons("lif", [1.0, 2.0])], "lif: threshold|threshold: expected a scalar or a shape"),
        ([dense(recurrent=np.ones((4, 5))), Neurons("lif", 1.0)], "fc: recurrent: expected shape"),
        ([Step("pool", SumPool(2))], "pool: SumPool expects an input"),
    ],
)
def test_invalid_parts_are_refused_by_name(parts: list[Part], message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        assemble(parts, (3,), "it")


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(Unsupported, match=r"one; two; fc: expected neurons after it, found fc2; fc2: expected neurons"):
        assemble([dense(), dense("fc2")], (3,), "it", ["one", "two"])


def test_consequences_of_a_problem_are_not_reported() -> None:
    """Shapes are unknown after a layer that is not read, so mismatches there are not reported."""
    behind: list[Part] = [dense(inner=7), Neurons("b", 1.0)]
    cases: list[tuple[list[Part], str]] = [
        ([Unread("pool"), *behind], "pool: none"),
        ([dense(), Step("flat", Flatten()), Neurons("a", 1.0), *behind], "flat: lies between fc and its neurons"),
        ([dense(), dense("fc2", 5, 5), Neurons("a", 1.0), *behind], "fc: expected neurons after it, found fc2"),
    ]
    for parts, message in cases:
        with pytest.raises(Unsupported) as caught:
            assemble(parts, (3,), "it", ["pool: none"] if message.startswith("pool") else ())
        assert str(caught.value).startswith(f"it cannot be converted to an identical bl_neuro.Network: {message}")
        assert "expects" not in str(caught.value)


@pytest.mark.parametrize("shape", [64, None, "3", (0,), (1.5, 2, 2), (2, 2), (-1,), [None]])
def test_an_invalid_input_shape_is_reported(shape: Any) -> None:
    with pytest.raises(InputError, match="input_shape: expected"):
        assemble([dense(), Neurons("a", 1.0)], shape, "it")


def test_an_image_becomes_a_vector_by_itself_where_the_model_may_do_so() -> None:
    image = Synapse("conv", np.ones((2, 1, 1, 1)))
    parts: list[Part] = [image, Neurons("a", 1.0), dense(inner=8), Neurons("b", 1.0)]
    network = assemble(parts, np.array([1.0, 2.0, 2.0]), "it", flattens=True)
    assert [type(layer) for layer in network.layers] == [Conv, Flatten, Dense]
    with pytest.raises(Unsupported, match="put a Flatten before it"):
        assemble(parts, (1, 2, 2), "it")
    with pytest.raises(Unsupported, match="put a Flatten before it"):
        assemble([*parts[:2], dense(inner=9), parts[3]], (1, 2, 2), "it", flattens=True)


def test_a_bias_acts_where_the_current_has_no_memory() -> None:
    neurons = Neurons("lif", 1.0, current_decay=[1.0, 0.5, 1.0, 1.0], bias=0.5)
    network = assemble([dense(bias=[1.0, 0.0, 0.0, 2.0]), neurons], (3,), "it")
    layer = network.layers[0]
    assert isinstance(layer, Dense)
    assert layer.neuron.bias.tolist() == [1.5, 0.5, 0.5, 2.5]


def test_parameters_broadcast_from_the_right_as_in_torch() -> None:
    shape = (2, 3, 2)
    assert laid_out(np.full((1, 1), 3.0), shape, "x").shape == ()
    assert laid_out(np.array([[[1.0]], [[2.0]]]), shape, "x").tolist() == [1.0, 2.0]
    columns = laid_out(np.array([1.0, 2.0]), shape, "x")  # as wide as there are channels
    assert (columns == np.broadcast_to([1.0, 2.0], shape)).all()
    assert laid_out(np.ones((1, 2, 3, 2)), shape, "x").shape == (2,)
    with pytest.raises(NetworkError, match=r"x: expected a scalar or a shape that broadcasts"):
        laid_out(np.ones(3), shape, "x")


def test_an_image_too_large_to_hold_is_refused_before_it_is_made() -> None:
    conv = Synapse("conv", np.ones((1, 1, 1, 1)), geometry={"padding": 30000})
    with pytest.raises(Unsupported, match="neurons"):
        assemble([conv, Neurons("lif", 1.0)], (1, 9, 9), "it")
