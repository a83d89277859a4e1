"""The people on whom settings of v2 were chosen do not appear in the published results on faces."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from bl_neuro.experiment.experiment_file import experiment_path, read_experiment

tuning = importlib.import_module("tune_faces")
TUNED: dict[str, Any] = json.loads((Path(__file__).parents[2] / "results" / "tuned-faces.json").read_text())


def test_nobody_takes_part_in_both() -> None:
    own, reported = tuning.groups()
    assert sorted(own + reported) == list(range(40))
    assert TUNED["people"] == {"tuning": own, "reported": reported, "seed": 0}
    assert tuning.experiment({"start": tuning.START}, 1).dataset.classes == own
    published = read_experiment(experiment_path("att_faces"))
    assert published.dataset.classes == reported
    searched = tuning.experiment({"start": tuning.START}, TUNED["targets"])
    assert not set(searched.target_seeds) & set(published.target_seeds)
    assert not {part.seed for part in searched.evaluators} & {part.seed for part in published.evaluators}


def test_the_published_attack_has_the_chosen_settings() -> None:
    (attack,) = (part for part in read_experiment(experiment_path("att_faces")).attacks if part.called == "v2")
    assert attack.settings == TUNED["settings"] == TUNED["candidates"][TUNED["chosen"]]["settings"]
    assert TUNED["chosen"] == max(TUNED["candidates"], key=lambda name: TUNED["candidates"][name]["criterion"])


def test_every_candidate_has_the_same_number_of_queries() -> None:
    plans = [{**tuning.START, **change} for change in [{}, *tuning.CHANGES.values()]]
    assert {plan["warm_start"] + 20 * plan["queries"] for plan in plans} == {7120}


def test_changes_that_help_are_combined() -> None:
    results = {name: {"criterion": 0.1} for name in tuning.CHANGES} | {"start": {"criterion": 0.2}}
    assert tuning.combined(results) == tuning.START
    results["blur 1"], results["blur 3.5"], results["stroke 1"] = ({"criterion": value} for value in (0.4, 0.3, 0.3))
    assert tuning.combined(results) == {**tuning.START, "blur": 1.0, "stroke": 1.0}
