"""The parts of the BrainLeaks paper's set-up in an experiment: trainers, ANN twins, options of substrates, splits."""

from __future__ import annotations

from pathlib import Path

import pytest

from bl_neuro.errors import ExperimentError
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.experiment_file import read_experiment
from bl_neuro.experiment.session import Audit

TEXT = """\
name = "authors"
seeds = 2
restarts = 2
steps = 4
classes = [0, 1, 7]
substrates = ["snntorch", "loihi"]
baselines = []

[dataset]
name = "digits"

[options.snntorch]
precision = "float32"

[target]
trainer = "authors"
hidden = [16]
neuron = "canonical"  # which loihi has
epochs = 2
through_time = 40
rate = 0.003

[twin]
trainer = "authors"
epochs = 2
batch = 32
rate = 0.003

[[evaluators]]
kind = "conv"
epochs = 1

[[evaluators]]
kind = "authors"
data = "target"
epochs = 1

[[attacks]]
attack = "ann"
restarts = 1
settings = { iterations = 5 }

[[attacks]]
attack = "v1"
substrates = ["snntorch"]
settings = { iterations = 2 }

[[attacks]]
attack = "v2"
reveals = ["counts", "label"]
settings = { queries = 16, warm_start = 20, window = 3.0 }

[[controls]]
kind = "untrained"
seeds = 1
attacks = ["v2"]
reveals = ["counts"]
substrates = ["loihi"]
restarts = 1
"""


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    (tmp_path / "authors.toml").write_text(TEXT)
    return Audit.of(str(tmp_path / "authors.toml"), tmp_path / "out")


def cells_of(audit: Audit, kind: str, **facts: object) -> list[Cell]:
    return [cell for cell in audit.cells if cell.kind == kind and facts.items() <= cell.facts.items()]


def test_the_trainer_and_its_settings_are_in_the_definition(audit: Audit) -> None:
    target = cells_of(audit, "target", target="trained")[0]
    assert target.definition["trainer"] == "authors"
    assert target.definition["plan"]["through_time"] == "40"
    (untrained,) = cells_of(audit, "target", target="untrained")
    assert (untrained.definition["plan"]["epochs"], untrained.definition["plan"]["through_time"]) == ("0", "0")


def test_attacks_on_ann_twins_run_once_a_target(audit: Audit) -> None:
    twins = cells_of(audit, "twin")
    assert [twin.facts for twin in twins] == [{"target": "trained", "seed": s, "substrate": "ann"} for s in (0, 1)]
    assert twins[0].definition["hidden"] == [16]
    attacks = cells_of(audit, "attack", attack="ann")
    assert [attack.facts["substrate"] for attack in attacks] == ["ann", "ann"]
    assert [attack.definition["target"] for attack in attacks] == [twin.address for twin in twins]
    assert len(cells_of(audit, "accuracy", substrate="ann")) == 2


def test_options_are_in_the_definitions_of_their_substrate_alone(audit: Audit) -> None:
    for cell in audit.cells:
        if cell.kind in ("attack", "accuracy"):
            on_snntorch = cell.facts["substrate"] == "snntorch"
            assert cell.definition.get("options") == ({"precision": "float32"} if on_snntorch else None)


def test_a_control_is_shown_less_where_it_says_so(audit: Audit) -> None:
    assert {cell.facts["reveals"] for cell in cells_of(audit, "attack", target="untrained")} == {"counts"}
    assert {cell.facts["reveals"] for cell in cells_of(audit, "attack", attack="v2", target="trained")} == {
        "counts",
        "label",
    }


@pytest.mark.slow
@pytest.mark.snntorch
def test_it_runs(tmp_path: Path) -> None:
    text = TEXT.replace("seeds = 2\nrestarts = 2", "seeds = 1").replace('["counts", "label"]', '["counts"]')
    (tmp_path / "authors.toml").write_text(text[: text.index("[[controls]]")])
    audit = Audit.of(str(tmp_path / "authors.toml"), tmp_path / "out")
    outcome = audit.run()
    assert (outcome.failed, outcome.left_out) == ([], [])
    findings = audit.findings()
    (ann,) = [row for row in findings.rows if row.attack == "ann"]
    assert (ann.substrate, ann.access, ann.reveals) == ("ann", "ann", "gradient")
    assert ann.target_accuracy is not None
    assert ann.target_success is not None
    assert "does not spike" in (ann.threat_model or "")
    assert {evaluator.name: evaluator.trained_on for evaluator in findings.evaluators} == {
        "conv": "evaluator",
        "authors": "target",
    }
    assert "But authors learned from the targets' own samples" in findings.overlap.sentence  # type: ignore[union-attr]
    assert findings.substrates == ["snntorch", "loihi"]
    (address,) = [cell.address for cell in findings.inversions if cell.attack == "ann"]
    assert audit.pictures().images(address).shape == (3, 1, 8, 8)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'trainer = "authors"\nhidden',
            'trainer = "authrs"\nhidden',
            "target.trainer: expected one of default",
        ),
        ("through_time = 40", "through_tim = 40", "target.through_tim: expected one of hidden,"),
        ("through_time = 40", "through_time = -1", "target: through_time: expected at least 0, found -1"),
        ("batch = 32", "batch = 0", "twin.batch: expected at least 1, found 0"),
        ("batch = 32", "batches = 32", "twin.batches: expected one of epochs, batch, rate, found 'batches'"),
        ('[twin]\ntrainer = "authors"', '[twin]\ntrainer = "x"', "twin.trainer: expected one of default, authors"),
        ("precision", "precison", "options.snntorch.precison: expected one of precision, surrogate"),
        ("[options.snntorch]", "[options.norse]", "options.norse: expected one of snntorch, loihi, found 'norse'"),
        (
            "restarts = 1\nsettings",
            'substrates = ["loihi"]\nsettings',
            "attacks.0.substrates: ann attacks an ANN",
        ),
        ('attacks = ["v2"]', 'attacks = ["ann"]', "controls.0.attacks.0: ann needs an ANN twin"),
        ('attack = "ann"\nrestarts = 1', 'attack = "v1"\nlabel = "b"', "twin: no attack needs an ANN twin"),
        ('reveals = ["counts"]\nsub', 'reveals = ["count"]\nsub', "controls.0.reveals.0: expected"),
    ],
)
def test_invalid_options_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TEXT
    (tmp_path / "authors.toml").write_text(TEXT.replace(old, new))
    with pytest.raises(ExperimentError) as caught:
        read_experiment(tmp_path / "authors.toml")
    assert any(message in problem for problem in caught.value.problems), caught.value.problems


def test_a_given_model_has_no_twin(tmp_path: Path) -> None:
    text = TEXT.replace("seeds = 2\n", "").replace("[target]", '[model]\nfile = "a.net"\n[target]')
    (tmp_path / "authors.toml").write_text(text)
    with pytest.raises(ExperimentError) as caught:
        read_experiment(tmp_path / "authors.toml")
    wrong = (
        "twin: a [model] or an endpoint",
        "attacks.0.attack: ann needs the ANN twin",
        "evaluators.1.data: the training data",
    )
    assert all(any(text in problem for problem in caught.value.problems) for text in wrong), caught.value.problems
