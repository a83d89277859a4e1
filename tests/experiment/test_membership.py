"""`[membership]` of an experiment: cells, networks on random halves, metered answers, attacks, findings and page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from bl_neuro.access import BlackBox
from bl_neuro.api.plan import plan_of
from bl_neuro.api.result import AuditResult
from bl_neuro.backends import open_target
from bl_neuro.data.encoders import rate_encode
from bl_neuro.experiment.cell_measures import CellMeasures
from bl_neuro.experiment.cell_tools import Tools
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.findings.membership import MembershipReplay, membership_findings
from bl_neuro.experiment.findings.models import Findings
from bl_neuro.experiment.measures import ANSWERS, MEMBER, MEMBERSHIP
from bl_neuro.experiment.membership_part import MemberReplayPart
from bl_neuro.experiment.membership_replays import replayed
from bl_neuro.experiment.membership_work import pool_of
from bl_neuro.experiment.session import Audit
from bl_neuro.experiment.work import Work
from bl_neuro.leakage.lira import lira
from bl_neuro.leakage.shadows import Shadows
from bl_neuro.membership.halves import random_half
from bl_neuro.model_file import load
from bl_neuro.report import write_report
from bl_neuro.report.answer import audit_answer
from bl_neuro.seeding import stream

TINY = """
name = "tiny-membership"
substrates = ["loihi"]
steps = 4
[dataset]
name = "digits"
[target]
hidden = [48]
proxy_epochs = 60
spiking_epochs = 0
noise = 0.0
validation = 0.0
[membership]
twins = true
networks = 10
pool = 120
reveals = ["scores", "label"]
shadows = { hidden = [6] }
wrong_shadows = 8
[[membership.asks]]
kind = "plain"
count = 2
[[membership.asks]]
kind = "dropout"
count = 1
reveals = ["label"]
[[membership.asks]]
kind = "noise"
count = 1
size = 0.9
reveals = ["label"]
[[membership.mitigations]]
kind = "weight_bits"
bits = 2
reveals = ["scores"]
"""


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """The tiny audit with all cells done, in this process."""
    folder = tmp_path_factory.mktemp("membership")
    file = folder / "tiny.toml"
    file.write_text(TINY)
    audit = Audit.of(str(file), folder / "out")
    with Work(audit.material, audit.store) as work:
        for cell in audit.cells:
            work.do(cell)
    return audit


@pytest.fixture(scope="module")
def findings(audit: Audit) -> Findings:
    return audit.findings()


def of_kind(audit: Audit, kind: str, **facts: object) -> list[Cell]:
    """The cells of a kind with these facts."""
    return [
        cell
        for cell in audit.cells
        if cell.kind == kind and all(cell.facts.get(name) == value for name, value in facts.items())
    ]


def test_the_plan_has_every_network_deployment_output_and_ask(audit: Audit) -> None:
    assert len(of_kind(audit, "member", target="member")) == 10
    assert len(of_kind(audit, "member", target="wrong_shadow")) == 8
    assert len(of_kind(audit, "changed")) == 10  # the wrong shadows are not deployed with mitigations
    views = [
        (cell.facts["reveals"], cell.facts["ask"], cell.facts.get("mitigation"))
        for cell in of_kind(audit, "membership")
    ]
    assert views == [
        ("scores", "plain", None), ("label", "plain", None), ("label", "dropout", None), ("label", "noise", None),
        ("scores", "plain", "weight_bits 2"), ("scores", "plain", None), ("label", "plain", None),  # with ANN twins
    ]  # fmt: skip
    assert len(of_kind(audit, "answers")) == 18 + 10 + 10 + 10 + 10  # through all outputs at once


def test_a_printed_plan_names_asks_and_outputs(audit: Audit) -> None:
    rows = {(row.kind, row.target, row.attack, row.reveals): row.done for row in plan_of(audit).rows}
    assert rows["answers", "member", "plain asks", "scores, label"] == 10
    assert rows["membership", "member", "noise asks", "label"] == 1
    assert rows["member", "wrong_shadow", "", ""] == 8


def test_networks_are_trained_on_independent_halves_of_every_class(audit: Audit) -> None:
    labels = pool_of(audit.material, 120, 0).labels
    halves = np.stack([random_half(labels, cell.definition["half"]) for cell in of_kind(audit, "member")])
    for label in np.unique(labels):
        own = labels == label
        assert set(halves[:, own].sum(axis=1).tolist()) == {own.sum() // 2}
    assert len({half.tobytes() for half in halves}) == len(halves)
    together = np.corrcoef(halves.astype(float))[np.triu_indices(len(halves), 1)]
    assert abs(together.mean()) < 0.05  # halves that are balanced over the networks would give -1 / 19
    for cell, measured in MEMBER.finished(audit.cells, measures_of(audit)):
        assert measured.members == random_half(labels, cell.definition["half"]).sum()


def measures_of(audit: Audit) -> dict[str, CellMeasures]:
    """The measures of all cells, by address."""
    results = {cell.address: audit.store.read(cell.address) for cell in audit.cells}
    return {address: result.measures for address, result in results.items() if result is not None}


def test_answers_are_those_of_a_metered_black_box(audit: Audit) -> None:
    cell = of_kind(audit, "answers", target="member", seed=3, ask="plain", substrate="loihi")[0]
    pool, network = pool_of(audit.material, 120, 0), load(file_of(audit, cell.needs[0]))
    right = []
    with open_target(network, "loihi") as target:
        box = BlackBox(target, "label", budget=240)
        for number in range(2):
            rng = stream(cell.definition["seed"], f"ask {number}")
            spikes = rate_encode(pool.images_at(np.arange(120)), 4, rng)
            right.append(box.query(torch.from_numpy(spikes)).numpy() == pool.labels)
        assert box.remaining == 0
    table = load_file(file_of(audit, cell))
    np.testing.assert_array_equal(table["label.statistics"][:, 0], np.mean(right, axis=0))
    measured = ANSWERS.of(cell, measures_of(audit))
    assert measured is not None
    assert measured.queries == 240
    members = random_half(pool.labels, cell.definition["half"])
    assert measured.members_right["label"] == pytest.approx(np.mean(right, axis=0)[members].mean())


def file_of(audit: Audit, cell: Cell) -> Path:
    result = audit.store.read(cell.address)
    assert result is not None
    assert result.tensors is not None
    return result.tensors


@pytest.mark.parametrize("ask", ["dropout", "noise"])
def test_other_asks_change_the_answers(audit: Audit, ask: str) -> None:
    plain, other = (of_kind(audit, "answers", substrate="loihi", ask=name)[0] for name in ("plain", ask))
    assert not np.array_equal(
        load_file(file_of(audit, plain))["label.statistics"], load_file(file_of(audit, other))["label.statistics"]
    )


def test_each_network_is_the_target_of_the_others(audit: Audit) -> None:
    from sklearn.metrics import roc_auc_score

    cell = of_kind(audit, "membership", substrate="loihi", reveals="scores", ask="plain")[0]
    measured = MEMBERSHIP.of(cell, measures_of(audit))
    assert measured is not None
    labels = pool_of(audit.material, 120, 0).labels
    values = np.stack([load_file(file_of(audit, one))["scores.statistics"] for one in cell.needs[:10]])
    members = np.stack([random_half(labels, one.definition["half"]) for one in cell.needs[:10]])
    aucs = []
    for target in range(10):
        others = np.arange(10) != target
        scores = lira(values[target], Shadows(values[others], members[others]))
        aucs.append(roc_auc_score(members[target], scores))
    own = next(one for one in measured.attacks if (one.attack, one.shadows) == ("lira", "right"))
    assert own.auc[0] == pytest.approx(np.mean(aucs), abs=1e-12)
    assert own.auc[0] > 0.55  # networks that know 60 samples by heart
    assert own.auc[1] < own.auc[0] < own.auc[2]
    assert {one.attack for one in measured.attacks if one.shadows == "wrong"} == {
        "lira", "lira_offline", "rmia", "rmia_offline",
    }  # fmt: skip


def with_replays(audit: Audit, **replay: object) -> Audit:
    """The same audit with a replay, which is not done yet."""
    assert audit.experiment.membership is not None
    part = audit.experiment.membership.model_copy(update={"replays": [MemberReplayPart.model_validate(replay)]})
    return Audit(audit.experiment.model_copy(update={"membership": part}), audit.place, audit.store)


@pytest.mark.parametrize(("other", "differs"), [(3, []), (4, ["scores", "label"])])
def test_a_replay_compares_every_answer(audit: Audit, other: int, differs: list[str]) -> None:
    again = with_replays(audit, substrate="slayer", networks=[3], samples=50)
    (cell,) = of_kind(again, "member_replay")
    with open_target(load(file_of(audit, of_kind(audit, "member")[other])), "loihi") as target:
        tools = Tools(
            material=audit.material,
            opened=lambda *_: target,
            file=lambda one: file_of(audit, one),
            measured=lambda _: unused(),
            checkpoint=lambda _: unused(),
            network=lambda _: unused(),
        )
        measured = replayed(cell, tools)
    assert (measured.samples, measured.queries, measured.identical) == (50, 100, not differs)
    assert measured.differs == differs


def unused() -> Any:
    raise AssertionError("not needed")


@pytest.mark.lava
@pytest.mark.slow
def test_real_lava_answers_as_loihi(audit: Audit, needs: Callable[[str], None]) -> None:
    needs("lava")
    again = with_replays(audit, networks=[0], samples=2)
    cells = of_kind(again, "member_replay")
    with Work(again.material, again.store) as work:
        for cell in cells:
            work.do(cell)
    membership = again.findings().membership
    assert membership is not None
    assert [(one.network, one.reveals, one.queries, one.identical) for one in membership.replays] == [
        (0, ["label"], 4, True)
    ]
    assert (
        "4 queries for each of label about 2 samples to 1 network were repeated on lava: every answer is that of loihi "
        "in every bit."
    ) in audit_answer(again.findings()).more


def test_replays_that_differ_are_named(findings: Findings) -> None:
    views: dict[str, Any] = {"substrate": "lava", "of": "loihi", "ask": "plain", "reveals": ["counts", "label"]}
    replays = [
        MembershipReplay(**views, network=number, samples=3, queries=6, identical=not differs, differs=differs)
        for number, differs in enumerate(([], ["counts"]))
    ]
    assert findings.membership is not None
    membership = findings.membership.model_copy(update={"replays": replays})
    assert (
        "12 queries for each of counts and label about 3 samples to 2 networks were repeated on lava: NOT THE SAME as "
        "on loihi for 1 network (counts)."
    ) in audit_answer(findings.model_copy(update={"membership": membership})).more


def test_findings_compare_deployments_and_survive_json(findings: Findings) -> None:
    membership = findings.membership
    assert membership is not None
    assert (membership.networks, membership.samples) == (10, 120)
    assert [(one.first, one.second, one.measure) for one in membership.comparisons] == [
        ("loihi", "loihi, weight_bits 2", "auc"), ("loihi", "ANN twins", "auc"), ("loihi", "ANN twins", "auc"),
        ("loihi", "loihi, weight_bits 2", "tpr_at_1"), ("loihi", "ANN twins", "tpr_at_1"),
        ("loihi", "ANN twins", "tpr_at_1"),
    ]  # fmt: skip
    assert Findings.from_json(findings.to_json()).membership == membership
    assert findings.rows == []
    assert findings.evaluators == []


def test_deployments_whose_answers_are_lost_have_no_rows(audit: Audit) -> None:
    lost = {cell.address for cell in of_kind(audit, "answers", substrate="loihi")}
    left = {address: measured for address, measured in measures_of(audit).items() if address not in lost}
    found = membership_findings(audit.experiment, audit.cells, left, audit.store, {})
    assert found is not None
    assert {row.substrate for row in found.rows} == {"ann"}
    assert found.comparisons


def test_the_answer_the_page_and_the_table_are_about_membership(audit: Audit, findings: Findings) -> None:
    answer = audit_answer(findings)
    assert answer.title == "Can an attacker tell which samples of digits a network was trained on?"
    assert "has an AUC of 0." in answer.leakage
    assert "of the members at a false-positive rate of 1%" in answer.leakage
    assert answer.leakage.endswith("at 0.1% (no false positive, since there are fewer than 1,000 other samples).")
    assert any("the mean of the empirical lower bounds of 10 targets, each at a" in text for text in answer.more)
    assert "ANN twins" not in answer.lead  # they are no deployment
    assert any(text.startswith("For ANN twins of the same layer sizes and training samples") for text in answer.more)
    page = write_report(findings, audit.pictures(), audit.store.folder).read_text()
    assert "Who was in the training data" in page
    assert "Null controls" not in page
    assert "10 networks" in page
    assert "evaluators" not in page.partition("A reader may conclude")[2]
    assert "| LiRA, shadows trained otherwise | scores |" in (audit.store.folder / "summary.md").read_text()
    result = AuditResult(findings, audit.store.folder, (), 0, (), audit.pictures())
    table = result.membership
    assert len(table) == len(findings.membership.rows) if findings.membership else False
    assert set(table["attack"]) == {"lira", "lira_offline", "rmia", "rmia_offline", "threshold"}
    assert result._repr_html_().count("<table") >= 1
    assert "AUC" in repr(result)
