"""The schema keeps what it is given, and refuses what cannot be true."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel, ValidationError

from bl_neuro.errors import ReportError
from bl_neuro.report import Control, Curve, Dataset, Evaluator, NetworkInfo, Results, Row


def test_results_survive_json(make_results: Callable[..., Results]) -> None:
    results = make_results()
    again = Results.from_json(results.to_json())
    assert again == results
    assert again.to_json() == results.to_json()
    assert isinstance(again.controls[0], Control)


def test_json_is_indented_and_names_its_format(make_results: Callable[..., Results]) -> None:
    text = make_results().to_json()
    assert text.startswith('{\n  "format": "bl-neuro/results/1",\n')
    assert text.endswith("}\n")


@pytest.mark.parametrize("model", [Curve, Row, Control, Dataset, NetworkInfo, Evaluator, Results])
def test_every_field_is_described(model: type[BaseModel]) -> None:
    assert model.__doc__
    assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_models_are_frozen(make_row: Callable[..., Row]) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        make_row("lava", "v2").n = 3


def test_numpy_numbers_are_taken(make_row: Callable[..., Row]) -> None:
    row = make_row("lava", "v2", ssim=np.float32(0.5), n=np.int64(1), status={"done": np.int64(1)})
    assert type(row.ssim) is float
    assert type(row.n) is int


def test_rounding_does_not_push_a_fraction_out(make_row: Callable[..., Row]) -> None:
    row = make_row("lava", "v2", attack_accuracy=1.0, attack_accuracy_high=1.0 + 2e-16)
    assert row.attack_accuracy_high == 1.0
    row = make_row("lava", "v2", attack_accuracy=0.0, attack_accuracy_low=-1e-17)
    assert row.attack_accuracy_low == 0.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"confidence": float("nan")}, "finite"),
        ({"seconds": float("inf")}, "finite"),
        ({"confidence": 1.01}, "less than or equal to 1"),
        ({"ssim": -1.5}, "greater than or equal to -1"),
        ({"attack_accuracy_low": 0.97}, "low <= value <= high"),
        ({"top3_accuracy": 0.5}, "top3_accuracy"),
        ({"attack": "v3"}, "v1"),
        ({"reveals": "gradient"}, "membrane, scores, spikes, counts, label"),
        ({"reveals": None}, "membrane, scores, spikes, counts, label"),
        ({"access": "white_box"}, "white box shows the gradient"),
        ({"n": 0}, "greater than or equal to 1"),
        ({"status": {"done": 99}}, "sum to 99, expected n = 100"),
        ({"threat_model": ""}, "at least 1 character"),
        ({"surprise": 1}, "Extra inputs"),
        ({"kind": "lucky"}, "shuffled_labels"),
    ],
)
def test_impossible_rows_are_refused(make_row: Callable[..., Row], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        make_row("lava", "v2", **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"queries": [1.0, 2.0, 3.0]}, "one length"),
        ({"queries": [2.0, 1.0]}, "rise"),
        ({"queries": [-1.0, 1.0]}, "rise"),
        ({"high": [0.1, 0.1]}, "low <= value <= high"),
        ({"queries": [], "confidence": [], "low": [], "high": []}, "at least 1 item"),
    ],
)
def test_impossible_curves_are_refused(changes: dict[str, Any], message: str) -> None:
    good = {"queries": [1.0, 2.0], "confidence": [0.2, 0.3], "low": [0.1, 0.2], "high": [0.3, 0.4]}
    Curve(**good)
    with pytest.raises(ValidationError, match=message):
        Curve(**{**good, **changes})


@pytest.mark.parametrize("created", ["yesterday", "2025-11-22T13:20:00"])
def test_a_date_says_when_and_where(make_results: Callable[..., Results], created: str) -> None:
    with pytest.raises(ValidationError, match=r"isoformat|offset from UTC"):
        make_results(created=created)


def test_a_date_may_end_in_z(make_results: Callable[..., Results]) -> None:
    assert make_results(created="2025-11-22T13:20:00Z").created.endswith("Z")


def test_rows_belong_to_the_results(make_results: Callable[..., Results], make_row: Callable[..., Row]) -> None:
    row = make_row("lava", "v2")
    with pytest.raises(ValidationError, match="two rows name the same tensors"):
        make_results(rows=[row, row])
    with pytest.raises(ValidationError, match="a row says 'mnist'"):
        make_results(rows=[make_row("lava", "v2", dataset="mnist")])
    with pytest.raises(ValidationError, match="at least 1 item"):
        make_results(rows=[])


def test_bad_json_lists_every_problem(make_results: Callable[..., Results]) -> None:
    held = json.loads(make_results().to_json())
    held["format"] = "bl-neuro/results/9"
    held["rows"][1]["n"] = -4
    with pytest.raises(ReportError, match=r"format: .*rows\.1\.n: "):
        Results.from_json(json.dumps(held))
    with pytest.raises(ReportError, match="not results"):
        Results.from_json("{")


def test_json_with_nan_is_refused(make_results: Callable[..., Results]) -> None:
    held = json.loads(make_results().to_json())
    held["rows"][0]["seconds"] = float("nan")
    with pytest.raises(ReportError, match=r"rows\.0\.seconds"):
        Results.from_json(json.dumps(held))
