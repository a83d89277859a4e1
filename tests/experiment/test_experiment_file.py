"""Experiments are read from TOML; all problems are reported at once, each with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bl_neuro.attacks import ATTACKS
from bl_neuro.errors import ExperimentError, InputError
from bl_neuro.experiment.attack_choice import make_attack
from bl_neuro.experiment.experiment_file import experiment_path, read_experiment
from bl_neuro.experiment.ready_made import ready_made
from bl_neuro.experiment.toml_lines import line_of, value_lines

WRONG = """\
name = "x y"
seeds = [0, 0]
substrates = ["loihi", "lohi"]

[dataset]
nme = "digits"

[target]
hiden = [3]

[[attacks]]
attack = "v2"
reveals = [
  "counts",
  "labels",
]
[attacks.settings]
queries = "many"
windw = 3.0

[[attacks]]
attack = "v3"

[[attacks]]
attack = "v1"
budget = 3
settings = { blur = -1.0 }

[[controls]]
kind = "none"
attacks = ["v7"]
"""


def problems(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "experiment.toml"
    file.write_text(text)
    with pytest.raises(ExperimentError) as caught:
        read_experiment(file)
    return list(caught.value.problems)


def test_every_problem_is_reported_with_its_line(tmp_path: Path) -> None:
    expected = [
        "line 1: evaluators: is required, but missing",
        "line 1: name: expected a text that matches",
        "line 2: seeds: expected distinct values",
        "line 3: substrates.1: expected one of snntorch, norse, slayer, loihi, lava, found 'lohi'",
        "line 5: dataset.name: is required, but missing",
        "line 6: dataset.nme: unknown name",
        "line 9: target.hiden: expected one of hidden,",
        "line 13: attacks.0.reveals.1: expected 'membrane', 'scores', 'spikes', 'counts' or 'label'",
        "line 18: attacks.0.settings.queries: queries: expected a whole number, found 'many'",
        "line 19: attacks.0.settings.windw: expected one of blur, window,",
        "line 22: attacks.1.attack: expected one of v1, v2_",
        "line 26: attacks.2.budget: v1 uses gradients",
        "line 27: attacks.2.settings: blur: expected at least 0 pixels, at most 1024, found -1.0",
        "line 30: controls.0.kind: expected 'untrained' or 'shuffled_labels', found 'none'",
        "line 31: controls.0.attacks.0: expected the label of an attack, found 'v7'",
    ]
    messages = problems(tmp_path, WRONG)
    assert [problem[: len(start)] for problem, start in zip(messages, expected)] == expected
    assert len(messages) == len(expected)


@pytest.mark.parametrize("name", ready_made())
def test_the_experiments_in_the_package_are_valid(name: str) -> None:
    assert read_experiment(experiment_path(name)).name == name


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('reveals = ["counts"]\n', "", "line 19: attacks.0: expected `reveals`"),
        (
            "iterations = 2",
            "iterations = 2.5",
            "line 26: attacks.1.settings.iterations: iterations: expected a whole number, found 2.5",
        ),
        ('attack = "v1"', 'attack = "v2"\nreveals = ["counts"]', "attacks.1: v2 on counts occurs twice"),
        ("seeds = 2\n", "", "line 1: expected seeds of targets to train, or a [model]"),
        ("[target]", '[model]\nfile = "a.net"\n[target]', "line 2: seeds: a [model] or an endpoint is not trained"),
        (
            'name = "digits"',
            'name = "digits"\nsplit = "official"',
            "dataset.split: digits has no official test set",
        ),
        ('name = "digits"', 'name = "digits"\nsize = [4, 4]', "dataset.size: size: expected a dataset that can be"),
        ("hidden = [16]", "hidden = [16]\nsteps = 3", "line 12: target.steps: expected `steps` at the top level"),
        ("hidden = [16]", 'hidden = [16]\nconv = ["3x"]', "conv: expected text such as 12c5s2p1"),
        ("settings = { queries", 'preset = "for_cats"\nsettings = { queries', "preset: expected one of v2's (for_"),
        ("window = 3.0", 'form = "still"', "form: cannot be set in a file"),
        ("seeds = 2", "seeds = true", "line 2: seeds: expected 1 to 1000 seeds or a list of seeds, found True"),
        (
            'kind = "conv"',
            'kind = "convv"',
            "evaluators.0.kind: expected one of conv, spiking, authors, found 'convv'; did",
        ),
        ("epochs = 1", "epochs = -1", "evaluators.0.epochs: expected at least 0, found -1"),
        ("epochs = 1", "epochs = 1\nrate = 0.1", "line 19: evaluators.0.rate: expected one of epochs, kind, label"),
        (
            "epochs = 1",
            'epochs = 1\n[[evaluators]]\nkind = "conv"\nepochs = 1\nlabel = "b"',
            "evaluators.1: is trained exactly like another evaluator",
        ),
        ("seeds = 2", "seeds = -1", "line 2: seeds: expected 1 to 1000 seeds or a list of seeds, found -1"),
    ],
)
def test_invalid_values_are_refused(small: Path, tmp_path: Path, old: str, new: str, message: str) -> None:
    text = small.read_text()
    assert old in text
    messages = problems(tmp_path, text.replace(old, new))
    assert any(message in problem for problem in messages), messages


@pytest.mark.parametrize("text", ["name = ", "a = 1\na = 2", "a = 1\n" * 2000, "\x00", "x = 1 # " + "y" * 70_000])
def test_invalid_toml_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "experiment.toml"
    file.write_text(text)
    with pytest.raises(ExperimentError, match=r"not TOML|expected at most"):
        read_experiment(file)


def test_a_missing_file_names_those_in_the_package(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="one of att_faces, demo, digits, digits-clean, "):
        read_experiment(tmp_path / "nowhere.toml")


def test_values_stand_on_their_lines() -> None:
    text = '# a\n\na = 1\nb = [\n  1,\n  2,\n]\n[[t]]\nx = """\n[t]\ny = 3\n"""\n[[t]]\nx = { y = 2 }\n'
    lines = value_lines(text)
    assert lines[("a",)] == 3
    assert lines[("b", 1)] == 4
    assert lines[("t", 0)] == 8
    assert lines[("t", 0, "x")] == 9
    assert lines[("t", 1, "x", "y")] == 14
    assert line_of(("t", 1, "z"), lines) == 13
    assert line_of(("c",), lines) == 1


@pytest.mark.parametrize("name", list(ATTACKS))
def test_every_attack_is_made_from_settings_that_went_through_a_file(name: str) -> None:
    attack = make_attack(name)
    assert attack == ATTACKS.find(name)()


def test_settings_come_on_top_of_a_preset() -> None:
    attack = make_attack("v2", "for_mnist", {"queries": 8, "probe_densities": [0.1, 0.2]})
    assert (attack.queries, attack.jitter, attack.probe_densities) == (8, 2, (0.1, 0.2))  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="even number"):
        make_attack("v2", None, {"queries": 7})


def test_a_setting_that_is_an_object_is_not_set_in_a_file() -> None:
    with pytest.raises(InputError, match="attack: cannot be set in a file; use a preset"):
        make_attack("transfer", settings={"attack": "v1"})


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    text = experiment_path("demo").read_text(encoding="utf-8")
    (tmp_path / "marked.toml").write_text(text, encoding="utf-8-sig")
    assert read_experiment(tmp_path / "marked.toml") == read_experiment(experiment_path("demo"))
