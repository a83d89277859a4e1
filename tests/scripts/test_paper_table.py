"""What the scripts that reproduce the paper's table share: kept once, resumed, refused under other settings, tabled."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bl_neuro.errors import InputError

paper = importlib.import_module("paper_table")
CERTAIN = np.eye(3) * 0.8 + 0.05
"""A judge that is right of each of three classes."""
ONE_WRONG = CERTAIN[[0, 1, 1]]
"""One that takes the third inversion for class 1."""


def _filled(path: Path) -> Any:
    results = paper.Results(path, {"steps": 25})
    for seed, table in ((0, CERTAIN), (1, ONE_WRONG)):
        results.keep(paper.Cell("v1", seed), {"judges": {"conv": paper.judged(table, range(3))}})
    return results


def test_a_verdict_is_that_of_the_measures() -> None:
    verdict = paper.judged(ONE_WRONG, range(3))
    assert verdict["hits"] == [1, 1, 0]
    assert verdict["top3"] == [1, 1, 1]
    assert verdict["answers"] == [0, 1, 1]
    assert verdict["confidence"] == pytest.approx([0.85, 0.85, 0.05])
    assert verdict["daa"] == pytest.approx(1 / 3)  # class 1 is a tie, class 2's own is not highest


def test_what_is_kept_is_there_for_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    results = _filled(path)
    assert results.once("target accuracy", "0", lambda: 0.97) == 0.97
    again = paper.Results(path, {"steps": 25})
    assert paper.Cell("v1", 1) in again
    assert paper.Cell("v1", 1, repeat=1) not in again
    assert again.cells == results.cells
    assert again.once("target accuracy", "0", lambda: pytest.fail("measured twice")) == 0.97
    assert again.facts("target accuracy") == [0.97]
    assert {"made", "commit", "command", "versions", "machine"} <= json.loads(path.read_text()).keys()


def test_other_settings_are_refused(tmp_path: Path) -> None:
    _filled(tmp_path / "results.json")
    with pytest.raises(InputError, match=r"other settings \(steps\)"):
        paper.Results(tmp_path / "results.json", {"steps": 50})


def test_values_come_by_target_whatever_the_order_of_cells(tmp_path: Path) -> None:
    results = _filled(tmp_path / "results.json")
    results.keep(paper.Cell("v1", 0, 1), {"judges": {"conv": paper.judged(ONE_WRONG, range(3))}})
    cells = results.cells[::-1]
    assert paper.by_seed(cells, "v1", "conv", "hits") == [[1, 1, 0, 1, 1, 1], [1, 1, 0]]
    assert paper.by_seed(cells, "v1", "conv", "daa") == [[pytest.approx(1 / 3), 1.0], [pytest.approx(1 / 3)]]
    assert paper.by_seed(cells, "v1", "spiking", "hits") == []
    assert paper.share_of_perfect_cells(cells, "v1", "conv") == (1, 3)


def test_the_table_puts_the_authors_figures_beside_ours(tmp_path: Path) -> None:
    rows = [paper.Row("v1", "v1, as published", paper.AUTHORS["mnist", "v1"]), paper.Row("ann", "ANN")]
    lines = paper.table(_filled(tmp_path / "results.json").cells, rows, ["conv", "spiking"])
    assert len(lines) == 4
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    assert lines[2] == "| v1, as published | *their figures* | 1.000 | 1.000 | 0.931 | 1.000 | 1 x 10 |"
    assert lines[3].startswith("| v1, as published | conv | 0.833 ± 0.236 [0.")
    assert lines[3].endswith("| 2 x 3 |")


def test_a_spread_that_the_authors_give_is_shown() -> None:
    assert paper.AUTHORS["nmnist", "v2_gradient"].columns() == ["0.461 ± 0.066", "0.911 ± 0.054", "0.500", "1.000"]


def test_the_foot_tells_that_files_differed_from_the_commit(tmp_path: Path) -> None:
    results = _filled(tmp_path / "results.json")
    for commit, shown in (
        ("0123456789abcdef", "commit 0123456789ab, "),
        ("0123456789abcdef+", "commit 0123456789ab+, "),
    ):
        results.data["commit"] = commit
        assert shown in paper.foot(results)[-1]


def test_the_command_names_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    called = [str(tmp_path / "reproduce.py"), "--out", str(tmp_path / "a.json"), "--work", "../b/c", "--seeds", "5"]
    monkeypatch.setattr(sys, "argv", called)
    assert paper.command() == "python scripts/reproduce.py --out a.json --work c --seeds 5"


def test_attacks_are_paired_where_both_are_done() -> None:
    cells = [
        {"attack": attack, "seed": seed, "repeat": repeat}
        for attack, seed, repeat in [("v1", 0, 0), ("v2", 0, 0), ("v2", 0, 1), ("v1", 1, 0), ("v3", 0, 0), ("v2", 1, 0)]
    ]
    pairs = paper.paired(cells, ("v1", "v2"))
    assert [(pair["attack"], pair["seed"], pair["repeat"]) for pair in pairs] == [
        ("v1", 0, 0),
        ("v2", 0, 0),
        ("v1", 1, 0),
        ("v2", 1, 0),
    ]
    assert paper.paired(cells, ("v1", "v4")) == []
