"""Audits of planted secrets from their file to their report."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bl_neuro.api.audit import run_audit
from bl_neuro.api.result import AuditResult
from bl_neuro.errors import ExperimentError
from bl_neuro.experiment.experiment_file import experiment_from, read_experiment
from bl_neuro.experiment.material import Material, Place
from bl_neuro.experiment.measures import ATTACK, MODELS, SECRET_INFORMED, SECRET_READING, SECRET_TARGET
from bl_neuro.experiment.plan import plan_cells
from bl_neuro.experiment.session import Audit

TINY = """\
name = "tiny-secrets"
seeds = 2
steps = 6
substrates = ["snntorch", "loihi"]

[dataset]
name = "digits"

[target]
hidden = [32]
proxy_epochs = 5
spiking_epochs = 1

[twin]
epochs = 5

[secrets]
kind = "rotation"
twins = true
queries = [8, 32]
informed = [1, 2]
reader_images = 20

[[secrets.attacks]]
attack = "v2"
reveals = ["label"]
settings = { window = 3.0, contrast = "mixed" }

[[secrets.attacks]]
attack = "v1"
substrates = ["snntorch"]
settings = { iterations = 10 }

[[secrets.attacks]]
attack = "ann"
settings = { iterations = 20 }
"""
BASE = {"name": "x", "seeds": 1, "substrates": ["loihi"], "dataset": {"name": "digits"}}
ATTACKS = [{"attack": "v2", "reveals": ["label"]}]


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> tuple[Audit, AuditResult]:
    """A finished audit of two small targets."""
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "tiny.toml").write_text(TINY)
    audit = Audit.of(str(folder / "tiny.toml"), folder / "out")
    return audit, run_audit(audit)


@pytest.mark.slow
def test_every_cell_is_done_and_no_plain_target_is_trained(audited: tuple[Audit, AuditResult]) -> None:
    audit, result = audited
    assert (result.failures, result.left_out) == ((), 0)
    kinds = Counter(cell.kind for cell in audit.cells)
    assert kinds == {
        "secret_reader": 1, "secret_target": 2, "secret_twin": 2, "secret_accuracy": 6, "secret_informed": 12,
        "secret_attack": 16, "secret_reading": 16,
    }  # fmt: skip
    assert result.findings.cells.done == 55
    assert set(kinds) <= set(MODELS)


@pytest.mark.slow
def test_attacks_keep_their_budgets_and_are_compared_with_the_stored_secrets(
    audited: tuple[Audit, AuditResult],
) -> None:
    audit, _ = audited
    measures = {cell.address: audit.store.read(cell.address) for cell in audit.cells}
    known = {address: result.measures for address, result in measures.items() if result is not None}
    for cell, guessed in SECRET_READING.finished(audit.cells, known):
        attack, _, target = cell.needs
        trained = SECRET_TARGET.of(target, known)
        assert trained is not None
        assert "secrets" not in json.dumps(attack.definition)
        hits = np.array(guessed.guesses) == np.array(trained.secrets)
        assert guessed.hits == hits.astype(int).tolist()
        if cell.facts["queries"] is not None:
            assert guessed.queries <= 10 * cell.facts["queries"] == attack.definition["budget"]
            assert guessed.queries == ATTACK.typed(known[attack.address]).queries
    for cell, guessed in SECRET_INFORMED.finished(audit.cells, known):
        assert guessed.queries == 10 * 4 * cell.facts["images"]


@pytest.mark.slow
def test_the_findings_beat_guessing_and_the_report_says_so_first(audited: tuple[Audit, AuditResult]) -> None:
    _, result = audited
    secrets = result.findings.secrets
    assert secrets is not None
    rows = {(row.substrate, row.attack, row.budget): row for row in secrets.rows}
    assert set(rows) == {(on, "v2", budget) for on in ("snntorch", "loihi") for budget in (8, 32)} | {
        ("snntorch", "v1", None),
        ("ann", "v2", 8),
        ("ann", "v2", 32),
        ("ann", "ann", None),
    }
    assert secrets.ceiling is not None
    assert secrets.ceiling > 0.85
    assert rows["snntorch", "v2", 32].recovered.value > 0.4
    assert rows["snntorch", "v2", 32].over_guessing.value > 0.15
    informed = rows["snntorch", "v2", 8].informed
    assert informed is not None
    assert informed.queries == 8
    assert [(one.attack, one.twin_attack, one.reveals) for one in secrets.twins] == [
        ("v2", "v2", "label"), ("v1", "ann", "gradient"), ("informed", "informed", "label"),
    ]  # fmt: skip
    assert secrets.twins[0].verdict.difference.n == 2 * 20
    assert [(one.first, one.second) for one in secrets.comparisons] == [("snntorch", "loihi")]
    twin = next(one for one in secrets.accuracy if one.substrate == "ann")
    assert twin.value > 0.5
    report = result.report.read_text(encoding="utf-8")
    assert '<h2 id="secrets">' in report
    assert "Beside ANN twins" in report
    assert '<h2 id="leakage">' not in report
    summary = (result.folder / "summary.md").read_text(encoding="utf-8")
    assert "and spends 32 queries per class recovers" in summary.split("\n\n")[1].partition(". ")[0]
    assert "## Planted secrets" in summary
    assert "Do spiking networks on snntorch give away less of planted secrets than their ANN twins" in summary
    assert str(result.answer).startswith("An attacker who can only query the network")


def test_ann_is_tried_on_twins_unless_it_is_stated(tmp_path: Path) -> None:
    stated = TINY.partition('\n[[secrets.attacks]]\nattack = "ann"')[0]
    (tmp_path / "tiny.toml").write_text(stated)
    on_twins = [cell for cell in Audit.of(str(tmp_path / "tiny.toml")).cells if cell.facts.get("substrate") == "ann"]
    attacks = {(cell.facts["attack"], cell.facts["reveals"]) for cell in on_twins if cell.kind == "secret_attack"}
    assert attacks == {("v2", "label"), ("ann", "gradient")}


def test_informed_attackers_of_twins_see_the_most_informative_output_where_attacks_use_others(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY.replace('reveals = ["label"]', 'reveals = ["counts"]'))
    informed = [cell.facts for cell in Audit.of(str(tmp_path / "tiny.toml")).cells if cell.kind == "secret_informed"]
    assert {(facts["substrate"], facts["reveals"]) for facts in informed} == {
        ("snntorch", "counts"), ("loihi", "counts"), ("ann", "scores"),
    }  # fmt: skip


def test_replays_repeat_the_chosen_budgets(tmp_path: Path) -> None:
    replays = '\n[[secrets.replays]]\nsubstrate = "lava"\nof = "loihi"\nseeds = [1]\nqueries = [8]\n'
    (tmp_path / "tiny.toml").write_text(TINY + replays)
    cells = Audit.of(str(tmp_path / "tiny.toml"), tmp_path / "out").cells
    (replay,) = [cell for cell in cells if cell.kind == "replay"]
    target, first = replay.needs
    assert (target.kind, target.facts["seed"]) == ("secret_target", 1)
    assert (first.kind, first.facts["substrate"], first.facts["queries"]) == ("secret_attack", "loihi", 8)
    assert first in cells


def test_an_experiment_may_have_secrets_beside_attacks(tmp_path: Path) -> None:
    more = '\n[[evaluators]]\nkind = "conv"\n\n[[attacks]]\nattack = "v2"\nreveals = ["counts"]\n'
    (tmp_path / "both.toml").write_text(TINY + more)
    kinds = {cell.kind for cell in Audit.of(str(tmp_path / "both.toml"), tmp_path / "out").cells}
    assert {"target", "attack", "judgement", "secret_target", "secret_reading"} <= kinds


def test_other_secrets_are_other_targets(tmp_path: Path) -> None:
    addresses = []
    for number, seed in enumerate((0, 1)):
        file = tmp_path / f"{number}.toml"
        file.write_text(TINY.replace('kind = "rotation"', f'kind = "rotation"\nseed = {seed}'))
        addresses.append({cell.address for cell in Audit.of(str(file), tmp_path / "out").cells})
    reader = [cell.address for cell in Audit.of(str(tmp_path / "0.toml")).cells if cell.kind == "secret_reader"]
    assert addresses[0] & addresses[1] == set(reader)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, r"expected \[\[attacks\]\], each a table, or \[secrets\]"),
        ({"secrets": {"kind": "rotation"}}, "secrets.attacks: is required, but missing"),
        ({"secrets": {"kind": "rotaton", "attacks": ATTACKS}}, "secrets.kind: expected one of rotation, mirror"),
        ({"secrets": {"kind": "mark", "size": 0, "attacks": ATTACKS}}, "secrets.size: expected at least 1 pixels"),
        ({"secrets": {"kind": "mark", "attacks": [{"attack": "v2"}]}}, "secrets.attacks.0: expected `reveals`"),
        ({"secrets": {"kind": "mark", "attacks": [{"attack": "ann"}]}}, "ann needs an ANN twin; set `twins = true`"),
        ({"secrets": {"kind": "mark", "informed": [10**9], "attacks": ATTACKS}}, r"informed.0: .* at most 1000"),
        ({"secrets": {"kind": "canary", "repetition": [1, 1], "attacks": ATTACKS}}, "or several different ones"),
        ({"secrets": {"kind": "mark", "attacks": ATTACKS}, "seeds": None}, "expected seeds of targets to train"),
        ({"secrets": {"kind": "mark", "attacks": ATTACKS * 2}}, "secrets.attacks.1: v2 on label occurs twice"),
        ({"secrets": {"kind": "mark", "queries": [8, 8], "attacks": ATTACKS}}, "expected distinct values"),
        (
            {"secrets": {"kind": "mark", "attacks": ATTACKS, "replays": [{"queries": [3]}]}},
            r"secrets.replays.0.queries: expected some of \[8, 16, 32, 64, 128\], found \[3\]",
        ),
        (
            {"secrets": {"kind": "mark", "attacks": ATTACKS, "replays": [{"of": "norse"}]}},
            "secrets.replays.0.of: expected one of the experiment's substrates",
        ),
        ({"secrets": {"kind": "mark", "attacks": ATTACKS}, "ladder": {}}, r"ladder: needs \[\[attacks\]\]"),
        (
            {"secrets": {"kind": "mark", "attacks": ATTACKS}, "model": {"file": "a.net"}, "steps": 4},
            r"secrets: a \[model\] or an endpoint is not trained by the audit",
        ),
    ],
)
def test_problems_are_named_with_their_place(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        experiment_from({name: value for name, value in {**BASE, **changes}.items() if value is not None})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"queries": [32, 1]},
            "secrets.queries: expected enough queries per class for v2, found 1: 10 queries",
        ),
        ({"kind": "canary", "repetition": 100}, r"training samples \(898\), .* 89 for each of 10 classes, found 100"),
        (
            {"kind": "canary", "repetition": [*range(1, 12)]},
            "at most 10 numbers of repetitions, one per class",
        ),
        ({"kind": "canary", "density": 0.01}, "64 different patterns of 8 x 8 squares"),
        ({"attacks": [{"attack": "v2", "reveals": ["scores"]}]}, "expected an attack that runs on lava"),
    ],
)
def test_secrets_that_cannot_be_planted_or_attacked_are_refused(changes: dict[str, object], message: str) -> None:
    document = {**BASE, "substrates": ["lava"], "secrets": {"kind": "rotation", "attacks": ATTACKS, **changes}}
    experiment = experiment_from(document)
    with pytest.raises(ExperimentError, match=message):
        plan_cells(experiment, Material(experiment, Place(Path())))


def test_a_dataset_of_one_class_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", images=np.random.default_rng(0).random((30, 1, 4, 4)), labels=np.zeros(30, int))
    (tmp_path / "one.toml").write_text(TINY.replace('name = "digits"', 'name = "one.npz"'))
    with pytest.raises(ExperimentError, match=r"expected samples of at least two classes, found one in one\.npz"):
        _ = Audit.of(str(tmp_path / "one.toml")).cells


def test_data_that_secrets_do_not_fit_is_refused(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).random((60, 1, 4, 6))
    np.savez(tmp_path / "flat.npz", images=pixels, labels=np.arange(60) % 3)
    (tmp_path / "flat.toml").write_text(TINY.replace('name = "digits"', 'name = "flat.npz"'))
    assert read_experiment(tmp_path / "flat.toml").secrets is not None
    with pytest.raises(ExperimentError, match=r"secrets: rotation: expected square images .* found 4 x 6 pixels"):
        _ = Audit.of(str(tmp_path / "flat.toml")).cells
