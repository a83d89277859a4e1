"""What the event scripts share: cells, queries, courses, verdicts."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bl_neuro.attacks import BrainLeaksV1, BrainLeaksV2
from bl_neuro.data import EventDataset, three_way_split
from bl_neuro.training import plan_for

paper = importlib.import_module("paper_events")

SHORT = BrainLeaksV2.for_nmnist(queries=32, warm_start=60)


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    """Of a made-up dataset: a bar that moves in one of three rows."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    frames = rng.random((60, 8, 1, 12, 12)) < 0.02
    for sample, label in enumerate(labels):
        for step in range(8):
            frames[sample, step, 0, 4 * label + 1 : 4 * label + 3, step + 1 : step + 4] = True
    data = EventDataset.from_frames("bars", "made up", frames, labels, ("up", "middle", "down"))
    plan = replace(plan_for("nmnist"), hidden=(16,), steps=8, spiking_epochs=6, shift=0)
    return paper.EventBench(tmp_path, three_way_split(data, 0), plan, judge_epochs=3)


def test_cells_come_in_the_order_of_the_entries() -> None:
    entries = {"v2": paper.Entry(SHORT, "counts"), "long": paper.Entry(SHORT, "counts", repeats=1)}
    order = [(cell.attack, cell.seed, cell.repeat) for cell in paper.cells(entries, 2, 2)]
    assert order == [("v2", 0, 0), ("v2", 0, 1), ("v2", 1, 0), ("v2", 1, 1), ("long", 0, 0), ("long", 1, 0)]


@pytest.mark.parametrize("target", ["trained", "untrained", "shuffled labels"])
def test_a_search_is_measured_within_its_budget(target: str, bench: Any, tmp_path: Path, needs: Any) -> None:
    needs("loihi")
    judges = {kind: bench.judge(kind) for kind in paper.JUDGES}
    cell = paper.Cell("v2", 0, 0)
    measured = bench.measured(paper.Entry(SHORT, "counts", target), cell, judges, (10, 20, 36, 52, 60))
    assert measured["queries"] == 60 + 3 * 32
    assert measured["course"]["queries"] == [20.0, 36.0, 52.0]
    assert len(measured["target_success"]) == 3
    assert measured == {**bench.measured(paper.Entry(SHORT, "counts", target), cell, judges, (10, 20, 36, 52, 60)),
                     "seconds": measured["seconds"]}  # fmt: skip
    assert not list(tmp_path.glob("*.checkpoint"))
    assert (tmp_path / f"target-{target.replace(' ', '-')}-0.safetensors").exists()


def test_the_kinds_of_targets_differ(bench: Any) -> None:
    trained, untrained, shuffled = (bench.target(kind, 0) for kind in ("trained", "untrained", "shuffled labels"))
    assert len({network.fingerprint for network in (trained, untrained, shuffled)}) == 3
    assert bench.target("trained", 0) == trained


def test_white_box_attacks_have_no_course(bench: Any, needs: Any) -> None:
    needs("snntorch")
    judges = {kind: bench.judge(kind) for kind in paper.JUDGES}
    measured = bench.measured(paper.Entry(BrainLeaksV1(iterations=2)), paper.Cell("v1", 0, 0), judges, (20,))
    assert "course" not in measured
    assert set(measured["judges"]) == {"conv", "spiking"}


def test_courses_are_told_apart_by_seed() -> None:
    course = {"queries": [1.0, 2.0], "hits": [0.1, 0.2]}
    cells = [{"attack": "v2", "seed": seed, "course": course} for seed in (1, 0, 1)]
    queries, rows = paper.courses([*cells, {"attack": "v1", "seed": 0}], "v2")
    assert queries == [1.0, 2.0]
    assert [row.shape for row in rows] == [(1, 2), (2, 2)]


def test_says_what_searches_take_for_granted() -> None:
    (line,) = paper.assumed({"v2": paper.Entry(SHORT, "counts")}, ("v2",), (1, 34, 34))
    assert line.startswith("- v2 takes for granted: neighbouring pixels agree")
    assert "edges of a picture that moves" in line
