"""The simulation attacks as the library does, plants what it says, resumes, and reports broken guarantees."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from bl_neuro.leakage.crossed import Crossed, crossed_test, standard_error
from bl_neuro.leakage.lira import lira
from bl_neuro.leakage.roc import MEASURES
from bl_neuro.leakage.shadows import Shadows

simulation = importlib.import_module("simulate_membership")
SETTING = simulation.Setting(12, 60, 4, 4, 3, 2.0)


def test_scores_are_those_of_the_library() -> None:
    (values, *_), members = simulation.answers(SETTING, np.random.default_rng(0))
    shadows = Shadows(values[..., None], members)
    theirs = [lira(values[target][:, None], shadows.without(target)) for target in range(12)]
    assert simulation.attacked(values, members) == pytest.approx(np.array(theirs))


def test_deployments_are_of_the_same_networks() -> None:
    values, members = simulation.answers(SETTING, np.random.default_rng(0))
    assert [one.shape for one in values] == [(12, 60)] * 3
    assert (members.sum(axis=1) == 30).all()
    apart = [float((other - values[0]).std()) for other in values[1:]]
    noise = simulation.NOISE
    assert apart == pytest.approx([2**0.5 * noise, (noise**2 + 2.0**2) ** 0.5], rel=0.1)


def test_more_noise_lowers_the_auc_and_the_same_noise_does_not() -> None:
    means = np.mean([simulation.true_means(SETTING, number) for number in range(20)], axis=0)
    auc = means[:, MEASURES.index("auc")]
    assert auc[1] == pytest.approx(auc[0], abs=0.01)
    assert auc[2] < auc[0] - 0.03


def test_estimates_are_the_parts_of_the_interval() -> None:
    estimates = simulation.estimated(SETTING, 3)
    one = simulation._crossed(SETTING, 3, 1)[0][0]
    assert isinstance(one, Crossed)
    assert estimates[0] == [one.values.mean(), *one.parts]
    between, shared, own = estimates[0][1:]
    assert standard_error(between, shared, own, 0.0) == one.error
    assert len(estimates) == len(MEASURES)


def test_comparisons_are_tested_as_the_library_does() -> None:
    first, *others = simulation._crossed(SETTING, 3, 3)
    apart = np.array(simulation.compared(SETTING, 3))
    assert apart.shape == (2, 2, 4)
    for place, other in enumerate(others):
        for number, name in enumerate(simulation.TESTED):
            measure = MEASURES.index(name)
            test = crossed_test(other[measure].minus(first[measure]), 0.03)
            row = simulation._tests(SETTING, apart[None, place, number], 0.03)[0]
            assert list(row) == pytest.approx([test.difference.value, test.error, test.p, test.p_equivalent])


def test_finished_audits_are_kept_and_a_torn_line_is_done_again(tmp_path: Path) -> None:
    path = tmp_path / "work" / "audits.jsonl"
    work = simulation.Work(path)
    assert [work.get("a", lambda: 1), work.get("b", lambda: 2), work.get("a", lambda: 3)] == [1, 2, 1]
    path.write_text(path.read_text()[:-2])
    again = simulation.Work(path)
    assert [again.get("a", lambda: 3), again.get("b", lambda: 4)] == [1, 4]
    assert [json.loads(line) for line in path.read_text().splitlines()] == [["a", 1], ["b", 4]]


def test_broken_guarantees_are_reported() -> None:
    many = np.arange(2_000)
    held = [
        simulation.rate("coverage", SETTING, "auc", many < 1_890),
        simulation.rate("coverage", SETTING, "tpr_at_0.1%", many < 1_980),  # without any false positive
        simulation.rate("coverage of symmetric intervals", SETTING, "tpr_at_1%", many < 1_700),
        simulation.rate("coverage over targets alone", SETTING, "auc", many < 1_000),
        simulation.rate("false difference", SETTING, "auc", many < 110),
        simulation.rate("power", SETTING, "auc", many < 1_560, promised=0.8),
    ]
    broken = [
        simulation.rate("coverage", SETTING, "auc", many < 1_800),
        simulation.rate("coverage", SETTING, "auc", many < 1_980),
        simulation.rate("coverage", SETTING, "tpr_at_0.1%", many < 1_800),
        simulation.rate("false equivalence at the margin", SETTING, "auc", many < 140),
        simulation.rate("power", SETTING, "tpr_at_1%", many < 1_300, promised=0.8),
    ]
    assert simulation.failures(held) == []
    problems = simulation.failures([*held, *broken])
    assert [problem.split(",")[0] for problem in problems] == [row["what"] for row in broken]
    assert "promised 0.800" in problems[-1]
    assert "Not as it should be" in simulation.table(broken, problems)
    assert "| power | 12 | 60 | 1 | auc |  |  |  |  | 80.0 | 78.0 (" in simulation.table(held, [])


@pytest.mark.slow
def test_a_quick_run_writes_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, work = tmp_path / "simulation", tmp_path / "work.jsonl"
    monkeypatch.setattr("sys.argv", ["simulate", "--quick", "--out", str(out), "--work", str(work)])
    simulation.main()
    first, lines = out.with_suffix(".md").read_text(), work.read_text()
    simulation.main()
    assert (out.with_suffix(".md").read_text(), work.read_text()) == (first, lines)
    whats = {row["what"] for row in json.loads(out.with_suffix(".json").read_text())["rows"]}
    assert {"coverage", "false difference", "power", "power of equivalence", "false equivalence at the margin"} <= whats
