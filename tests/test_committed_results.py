"""docs/results.md quotes the figures of the results; the summaries of audits are made from their results.

The tables of the paper and of black-box MNIST were made by scripts that are no longer here: their results are records,
with the commit of the script in them. Audits make their summaries on every processor alike: what is printed does not
depend on the last bits of sums, which differ from one to the next.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bl_neuro.experiment.findings.models import Findings
from bl_neuro.report.one_page import one_page
from bl_neuro.rounding import fixed

RESULTS = Path(__file__).parent.parent / "results"
PAGE = (RESULTS.parent / "docs" / "results.md").read_text(encoding="utf-8")
RECORDS = ("mnist-black-box", "paper-mnist", "paper-att-faces", "paper-nmnist", "paper-gestures")
ATTACKS = {
    "v2": "**v2**",
    "warm start": "v2's warm start alone",
    "one_plus_one": "(1+1)-ES",
    "random": "random search",
    "cma_es": "CMA-ES",
    "v1": "v1, same blur and window",
    "v2_gradient": "v2 by gradients, same blur and window",
}
"""Attacks of the black-box comparison on MNIST, and what the page's table calls them."""
RECORDED = ["audit-digits", "audit-digits-clean", "audit-digits-redrawn", "audit-mnist", "audit-faces"]
RECORDED += [
    "paper-att_faces-half",
    "paper-att_faces",
    "paper-nmnist-twins",
    "secrets-digits",
    "secrets-mnist",
    "secrets-canaries-digits",
    "secrets-mark-digits",
    "secrets-permutation-digits",
    "secrets-mirror-digits",
]
AUDITS = pytest.mark.parametrize("name", RECORDED)
NUDGES = pytest.mark.parametrize("nudge", [1 - 2**-48, 1 + 2**-48], ids=["down", "up"])
"""Factors that change the last four bits of a number, as another order of adding may."""


