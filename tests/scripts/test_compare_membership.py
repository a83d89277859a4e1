"""The comparison finds agreement with implementations after their definition, and differences from others."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from bl_neuro.errors import DataError
from bl_neuro.leakage.membership_attacks import Answers
from bl_neuro.leakage.shadows import Shadows

comparison = importlib.import_module("compare_membership")
PLACE = ("snntorch", "scores")


def online(keep: Any, scores: Any, check_keep: Any, check_scores: Any) -> tuple[Any, Any]:
    sides = [[scores[side[:, j], j] for j in range(keep.shape[1])] for side in (keep, ~keep)]
    inside, outside = (
        np.array(
            [
                norm.logpdf(x, np.median(own, axis=0), np.std(own, axis=0)).mean()
                for x, own in zip(check_scores[0], side)
            ]
        )
        for side in sides
    )
    return outside - inside, check_keep[0]


def offline(keep: Any, scores: Any, check_keep: Any, check_scores: Any) -> tuple[Any, Any]:
    own = [scores[~keep[:, j], j] for j in range(keep.shape[1])]
    densities = [norm.logpdf(x, np.median(o, axis=0), np.std(o, axis=0)).mean() for x, o in zip(check_scores[0], own)]
    return np.array(densities), check_keep[0]


def relative(target: Any, signals: Any, members: Any, z_target: Any, z_signals: Any, a: float, count: int = 0) -> Any:
    count = count or signals.shape[1] // 2
    means = [-np.sort(-values, axis=1)[:, :count].mean(axis=1) for values in (signals * ~members, z_signals)]
    x, z = (own / ((1 + a) / 2 * mean + (1 - a) / 2) for own, mean in zip((target, z_target), means))
    return np.array([(ratio / z > 1).mean() for ratio in x])


PLOT, RMIA = SimpleNamespace(generate_ours=online, generate_ours_offline=offline), SimpleNamespace(run_rmia=relative)


def answers(statistics: int = 1, step: float = 0.0) -> Answers:
    """Answers of twelve networks; in multiples of `step`, so that many are equal."""
    rng = np.random.default_rng(0)
    members = rng.random((12, 40)).argsort(axis=1) < 20
    values = 2 * rng.standard_normal((40, 1)) + members[..., None] + rng.standard_normal((12, 40, statistics))
    likely = 1 / (1 + np.exp(-values[..., 0]))
    if step:
        values, likely = step * np.round(values / step), step * np.round(likely / step)
    return Answers(values, likely, members)


@pytest.mark.parametrize(("statistics", "step"), [(1, 0.0), (2, 0.0), (1, 0.25)])
def test_implementations_after_their_definition_agree(statistics: int, step: float) -> None:
    rows = list(comparison.agreements(PLOT, RMIA, PLACE, answers(statistics, step)))
    assert len(rows) == 2 * statistics + 1
    assert max(row.largest for row in rows) < comparison.TOLERANCE
    assert all(row.compared + row.left_out == 12 * 40 for row in rows)
    assert min(row.compared for row in rows) > 200


def test_other_implementations_do_not() -> None:
    def by_means(*arguments: Any) -> tuple[Any, Any]:
        predictions, members = online(*arguments)
        return predictions * 1.001, members

    def others(target: Any, signals: Any, members: Any, *rest: Any) -> Any:
        return relative(target**1.5, signals, members, *rest)

    plot, rmia = (
        SimpleNamespace(generate_ours=by_means, generate_ours_offline=offline),
        SimpleNamespace(run_rmia=others),
    )
    by_score = {row.score: row.largest for row in comparison.agreements(plot, rmia, PLACE, answers())}
    assert by_score["LiRA"] > comparison.TOLERANCE
    assert by_score["LiRA, offline density"] < comparison.TOLERANCE
    assert by_score["RMIA, offline"] > comparison.TOLERANCE


def test_ratios_that_only_rounding_tells_apart_are_left_out() -> None:
    values = np.zeros((14, 3, 1))
    values[:8, 0], values[:13, 1:] = 1, 1
    members = np.zeros((14, 3), dtype=bool)
    members[13] = True
    shadows = Shadows(values, members)
    assert comparison.tied(np.array([0.75, 1.0, 0.5]), shadows).tolist() == [True, True, False]
    assert comparison.tied(np.array([0.5, 1.0, 1.0]), shadows).tolist() == [False, False, False]


def test_both_as_they_are_stand_side_by_side() -> None:
    rows = list(comparison.side_by_side(PLOT, RMIA, answers()))
    assert [set(row) for row in rows] == [{"score", "ours", "theirs"}] * 2
    assert rows[0]["ours"] > rows[0]["theirs"]  # members answer higher: one side suffices


def test_missing_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected the folder with plot\.py"):
        comparison.module_of(tmp_path, "plot.py")
    with pytest.raises(DataError, match=r"found no experiment\.json; run the audit first"):
        next(comparison.answers_of(tmp_path))


def test_a_module_is_loaded_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "plot.py").write_text("VALUE = 3\n")
    assert comparison.module_of(tmp_path, "plot.py").VALUE == 3
