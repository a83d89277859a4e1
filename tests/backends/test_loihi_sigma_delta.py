"""Sigma-delta networks on the emulator: the equations, the wheel's recorded outputs, real Lava, and the gradient."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

import bl_neuro as bl
from bl_neuro import Conv, Delta, Dense, Flatten, Input, Network, Sigma, SigmaDelta
from bl_neuro.backends.declaration import Start
from bl_neuro.errors import InputError
from bl_neuro.testing.random_sigma_delta import random_real_inputs, random_sigma_delta


def run(network: Network, x: Any, start: Start = "aligned") -> Any:
    with bl.open_target(network, "loihi") as target:
        return target.run_with_states(x, start)


def test_the_equations_by_hand() -> None:
    """Two steps of one neuron a layer, with the threshold reached exactly, and missed by one."""
    layers: list[Any] = [Input(1, Delta(3)), Dense([[2]], SigmaDelta(5, bias=1)), Dense([[-3]], Sigma())]
    x = np.array([3, 5, 6, 0]).reshape(4, 1, 1)
    response = run(Network((1,), layers), x)
    given, hidden, output = (layer[:, 0, 0].tolist() for layer in response.layers)
    assert given == [3 * 64, 0, 3 * 64, -6 * 64], "3 is sent, 2 is not, 2 + 1 is, and so is all of -6"
    # activations in thresholds: 2 x 3 / 64 + 1, ... of which no change reaches 5; the sum is sent to nobody
    assert hidden == [0, 0, 0, 0]
    assert output == [0, 0, 0, 0]
    assert [int(state) for state in response.states[1]] == [0, 4096, 4096], "sigma, act, residue"
    louder = run(Network((1,), [Input(1, Delta(3)), Dense([[128]], SigmaDelta(5, bias=1)), layers[2]]), x)
    assert louder.layers[1][:, 0, 0].tolist() == [7 * 64, 0, 6 * 64, -12 * 64]
    assert louder.spikes[:, 0, 0].tolist() == [-3 * 7 * 64, -3 * 7 * 64, -3 * 13 * 64, -3 * 64]
    assert louder.membrane[:, 0, 0].tolist() == [value / 2**18 for value in louder.spikes[:, 0, 0].tolist()]


def test_output_values_are_what_the_receiver_of_the_messages_adds_up() -> None:
    network = Network((2,), [Input(64, Delta()), Dense([[64, -64]], SigmaDelta(activation="unit"))])
    x = np.array([[0.5, 0.25], [-1.0, 2.0], [0.0, 0.0]]).reshape(3, 1, 2)
    assert run(network, x).membrane[:, 0, 0].tolist() == [0.25, -3.0, 0.0]


def test_the_wheels_recorded_output_is_reproduced() -> None:
    """What lava-dl ships as the truth: the output in each step of a fresh run, in which frames are given in turn."""
    try:
        paths = [Path(str(file.locate())) for file in files("lava-dl") or () if "gts/pilotnet_sdnn/" in str(file)]
    except PackageNotFoundError:
        paths = []
    recorded = {path.name: path for path in paths}
    if "input.npy" not in recorded:
        pytest.skip("lava-dl is not installed")
    network = bl.load(recorded["network.net"])
    frames, expected = np.load(recorded["input.npy"]), np.load(recorded["output.npy"])
    depth = sum(hasattr(layer, "neuron") for layer in network.layers)
    steps = np.stack([frames[..., step % frames.shape[-1]] for step in range(depth)])
    response = run(network, steps.transpose(0, 3, 2, 1)[:, None] / 64, "cold")
    assert response.spikes[0].ravel().tolist() == expected[..., -1].ravel().tolist()
    assert response.spikes[0].any()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 5])
def test_real_lava_agrees_in_every_message_and_state(needs: Callable[[str], None], seed: int) -> None:
    needs("lava")
    network = random_sigma_delta(seed, unit=True)
    x = random_real_inputs(network, seed, 8)
    with bl.open_target(network, "lava", runtimes=1) as lava:
        for start in get_args(Start):
            expected, actual = lava.run_with_states(x, start), run(network, x, start)
            assert expected.layers is not None
            assert expected.states is not None
            assert actual.membrane.equal(expected.membrane)
            assert all(one.equal(other) for one, other in zip(actual.layers, expected.layers, strict=True))
            pairs = zip(actual.states, expected.states, strict=True)
            assert all(one.equal(other) for layer in pairs for one, other in zip(*layer, strict=True))


@pytest.mark.parametrize("delays", [False, True])
def test_a_batch_is_its_samples(delays: bool) -> None:
    network = random_sigma_delta(4, delays=delays)
    x = random_real_inputs(network, 4, 9)
    whole = run(network, x)
    for sample in range(x.shape[1]):
        alone = run(network, x[:, sample : sample + 1])
        assert whole.spikes[:, sample].equal(alone.spikes[:, 0])
        assert whole.membrane[:, sample].equal(alone.membrane[:, 0])


def test_a_held_frame_is_the_frame_in_every_step() -> None:
    network = random_sigma_delta(3)
    frame = torch.randn(1, 2, *network.input_shape)
    held = frame.expand(6, *frame.shape[1:])
    assert run(network, held).spikes.equal(run(network, held.clone()).spikes)


def test_only_the_torch_engine_has_graded_messages() -> None:
    with pytest.raises(InputError, match="engine: expected 'torch' for a sigma-delta network, found 'kernel'"):
        bl.open_target(random_sigma_delta(1), "loihi", engine="kernel")


def without_thresholds(activation: Any) -> Network:
    """Weights that are multiples of 64, so that no message is rounded."""
    rng = np.random.default_rng(0)
    hidden = SigmaDelta(0, rng.integers(-9, 9, 5), activation)
    layers: list[Any] = [
        Input(64, Delta()),
        Conv(rng.choice([-64, 64], (2, 1, 2, 2)), SigmaDelta(0, 2, activation)),
        Flatten(),
        Dense(rng.choice([-64, 0, 64], (5, 8)), hidden),
        Dense(rng.choice([-64, 0, 64], (3, 5)), Sigma()),
    ]
    return Network((1, 3, 3), layers)


@pytest.mark.parametrize("activation", ["relu", "unit"])
@pytest.mark.parametrize("start", get_args(Start))
def test_without_thresholds_the_gradient_is_that_of_finite_differences(activation: Any, start: Start) -> None:
    network = without_thresholds(activation)
    x = torch.randint(-40, 40, (4, 1, 1, 3, 3), generator=torch.Generator().manual_seed(0)).double() / 64

    def output(values: torch.Tensor) -> Any:
        membrane = target.run(values, start=start).membrane
        assert membrane is not None
        return membrane[:, :, 1].sum()

    with bl.open_target(network, "loihi") as target:
        inputs = x.clone().requires_grad_()
        value = output(inputs)
        (gradient,) = torch.autograd.grad(value, inputs)
        assert float(value) == float(output(x)), "the forward pass is the exact one"
        smooth = 0
        for index in np.ndindex(*x.shape):
            moved = torch.zeros_like(x)
            moved[index] = 1 / 64
            rise, fall = (64 * float(value - output(x + sign * moved)) * -sign for sign in (1, -1))
            if rise == fall:  # no ReLU bends here
                smooth += 1
                assert float(gradient[index]) == pytest.approx(rise)
    assert smooth > 20
    assert gradient.any()


def test_delays_and_thresholds_pass_the_gradient_straight_through() -> None:
    layers: list[Any] = [
        Input(64, Delta(30)),
        Dense([[64.0, 32.0]], SigmaDelta(90, activation="unit"), delay=[[0, 2]]),
    ]
    with bl.open_target(Network((2,), layers), "loihi") as target:
        inputs = torch.full((4, 1, 2), 0.1, requires_grad=True)
        response = target.run(inputs)
        assert response.membrane is not None
        (gradient,) = torch.autograd.grad(response.membrane[3, 0, 0], inputs)
    assert gradient[:, 0].tolist() == [[0, 0], [0, 0.5], [0, 0], [1, 0]]
    assert not response.spikes.any(), "no change reached a threshold"


def test_white_box_attacks_run() -> None:
    with bl.open_target(without_thresholds("relu"), "loihi") as target:
        inversions = bl.attacks.BrainLeaksV1(iterations=2)(bl.WhiteBox(target), classes=[0, 2], steps=3, seed=0)
        answer = bl.BlackBox(target, reveals="label").query(np.zeros((3, 2, 1, 3, 3)))
    assert inversions.spikes.shape == (3, 2, 1, 3, 3)
    assert answer.shape == (2,)
