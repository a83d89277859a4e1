"""Findings from an audit's records: the ladder, power, controls and mitigations."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bl_neuro.errors import ExperimentError
from bl_neuro.experiment.findings.compute import compared_arithmetics
from bl_neuro.experiment.findings.controls import control_findings
from bl_neuro.experiment.findings.estimates import PowerFinding
from bl_neuro.experiment.findings.ladder import ladder_findings
from bl_neuro.experiment.findings.mitigations import mitigation_findings
from bl_neuro.experiment.findings.power import power_findings
from bl_neuro.experiment.findings.records import Record
from bl_neuro.experiment.measures import AccuracyMeasures
from bl_neuro.experiment.session import Audit
from bl_neuro.leakage import PowerPlan, hit_spread

SEEDS, CLASSES = 8, (0, 1, 7)
MARGINS = {"conv": 0.1, "spiking": 0.1}


def audit(small: Path, tmp_path: Path, more: str = "", seeds: int = SEEDS) -> Audit:
    text = small.read_text().replace("seeds = 2", f"seeds = {seeds}\nrestarts = 4")
    text = text.replace('substrates = ["loihi"]', 'substrates = ["snntorch", "loihi"]')
    text = text.replace('reveals = ["counts"]', 'reveals = ["membrane", "counts"]')
    (tmp_path / "changed.toml").write_text(text + more)
    return Audit.of(str(tmp_path / "changed.toml"), tmp_path / "out")


def judged(audited: Audit, rate: dict[tuple[str, str | None, str], float]) -> list[Record]:
    """Records of every planned judgement; rate: of hits, by substrate, rung and what is revealed; .9 elsewhere."""
    records = []
    for cell in audited.cells:
        if cell.kind == "judgement":
            facts = cell.facts
            rng = np.random.default_rng([facts["seed"], facts["restart"]])
            wanted = rate.get((facts["substrate"], facts.get("rung"), facts["reveals"]), 0.9)
            hits = (rng.random(len(CLASSES)) < wanted).astype(int)
            records += [
                Record(**facts, label=label, hit=int(hit), confidence=0.1 + 0.8 * hit)
                for label, hit in zip(CLASSES, hits)
            ]
    return records


def test_the_ladder_has_two_rungs_of_its_own_and_shares_its_ends(small: Path, tmp_path: Path) -> None:
    plain = {cell.address for cell in audit(small, tmp_path).cells}
    new = [cell for cell in audit(small, tmp_path, "[ladder]\nseeds = [1]\n").cells if cell.address not in plain]
    assert [cell.facts["rung"] for cell in new if cell.kind == "rung"] == ["weights", "decays"]
    attacks = [cell for cell in new if cell.kind == "attack"]
    views = {(cell.facts["rung"], cell.facts["attack"], cell.facts["reveals"]) for cell in attacks}
    both = {("v1", "gradient"), ("v2", "membrane")}
    assert views == {(rung, *view) for rung in ("weights", "decays") for view in both}
    assert {(cell.facts["substrate"], cell.facts["seed"]) for cell in attacks} == {("snntorch", 1)}
    assert not any(cell.plain for cell in new)


def test_a_difference_is_put_down_to_the_step_that_makes_it(small: Path, tmp_path: Path) -> None:
    audited = audit(small, tmp_path, "[ladder]\n")
    low: dict[tuple[str, str | None, str], float] = {("loihi", None, "membrane"): 0.4, ("loihi", None, "counts"): 0.4}
    findings = ladder_findings(audited.experiment, audited.cells, judged(audited, low), MARGINS)
    views = [(finding.attack, finding.reveals) for finding in findings]
    assert views == [("v2", "membrane")] * 2 + [("v1", "gradient")] * 2
    assert [finding.measure for finding in findings] == ["hit", "confidence"] * 2
    ladder = findings[0]
    assert [level.rung for level in ladder.levels] == ["float", "weights", "decays", "state", "reveals counts"]
    assert [level.substrate for level in ladder.levels] == ["snntorch"] * 3 + ["loihi"] * 2
    assert [level.reveals for level in ladder.levels] == ["membrane"] * 4 + ["counts"]
    assert [(step.before, step.name, step.change.verdict) for step in ladder.steps] == [
        ("float", "weights", "equivalent"),
        ("weights", "decays", "equivalent"),
        ("decays", "state", "differs"),
        ("state", "reveals counts", "equivalent"),
    ]
    values = [level.estimate.value for level in ladder.levels]
    assert ladder.total.difference.value == pytest.approx(values[-1] - values[0])
    assert ladder.sentence.startswith("differs")
    assert len(findings[2].levels) == 4


def test_a_ladder_uses_only_seeds_whose_rungs_are_all_done(small: Path, tmp_path: Path) -> None:
    audited = audit(small, tmp_path, "[ladder]\n")
    records = [record for record in judged(audited, {}) if record.rung != "decays" or record.seed < 3]
    findings = ladder_findings(audited.experiment, audited.cells, records, MARGINS)
    assert {level.estimate.seeds for finding in findings for level in finding.levels} == {3}
    missing = [record for record in records if record.rung != "decays"]
    assert ladder_findings(audited.experiment, audited.cells, missing, MARGINS) == []


@pytest.mark.parametrize(
    ("ladder", "message"),
    [
        ('real = "norse"', "ladder.real: expected one of the experiment's substrates, found 'norse'"),
        ('real = "loihi"', "ladder.real: expected a substrate of real arithmetic, found 'loihi'"),
        ('attacks = ["v3"]', "ladder.attacks.0: expected the label of an attack, found 'v3'"),
        ("seeds = [20]", "ladder.seeds: expected seeds of the experiment, found 20"),
    ],
)
def test_invalid_ladders_are_refused(small: Path, tmp_path: Path, ladder: str, message: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        audit(small, tmp_path, f"[ladder]\n{ladder}\n")
    assert any(message in problem for problem in caught.value.problems), caught.value.problems


def one(findings: list[PowerFinding], **facts: str) -> PowerFinding:
    (wanted,) = [finding for finding in findings if facts.items() <= finding.model_dump().items()]
    return wanted


def test_power_comes_from_stated_assumptions_and_then_from_what_is_done(small: Path, tmp_path: Path) -> None:
    audited = audit(small, tmp_path)
    findings = power_findings(audited.experiment, audited.cells, [], compared_arithmetics(audited.experiment), MARGINS)
    assert len(findings) == 3 * 2
    planned = one(findings, attack="v2", reveals="counts", measure="hit")
    plan = PowerPlan(SEEDS, 12, 0.05, hit_spread(0.9, 0.9, 0.5), 3)
    assert planned.assumed
    assert planned.smallest_difference == pytest.approx(plan.smallest_difference())
    assert planned.equivalence_power == pytest.approx(plan.equivalence_power(0.1))

    records = judged(audited, {("loihi", None, "counts"): 0.6})
    pilot = [record for record in records if record.seed < 4]
    seen = power_findings(audited.experiment, audited.cells, pilot, compared_arithmetics(audited.experiment), MARGINS)
    measured = one(seen, attack="v2", reveals="counts", measure="hit")
    assert not measured.assumed
    assert (measured.seeds, measured.inversions, measured.comparisons) == (SEEDS, 12, 3)
    assert measured.within > 0
    assert one(seen, attack="v1", reveals="gradient", measure="hit").assumed  # nothing differed: no spread is seen
    few = [record for record in records if record.seed < 2]
    kinds = compared_arithmetics(audited.experiment)
    assert all(finding.assumed for finding in power_findings(audited.experiment, audited.cells, few, kinds, MARGINS))


def test_one_target_has_no_power_analysis(small: Path, tmp_path: Path) -> None:
    audited = audit(small, tmp_path, seeds=1)
    assert (
        power_findings(audited.experiment, audited.cells, [], compared_arithmetics(audited.experiment), MARGINS) == []
    )


def test_controls_are_judged_together_against_chance() -> None:
    rng = np.random.default_rng(0)
    quiet = [
        Record("untrained", seed, "loihi", "v2", "counts", 0, "conv", label, int(rng.random() < 0.1), 0.1)
        for seed in range(10)
        for label in range(20)
    ]
    loud = [replace(record, target="shuffled_labels", hit=int(rng.random() < 0.5)) for record in quiet]
    trained = [replace(record, target="trained", hit=1) for record in quiet]
    findings = control_findings([*quiet, *loud, *trained], {"conv": 10})
    assert [(finding.kind, finding.above_chance) for finding in findings] == [
        ("untrained", False),
        ("shuffled_labels", True),
    ]
    assert findings[0].chance == pytest.approx(0.1)
    assert findings[1].p is not None
    assert findings[1].adjusted_p == pytest.approx(2 * findings[1].p)
    assert findings[1].estimate.seeds == 10
    assert control_findings(trained, {"conv": 10}) == []
    assert control_findings(quiet, {}) == []  # the result of the evaluator is damaged


MITIGATIONS = """
[[mitigations]]
kind = "reveal"
to = "counts"

