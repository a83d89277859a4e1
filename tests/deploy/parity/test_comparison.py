"""Comparing substrates: the counts, the promises, and the stated causes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import bl_neuro as bl
from bl_neuro.backends import Response
from bl_neuro.backends.declaration import Start
from bl_neuro.backends.registry import BACKENDS
from bl_neuro.deploy.parity import PairParity, ParityReport, Stimulus, compare, generated
from bl_neuro.deploy.parity import comparison as comparison_module
from bl_neuro.deploy.parity.tally import MAP_ROWS, LayerParity, LayerTally
from bl_neuro.layers import Layer
from bl_neuro.network import Network
from bl_neuro.reference import simulate
from bl_neuro.testing.random_networks import random_conv, random_dense, random_spikes
from bl_neuro.testing.reference_target import ReferenceBackend, ReferenceTarget
from bl_neuro.testing.registered import registered

NETWORK = random_dense(3, (6, 5, 4), biases=False)
SPIKES = random_spikes(NETWORK, 1, steps=12, batch=3)
STEP, NEURON = 3, 1
"""Where `Erring` errs, in its first layer and in the first sample of every run."""


class Right(ReferenceBackend):
    """A backend without a framework, as another package would bring it."""

    name = "right"


class ErringTarget(ReferenceTarget):
    def _run(self, spikes: torch.Tensor, layers: bool, start: Start) -> Response:
        response = super()._run(spikes, layers, start)
        assert response.layers is not None
        response.layers[0][STEP, 0, NEURON] = 1 - response.layers[0][STEP, 0, NEURON]
        return response


class SilentTarget(ReferenceTarget):
    def _run(self, spikes: torch.Tensor, layers: bool, start: Start) -> Response:
        response = super()._run(spikes, layers, start)
        assert response.layers is not None
        silence = torch.zeros_like(response.spikes)
        return replace(response, spikes=silence, layers=[*response.layers[:-1], silence])


class Erring(Right):
    name = "erring"
    target = ErringTarget


class Unpromising(Erring):
    name = "unpromising"
    arithmetic = None


class Silent(Right):
    name = "silent"
    arithmetic = None
    target = SilentTarget


class Chip(Right):
    name = "chip"
    differentiable = False
    reveals_membrane = False


class Picky(Right):
    name = "picky"

    @classmethod
    def problems(cls, network: Network) -> list[str]:
        return ["layer 0: too plain", "layer 1: too"]


OTHERS = (Right, Erring, Unpromising, Silent, Chip, Picky)


@pytest.fixture(autouse=True)
def others() -> Iterator[None]:
    with registered(BACKENDS, *OTHERS):
        yield


def given_only(network: Network, *substrates: str, spikes: Any = None, **options: Any) -> ParityReport:
    stimulus = Stimulus("mine", SPIKES if spikes is None else spikes)
    return compare(network, substrates, [stimulus], **options)


def pair_of(report: ParityReport, left: str, right: str) -> PairParity:
    return next(pair for pair in report.pairs if (pair.left, pair.right) == (left, right))


def test_equal_substrates_agree_in_every_bin() -> None:
    report = given_only(NETWORK, "right", "chip")
    (pair,) = report.pairs
    assert (pair.left, pair.right, pair.promised, pair.exact) == ("chip", "right", True, True)
    assert pair.bins == pair.identical == 12 * 3 * (5 + 4)
    assert (pair.jaccard, pair.answers_differ, pair.causes) == (1.0, 0, ())
    assert [layer.first for layer in pair.layers] == [None, None]
    assert report.broken == ()


def test_one_bin_that_differs_is_found_and_breaks_the_promise() -> None:
    report = given_only(NETWORK, "right", "erring")
    (pair,) = report.pairs
    first, second = pair.layers
    had = bool(simulate(NETWORK, SPIKES).layer_spikes[0][STEP, 0, NEURON])
    assert first.first is not None
    assert (first.first.step, first.first.stimulus, first.first.sample) == (STEP, "mine", 0)
    assert (first.first.neuron, first.first.spiked) == ((NEURON,), "right" if had else "erring")
    assert (first.bins - first.identical, second.exact, second.first) == (1, True, None)
    assert abs(first.spikes[0] - first.spikes[1]) == 1
    assert first.jaccard == first.both / (first.both + 1)
    assert np.flatnonzero(first.steps).tolist() == [STEP]
    assert np.argwhere(first.map).tolist() == [[STEP, NEURON]]
    assert first.map[STEP, NEURON] == pytest.approx(1 / 3)
    assert report.broken == (pair,)
    assert "at fault" in pair.causes[0]


def test_a_substrate_without_stated_arithmetic_promises_nothing() -> None:
    report = given_only(NETWORK, "right", "unpromising")
    assert not report.pairs[0].exact
    assert not report.pairs[0].promised
    assert report.broken == ()
    assert "unpromising does not declare" in report.pairs[0].causes[0]


def test_silence_is_another_answer() -> None:
    (pair,) = given_only(NETWORK, "right", "silent").pairs
    spoke = simulate(NETWORK, SPIKES).spikes.any(axis=(0, 2)).sum()
    assert spoke > 0
    assert pair.answers_differ == spoke
    assert pair.stimuli[0].answers_differ == spoke


def test_layers_that_never_spiked_are_named() -> None:
    layers: list[Layer] = [NETWORK.layers[0], bl.Dense(np.ones((4, 5)), bl.CubaLIF(threshold=1e6))]
    report = given_only(bl.Network((6,), layers), "right", "chip")
    assert report.silent == (1,)
    facts = report.to_json()
    assert facts["silent_layers"] == [1]
    first, second = facts["pairs"][0]["layers"]
    spiked = int(simulate(NETWORK, SPIKES).layer_spikes[0].any(axis=(0, 1)).sum())
    assert (first["neurons"], first["neurons_that_spiked"]) == (5, [spiked, spiked])
    assert (second["neurons"], second["neurons_that_spiked"]) == (4, [0, 0])
    assert given_only(NETWORK, "right", "silent").silent == ()


def test_membranes_are_compared_where_both_show_one() -> None:
    report = given_only(NETWORK, "right", "erring", "chip", pairs="all")
    assert len(report.pairs) == 3
    assert pair_of(report, "erring", "right").membrane_difference == 0.0
    assert pair_of(report, "chip", "right").membrane_difference is None


def test_an_answer_read_from_a_membrane_that_is_not_shown_is_not_compared() -> None:
    network = bl.Network(NETWORK.input_shape, NETWORK.layers, readout="membrane")
    assert given_only(network, "right", "chip").pairs[0].answers_differ is None
    assert given_only(network, "right", "erring").pairs[0].answers_differ == 0


def test_image_outputs_have_no_answer() -> None:
    network = random_conv(1, end="image")
    (pair,) = given_only(network, "right", "erring", spikes=random_spikes(network, 0, 6, 2)).pairs
    assert pair.answers_differ is None
    assert pair.layers[0].first is not None
    assert pair.layers[0].first.neuron == (NEURON, 0, 0)


def test_small_pieces_give_the_same_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Erring errs in the first sample of each piece, so Silent is taken."""
    whole = compare(NETWORK, ["right", "silent"], steps=9, batch=3).to_json()
    monkeypatch.setattr(comparison_module, "PIECE_VALUES", 9 * 15 * 4)
    pieces = compare(NETWORK, ["right", "silent"], steps=9, batch=3).to_json()
    assert {**whole, "seconds": 0} == {**pieces, "seconds": 0}


