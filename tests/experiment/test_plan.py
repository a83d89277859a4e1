"""The cells of an experiment: only feasible ones, in a valid order, paired over substrates."""

from __future__ import annotations

from pathlib import Path

import pytest

from bl_neuro.attacks import BrainLeaksV2
from bl_neuro.errors import ExperimentError
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


STATED = "settings = { queries = 16, warm_start = 20, window = 3.0 }"


def test_an_attack_is_adapted_to_its_budget_except_for_stated_settings(small: Path, tmp_path: Path) -> None:
    def of_v2(*stated: str) -> list[tuple[int, int, int]]:
        budget = (STATED, "\n".join(["budget = 200", *stated]))
        cells = planned(small, tmp_path, budget, ("seeds = 2\n", "seeds = 1\n"))
        made = [cell.definition for cell in cells if cell.kind == "attack" and cell.facts["attack"] == "v2"]
        sizes = {(one["budget"], one["settings"]["queries"], one["settings"]["warm_start"]) for one in made}
        return list(sizes)

    adapted = BrainLeaksV2().within(200, 3)
    assert of_v2() == [(200, adapted.queries, adapted.warm_start)] == [(200, 32, 100)]
    assert of_v2("settings = { queries = 12 }") == [(200, 12, 100)]
    assert of_v2("settings = { queries = 40, warm_start = 80 }") == [(200, 40, 80)]


def test_a_budget_that_is_too_small_is_refused_before_any_cell_runs(small: Path, tmp_path: Path) -> None:
    message = r"attacks\.v2\.budget: 67 queries are too few for attack v2 on 3 classes; it needs at least 68"
    with pytest.raises(ExperimentError, match=message):
        planned(small, tmp_path, (STATED, f"budget = 67\n{STATED}"))
    assert planned(small, tmp_path, (STATED, f"budget = 68\n{STATED}"))


def test_against_a_query_cap_the_attacker_adapts_all_settings(small: Path, tmp_path: Path) -> None:
    cap = '[[mitigations]]\nkind = "query_cap"\nqueries = 40\n\n[[controls]]'
    cells = planned(small, tmp_path, (STATED, f"budget = 80\n{STATED}"), ("[[controls]]", cap))
    capped = [cell for cell in cells if cell.kind == "attack" and "mitigation" in cell.facts]
    settings = capped[0].definition["settings"]
    assert (capped[0].definition["budget"], settings["queries"], settings["warm_start"]) == (40, 6, 20)


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
