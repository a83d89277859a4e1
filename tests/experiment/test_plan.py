"""The cells of an experiment: only feasible ones, in a valid order, paired over substrates."""

from __future__ import annotations

from pathlib import Path

import pytest

from bl_neuro.experiment.cells import Cell, canonical_json, content_address
from bl_neuro.experiment.session import Audit

FOUR = ("target", "substrate", "attack", "reveals")


def planned(small: Path, tmp_path: Path, *changes: tuple[str, str]) -> list[Cell]:
    text = small.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "changed.toml").write_text(text)
    return Audit.of(str(tmp_path / "changed.toml"), tmp_path / "out").cells


def test_attacks_use_only_outputs_that_a_substrate_has(small: Path, tmp_path: Path) -> None:
    reveals = ("counts", "scores", "membrane", "label", "spikes")
    cells = planned(
        small,
        tmp_path,
        ('substrates = ["loihi"]', 'substrates = ["loihi", "lava"]'),
        ('reveals = ["counts"]', f"reveals = {list(reveals)}"),
    )
    rows = {tuple(cell.facts[name] for name in FOUR) for cell in cells if cell.kind == "attack"}
    trained = {row[1:] for row in rows if row[0] == "trained"}
    on_loihi = {("loihi", "v2", reveal) for reveal in reveals} | {("loihi", "v1", "gradient")}
    assert trained == on_loihi | {("lava", "v2", reveal) for reveal in ("counts", "label", "spikes")}


def test_no_cell_comes_before_what_it_needs_nor_twice(small: Path, tmp_path: Path) -> None:
    cells = planned(small, tmp_path)
    seen: set[str] = set()
    for cell in cells:
        assert {need.address for need in cell.needs} <= seen
        assert cell.address not in seen
        seen.add(cell.address)


def test_substrates_and_reveals_are_attacked_from_the_same_seeds(small: Path, tmp_path: Path) -> None:
    cells = planned(
        small,
        tmp_path,
        ('substrates = ["loihi"]', 'substrates = ["loihi", "norse"]'),
        ("seeds = 2", "seeds = 2\nrestarts = 2"),
    )
    attacks = [cell for cell in cells if cell.kind == "attack" and cell.facts["target"] == "trained"]
    seeds = {(cell.facts["seed"], cell.facts["restart"], cell.definition["seed"]) for cell in attacks}
    assert len(seeds) == len({seed for _, _, seed in seeds}) == 4
    assert len(attacks) == 4 * 2 * 2


def test_an_address_is_of_the_content_alone() -> None:
    assert content_address({"a": 1, "b": [1.5, None]}) == content_address({"b": [1.5, None], "a": 1})
    assert content_address({"a": 1}) != content_address({"a": 1.0})
    assert canonical_json({"ä": 1}) == '{"\\u00e4":1}'
    with pytest.raises(ValueError, match="JSON compliant"):
        content_address(float("nan"))


TWO_MORE = '''[[evaluators]]
kind = "conv"
label = "own"
data = "target"
epochs = 1

[[evaluators]]
kind = "authors"
epochs = 1
rate = 0.002

[[attacks]]
attack = "v2"'''


def test_evaluators_have_settings_labels_and_data_of_their_own(small: Path, tmp_path: Path) -> None:
    cells = planned(small, tmp_path, ('[[attacks]]\nattack = "v2"', TWO_MORE))
    evaluators = {cell.facts["evaluator"]: cell.definition for cell in cells if cell.kind == "evaluator"}
    shared = ("format", "kind", "threads", "data", "steps")
    own = {name: {key: made[key] for key in made if key not in shared} for name, made in evaluators.items()}
    assert own == {
        "conv": {"evaluator": "conv", "seed": 0, "epochs": 1},
        "own": {"evaluator": "conv", "seed": 0, "epochs": 1, "trained_on": "target"},
        "authors": {"evaluator": "authors", "seed": 0, "epochs": 1, "rate": 0.002, "batch": 64},
    }
    judged = {cell.facts["evaluator"] for cell in cells if cell.kind == "judgement"}
    assert judged == set(evaluators)
