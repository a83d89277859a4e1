"""Experiments are read from TOML; all problems are reported at once, each with its line."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from bl_neuro.attacks import ATTACKS
from bl_neuro.errors import ExperimentError, InputError
from bl_neuro.experiment.attack_choice import make_attack
from bl_neuro.experiment.experiment_file import experiment_from, experiment_path, read_experiment
from bl_neuro.experiment.ready_made import ready_made
from bl_neuro.experiment.toml_lines import KeyPath, line_of, value_lines

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

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


EVERY_PART = """\
name = "every"
seeds = [0, 1]
substrates = ["snntorch", "loihi"]
verify = ["snntorch", "loihi"]
options = { loihi = {} }
dataset = { name = "digits" }
evaluators = [{ kind = "conv" }]
attacks = [{ attack = "v2", reveals = ["counts"] }]
controls = [{ kind = "untrained", attacks = ["v2"] }]
replays = [{ substrate = "lava", of = "loihi" }]
ladder = {}
mitigations = [{ kind = "query_cap", queries = 8 }]
endpoints = [{ name = "chip", url = "http://127.0.0.1/v2/models/a", reveals = "counts" }]
"""


def problems(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "experiment.toml"
    file.write_text(text)
    with pytest.raises(ExperimentError) as caught:
        read_experiment(file)
    return list(caught.value.problems)


@pytest.mark.parametrize("value", ["1979-05-27", "07:32:00", "[1979-05-27T07:32:00Z]", "{ x = [1979-05-27] }"])
def test_dates_in_options_are_refused(value: str, tmp_path: Path) -> None:
    text = f"{EVERY_PART.replace('options = { loihi = {} }', '')}[options.snntorch]\nprecision = {value}\n"
    place = f"line {len(text.splitlines())}: options.snntorch.precision"
    (problem,) = (problem for problem in problems(tmp_path, text) if problem.startswith(place))
    assert "expected text, a number or a truth value, found the date or time" in problem


def test_every_problem_is_reported_with_its_line(tmp_path: Path) -> None:
    expected = [
        "line 1: expected [[evaluators]], which judge what attacks reconstruct",
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
            "evaluators.0.kind: expected one of conv, spiking, authors, svm, forest, neighbours, found 'convv'; did",
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (".".join("a" * 1000) + " = 1", r"a\.a\.a\.\.\.: expected at most 16 levels of tables and lists"),
        (f"name = {'9' * 5000}", "not TOML: expected integers of at most 64 bits"),
        (f"name = 0x{'f' * 5000}", "name: expected an integer of at most 64 bits"),
        ("restarts = 9223372036854775808", "restarts: expected an integer of at most 64 bits"),
        ("x = " + "[" * 1000 + "]" * 1000, "not TOML"),
        ("x = " + "[" * 100 + "]" * 100, "expected at most 16 levels"),
    ],
    ids=["dotted keys", "decimal digits", "hexadecimal digits", "65 bits", "1000 lists", "100 lists"],
)
def test_excessive_values_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "experiment.toml").write_text(f"{text}\n")
    with pytest.raises(ExperimentError, match=message):
        read_experiment(tmp_path / "experiment.toml")


def test_values_from_python_have_the_same_limits() -> None:
    deep: dict[str, Any] = {}
    for _ in range(2000):
        deep = {"a": deep}
    for document in (deep, {"restarts": 10**5000}):
        with pytest.raises(ExperimentError, match=r"expected at most 16 levels|at most 64 bits"):
            experiment_from(document)


VALUES = ('["v2"]', "{ kind = 'conv' }", "[[1]]", "[]", "{}")
PLACES = ("name", "dataset", "dataset.name", "attacks.0.attack", "attacks.0.label",
    "attacks.0.preset", "attacks.0.twin", "evaluators.0.kind", "controls.0.kind", "replays.0.of", "replays.0.substrate",
    "ladder.real", "mitigations.0.kind", "mitigations.0.substrate", "endpoints.0.name", "endpoints.0.reveals",
    "substrates.0", "attacks.0.reveals.0", "controls.0.attacks.0", "verify.0")  # fmt: skip


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *((place, value) for place in PLACES for value in VALUES),
        *(("options.loihi", value) for value in VALUES if value != "{}"),  # no options at all are valid
    ],
)
def test_lists_and_tables_where_words_belong_are_refused(place: str, value: str) -> None:
    document = tomllib.loads(EVERY_PART)
    *path, last = [int(part) if part.isdecimal() else part for part in place.split(".")]
    box: Any = document
    for part in path:
        box = box[part]
    box[last] = tomllib.loads(f"value = {value}")["value"]
    with pytest.raises(ExperimentError) as caught:
        experiment_from(document)
    assert any(problem.startswith((f"{place}: ", f"{place}.")) for problem in caught.value.problems), caught.value


def test_lines_are_found_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text that is parsed is as long as the file, not as the square of its lines."""
    parsed: list[int] = []
    loads = tomllib.loads

    def counted(text: str) -> dict[str, Any]:
        parsed.append(len(text))
        return loads(text)

    monkeypatch.setattr(tomllib, "loads", counted)
    text = "".join(f"k{number} = {number}\n" for number in range(999))
    assert value_lines(text)[("k998",)] == 999
    assert sum(parsed) <= len(text)


@pytest.mark.parametrize("text", ["name = ", "a = 1\na = 2", "a = 1\n" * 2000, "\x00", "x = 1 # " + "y" * 70_000])
def test_invalid_toml_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "experiment.toml"
    file.write_text(text)
    with pytest.raises(ExperimentError, match=r"not TOML|expected at most"):
        read_experiment(file)


def test_a_missing_file_names_those_in_the_package(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="one of att_faces, demo, digits, digits-clean, "):
        read_experiment(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('[a."b.c"]\nd.e = 1\n', {("a",): 1, ("a", "b.c"): 1, ("a", "b.c", "d"): 2, ("a", "b.c", "d", "e"): 2}),
        ("[[t]]\n[[t.u]]\n[[t.u]]\nx = 1\n[[t]]\n[[t.u]]\nx = 2\n[t.v]\n", {
            ("t", 0, "u", 1, "x"): 4, ("t", 1): 5, ("t", 1, "u", 0): 6, ("t", 1, "u", 0, "x"): 7, ("t", 1, "v"): 8}),
        ("a = [ # ]\n '#]', \"\"\"]\\\"\"\"\n\"\"\"\n]\nb = 2\n", {("a", 1): 1, ("b",): 5}),
        ("a = \"\"\"\"x\"\"\"\"\"\r\nb = '''\r\n''''\r\nc = 3\r\n", {("a",): 1, ("b",): 2, ("c",): 4}),
        ("a = 'é\u2028\u0085'\nb = {c = [{d = 1}]}", {("b",): 2, ("b", "c", 0, "d"): 2}),
    ],
)  # fmt: skip
def test_lines_of_every_kind_of_statement(text: str, lines: dict[KeyPath, int]) -> None:
    tomllib.loads(text)
    assert value_lines(text).items() >= lines.items()


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


def test_an_experiment_in_a_named_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    pipe = tmp_path / "experiment.toml"
    os.mkfifo(pipe)
    with pytest.raises(ExperimentError, match="expected a file, found a named pipe; experiments are TOML files"):
        read_experiment(pipe)
