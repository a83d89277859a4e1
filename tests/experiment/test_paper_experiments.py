"""The shipped experiments of the paper's tables have the designs of the results under results/, which scripts made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bl_neuro.experiment.attack_choice import make_attack
from bl_neuro.experiment.definition import Experiment
from bl_neuro.experiment.experiment_file import experiment_path, read_experiment
from bl_neuro.experiment.training_plans import target_plan, twin_plan

RESULTS = Path(__file__).parents[2] / "results"
LABELS = {
    "v1, priors": "v1-priors",
    "v2_gradient, priors": "v2_gradient-priors",
    "ann, priors": "ann-priors",
    "v1 for events": "v1-events",
    "v1 for events, priors": "v1-events-priors",
    "v2, still": "v2-still",
    "v2, label": "v2-label",
    "v2, long": "v2-long",
    "v2, untrained": "v2",
    "v2, shuffled labels": "v2",
}
"""Names of attacks in the results, and their labels in the experiments."""
ADDED = {"paper-nmnist": {"ann", "ann-priors"}, "paper-gestures": {"ann"}}
"""Attacks that the experiments have beyond the results: ANN twins of event targets."""


def recorded(name: str) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())["settings"]
    return settings


def experiment(name: str) -> Experiment:
    return read_experiment(experiment_path(name))


def settings_of(part: Any) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads(json.dumps(make_attack(part.attack, part.preset, part.settings).settings()))
    return settings


@pytest.mark.parametrize(
    ("results", "names"),
    [
        ("paper-mnist", ["paper-mnist"]),
        ("paper-att-faces", ["paper-att_faces", "paper-att_faces-apart"]),
        ("paper-nmnist", ["paper-nmnist"]),
        ("paper-gestures", ["paper-gestures"]),
    ],
)
def test_attacks_have_the_settings_of_the_results(results: str, names: list[str]) -> None:
    parts = [part for name in names for part in experiment(name).attacks]
    made = {name: attack.get("settings", attack) for name, attack in recorded(results)["attacks"].items()}
    for name, settings in made.items():
        own = [settings_of(part) for part in parts if part.called == LABELS.get(name, name)]
        assert own, name
        assert all(settings.items() <= options.items() for options in own), name
    labels = {LABELS.get(name, name) for name in made} | ADDED.get(results, set())
    assert {part.called for part in parts} == labels


def test_every_search_on_mnist_has_the_budget_of_the_results() -> None:
    made = recorded("mnist-black-box")
    parts = experiment("mnist-black-box").attacks
    searches = {"v2": "v2", "warm start": "warm-start"} | {name: name for name in ("one_plus_one", "random", "cma_es")}
    for name, label in searches.items():
        for part in [part for part in parts if part.called == label]:
            (queries,) = {made["queries"][view] for view in part.reveals or []}
            settings, expected = settings_of(part), {**made["attacks"][name]}
            assert settings["warm_start"] + 10 * settings["queries"] == 2000 + 10 * queries
            varied = {"queries", "warm_start", *(["jitter"] if label == "v2" else [])}
            assert {key: settings[key] for key in expected if key not in varied} == {
                key: value for key, value in expected.items() if key not in varied
            }
            if label == "v2":
                reveals = part.reveals[0] if part.reveals else ""
                assert settings["jitter"] == made["jitter"].get(reveals, expected["jitter"])
    for white in ("v1", "v2_gradient"):
        (part,) = [part for part in parts if part.called == white]
        assert made["attacks"][white].items() <= settings_of(part).items()


def test_targets_and_twins_are_trained_as_those_of_the_results() -> None:
    for name, results, epochs, images, batch, rate in (
        ("paper-mnist", "paper-mnist", 20, 10_000, 100, 1e-4),
        ("paper-att_faces", "paper-att-faces", 40, 80, 40, 1.5e-4),
    ):
        own, made = experiment(name), recorded(results)
        plan: Any = target_plan(own.dataset.name, own.steps, own.target)
        assert (plan.trainer, plan.hidden, plan.neuron, plan.steps) == ("authors", (3000,), "authors", 25)
        assert (plan.epochs, plan.through_time, plan.batch, plan.rate) == (epochs, images, batch, rate)
        assert made["target"]["authors' training"].startswith(f"{epochs} epochs as a rate proxy, {images} images")
        twin = twin_plan(own.twin)
        assert made["twin"] == {"epochs": twin.epochs, "batch": twin.batch, "rate": twin.rate}


@pytest.mark.parametrize(("name", "results"), [("paper-nmnist", "paper-nmnist"), ("paper-gestures", "paper-gestures")])
def test_event_targets_have_the_plan_of_the_results(name: str, results: str) -> None:
    own = experiment(name)
    assert target_plan(own.dataset.name, own.steps, own.target).facts() == recorded(results)["plan"]