[[mitigations]]
kind = "noise"
sd = 2
reveals = ["counts"]

[[mitigations]]
kind = "query_cap"
queries = 30
reveals = ["counts"]

[[mitigations]]
kind = "weight_bits"
bits = 3
reveals = ["counts"]
seeds = [1]
"""


def test_mitigations_add_attacks_behind_them_and_what_users_still_get(small: Path, tmp_path: Path) -> None:
    plain = {cell.address for cell in audit(small, tmp_path, seeds=2).cells}
    new = [cell for cell in audit(small, tmp_path, MITIGATIONS, seeds=2).cells if cell.address not in plain]
    attacks = [cell for cell in new if cell.kind == "attack"]
    named = [cell.facts["mitigation"] for cell in attacks]
    assert {name: named.count(name) for name in named} == {"noise 2.0": 8, "query_cap 30": 8, "weight_bits 3": 4}
    capped = next(cell for cell in attacks if cell.facts["mitigation"] == "query_cap 30")
    settings = capped.definition["settings"]
    assert capped.definition["budget"] == 30 == settings["warm_start"] + 3 * settings["queries"] + 3
    served = [(cell.facts.get("mitigation"), cell.facts["reveals"]) for cell in new if cell.kind == "service"]
    assert set(served) == {(None, "membrane"), (None, "counts"), ("noise 2.0", "counts"), ("weight_bits 3", "counts")}
    assert [cell.facts["seed"] for cell in new if cell.kind == "changed"] == [1]


def test_a_mitigation_states_removed_leakage_and_lost_accuracy(small: Path, tmp_path: Path) -> None:
    audited = audit(small, tmp_path, MITIGATIONS)
    records = [
        replace(record, hit=0) if record.mitigation == "noise 2.0" else record
        for record in judged(audited, {("loihi", None, "counts"): 0.9})
    ]
    accuracy = {None: 0.9, "noise 2.0": 0.7, "weight_bits 3": 0.9}
    measures = {
        cell.address: AccuracyMeasures(
            accuracy=accuracy[cell.facts.get("mitigation")] + 0.001 * cell.facts["seed"], samples=9
        )
        for cell in audited.cells
        if cell.kind == "service"
    }
    findings = mitigation_findings(audited.experiment, audited.cells, measures, records, MARGINS)
    kinds = [(finding.mitigation, finding.reveals) for finding in findings]
    assert kinds == [("reveal", "membrane"), ("noise", "counts"), ("query_cap", "counts"), ("weight_bits", "counts")]
    less, noise, cap, bits = findings
    assert noise.leakage.removed.verdict == "differs"
    assert noise.leakage.removed.difference.value == pytest.approx(noise.leakage.without.value)
    assert noise.leakage.with_.value == 0
    assert noise.accuracy is not None
    assert noise.accuracy.lost is not None
    assert noise.accuracy.lost.value == pytest.approx(0.2)
    assert (noise.accuracy.lost.seeds, noise.setting) == (SEEDS, "noise of sd 2")
    assert less.leakage.removed.identical
    assert less.accuracy is not None
    assert less.accuracy.lost is not None
    assert less.accuracy.lost.value == pytest.approx(0)
    assert cap.accuracy is None
    assert bits.leakage.removed.difference.seeds == 1


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('kind = "noise"', "mitigations.0.sd: is required, but missing"),
        ('kind = "noise"\nsd = "1"', "mitigations.0.sd: expected a number, found '1'"),
        ('kind = "noise"\nsd = 1\nsubstrat = "loihi"', "did you mean 'substrate'?"),
        (
            'kind = "noise"\nsd = 0\nrestarts = 0',
            "mitigations.0.restarts: expected a whole number of at least 1, found 0",
        ),
        ('kind = "noise"\nsd = 0\nrestarts = 0', "mitigations.0.sd: expected a number above 0, found 0"),
        ('kind = "noise"\nsd = 0', "mitigations.0.sd: expected a number above 0, found 0"),
        (
            'kind = "silence"',
            "mitigations.0.kind: expected one of reveal, rounding, noise, query_cap,",
        ),
        ('kind = "reveal"\nto = "label"', "mitigations.0.to: expected what its attacks reveal (counts, membrane)"),
        (
            'kind = "rounding"\nstep = 1\nreveals = ["scores"]',
            "mitigations.0.reveals: expected what its attacks reveal",
        ),
        ('kind = "rounding"\nstep = 1\nattacks = ["v1"]', "attacks.0: expected the label of a black-box attack"),
        ('kind = "rounding"\nstep = 1\nsubstrate = "norse"', "expected one of the experiment's substrates"),
        ('kind = "weight_bits"\nbits = 3\nseeds = [99]', "mitigations.0.seeds: expected seeds of the experiment"),
        ('kind = "noise"\nsd = inf', "mitigations.0.sd"),
        (
            'kind = "noise"\nsd = 1\nreveals = ["spikes"]',
            "expected what noise changes (membrane, scores, counts, label)",
        ),
        (
            'kind = "reveal"\nto = "counts"\nreveals = ["counts"]',
            "mitigations.0.reveals.0: expected an output with more information than counts (",
        ),
        ('kind = "rounding"\nstep = 1\nrestarts = 7', "mitigations.0.restarts: expected at most the "),
    ],
)
def test_invalid_mitigations_are_refused(small: Path, tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        audit(small, tmp_path, f"[[mitigations]]\n{table}\n")
    assert any(message in problem for problem in caught.value.problems), caught.value.problems


@pytest.mark.slow
def test_mitigations_run(small: Path, undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed, tmp_path / "out")
    more = MITIGATIONS + '[[mitigations]]\nkind = "input_dropout"\nrate = 0.5\n'
    (tmp_path / "more.toml").write_text(small.read_text() + more)
    audited = Audit.of(str(tmp_path / "more.toml"), tmp_path / "out")
    done = audited.run()
    assert (done.failed, done.left_out) == ([], [])
    assert {cell.kind for cell in done.done} == {"changed", "attack", "judgement", "service"}
    mitigations = audited.findings().mitigations
    assert [finding.mitigation for finding in mitigations] == ["noise", "query_cap", "weight_bits", "input_dropout"]
    assert all(finding.accuracy is not None for finding in mitigations if finding.mitigation != "query_cap")
