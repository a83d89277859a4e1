"""Audits of models behind an endpoint: a real server in another process, which answers no query twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bl_neuro as bl
from bl_neuro.api.audit import run_audit
from bl_neuro.errors import BudgetExceeded, EndpointRefused, ExperimentError
from bl_neuro.experiment.boxes import EndpointBox
from bl_neuro.experiment.experiment_file import read_experiment
from bl_neuro.experiment.session import Audit
from bl_neuro.testing.served import Server

pytestmark = pytest.mark.slow

for library in ("httptools", "prometheus_client", "starlette", "urllib3", "uvicorn"):
    pytest.importorskip(library, reason=f"{library} is not installed (the serve extra)")

TOKEN = "a-token-of-the-auditor"
BUDGET = 200
EXPERIMENT = """\
name = "served"
baselines = []
steps = 4
classes = [0, 1]
restarts = 2
substrates = [{substrates}]

[dataset]
name = "digits"
{model}
[[evaluators]]
kind = "conv"
epochs = 0

[[attacks]]
attack = "v2"
reveals = ["counts", "label"]
settings = {{ queries = 16, warm_start = 20 }}

[[endpoints]]
name = "chip"
url = "{url}"
reveals = "counts"
token = "BL_NEURO_TOKEN_OF_A_TEST"
tested = 30
{more}
"""
NEEDED = 30 + 2 * (20 + 2 * 16)
"""Queries: for the accuracy, and for two attacks on two classes."""


def network() -> bl.Network:
    """Of 64 inputs, as the digits are, and ten classes."""
    weight = np.round(np.random.default_rng(0).normal(0, 30, (10, 64))) * 2
    return bl.Network((64,), [bl.Dense(weight, bl.CubaLIF(600, 1.0, 0.25))], arithmetic="loihi")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    bl.save(network(), tmp_path / "target.safetensors")
    monkeypatch.setenv("BL_NEURO_TOKEN_OF_A_TEST", TOKEN)
    made = serve(tmp_path, BUDGET)
    yield made
    made.end()


def serve(folder: Path, budget: int, *more: str) -> Server:
    arguments = ["--log", str(folder / "log"), "--token", f"auditor:{TOKEN}", "--budget", str(budget), *more]
    return Server(folder / "target.safetensors", *arguments)


def charged(folder: Path) -> tuple[int, int]:
    """Queries charged so far, and in how many requests."""
    with sqlite3.connect(folder / "log") as base:
        found: tuple[int, int] = base.execute("SELECT SUM(cost), COUNT(*) FROM queries").fetchone()
    return found


def audit(folder: Path, url: str, out: str, with_model: bool, more: str = "") -> Audit:
    model = '\n[model]\nfile = "target.safetensors"\n' if with_model else ""
    shape = more if with_model else f"input_shape = [64]\n{more}"
    substrates = '"loihi", "chip"' if with_model else '"chip"'
    path = folder / f"{out}.toml"
    path.write_text(EXPERIMENT.format(substrates=substrates, url=url, model=model, more=shape))
    return Audit.of(str(path), folder / out)


def test_an_endpoint_beside_the_model_that_it_serves(server: Server, tmp_path: Path) -> None:
    made = audit(tmp_path, server.url, "both", with_model=True)
    result = run_audit(made)
    assert (result.failures, result.left_out) == ((), 0)
    findings = result.findings
    rows = {(row.substrate, row.reveals): row for row in findings.rows}
    assert set(rows) == {("loihi", "counts"), ("loihi", "label"), ("chip", "counts")}
    here, there = rows["loihi", "counts"], rows["chip", "counts"]
    assert here.evaluators == there.evaluators
    assert here.queries_per_class == there.queries_per_class
    assert here.pearson_selectivity == there.pearson_selectivity
    assert there.target_accuracy is not None
    assert there.target_accuracy.value > 0
    assert findings.alike == [], "the arithmetic of an endpoint is not known"
    assert all(comparison.verdict.identical for comparison in findings.verdicts)
    assert charged(tmp_path)[0] == NEEDED
    written = "".join(path.read_text("latin-1") for path in (tmp_path / "both").rglob("*") if path.is_file())
    assert TOKEN not in written
    assert f"chip is the endpoint {server.url}" in (tmp_path / "both" / "summary.md").read_text()


def test_what_was_asked_is_not_charged_again(server: Server, tmp_path: Path) -> None:
    made = audit(tmp_path, server.url, "alone", with_model=False)
    assert made.run().failed == []
    before, first = charged(tmp_path), made.findings()
    assert before[0] == NEEDED
    attacks = [cell for cell in made.cells if cell.kind in ("attack", "accuracy")]
    assert len(attacks) == 3
    for cell in attacks:  # as if the run had been killed before it kept them
        for file in (tmp_path / "alone").rglob(f"{cell.address}*"):
            file.unlink()
    assert made.run().failed == []
    assert made.findings() == first
    assert charged(tmp_path) == before


def test_a_budget_that_ends_too_early_fails_the_attack_alone(server: Server, tmp_path: Path) -> None:
    server.end()
    poor = serve(tmp_path, NEEDED - 1)
    try:
        made = audit(tmp_path, poor.url, "poor", with_model=False)
        found = made.run()
        (failure,) = found.failed
        assert "ask the operator of the endpoint for a larger budget" in failure.error
        assert charged(tmp_path)[0] <= NEEDED - 1
    finally:
        poor.end()


def test_a_session_goes_on_at_a_server_of_other_limits(server: Server, tmp_path: Path) -> None:
    """In another order, and where its requests are split otherwise, which costs again but is not refused."""
    drawn = torch.Generator().manual_seed(0)
    queries = [(torch.rand(4, size, 64, generator=drawn) < 0.5).byte() for size in (6, 2, 3)]
    with server.box(token=TOKEN, session="cell", budget=100) as box:
        answers = [box.query(each) for each in queries]
    assert charged(tmp_path) == (11, 3)
    with server.box(token=TOKEN, session="cell", budget=100) as box:
        for query, answer in zip(queries[::-1], answers[::-1]):
            assert torch.equal(box.query(query), answer)
    assert charged(tmp_path) == (11, 3)
    server.end()
    smaller = serve(tmp_path, BUDGET, "--max-batch", "4")
    try:
        for _ in range(2):
            with smaller.box(token=TOKEN, session="cell", budget=100) as box:
                assert torch.equal(box.query(queries[0]), answers[0])  # as 4 and 2
                assert torch.equal(box.query(queries[1]), answers[1])
            assert charged(tmp_path) == (17, 5)
    finally:
        smaller.end()


def test_a_session_goes_on_in_another_form(server: Server, tmp_path: Path) -> None:
    """A frame that is held goes as one frame; the same values that are not cost again at the most."""
    held = torch.eye(64, dtype=torch.uint8)[:2].expand(4, 2, 64)
    for query in (held, held.contiguous(), held.bool(), held.contiguous().float(), held):
        with server.box(token=TOKEN, session="cell", budget=100) as box:
            box.query(query)
    assert charged(tmp_path)[0] <= 4


def test_a_budget_there_that_ends_within_a_query(server: Server, tmp_path: Path) -> None:
    server.end()
    poor = serve(tmp_path, 6, "--max-batch", "4")
    box = EndpointBox(poor.url, TOKEN, budget=8, session="cell")
    try:
        with pytest.raises(EndpointRefused, match="ask the operator of the endpoint for a larger budget"):
            box.query(torch.zeros(4, 8, 64))
        assert (box.spent, charged(tmp_path)[0]) == (4, 4)
        with pytest.raises(BudgetExceeded, match="4 of the budget of 8 remain"):
            box.query(torch.zeros(4, 5, 64))
    finally:
        box.close()
        poor.end()


def test_an_endpoint_of_something_else_is_told_so(server: Server, tmp_path: Path) -> None:
    made = audit(tmp_path, server.url, "wrong", with_model=False, more="class_map = [0, 1, 2]")
    assert len(made.run().failed) == 3


WRONG = [
    ('name = "chip"', 'name = "slayer"', "expected a name that is not a substrate"),
    ('name = "chip"', 'name = "ann"', "expected another name, since 'ann' stands for ANN twins"),
    ('name = "chip"', 'name = "other"', "expected one of the experiment's substrates"),
    ('reveals = "counts"\ntoken', 'reveals = "scores"\ntoken', "no attack uses its output"),
    ("/v2/models/target", "/target", "url: expected a text that matches"),
    ("steps = 4\n", "", "expected `steps` of the experiment"),
    ('substrates = ["chip"]', 'substrates = ["chip", "loihi"]', "expected only one endpoint"),
    ("[[evaluators]]", "[[mitigations]]\nkind = \"bits\"\n\n[[evaluators]]", "an endpoint only answers queries"),
    ('attack = "v2"', 'attack = "transfer"', "transfer needs a copy of the network"),
    ("tested = 30", "tested = -1", "tested: expected a whole number of at least 0, found -1"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "said"), WRONG)
def test_what_cannot_be(old: str, new: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "served.toml"
    text: Any = EXPERIMENT.format(substrates='"chip"', url="http://h:1/v2/models/target", model="", more="")
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ExperimentError, match=said):
        read_experiment(path)


def test_planning_asks_nothing(tmp_path: Path) -> None:
    made = audit(tmp_path, "http://127.0.0.1:9/v2/models/target", "plan", with_model=False)
    assert [cell.kind for cell in made.cells].count("attack") == 2
