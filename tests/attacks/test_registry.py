"""Attacks are found by name, ours and those of other packages, which work wherever ours do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import bl_neuro as bl
from bl_neuro.attacks import ATTACKS, Attack
from bl_neuro.attacks.registry import attack_title
from bl_neuro.data import DATASETS
from bl_neuro.errors import ExperimentError, InputError, PluginError
from bl_neuro.experiment.experiment_file import read_experiment
from bl_neuro.experiment.measures import ATTACK
from bl_neuro.experiment.session import Audit
from bl_neuro.testing.reference_target import easy_images

Call = Callable[..., tuple[int, str, str]]
EXPERIMENT = """
name = "plain"
baselines = []
seeds = 1
steps = 4
substrates = ["loihi"]
[dataset]
name = "digits"
[target]
hidden = [16]
proxy_epochs = 1
spiking_epochs = 1
[[evaluators]]
kind = "conv"
epochs = 1
[[attacks]]
attack = "plain"
reveals = ["counts"]
[[attacks]]
attack = "counted"
reveals = ["label"]
settings = { queries = 2 }
[[mitigations]]
kind = "query_cap"
queries = 10
attacks = ["counted"]
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    bl.save(easy_images(), tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("name", list(ATTACKS.ours))
def test_each_attack_is_called_as_it_says(name: str) -> None:
    kind = ATTACKS.find(name)
    assert issubclass(kind, Attack)
    assert (kind.name, bool(kind.title), kind().name) == (name, True, name)


def test_titles_are_printed_and_a_missing_attack_keeps_its_name() -> None:
    assert [attack_title(name) for name in ("cma_es", "ann", "gone")] == ["CMA-ES", "ANN baseline", "gone"]


@pytest.mark.parametrize("name", list(ATTACKS.ours))
def test_presets_are_declared_for_datasets(name: str) -> None:
    kind = ATTACKS.find(name)
    datasets = [dataset for preset in kind.presets().values() for dataset in preset.datasets]
    assert len(set(datasets)) == len(datasets)
    assert set(datasets) <= set(DATASETS)


def test_the_preset_for_a_dataset_is_the_one_that_is_declared_for_it() -> None:
    names = [ATTACKS.find("v2").preset_for(dataset) for dataset in ("mnist", "nmnist", "dvs_gesture", "digits")]
    assert names == ["for_mnist", "for_nmnist", "for_gestures", None]
    assert ATTACKS.find("random").preset_for("mnist") is None


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InputError, match=r"attack: expected one of v1, .*; did you mean 'v2_gradient'"):
        ATTACKS.find("v2_gradien")


@pytest.mark.usefixtures("plain_attacks")
def test_another_package_adds_attacks() -> None:
    assert ATTACKS.find("counted")().planned_queries(2) == 6
    assert (attack_title("counted"), attack_title("plain"), attack_title("broken")) == (
        *("counted queries", "plain", "broken"),
    )
    with pytest.raises(PluginError, match="attack 'broken': plain_attacks:Gone cannot be loaded"):
        ATTACKS.find("broken")


@pytest.mark.usefixtures("plain_attacks")
@pytest.mark.parametrize(
    ("words", "queries", "budget"),
    [
        (("plain",), 3, None),
        (("plain", "--budget", 2), 0, 2),
        (("counted",), 9, 9),
        (("counted", "--budget", 20), 18, 20),
        (("counted", "--set", "queries=2", "--budget", 20), 6, 20),
    ],
)
def test_it_runs_from_the_command_line(
    words: tuple[object, ...], queries: int, budget: int | None, model: Path, call: Call
) -> None:
    code, out, err = call("attack", model, "--steps", 3, "--json", "--attack", *words)
    assert (code, err) == (0, "")
    facts = json.loads(out)
    assert (facts["attack"], facts["queries"], facts["budget"], facts["reveals"]) == (
        *(words[0], queries, budget, "counts"),
    )


@pytest.mark.usefixtures("plain_attacks")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("plain", "--blur", 1), "--blur: attack plain does not have this setting"),
        (("plain", "--set", "queries=2"), "queries: expected no settings, found 'queries'"),
        (("plain", "--twin", "norse"), "twin: attack plain does not use a copy of the network"),
        (("counted", "--preset", "mnist"), "preset: attack counted has no presets"),
        (
            ("counted", "--budget", 2),
            "budget: 2 queries are too few for attack counted on 3 classes; it needs at least 3",
        ),
    ],
)
def test_undeclared_options_are_refused(words: tuple[object, ...], message: str, model: Path, call: Call) -> None:
    code, _, err = call("attack", model, "--steps", 3, "--attack", *words)
    assert code == 2
    assert message in err


@pytest.mark.slow
@pytest.mark.usefixtures("plain_attacks")
def test_it_runs_in_an_audit(tmp_path: Path) -> None:
    file = tmp_path / "plain.toml"
    file.write_text(EXPERIMENT)
    audit = Audit.of(str(file), tmp_path / "out", None)
    attacks = [cell for cell in audit.cells if cell.kind == "attack"]
    settings = {(cell.facts["attack"], cell.facts.get("mitigation")): cell.definition["settings"] for cell in attacks}
    assert settings == {
        ("plain", None): {},
        ("counted", None): {"queries": 2},
        ("counted", "query_cap 10"): {"queries": 1},
    }
    audit.run(1)
    measured = [audit.store.read(cell.address) for cell in attacks]
    assert [ATTACK.typed(result.measures).queries for result in measured if result is not None] == [10, 20, 10]


@pytest.mark.usefixtures("plain_attacks")
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('reveals = ["counts"]\n', "", "attacks.0: expected `reveals`, the outputs that plain uses"),
        ("{ queries = 2 }", "{ querys = 2 }", "expected one of queries, found 'querys'"),
        ('attack = "plain"\n', 'attack = "plain"\ntwin = "norse"\n', "twin: plain does not use a copy of the network"),
        (
            *('attack = "plain"\nreveals = ["counts"]', 'attack = "ann"\nsubstrates = ["loihi"]'),
            "ann attacks an ANN, which runs on no substrate",
        ),
        ('attack = "plain"', 'attack = "plane"', "expected one of v1, v2_gradient,"),
    ],
)
def test_invalid_plugin_settings_in_a_file_are_reported(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in EXPERIMENT
    file = tmp_path / "plain.toml"
    file.write_text(EXPERIMENT.replace(old, new))
    with pytest.raises(ExperimentError) as caught:
        read_experiment(file)
    assert any(message in problem for problem in caught.value.problems), caught.value.problems
