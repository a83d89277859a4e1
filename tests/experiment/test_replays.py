"""Replays of attacks on another substrate are compared bit by bit; an identical substrate represents the other."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bl_neuro.access import BlackBox
from bl_neuro.attacks import BrainLeaksV2, Inversions, Status, Trace
from bl_neuro.backends import open_target
from bl_neuro.errors import BudgetExceeded, ExperimentError
from bl_neuro.experiment.boxes import RecordedBox, differences
from bl_neuro.experiment.findings.records import Record
from bl_neuro.experiment.findings.replays import identical_replays, replay_findings, stand_ins
from bl_neuro.experiment.findings.verdicts import substrate_verdicts
from bl_neuro.experiment.measures import AttackMeasures, ReplayMeasures
from bl_neuro.experiment.session import Audit
from bl_neuro.testing.random_networks import random_dense

REPLAY = '[[replays]]\nsubstrate = "lava"\nof = "loihi"\nseeds = [1]\nattacks = ["v2"]\n'


def digest(attack: BrainLeaksV2, seed: int) -> str:
    with open_target(random_dense(0), "loihi") as target:
        box = RecordedBox(BlackBox(target, "counts", 1000))
        attack(box, classes=[0, 1], steps=4, seed=seed)
        assert box.spent > 0
        return box.digest


def test_a_digest_is_of_every_query_and_answer() -> None:
    attack = BrainLeaksV2(queries=16, warm_start=8)
    assert digest(attack, 0) == digest(attack, 0)
    assert len({digest(attack, 0), digest(attack, 1), digest(replace(attack, queries=32), 0)}) == 3


def test_a_recorded_box_is_a_black_box() -> None:
    with open_target(random_dense(0), "loihi") as target:
        box, plain = RecordedBox(BlackBox(target, "counts", 3)), BlackBox(target, "counts")
        spikes = torch.ones(4, 2, *target.network.input_shape)
        before = box.digest
        assert torch.equal(box.query(spikes), plain.query(spikes))
        after = box.digest
        assert after != before
        with pytest.raises(BudgetExceeded):
            box.query(spikes)
        assert box.digest == after
        one, other = (RecordedBox(BlackBox(target, "counts", 9)) for _ in range(2))
        one.query(spikes)
        other.query(spikes.numpy())
        assert one.digest == other.digest


def made() -> Inversions:
    generator = torch.Generator().manual_seed(0)
    rates = torch.rand(3, 2, 5, generator=generator)
    spikes = (torch.rand(4, 2, 5, generator=generator) < 0.5).to(torch.uint8)
    trace = Trace(torch.tensor([4, 8, 12]), rates.mean(2), rates)
    return Inversions(spikes, torch.tensor([0, 1]), rates[-1].clone(), 12, trace, Status.COMPLETED, "v2", 0)


def changed(values: torch.Tensor) -> torch.Tensor:
    """A copy whose last value has the smallest possible change."""
    flat = values.clone().flatten()
    flat[-1] = torch.nextafter(flat[-1], torch.tensor(2.0)) if values.is_floating_point() else 1 - flat[-1]
    return flat.reshape(values.shape)


def test_one_differing_bit_is_reported(tmp_path: Path) -> None:
    first, kept = made(), tmp_path / "first.safetensors"
    first.save(kept)
    measures = AttackMeasures(
        access="black_box",
        status=Status.COMPLETED,
        queries=12,
        answers="abc",
        assumptions=[],
        target_answers=None,
        pearson_selectivity=[0.5, 0.5],
        ssim=None,
        spike_density=0.5,
    )
    assert differences(first, "abc", kept, measures) == []
    assert differences(first, "abd", kept, measures) == ["answers"]
    assert differences(replace(first, spikes=changed(first.spikes)), "abc", kept, measures) == ["inversions"]
    later = replace(first, trace=replace(first.trace, rates=changed(first.trace.rates)), status=Status.NO_GAIN)
    assert differences(later, "abc", kept, measures) == ["course", "status"]
    shorter = replace(first, spikes=first.spikes[:3], queries=11)
    assert differences(shorter, "abc", kept, measures) == ["inversions", "queries"]


def audit(small: Path, tmp_path: Path, more: str) -> Audit:
    file = tmp_path / "more.toml"
    file.write_text(small.read_text() + more)
    return Audit.of(str(file), tmp_path / "out")


def test_replays_are_planned_after_what_they_repeat(small: Path, tmp_path: Path) -> None:
    plain, cells = audit(small, tmp_path, "").cells, audit(small, tmp_path, REPLAY).cells
    (replay,) = [cell for cell in cells if cell.kind == "replay"]
    assert {cell.address for cell in cells} - {cell.address for cell in plain} == {replay.address}
    target, attack = replay.needs
    assert attack.needs == (target,)
    assert (attack.facts["attack"], attack.facts["substrate"], attack.facts["seed"]) == ("v2", "loihi", 1)
    assert (replay.facts["substrate"], replay.facts["of"]) == ("lava", "loihi")
    assert replay.what == ["spikes", "counts", "label"]
    assert cells.index(attack) < cells.index(replay)


def test_a_substrate_stands_for_another_where_every_replay_is_done_and_the_same(small: Path, tmp_path: Path) -> None:
    cells = audit(small, tmp_path, REPLAY.replace("seeds = [1]\n", "")).cells
    one, other = (cell.address for cell in cells if cell.kind == "replay")
    same = ReplayMeasures(identical=True, differs=[], queries=68)
    other_way = ReplayMeasures(identical=False, differs=["course"], queries=68)
    assert identical_replays(cells, {one: same}) == []
    assert identical_replays(cells, {one: same, other: other_way}) == []
    stand = stand_ins(identical_replays(cells, {one: same, other: same}))
    assert stand == {("loihi", reveals): ["lava"] for reveals in ("spikes", "counts", "label")}
    (replay,) = replay_findings(cells, {one: same})
    assert (replay.substrate, replay.of, replay.seed, replay.identical) == ("lava", "loihi", 0, True)


def test_a_represented_substrate_shares_verdicts_for_outputs_it_reveals() -> None:
    records = [
        Record("trained", seed, substrate, "v2", reveals, 0, "conv", label, int(substrate == "loihi"), 0.5)
        for seed in range(4)
        for substrate in ("snntorch", "loihi")
        for reveals in ("scores", "counts")
        for label in range(3)
    ]
    pairs, alike = substrate_verdicts(records, {"conv": 0.1}, {("loihi", "counts"): ["lava"]})
    seconds = {(pair.reveals, *pair.second) for pair in pairs}
    assert seconds == {("scores", "loihi"), ("counts", "loihi", "lava")}
    assert [(same.reveals, same.substrates) for same in alike] == [("counts", ["loihi", "lava"])]


@pytest.mark.slow
@pytest.mark.parametrize(
    "substrate", [pytest.param("slayer", marks=pytest.mark.slayer), pytest.param("lava", marks=pytest.mark.lava)]
)
def test_an_attack_that_runs_again_is_the_same(small: Path, undisturbed: Path, tmp_path: Path, substrate: str) -> None:
    shutil.copytree(undisturbed, tmp_path / "out")
    again = audit(small, tmp_path, REPLAY.replace("lava", substrate))
    assert [cell.kind for cell in again.run().done] == ["replay"]
    findings = again.findings()
    assert findings.stands_for == {substrate: "loihi"}
    assert [(replay.identical, replay.differs) for replay in findings.replays] == [(True, [])]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (REPLAY.replace('"v2"', '"v1"'), "replays.0.attacks.0: expected the label of a black-box attack, found 'v1'"),
        (REPLAY.replace("[1]", "[1, 7]"), "replays.0.seeds: expected seeds of the experiment, found 7"),
        (REPLAY.replace('"loihi"', '"norse"'), "replays.0.of: expected one of the experiment's substrates"),
        (
            REPLAY.replace('"lava"', '"norse"'),
            "norse and loihi do not promise identical spikes; expected the same arithmetic",
        ),
        (REPLAY.replace('"lava"', '"loihi"'), "every attack already runs on loihi; remove it from substrates"),
        (REPLAY.replace('"lava"', '"lav"'), "replays.0.substrate: expected one of snntorch, norse"),
    ],
)
def test_invalid_replays_are_refused(small: Path, tmp_path: Path, more: str, message: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        audit(small, tmp_path, more)
    assert any(message in problem for problem in caught.value.problems), caught.value.problems


@pytest.mark.slow
def test_a_missing_lava_fails_its_replays_alone(
    small: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = tmp_path / "no-python"
    nothing.write_text("#!/bin/sh\nexit 1\n")
    nothing.chmod(0o755)
    monkeypatch.setenv("BL_NEURO_LAVA_PYTHON", str(nothing))
    shutil.copytree(undisturbed, tmp_path / "out")
    again = audit(small, tmp_path, REPLAY)
    state = again.run()
    assert [failure.cell.kind for failure in state.failed] == ["replay"]
    assert "is not a working Python interpreter" in state.failed[0].error
    assert again.findings().stands_for == {}
