from __future__ import annotations

import pickle  # noqa: TID251 - to show that it is not opened
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bl_neuro import AveragePool, Conv, CubaLIF, Dense, Flatten, InputError, ModelFileError, Network, Unsupported
from bl_neuro.interop.state_dicts import from_state_dict
from bl_neuro.layers import Layer

RNG = np.random.default_rng(0)
STATE: dict[str, torch.Tensor] = {
    "conv.weight": torch.from_numpy(RNG.normal(size=(3, 2, 3, 3))).float(),
    "conv.bias": torch.from_numpy(RNG.normal(size=3)).float(),
    "lif.beta": torch.tensor(0.75),
    "fc.weight": torch.from_numpy(RNG.normal(size=(4, 27))).bfloat16(),
    "lif2.threshold": torch.tensor([0.5, 1.0, 1.5, 2.0]),
    "lif2.reset_mechanism_val": torch.tensor(0),
}
CONV = {
    "kind": "conv",
    "weight": "conv.weight",
    "bias": "conv.bias",
    "padding": 1,
    "threshold": 1.0,
    "beta": "lif.beta",
}
FC = {"kind": "dense", "weight": "fc.weight", "threshold": "lif2.threshold", "voltage_decay": 0.1, "alpha": 0.5}
LAYERS: list[dict[str, Any]] = [
    {**CONV, "reset": "subtract_delayed"},
    {"kind": "average_pool", "size": 2},
    {"kind": "flatten"},
    {**FC, "reset": "zero"},
]
IGNORE = ["lif2.reset_mechanism_val"]


def expected() -> Network:
    conv = CubaLIF(1.0, voltage_decay=0.25, bias=STATE["conv.bias"], reset="subtract_delayed")
    last = CubaLIF(STATE["lif2.threshold"], 0.5, 0.1)
    layers: list[Layer] = [
        Conv(STATE["conv.weight"], conv, padding=1),
        AveragePool(2),
        Flatten(),
        Dense(STATE["fc.weight"].double(), last),
    ]
    return Network((2, 6, 6), layers)


@pytest.mark.parametrize("source", ["dict", "file"])
def test_it_is_what_the_description_says(source: str, tmp_path: Path) -> None:
    state: Any = STATE
    if source == "file":
        state = tmp_path / "weights.safetensors"
        save_file(STATE, state)
    assert from_state_dict(state, LAYERS, (2, 6, 6), ignore=IGNORE) == expected()


def test_every_mismatch_is_reported_at_once() -> None:
    layers: list[Any] = [
        {"kind": "dense", "weight": "fc.wieght", "padding": 1, "threshold": "nil", "beta": 0.5, "voltage_decay": 0.5},
        {"kind": "pool"},
        {"kind": "conv", "weight": "fc.weight", "threshold": True, "reset": "zero"},
        "flatten",
        {"kind": "sum_pool"},
    ]
    with pytest.raises(InputError) as caught:
        from_state_dict(STATE, layers, (2, 6, 6), ignore=["lif3.beta"])
    for message in (
        "layer 0: unknown keys for a dense: padding",
        "layer 0: weight: there is no tensor 'fc.wieght'",
        "layer 0: threshold: there is no tensor 'nil'",
        'layer 0: expected one of "beta" and "voltage_decay"',
        'layer 0: "reset" is missing',
        'layer 1: expected a dict with "kind"',
        "layer 2: threshold: expected a number or the name of a tensor, found True",
        "layer 2: weight: expected 4 axes for a conv, found shape (4, 27)",
        'layer 3: expected a dict with "kind"',
        "layer 4: size",
        "tensors that no layer uses: conv.bias, conv.weight, lif.beta, lif2.reset_mechanism_val, lif2.threshold",
        "ignore: no such tensors: lif3.beta",
    ):
        assert message in str(caught.value)


def test_a_bias_on_a_filtered_current_is_kept() -> None:
    layers = [{**LAYERS[0], "alpha": 0.5}, *LAYERS[1:]]
    layer = from_state_dict(STATE, layers, (2, 6, 6), ignore=IGNORE).layers[0]
    assert isinstance(layer, Conv)
    assert layer.current_bias == pytest.approx(STATE["conv.bias"].numpy())
    assert not layer.neuron.bias.any()


def test_values_out_of_range_are_refused() -> None:
    layers = [LAYERS[0], *LAYERS[1:3], {**FC, "voltage_decay": 1.5, "reset": "never"}]
    with pytest.raises(
        Unsupported, match=r"layer 3, neurons: voltage_decay: .*layer 3, neurons: reset: expected one of"
    ):
        from_state_dict(STATE, layers, (2, 6, 6), ignore=IGNORE)
    with pytest.raises(Unsupported, match="expected finite numbers"):
        from_state_dict({**STATE, "lif.beta": torch.tensor(torch.nan)}, LAYERS, (2, 6, 6), ignore=IGNORE)


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "exploded",))

    for name in ("weights.pt", "weights.safetensors"):
        path = tmp_path / name
        path.write_bytes(pickle.dumps(Bomb()))
        with pytest.raises(ModelFileError, match=r"weights"):
            from_state_dict(path, LAYERS, (2, 6, 6))
    assert not (tmp_path / "exploded").exists()


def test_invalid_states_and_layers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="found nothing"):
        from_state_dict(tmp_path / "none.safetensors", LAYERS, (2, 6, 6))
    with pytest.raises(ModelFileError, match="found nothing"):
        from_state_dict(tmp_path / ("a" * 5000 + ".safetensors"), LAYERS, (2, 6, 6))
    with pytest.raises(InputError, match="state: expected a dict with strings as keys, found the key 0"):
        from_state_dict({0: np.eye(2)}, LAYERS, (2, 6, 6))  # type: ignore[dict-item]
    with pytest.raises(InputError, match="state: expected a state dict"):
        from_state_dict(3, LAYERS, (2, 6, 6))  # type: ignore[arg-type]
    for layers in ([], "flatten", [LAYERS[2]] * 300):
        with pytest.raises(InputError, match="layers: expected a list"):
            from_state_dict(STATE, layers, (2, 6, 6))  # type: ignore[arg-type]


DENSE = [{"kind": "dense", "weight": "w", "beta": 0.5, "reset": "zero"}]


@pytest.mark.parametrize("ignore", [None, [[]], "w", 5, [5]])
def test_names_to_ignore_are_a_list_of_names(ignore: Any) -> None:
    with pytest.raises(InputError, match="ignore: expected a list of names of tensors"):
        from_state_dict({"w": np.eye(3)}, DENSE, (3,), ignore=ignore)


MASKED: Any = np.ma


@pytest.mark.parametrize(
    "weight",
    [
        MASKED.array(np.eye(3), mask=np.eye(3) > 0),
        np.array([["1", "0", "0"]]),
        np.array([[object()] * 3]),
        torch.eye(3).to("meta"),
        None,
    ],
)
def test_tensors_that_are_not_dense_real_numbers_are_refused(weight: Any) -> None:
    assert from_state_dict({"w": MASKED.array(np.eye(3))}, DENSE, (3,)).layers
    with pytest.raises(InputError, match="layer 0: weight: tensor 'w': expected real"):
        from_state_dict({"w": weight}, DENSE, (3,))


def test_a_number_beyond_float64_is_refused() -> None:
    with pytest.raises(InputError, match="layer 0: beta: the number: expected real numbers"):
        from_state_dict({"w": np.eye(3)}, [{**DENSE[0], "beta": 10**400}], (3,))
