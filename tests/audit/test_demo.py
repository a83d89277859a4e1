"""The demo in small, on one substrate: what it leaves behind, and that it leaves the same again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

import bl_neuro as bl
from bl_neuro import InputError, MissingDependency, ReportError, UnknownSubstrate
from bl_neuro.attacks import BrainLeaksV2
from bl_neuro.audit.demo import DemoPlan, run_demo
from bl_neuro.report import Results
from bl_neuro.training import TargetPlan, load_evaluator

SMALL = DemoPlan(
    target=TargetPlan(hidden=(32,), proxy_epochs=5, spiking_epochs=2, steps=8),
    black_box=BrainLeaksV2(queries=32, warm_start=64),
    restarts=1,
    controls=2,
)
FILES = {
    "report.html",
    "results.json",
    "rows.csv",
    "inversions.safetensors",
    "target.safetensors",
    "evaluator.safetensors",
}


class Stages:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.steps: list[tuple[str, int, int]] = []

    def stage(self, name: str) -> Callable[[int, int], None]:
        self.names.append(name)
        return lambda done, total: self.steps.append((name, done, total))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, needs: Callable[[str], None]) -> tuple[list[Path], Stages]:
    """The folders of the same demo run twice, and what was told in the first."""
    needs("snntorch")
    folders = [tmp_path_factory.mktemp("demo") / name for name in ("once", "again")]
    stages = [Stages(), Stages()]
    for folder, told in zip(folders, stages):
        assert run_demo(folder, SMALL, seed=11, substrates=["snntorch"], stages=told) == folder / "report.html"
    return folders, stages[0]


def results(folder: Path) -> Results:
    return Results.from_json((folder / "results.json").read_bytes())


def test_leaves_its_files(runs: tuple[list[Path], Stages]) -> None:
    folder = runs[0][0]
    assert {path.name for path in folder.iterdir()} == FILES
    network = bl.load(folder / "target.safetensors")
    assert results(folder).network.fingerprint == network.fingerprint
    assert network.shapes[1:] == ((32,), (10,))
    assert load_evaluator(folder / "evaluator.safetensors").shape == (1, 8, 8)


def test_rows_are_what_was_planned(runs: tuple[list[Path], Stages]) -> None:
    found = results(runs[0][0])
    assert [(row.substrate, row.attack, row.access) for row in found.rows] == [
        ("snntorch", "v1", "white_box"),
        ("snntorch", "v2", "black_box"),
    ]
    assert [(row.attack, row.kind) for row in found.controls] == [("v1", "shuffled_labels"), ("v2", "shuffled_labels")]
    white, black = found.rows
    assert (white.reveals, black.reveals) == ("gradient", "counts")
    assert (white.n, black.n) == (10, 10)
    assert white.queries_per_class == 11
    assert black.queries_per_class == 64 / 10 + 32
    assert black.status == {"completed": 10}
    assert [row.n for row in found.controls] == [20, 20]  # two targets
    assert found.seed == 11
    assert found.command == "bl-neuro demo --seed 11 --substrates snntorch"
    assert sum(found.dataset.splits.values()) == 1797
    assert found.network.steps == 8


def test_controls_know_no_label(runs: tuple[list[Path], Stages]) -> None:
    found = results(runs[0][0])
    assert all(row.target_accuracy > 0.4 for row in found.rows)
    assert all(row.target_accuracy < 0.3 for row in found.controls)
    assert all(row.attack_accuracy <= 0.5 for row in found.controls)


def test_every_row_has_its_inversions(runs: tuple[list[Path], Stages]) -> None:
    found = results(runs[0][0])
    with safe_open(str(runs[0][0] / "inversions.safetensors"), framework="numpy") as file:
        for row in found.all_rows():
            assert file.get_tensor(f"{row.inversions}/rates").shape == (row.n, 8, 8)
            assert file.get_tensor(f"{row.inversions}/spikes").shape == (8, row.n, 1, 8, 8)
            assert file.get_tensor(f"{row.inversions}/classes").tolist() == list(range(10)) * (row.n // 10)


def comparable(folder: Path) -> Any:
    """results.json without the times that it took and was made at."""
    found = json.loads((folder / "results.json").read_text())
    for row in (*found["rows"], *found["controls"]):
        row.pop("seconds")
    found.pop("created")
    return found


def test_one_seed_gives_the_same_again(runs: tuple[list[Path], Stages]) -> None:
    first, again = runs[0]
    assert comparable(first) == comparable(again)
    assert (first / "inversions.safetensors").read_bytes() == (again / "inversions.safetensors").read_bytes()
    assert bl.load(first / "target.safetensors") == bl.load(again / "target.safetensors")
    kept = [load_evaluator(folder / "evaluator.safetensors").state_dict() for folder in (first, again)]
    assert all(torch.equal(kept[0][name], kept[1][name]) for name in kept[0])


def test_tells_what_it_is_doing(runs: tuple[list[Path], Stages]) -> None:
    told = runs[1]
    assert told.names[:2] == ["training the target", "training the evaluator"]
    assert [name for name in told.names if "attack" in name] == ["snntorch: attack v1", "snntorch: attack v2"] * 3
    assert sum("null control" in name for name in told.names) == 2
    assert ("training the target", 7, 7) in told.steps
    assert all(0 < done <= total for _, done, total in told.steps)


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"seed": -1}, InputError, "seed: expected"),
        ({"substrates": ["brian"]}, UnknownSubstrate, "found 'brian'"),
        ({"substrates": []}, InputError, "substrates: expected at least one name"),
        ({"out": "file"}, ReportError, "expected a folder that can be written to"),
    ],
)
def test_refuses_before_it_trains(
    changes: dict[str, Any], error: type[Exception], said: str, tmp_path: Path, needs: Callable[[str], None]
) -> None:
    needs("snntorch")
    (tmp_path / "file").write_text("in the way")
    told = Stages()
    out = tmp_path / changes.pop("out", "new")
    with pytest.raises(error, match=said):
        run_demo(out, SMALL, stages=told, **changes)
    assert told.names == []


def test_a_missing_framework_is_refused_by_name_and_noted_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    from bl_neuro.audit import demo

    monkeypatch.setattr(demo, "missing_reason", lambda backend: None if backend.name == "norse" else "it is gone")
    with pytest.raises(MissingDependency, match="substrate 'lava': it is gone"):
        demo._choose(["norse", "lava"])
    chosen, notes = demo._choose(None)
    assert chosen == ["norse"]
    assert notes == [f"Not run on {name}: it is gone." for name in ("snntorch", "slayer", "loihi", "lava")]
    assert demo._choose(["norse", "norse"]) == (["norse"], [])