def test_by_default_every_capable_substrate_is_compared() -> None:
    with registered(BACKENDS, *OTHERS, only=True):
        report = compare(NETWORK, batch=1, steps=5)
    assert report.substrates == ("chip", "erring", "right", "silent", "unpromising")
    assert report.declined == {"picky": "layer 0: too plain; layer 1: too"}
    assert {pair.right for pair in report.pairs} == {"chip"}


def test_everything_is_in_the_json() -> None:
    facts = json.loads(json.dumps(given_only(NETWORK, "right", "erring").to_json()))
    assert facts["broken"] == [["erring", "right"]]
    assert facts["pairs"][0]["layers"][0]["first"]["neuron"] == [NEURON]
    assert facts["pairs"][0]["inputs"][0]["name"] == "mine"
    assert facts["fingerprint"] == NETWORK.fingerprint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"substrates": ["right"]}, "expected at least two to compare, found right"),
        ({"substrates": ["right", "right"]}, "expected at least two"),
        ({"substrates": ["right", "nurse"]}, "found 'nurse'"),
        ({"pairs": "some"}, "pairs: expected 'reference' or 'all'"),
        ({"inputs": SPIKES, "steps": 5}, "steps: expected 12, the steps of the given inputs"),
        ({"inputs": SPIKES[:, :, :5]}, r"spikes: expected shape \(T, B, 6\)"),
        ({"inputs": [Stimulus("a", SPIKES), Stimulus("b", SPIKES[:5])]}, "the same number of steps"),
        ({"inputs": [Stimulus("a", SPIKES), Stimulus("a", SPIKES)]}, "inputs: expected distinct names"),
        ({"steps": 0}, "steps: expected"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(bl.InputError, match=message):
        compare(NETWORK, **{"substrates": ["right", "erring"], **options})


def test_a_named_substrate_that_cannot_hold_the_network_is_an_error() -> None:
    with pytest.raises(bl.Unsupported, match=r"picky.*layer 0: too plain; layer 1: too"):
        compare(NETWORK, ["right", "picky"])


def test_given_inputs_come_after_generated_ones_of_their_length() -> None:
    report = compare(NETWORK, ["right", "chip"], inputs=SPIKES, batch=2)
    assert report.steps == 12
    names = [stimulus.name for stimulus in report.pairs[0].stimuli]
    assert names == [*(stimulus.name for stimulus in generated(NETWORK)), "given"]


# --- the real substrates


@pytest.mark.snntorch
@pytest.mark.norse
@pytest.mark.slayer
def test_the_five_keep_their_promises_on_one_network(needs: Callable[[str], None]) -> None:
    for name in ("snntorch", "norse", "slayer"):
        needs(name)
    network = random_dense(11, (12, 20, 6))
    report = compare(network, ["snntorch", "norse", "slayer", "loihi"], batch=2)
    assert [(pair.left, pair.right) for pair in report.pairs] == [
        ("snntorch", "loihi"),
        ("norse", "loihi"),
        ("slayer", "loihi"),
        ("norse", "snntorch"),
    ]
    assert [pair.promised for pair in report.pairs] == [False, False, True, True]
    assert [pair.exact for pair in report.pairs] == [False, False, True, True]
    assert report.broken == ()
    causes = " ".join(report.pairs[0].causes)
    for message in (
        "weight rounding (RMS): layer 0",
        "decay rounding",
        "bias rounding",
        "state rounding",
        "measured on",
    ):
        assert message in causes
    membrane = pair_of(report, "snntorch", "loihi").membrane_difference
    assert membrane is not None
    assert 0 < membrane < 10


@pytest.mark.lava
@pytest.mark.slayer
def test_lava_is_the_reference_of_the_others(needs: Callable[[str], None]) -> None:
    needs("lava")
    needs("slayer")
    report = compare(random_dense(12, (8, 9, 4), biases=False), ["slayer", "loihi", "lava"], batch=1, steps=10)
    assert [(pair.left, pair.right, pair.exact) for pair in report.pairs] == [
        ("slayer", "lava", True),
        ("loihi", "lava", True),
    ]


@pytest.mark.snntorch
@pytest.mark.slayer
def test_an_exported_network_says_how_far_its_twin_is(needs: Callable[[str], None]) -> None:
    needs("snntorch")
    needs("slayer")
    weight = 2 * np.random.default_rng(13).integers(-3, 4, (40, 12))
    layer = bl.Dense(weight, bl.CubaLIF(threshold=20, current_decay=200 / 4096, voltage_decay=50 / 4096))
    network = bl.Network((12,), [layer], arithmetic="loihi")
    report = compare(network, ["snntorch", "slayer", "loihi"])
    twin = pair_of(report, "snntorch", "loihi")
    assert 0.95 < twin.identical / twin.bins < 1
    assert any("parameters are not a cause" in cause for cause in twin.causes)
    assert any("state rounding" in cause for cause in twin.causes)
    assert not any("weight rounding" in cause for cause in twin.causes)
    assert pair_of(report, "slayer", "loihi").exact


WIDE = bl.Network((700,), [bl.Dense(254 * np.ones((2, 700)), bl.CubaLIF(200, 0.5, 0.25))], arithmetic="loihi")


@pytest.mark.slayer
@pytest.mark.parametrize(("density", "promised"), [(0.02, True), (1.0, False)])
def test_beyond_24_bits_slayer_promises_nothing(density: float, promised: bool, needs: Callable[[str], None]) -> None:
    needs("slayer")
    spikes = random_spikes(WIDE, 0, steps=10, batch=2, density=density)
    (pair,) = given_only(WIDE, "slayer", "loihi", spikes=spikes).pairs
    assert (pair.promised, pair.exact) == (promised, promised)
    if not promised:
        assert pair.causes == (
            "states exceeded 24 bits in layer 0: Loihi wraps the current and clips the voltage there; slayer does not",
        )


@pytest.mark.slayer
@pytest.mark.snntorch
def test_input_neurons_are_driven_with_real_values(needs: Callable[[str], None]) -> None:
    needs("slayer")
    needs("snntorch")
    neuron = bl.CubaLIF(threshold=30, current_decay=0.5, voltage_decay=0.125)
    layers: list[Layer] = [
        bl.Input(9, neuron, bias=2),
        bl.Dense(2 * np.arange(-9, 9).reshape(3, 6), bl.CubaLIF(10, 1, 0.5)),
    ]
    network = bl.Network((6,), layers, arithmetic="loihi")
    report = compare(network, ["snntorch", "slayer", "loihi"])
    assert pair_of(report, "slayer", "loihi").exact
    assert min(report.pairs[0].layers[0].spikes) > 100
    assert any("truncates the drive of input neurons" in cause for cause in pair_of(report, "snntorch", "loihi").causes)


@pytest.mark.slayer
def test_cold_starts_are_compared_too(needs: Callable[[str], None]) -> None:
    needs("slayer")
    network = random_dense(14, (8, 9, 4))
    assert network.has_bias
    cold = compare(network, ["slayer", "loihi"], start="cold", batch=1).pairs[0]
    aligned = compare(network, ["slayer", "loihi"], batch=1).pairs[0]
    assert cold.exact
    assert aligned.exact
    assert cold.layers[1].spikes != aligned.layers[1].spikes


NEURONS, STEPS, SAMPLES = 1000, 6, 5
ROWS = 125  # of 8 neurons each


def counted(*flips: list[tuple[int, int, int]]) -> LayerParity:
    """A layer where the pieces differ in these (step, sample, neuron)."""
    tally = LayerTally(0, "Dense", (NEURONS,), ("left", "right"))
    for piece in flips:
        left = np.zeros((STEPS, SAMPLES, NEURONS), bool)
        left[1, :, :40] = True
        right = left.copy()
        for place in piece:
            right[place] = ~right[place]
        tally.add(left, right, "random")
    return tally.result()


def test_a_row_is_the_largest_of_its_neurons_over_all_pieces() -> None:
    """Neighbours that differ in two pieces are two neurons that differ once, and no neuron differs twice."""
    result = counted([(3, 0, 16)], [(3, 1, 17)], [(3, 2, 17), (4, 2, 999)])
    assert result.map.shape == (STEPS, ROWS)
    assert ROWS <= MAP_ROWS
    assert result.neurons_per_row == NEURONS // ROWS
    assert {tuple(place) for place in np.argwhere(result.map).tolist()} == {(3, 2), (4, 124)}
    assert result.map[3, 2] == pytest.approx(2 / (3 * SAMPLES))
    assert result.map[4, 124] == pytest.approx(1 / (3 * SAMPLES))
    assert result.steps.tolist() == pytest.approx(
        [0, 0, 0, 3 / (3 * SAMPLES * NEURONS), 1 / (3 * SAMPLES * NEURONS), 0]
    )


def test_neurons_that_spiked_are_counted_for_each() -> None:
    result = counted([], [(0, 0, 7), (0, 0, 50), (2, 0, 51)])
    assert (result.neurons, result.active, result.silent) == (NEURONS, (40, 42), False)


def test_without_a_difference_the_map_is_empty() -> None:
    result = counted([], [])
    assert result.exact
    assert not result.map.any()
    assert result.map.shape == (STEPS, ROWS)
    assert not result.steps.any()


def test_few_neurons_have_a_row_each() -> None:
    tally = LayerTally(1, "Conv", (2, 3, 4), ("left", "right"))
    silence = np.zeros((STEPS, 2, 2, 3, 4), bool)
    tally.add(silence, silence, "random 0")
    result = tally.result()
    assert (result.map.shape, result.neurons_per_row, result.silent, result.active) == ((STEPS, 24), 1, True, (0, 0))


def test_graded_messages_are_compared_by_value() -> None:
    """Both are messages, so that their places agree, but one value does not."""
    tally = LayerTally(0, "Dense", (2,), ("left", "right"))
    messages = np.array([[[5, 0]], [[-3, 7]]])
    assert tally.add(messages, np.where(messages == -3, -4, messages), "mine") == 1
    result = tally.result()
    assert (result.bins, result.identical, result.jaccard, result.spikes) == (4, 3, 1.0, (3, 3))
    assert result.first is not None
    assert (result.first.step, result.first.neuron) == (1, (0,))
