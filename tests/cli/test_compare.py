"""`bl-neuro compare`, on results of a given model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bl_neuro.cli import run

pytestmark = pytest.mark.slow

EXPERIMENT = """\
name = "given"
steps = 4
classes = [1, 3]
substrates = ["loihi"]
[dataset]
name = "digits"
[model]
file = "target.safetensors"
[[evaluators]]
kind = "conv"
epochs = 1
[[attacks]]
attack = "v2"
reveals = ["counts"]
settings = { queries = QUERIES, warm_start = 20 }
"""


@pytest.fixture(scope="module")
def runs(models: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The folders of two audits that differ in the queries of their attack."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "target.safetensors").write_bytes((models / "target.safetensors").read_bytes())
    made = []
    for queries in ("8", "16"):
        file = folder / f"queries-{queries}.toml"
        file.write_text(EXPERIMENT.replace("QUERIES", queries))
        made.append(folder / f"out-{queries}")
        assert run(["audit", str(file), "--out", str(made[-1])]) == 0
        assert (made[-1] / "report.html").is_file()
    return made


def test_two_audits_are_compared(call: Callable[..., Any], runs: list[Path], tmp_path: Path) -> None:
    result = call("compare", *runs)
    assert result.code == 0, result.err
    assert "Attack accuracy and 95% intervals over the restarts of each run" in result.out
    assert "of 1 paired comparison" in result.out
    assert "v2, counts, conv: out-8 on loihi less out-16 on loihi: " in result.out
    assert "attacks.0.settings.queries" in result.out

    page = tmp_path / "compared.html"
    facts = json.loads(call("compare", *runs, "--json", "--page", page, "--margin", "0.3").out)
    assert facts["format"] == "bl-neuro/audit-comparison/1"
    assert (facts["margin"], facts["page"]) == (0.3, str(page))
    assert [run["name"] for run in facts["runs"]] == ["out-8", "out-16"]
    assert {comparison["inversions"] for comparison in facts["comparisons"]} == {2}
    assert "How do these audits differ?" in page.read_text()

    before = page.read_bytes()
    result = call("compare", *runs, "--page", page)
    assert (result.code, result.out) == (2, "")
    assert "already exists; choose another name, or overwrite it with --force" in result.err
    assert page.read_bytes() == before
    assert call("compare", *runs, "--page", page, "--force").code == 0
    assert page.read_bytes() != before


def test_the_page_replaces_no_link(call: Callable[..., Any], runs: list[Path], tmp_path: Path) -> None:
    (tmp_path / "page.html").symlink_to(tmp_path / "mine.html")
    result = call("compare", *runs, "--page", tmp_path / "page.html", "--force")
    assert (result.code, result.out) == (2, "")
    assert "expected a regular file or a free name, found a symbolic link" in result.err
    assert (tmp_path / "page.html").is_symlink()


def test_rows_that_cannot_be_paired_have_their_reason_beside_them(
    call: Callable[..., Any], runs: list[Path], tmp_path: Path
) -> None:
    findings = json.loads((runs[1] / "results.json").read_text())
    findings["evaluators"][0] |= {"address": "another", "weights": "others"}
    (tmp_path / "results.json").write_text(json.dumps(findings))
    result = call("compare", runs[0], tmp_path)
    assert result.code == 0, result.err
    reason = "another evaluator: trained in another way, or on other data"
    assert f"v2, counts, conv: out-8 on loihi less {tmp_path.name} on loihi: not paired: {reason}" in result.out
    assert f"can be paired, so there is no verdict: {reason}." in result.out


def test_wrong_input_is_an_error_of_one_line(call: Callable[..., Any], runs: list[Path], tmp_path: Path) -> None:
    for arguments, message in (
        ((runs[0],), "error: runs: expected two or more audits, found 1"),
        ((runs[0], runs[0]), "error: runs: expected different audits, found the same one twice"),
        ((runs[0], tmp_path), f"error: {tmp_path}/results.json: No such file or directory; expected the folder of"),
        ((*runs, "--margin", "0"), "error: margin: expected between 0 and 1, found 0.0"),
        ((*runs, "--page", tmp_path), f"error: {tmp_path}: could not be written"),
    ):
        result = call("compare", *arguments)
        assert (result.code, result.out) == (2, ""), result
        assert result.err.startswith(message)
        assert result.err.count("\n") == 1