def record(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return data


def attack_accuracy(name: str, attack: str, judge: str) -> float:
    """Of a table of the paper, over all targets and inversions."""
    cells = [cell for cell in record(name)["cells"].values() if cell["attack"] == attack]
    return float(np.mean([cell["judges"][judge]["hits"] for cell in cells]))


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_says_how_it_was_made(name: str) -> None:
    text, data = (RESULTS / f"{name}.md").read_text(), record(name)
    assert "A record: made by a script of an earlier commit" in text
    commits = {data["commit"]} if "commit" in data else {cell["commit"] for cell in data["cells"].values()}
    assert any(commit.rstrip("+")[:12] in text for commit in commits)


def test_the_pages_table_of_mnist_has_the_figures_of_the_record() -> None:
    cells = [cell for cell in record("mnist-black-box")["cells"].values() if cell["cell"]["target"] == "trained"]
    table = PAGE[PAGE.index("<!-- mnist -->") : PAGE.index("<!-- /mnist -->")]
    rows = [[column.strip() for column in line.strip("|").split("|")] for line in table.splitlines()[3:]]
    assert len(rows) == 5 * 3 + 2
    for name, view, queries, _, *judges, success in rows:
        reveals = "membrane" if view == "gradients" else view
        own = [cell for cell in cells if (ATTACKS[cell["cell"]["attack"]], cell["cell"]["reveals"]) == (name, reveals)]
        assert success == fixed(np.mean([cell["target_success"] for cell in own]), 3)
        for judge, figure in zip(("conv", "conv, seed 7", "spiking"), judges):
            assert figure.split()[0] == fixed(np.mean([cell[judge]["hits"] for cell in own]), 3), (name, view, judge)
        if view != "gradients":
            assert {str(cell["queries"] // 10) for cell in own} == {queries}


@pytest.mark.parametrize(
    ("quoted", "name", "attack", "judge"),
    [
        (r"fall to ([\d.]+) \(v1\)", "paper-mnist", "v1", "conv"),
        (r"fall to [\d.]+ \(v1\) and ([\d.]+) \(v2 by gradients\)", "paper-mnist", "v2_gradient", "conv"),
        (r"a blur and a window they are ([\d.]+) and [\d.]+ there", "paper-mnist", "v1, priors", "conv"),
        (r"a blur and a window they are [\d.]+ and ([\d.]+) there", "paper-mnist", "v2_gradient, priors", "conv"),
        (r"the ANN twin reaches ([\d.]+)", "paper-att-faces", "authors / ann", "conv"),
        (r"Attacks on spiking targets reach ([\d.]+) \(v1\)", "paper-att-faces", "apart / v1", "conv"),
        (r"targets reach [\d.]+ \(v1\) and ([\d.]+) \(v2 by", "paper-att-faces", "apart / v2_gradient", "conv"),
        (r"black-box v2 reaches ([\d.]+) on output counts", "paper-nmnist", "v2", "conv"),
        (r"([\d.]+), and white-box v2 as published", "paper-nmnist", "v1 for events, priors", "conv"),
        (r"as published, without priors, ([\d.]+) \(published", "paper-nmnist", "v2_gradient", "conv"),
    ],
)
def test_the_page_quotes_the_records(quoted: str, name: str, attack: str, judge: str) -> None:
    (figure,) = re.findall(quoted, " ".join(PAGE.split()))
    assert figure == fixed(attack_accuracy(name, attack, judge), 2)


def in_points(mean: Any) -> str:
    """An attack accuracy or an advantage with its interval, as the table of faces has them."""
    return "{} [{}, {}]".format(*(fixed(100 * part, 0) for part in (mean.value, mean.low, mean.high)))


def test_the_pages_table_of_faces_has_the_figures_of_the_audit() -> None:
    rows = [
        row for row in Findings.from_json((RESULTS / "audit-faces" / "results.json").read_text()).rows if row.evaluators
    ]
    table = PAGE[PAGE.index("<!-- faces -->") : PAGE.index("<!-- /faces -->")]
    lines = [[column.strip(" *") for column in line.strip("|").split("|")] for line in table.splitlines()[3:]]
    assert len(lines) == len(rows)
    labels = {"v1 with a blur": "v1-priors", "v2 by gradients with a blur": "v2_gradient-priors"}
    for (attack, reveals, target, conv, spiking, _, gained, size), row in zip(lines, rows):
        kind = "" if row.target == "trained" else f", {row.target.replace('_', ' ')}"
        assert (labels.get(attack, attack), reveals, target) == (row.attack, row.reveals, row.substrate + kind)
        judged = {name: evaluator.attack_accuracy for name, evaluator in row.evaluators.items()}
        assert (conv, spiking) == (in_points(judged["conv"]), in_points(judged["spiking"]))
        advantage = row.evaluators["conv"].advantage
        assert gained.replace("+", "") == ("-" if advantage is None else in_points(advantage))
        assert size == f"{judged['conv'].seeds} x {judged['conv'].n // judged['conv'].seeds}"


@AUDITS
def test_the_summary_of_an_audit_is_made_from_its_results(name: str) -> None:
    findings = Findings.from_json((RESULTS / name / "results.json").read_text())
    assert (RESULTS / name / "summary.md").read_text() == one_page(findings)


@AUDITS
def test_results_of_an_audit_come_back_as_they_were(name: str) -> None:
    text = (RESULTS / name / "results.json").read_text()
    assert Findings.from_json(text).to_json() == text


@AUDITS
@NUDGES
@pytest.mark.slow
def test_the_summary_of_an_audit_does_not_hang_on_last_bits(name: str, nudge: float) -> None:
    results = json.loads((RESULTS / name / "results.json").read_text(), parse_float=lambda text: nudge * float(text))
    assert (RESULTS / name / "summary.md").read_text() == one_page(Findings.from_json(json.dumps(results)))
