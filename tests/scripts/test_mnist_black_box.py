"""The black-box comparison on MNIST: equal budgets, and a table that tells what speaks against v2 too."""

from __future__ import annotations

import importlib
from collections import Counter
from typing import Any

import pytest

box = importlib.import_module("mnist_black_box")
page = importlib.import_module("black_box_table")
JUDGES = {"conv": 0.99, "other": 0.98}
V2, WARM, PEER, WHITE = ("v2", "counts"), ("warm start", "counts"), ("random", "counts"), ("v1", "membrane")


def cell(seed: int, repeat: int, attack: str, reveals: str, hits: int, **more: Any) -> dict[str, Any]:
    """Of ten inversions, the first `hits` of which both judges recognise."""
    judged = {"hits": [1] * hits + [0] * (10 - hits), "confidence": [0.5] * 10}
    named = {"target": "trained", "seed": seed, "attack": attack, "reveals": reveals, "repeat": repeat}
    kept = {"cell": named, "commit": "a" * 40, "queries": 7120, "target_success": [1] * 10, **more}
    return {**kept, **dict.fromkeys(JUDGES, judged)}


def results(*cells: dict[str, Any]) -> dict[str, Any]:
    """As the script keeps them."""
    attacks = {"v2": {"queries": 512}, "warm start": {"queries": 0}, "random": {"queries": 512}, "v1": {}}
    return {
        "settings": {"attacks": attacks},
        "target_accuracy": {"trained 0": 0.97, "untrained 0": 0.1},
        "judge_accuracy": JUDGES,
        "cells": {str(place): cell for place, cell in enumerate(cells)},
        "made": "2026-01-01T00:00:00+00:00",
        "versions": {"numpy": "1"},
        "machine": {"machine": "x86_64", "cores": "2", "threads": "1"},
    }


def row(text: str, attack: str) -> list[str]:
    """The columns of an attack's line."""
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {attack} |"))
    return [column.strip() for column in line.strip("|").split("|")]


@pytest.mark.parametrize(("reveals", "budget"), [("scores", 5120), ("counts", 7120), ("label", 7120)])
def test_every_search_has_the_same_budget(reveals: str, budget: int) -> None:
    for attack in ("v2", "warm start", *box.PEERS):
        plan = box.attack_for(box.Cell("trained", 0, attack, reveals, 0))
        assert plan.warm_start + 10 * plan.queries == budget
        assert plan.queries == 0 or plan.warm_start == 2000
        assert attack not in box.PEERS or plan.jitter == 0


def test_white_boxes_have_the_blur_and_window_of_v2() -> None:
    v2, *white = (box.attack_for(box.Cell("trained", 0, name, "counts", 0)) for name in ("v2", "v1", "v2_gradient"))
    assert {(attack.blur, attack.window) for attack in white} == {(v2.blur, v2.window)}


def test_all_attacks_are_repeated_alike_and_nothing_twice() -> None:
    planned = list(box.cells(5, 3))
    assert len({cell.key for cell in planned}) == len(planned)
    counts = Counter((cell.attack, cell.reveals) for cell in planned if cell.target == "trained")
    assert set(counts.values()) == {15}
    assert {attack for attack, _ in counts} == set(box.attacks())


def test_margins_are_over_what_both_have_done() -> None:
    cells = [cell(seed, repeat, *V2, hits=9 if repeat == 0 else 1) for seed in (0, 1) for repeat in (0, 1)]
    peers = [cell(seed, 0, *PEER, hits=4) for seed in (0, 1)]
    columns = row(page.table(results(*cells, *peers)), "random")
    assert columns[3] == "2 x 10"
    assert columns[-1].startswith("+0.500 [")


def test_a_white_box_stands_beside_all_that_v2_was_shown() -> None:
    cells = [cell(0, 0, "v2", reveals, hits) for reveals, hits in (("scores", 9), ("label", 7))]
    columns = row(page.table(results(*cells, cell(0, 0, *WHITE, hits=8))), "v1")
    assert columns[1:4] == ["gradients", "white box", "1 x 10"]
    scores, label = columns[-1].split("; ")
    assert scores.startswith("scores: +0.100")
    assert label.startswith("label: -0.100")


def test_what_beats_v2_is_told() -> None:
    text = page.table(results(cell(0, 0, *V2, hits=6), cell(0, 0, *WARM, hits=7), cell(0, 0, *PEER, hits=6)))
    assert "warm start over v2 on counts under `conv` (0.700 against 0.600)" in text
    assert "random over v2" not in text


def test_a_search_that_ends_below_its_warm_start_is_told() -> None:
    better = cell(0, 0, *V2, hits=6, course=[0.5, 0.9])
    worse = cell(0, 0, *PEER, hits=4, course=[0.7, 0.4])
    text = page.table(results(better, worse))
    assert "random on counts (0.700, then 0.400)" in text
    assert "v2 on counts (0.500" not in text
    assert row(text, "v2")[-2] == "0.500"


def test_each_commit_and_command_is_told() -> None:
    first, second = {"commit": "b" * 40 + "+", "command": "python scripts/x.py"}, {"commit": "c" * 40}
    text = page.table(results(cell(0, 0, *V2, hits=6, **first), cell(0, 1, *V2, hits=6, **second)))
    assert f"- commit {'b' * 12}+, `python scripts/x.py`: v2 1" in text
    assert f"- commit {'c' * 12}, command not kept: v2 1" in text
