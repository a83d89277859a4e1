"""Experiments written in Python equal those read from files and are checked in the same way."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bl_neuro as bl
from bl_neuro.api.experiment import attack_table
from bl_neuro.attacks import RandomSearch
from bl_neuro.experiment import definition
from bl_neuro.experiment.attack_choice import make_attack
from bl_neuro.experiment.experiment_file import read_experiment


def test_it_is_the_experiment_of_a_file(small: Callable[..., bl.Experiment], file: Path) -> None:
    def settled(experiment: Any) -> Any:
        return {**experiment.model_dump(), "attacks": sorted(map(str, experiment.model_dump()["attacks"]))}

    made, read = settled(small()), settled(read_experiment(file))
    assert {name for name in read if made[name] != read[name]} <= {"attacks"}
    assert repr(small()) == repr(read_experiment(file))
    assert repr(small()) == "<Experiment small: digits, 1 target seed, attacks v1, v2 on loihi>"


def test_it_has_every_field_of_a_file(small: Callable[..., bl.Experiment]) -> None:
    parameters = set(inspect.signature(bl.Experiment).parameters)
    assert parameters == {*definition.Experiment.model_fields, "reveals"}
    options = {"snntorch": {"precision": "float32"}}
    experiment = small(substrates=["snntorch"], attacks=["ann"], options=options, twin={"trainer": "authors"})
    assert (experiment.options, experiment.twin) == (options, {"trainer": "authors"})
    with pytest.raises(bl.ExperimentError, match=r"twin\.trainer: expected"):
        small(twin={"trainer": "nobody"})


def test_every_problem_is_reported_at_once(small: Callable[..., bl.Experiment]) -> None:
    attacks = ["v1", {"attack": "v2", "settings": {"windw": 3}}]
    with pytest.raises(bl.ExperimentError) as caught:
        small(name="x y", substrates=["lohi"], attacks=attacks, evaluators=["oracle"])
    problems = caught.value.problems
    starts = (
        "name: expected a text that matches",
        "evaluators.0.kind: expected one of",
        "substrates.0: expected one of",
    )
    for start in (*starts, "attacks.1.settings.windw: expected one of"):
        assert sum(problem.startswith(start) for problem in problems) == 1, problems


def test_black_box_attacks_see_what_reveals_states(small: Callable[..., bl.Experiment]) -> None:
    attacks = ["v1", "v2", {"attack": "random", "reveals": ["label"]}]
    experiment = small(attacks=attacks, reveals=["scores"])
    assert [part.reveals for part in experiment.attacks] == [None, ["scores"], ["label"]]


@pytest.mark.parametrize(
    ("attack", "table"),
    [
        (bl.BrainLeaksV1(), {"attack": "v1", "settings": {}}),
        (bl.BrainLeaksV2(queries=16), {"attack": "v2", "settings": {"queries": 16}}),
        (bl.BrainLeaksV2.for_mnist(), {"attack": "v2", "preset": "for_mnist", "settings": {}}),
        (RandomSearch(probe_densities=(0.1, 0.2)), {"attack": "random", "settings": {"probe_densities": [0.1, 0.2]}}),
    ],
)
def test_an_attack_is_stated_by_what_it_changes(attack: Any, table: dict[str, Any]) -> None:
    assert attack_table(attack) == table
    assert make_attack(table["attack"], table.get("preset"), table["settings"]) == attack


def test_unknown_attack_objects_are_refused(small: Callable[..., bl.Experiment]) -> None:
    class Own(bl.BrainLeaksV1):
        pass

    with pytest.raises(bl.InputError, match="attacks: expected one of v1, "):
        small(attacks=[Own()])
