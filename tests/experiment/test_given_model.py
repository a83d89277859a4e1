"""Given networks: their input format is recognised from a dataset, and their behaviour is verified."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bl_neuro import CubaLIF, Dense, Flatten, Input, Network, open_target, save
from bl_neuro.attacks import BrainLeaksV2, Preset
from bl_neuro.data import Dataset
from bl_neuro.errors import BlNeuroError, ExperimentError, InputError
from bl_neuro.experiment.findings.compute import compared_arithmetics
from bl_neuro.experiment.findings.power import power_findings
from bl_neuro.experiment.given_model import ModelAudit, model_experiment, recognise, views
from bl_neuro.experiment.material import with_input_range
from bl_neuro.experiment.plan import plan_cells
from bl_neuro.experiment.session import Audit
from bl_neuro.experiment.verification import verified
from bl_neuro.layers import Layer
from bl_neuro.loihi_numbers import THRESHOLD_MAX
from bl_neuro.testing.handmade_net import current, dense, write
from bl_neuro.testing.random_networks import random_dense, random_spikes

SIDE, STEPS = 4, 6


@pytest.fixture(scope="module")
def halves() -> Dataset:
    """Two classes: the left or the right half of an image is bright, the other one dim."""
    images = np.full((40, 1, SIDE, SIDE), 0.3)
    labels = np.arange(40) % 2
    images[labels == 0, :, :, : SIDE // 2] = 1.0
    images[labels == 1, :, :, SIDE // 2 :] = 1.0
    return Dataset("halves", "made up", images, labels.astype(np.int64), ("left", "right"))


def eye(swapped: bool = False) -> Network:
    """Input neurons that spike for any current above 0, and an output for each half that sums it up."""
    weight = np.zeros((2, SIDE, SIDE))
    weight[0, :, : SIDE // 2] = weight[1, :, SIDE // 2 :] = 20
    weight = weight[::-1] if swapped else weight
    neurons = Input(100, CubaLIF(threshold=20, voltage_decay=0.25))
    layers: list[Layer] = [neurons, Flatten(), Dense(weight.reshape(2, -1), CubaLIF(threshold=40, voltage_decay=0.25))]
    return Network((1, SIDE, SIDE), layers, "spikes", "loihi")


def test_a_range_of_currents_becomes_a_part_of_the_network(tmp_path: Path) -> None:
    from bl_neuro import load

    network = load(write(tmp_path / "net.net", current(), dense(weight=[[40, -2, 30], [4, 50, 6]])))
    pixels = np.random.default_rng(0).random((9, 5, 3))
    with open_target(network, "loihi") as own, open_target(with_input_range(network, -1.0, 1.0), "loihi") as folded:
        one, other = own.run(2 * pixels - 1, layers=True), folded.run(pixels, layers=True)
    assert bool(one.spikes.any())
    for first, second in zip(one.layers or [], other.layers or [], strict=True):
        assert torch.equal(first, second)
    with pytest.raises(InputError, match="only for networks with current inputs"):
        with_input_range(random_dense(0), -1, 1)
    with pytest.raises(InputError, match="two different values"):
        with_input_range(network, 1, 1)


@pytest.mark.parametrize("swapped", [False, True])
def test_the_range_and_the_classes_are_recognised(halves: Dataset, swapped: bool) -> None:
    recognition = recognise(eye(swapped), halves, STEPS)
    assert (recognition.encoder, recognition.input_range, recognition.accuracy, recognition.chance) == (
        "direct",
        (-1.0, 1.0),
        1.0,
        0.5,
    )
    assert recognition.class_map == ((1, 0) if swapped else (0, 1))
    assert "pixels from -1 to 1" in recognition.sentence
    assert ("outputs [1, 0]" in recognition.sentence) == swapped


def test_the_power_of_a_plan_for_a_given_model_is_over_its_restarts(digits_net: Path) -> None:
    request = ModelAudit(digits_net, "digits", steps=8, restarts=4, verify_on=False, substrates=["loihi", "snntorch"])
    experiment, _ = model_experiment(request)
    cells = plan_cells(experiment, Audit(experiment, _place(digits_net), _store(digits_net)).material)
    power = power_findings(experiment, cells, [], compared_arithmetics(experiment), {})
    assert {(view.attack, view.reveals) for view in power} == {("v1", "gradient"), ("v2", "counts"), ("v2", "label")}
    assert {(view.seeds, view.inversions) for view in power} == {(4, 10)}  # an inversion of each class per restart
    single, _ = model_experiment(replace(request, restarts=1))
    cells = plan_cells(single, Audit(single, _place(digits_net), _store(digits_net)).material)
    assert power_findings(single, cells, [], compared_arithmetics(single), {}) == []


def test_stated_options_are_not_recognised_again(halves: Dataset) -> None:
    given = recognise(eye(), halves, STEPS, input_range=(0.0, 1.0), class_map=[1, 0])
    assert (given.input_range, given.class_map) == ((0.0, 1.0), (1, 0))
    assert given.accuracy < 1
    with pytest.raises(ExperimentError, match="expected the input shape of the dataset"):
        recognise(random_dense(0), halves, STEPS)


def test_networks_of_spikes_get_spike_encoders(halves: Dataset) -> None:
    weight = np.zeros((2, SIDE, SIDE))
    weight[0, :, : SIDE // 2] = weight[1, :, SIDE // 2 :] = 0.2
    network = Network((SIDE * SIDE,), [Dense(weight.reshape(2, -1), CubaLIF())])
    recognition = recognise(network, halves, STEPS)
    assert recognition.encoder in ("rate", "held")
    assert recognition.input_range is None
    assert recognition.accuracy == 1.0


def test_outputs_that_never_spike_are_read_from_their_membrane() -> None:
    network = eye()
    assert views(network) == ["counts", "label"]
    last = network.layers[-1]
    assert isinstance(last, Dense)
    silent = replace(last, neuron=CubaLIF(threshold=THRESHOLD_MAX, voltage_decay=0.25))
    assert views(Network(network.input_shape, [*network.layers[:-1], silent], "membrane", "loihi")) == [
        "scores",
        "label",
    ]


@pytest.fixture
def digits_net(tmp_path: Path) -> Path:
    network = Network((64,), [Dense(np.random.default_rng(0).normal(0.1, 0.3, (10, 64)), CubaLIF())])
    save(network, tmp_path / "of digits.net")
    return tmp_path / "of digits.net"


def test_an_attack_declares_its_preset_for_a_dataset(digits_net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = ModelAudit(digits_net, "digits", steps=8)
    assert model_experiment(request)[0].attacks[1].preset is None
    presets = {"for_digits": Preset(BrainLeaksV2, "digits", ("digits",))}
    monkeypatch.setattr(BrainLeaksV2, "presets", lambda: presets)
    assert model_experiment(request)[0].attacks[1].preset == "for_digits"


def test_queries_apply_to_attacks_that_are_given_by_name(digits_net: Path) -> None:
    own = {"attack": "cma_es", "settings": {"queries": 8}}
    request = ModelAudit(digits_net, "digits", steps=8, queries=16, verify_on=False, attacks=[own])
    with pytest.raises(InputError, match="queries: none of the attacks that are given by name has this setting"):
        model_experiment(request)
    experiment, _ = model_experiment(replace(request, attacks=[own, "random"]))
    assert [part.settings["queries"] for part in experiment.attacks] == [8, 16]


def test_a_file_and_a_dataset_make_an_experiment(digits_net: Path) -> None:
    experiment, recognition = model_experiment(ModelAudit(digits_net, "digits", steps=8, queries=16, restarts=2))
    assert experiment.name == "of-digits"
    assert getattr(experiment.model, "encoder", None) == recognition.encoder
    assert experiment.verify == ["loihi", "lava"]
    assert [(part.attack, part.reveals) for part in experiment.attacks] == [("v1", None), ("v2", ["counts", "label"])]
    assert experiment.attacks[1].settings["queries"] == 16
    audit = Audit(experiment, _place(digits_net), _store(digits_net))
    cells = plan_cells(experiment, audit.material)
    own = [cell for cell in cells if cell.facts.get("target") != "shuffled_weights"]
    kinds = [cell.kind for cell in own]
    assert (kinds.count("attack"), kinds.count("replay"), kinds.count("verification")) == (
        12,
        1,
        1,
    )  # on two substrates
    searches = [cell.definition["settings"] for cell in own if cell.kind == "attack" and cell.facts["attack"] == "v2"]
    assert [settings["image_shape"] for settings in searches] == [(8, 8)] * 8  # inputs in a row are an image
    (check,) = [cell for cell in cells if cell.kind == "verification"]
    assert [need.kind for need in check.needs] == ["target", "attack", "attack", "attack"]

    without, _ = model_experiment(ModelAudit(digits_net, "digits", steps=8, verify_on=False))
    assert without.replays == []
    assert without.verify is None


def _place(file: Path) -> Any:
    from bl_neuro.experiment.material import Place

    return Place(file.parent)


def _store(file: Path) -> Any:
    from bl_neuro.experiment.store import Store

    return Store(file.parent / "out")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"readout": "loudest"}, "readout: expected 'spikes', 'membrane' or 'values', found 'loudest'"),
        ({"layers": 0}, "layers: expected a whole number of at least 1, found 0"),
        ({"restarts": 0}, "restarts: expected a whole number of at least 1, found 0"),
        ({"encoder": "morse"}, "encoder: expected 'rate', 'held' or 'direct', found 'morse'"),
        ({"steps": 0}, r"steps: expected a whole number in 1\.\.65536, found 0"),
        ({"input_range": []}, r"input_range: expected a list of 2 or more values, found \[\]"),
        ({"input_range": [1.0]}, r"input_range: expected a list of 2 or more values, found \[1\.0\]"),
        ({"substrates": []}, "substrates: expected at least one substrate, found none"),
        ({"attacks": []}, r"expected \[\[attacks\]\], each a table, or \[secrets\]"),
        ({"evaluators": []}, r"expected \[\[evaluators\]\], which judge what attacks reconstruct"),
        ({"verify_on": ""}, "found ''"),
        ({"class_map": []}, "class_map: expected a list of 1 or more values"),
        ({"class_map": [1, 2]}, r"expected a class in 0\.\.9 for each of 10 outputs, each once, found \[1, 2\]"),
        ({"class_map": [*range(9), 99]}, r"class_map: expected a class in 0\.\.9 .* found \[0, .*, 99\]"),
        ({"class_map": [*range(9), 0]}, r"class_map: expected a class in 0\.\.9 .* each once, found \[0, .*, 0\]"),
        ({"class_map": [*range(9), -1]}, r"class_map\.9: expected a whole number of at least 0, found -1"),
    ],
)
def test_invalid_options_are_one_error_with_their_names(
    digits_net: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(BlNeuroError, match=message):
        model_experiment(ModelAudit(digits_net, "digits", **{"steps": 8, **changes}))


@pytest.mark.parametrize(
    "substrate", [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("slayer", "lava")]
)
def test_substrates_are_compared_on_inversions_among_others(substrate: str) -> None:
    network = random_dense(4)
    with open_target(network, "loihi"):
        inversions = torch.from_numpy(np.asarray(random_spikes(network, 0, steps=STEPS, batch=3)))
    verification = verified(network, ["loihi", substrate], STEPS, [inversions, inversions])
    (pair,) = verification.pairs
    assert {pair.substrate, pair.reference} == {"loihi", substrate}
    assert pair.promised
    assert pair.exact
    assert pair.identical == pair.bins > 0
    assert [stimulus.samples for stimulus in pair.inputs if stimulus.name == "inversions"] == [6]
    assert verification.broken == []
