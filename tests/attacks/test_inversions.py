"""The results of attacks: images, files, and joined runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from bl_neuro import BlackBox, BlNeuroError, ModelFileError, ReportError, WhiteBox
from bl_neuro.attacks import (
    BrainLeaksV1,
    BrainLeaksV2,
    BrainLeaksV2Gradient,
    Inversions,
    Status,
    Trace,
    load_inversions,
)
from bl_neuro.attacks import inversions as module
from bl_neuro.attacks.inversions import joined
from bl_neuro.testing.file_mutations import BYTES, CONTENT_SAFETENSORS
from bl_neuro.testing.reference_target import ReferenceTarget, easy_network


def made(seed: int, generations: int = 3, status: Status = Status.COMPLETED, rates: bool = True) -> Inversions:
    generator = torch.Generator().manual_seed(seed)
    spikes = torch.randint(0, 2, (4, 2, 1, 3, 3), generator=generator, dtype=torch.uint8)
    trace = Trace(
        torch.arange(1, generations + 1) * 10,
        torch.rand(generations, 2, generator=generator),
        torch.rand(generations, 2, 1, 3, 3, generator=generator),
    )
    held = torch.rand(2, 1, 3, 3, generator=generator) if rates else None
    return Inversions(spikes, torch.tensor([1, 0]), held, generations * 10, trace, status, "v2", seed)


def test_images_are_means_over_time() -> None:
    inversions = made(0)
    assert inversions.images.shape == (2, 1, 3, 3)
    assert float(inversions.images[1, 0, 2, 1]) == inversions.spikes[:, 1, 0, 2, 1].tolist().count(1) / 4
    assert inversions.queries_per_class == 15


def test_status_is_its_word() -> None:
    assert [str(status) for status in Status] == ["completed", "budget_spent", "no_gain", "stopped"]


def test_tensors_that_share_memory_are_saved(tmp_path: Path) -> None:
    inversions = made(3)
    shared = dataclasses.replace(inversions, rates=inversions.trace.rates[-1])
    shared.save(tmp_path / "shared.safetensors")
    rates = load_inversions(tmp_path / "shared.safetensors").rates
    assert rates is not None
    assert torch.equal(rates, inversions.trace.rates[-1])


@pytest.mark.parametrize("rates", [True, False])
def test_saves_everything(tmp_path: Path, rates: bool) -> None:
    inversions = made(3, status=Status.BUDGET_SPENT, rates=rates)
    inversions.save(tmp_path / "new" / "inversions.safetensors")
    with safe_open(str(tmp_path / "new" / "inversions.safetensors"), framework="pt") as file:
        assert file.metadata() == {
            "format": "bl-neuro/inversions/1",
            "attack": "v2",
            "status": "budget_spent",
            "queries": "30",
            "seed": "3",
        }
        held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    expected = {
        "spikes": inversions.spikes,
        "classes": inversions.classes,
        "trace.queries": inversions.trace.queries,
        "trace.objective": inversions.trace.objective,
        "trace.rates": inversions.trace.rates,
        **({} if inversions.rates is None else {"rates": inversions.rates}),
    }
    assert held.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(held[name], tensor)


def test_an_unwritable_path_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ReportError, match="could not be written"):
        made(0).save(tmp_path / "file" / "inversions.safetensors")


def test_joins_runs_side_by_side() -> None:
    first, second = made(1), made(2)
    both = joined([first, second])
    assert torch.equal(both.spikes, torch.cat([first.spikes, second.spikes], 1))
    assert both.classes.tolist() == [1, 0, 1, 0]
    assert both.rates is not None
    assert both.rates.shape == (4, 1, 3, 3)
    assert both.queries == 60
    assert both.queries_per_class == first.queries_per_class
    assert both.trace.queries.tolist() == [20, 40, 60]
    assert torch.equal(both.trace.objective[:, 2:], second.trace.objective)
    assert torch.equal(both.trace.rates[:, :2], first.trace.rates)
    assert (both.status, both.attack, both.seed) == (Status.COMPLETED, "v2", 1)


def test_a_run_that_ended_before_others_stands_still() -> None:
    short = made(2, generations=2, status=Status.BUDGET_SPENT)
    both = joined([made(1), short])
    assert both.trace.queries.tolist() == [20, 40, 50]
    assert torch.equal(both.trace.rates[:, 2:], short.trace.rates[[0, 1, 1]])
    assert both.queries == 50
    assert both.status is Status.BUDGET_SPENT


def test_joins_runs_without_rates() -> None:
    assert joined([made(1, rates=False)] * 2).rates is None


def test_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        made(0).queries = 0  # type: ignore[misc]


def attacked(kind: str) -> Inversions:
    target = ReferenceTarget(easy_network())
    if kind == "v2":
        return BrainLeaksV2(queries=16, warm_start=20)(BlackBox(target, "counts"), classes=[2, 0], steps=4, seed=3)
    attack = BrainLeaksV1() if kind == "v1" else BrainLeaksV2Gradient(iterations=2)
    return attack(WhiteBox(target), classes=[2, 0], steps=4, seed=10**30)


def tensors(inversions: Inversions) -> list[Tensor | None]:
    return [
        inversions.spikes,
        inversions.classes,
        inversions.rates,
        inversions.trace.queries,
        inversions.trace.objective,
        inversions.trace.rates,
    ]


@pytest.mark.parametrize("kind", ["v1", "v2", "v2_gradient"])
def test_a_round_trip_changes_nothing(kind: str, tmp_path: Path) -> None:
    before = attacked(kind)
    before.save(tmp_path / "one.safetensors")
    after = load_inversions(str(tmp_path / "one.safetensors"))
    for old, new in zip(tensors(before), tensors(after)):
        assert (old is None) == (new is None)
        assert old is None or new is None or (old.dtype == new.dtype and torch.equal(old, new))
    assert (after.queries, after.status, after.attack, after.seed) == (
        before.queries, before.status, before.attack, before.seed,
    )  # fmt: skip
    assert repr(after) == repr(before)


def test_inversions_without_queries_survive_a_round_trip(tmp_path: Path) -> None:
    box = BlackBox(ReferenceTarget(easy_network()), "counts", budget=1)
    nothing = BrainLeaksV2(warm_start=0)(box, classes=[0, 1, 2], steps=4)
    nothing.save(tmp_path / "none.safetensors")
    assert len(load_inversions(tmp_path / "none.safetensors").trace.queries) == 0


Facts = dict[str, str]
Parts = dict[str, Tensor]


def _part(name: str, change: Callable[[Tensor], Tensor]) -> Callable[[Facts, Parts], None]:
    return lambda facts, parts: parts.update({name: change(parts[name]).contiguous()})


def _fact(**changes: str) -> Callable[[Facts, Parts], None]:
    return lambda facts, parts: facts.update(changes)


WRONG: dict[str, tuple[Callable[[Facts, Parts], None], str]] = {
    "another format": (_fact(format="bl-neuro/network/1"), r"expected inversions \(bl-neuro/inversions/1\), found"),
    "a tensor of another name": (
        lambda facts, parts: parts.update(later=parts.pop("classes")),
        "expected the tensors spikes, .* found",
    ),
    "a tensor too many": (lambda facts, parts: parts.update(more=torch.zeros(1)), "expected the tensors"),
    "spikes of floats": (_part("spikes", Tensor.float), "spikes: expected U8, found F32"),
    "spikes of 2": (_part("spikes", lambda values: values * 2), "spikes: expected only 0 and 1, found 2"),
    "no inversion": (_part("spikes", lambda values: values[:, :0]), r"spikes: expected \(T, K, "),
    "too many steps": (lambda facts, parts: parts.update(spikes=torch.zeros(2**16 + 1, 1, 1).byte()), "T at most"),
    "many axes": (_part("spikes", lambda values: values.reshape(4, 2, 12, *[1] * 6)), "spikes: expected at most 8"),
    "classes of others": (_part("classes", lambda values: values[:1]), r"classes: expected shape \(2,\), found \(1,\)"),
    "classes below 0": (
        _part("classes", lambda values: values - 1),
        "classes: expected class numbers of at least 0, found -1",
    ),
    "rates of others": (_part("rates", lambda values: values[:, :5]), r"rates: expected shape \(2, 12\) or \(4, 2, 12"),
    "rates of NaN": (_part("rates", lambda values: values * torch.nan), r"rates: expected values in 0\.\.1"),
    "rates above 1": (_part("trace.rates", lambda values: values + 1), r"trace\.rates: expected values in 0\.\.1"),
    "a trace cut short": (_part("trace.queries", lambda values: values[:1]), r"trace\.objective: expected shape"),
    "queries as one": (_part("trace.queries", lambda values: values[0]), r"trace\.queries: expected shape \(0,\)"),
    "queries that fall": (
        _part("trace.queries", lambda values: values.flip(0)),
        r"trace\.queries: expected increasing numbers",
    ),
    "queries below 0": (
        _part("trace.queries", lambda values: values - 60),
        r"trace\.queries: expected increasing numbers",
    ),
    "objectives of NaN": (_part("trace.objective", lambda values: values * torch.nan), "objective: expected numbers"),
    "queries of words": (_fact(queries="many"), "queries: expected a whole number"),
    "queries of the trace": (_fact(queries="3"), r"trace\.queries: expected increasing numbers in 0\.\.3"),
    "a long number": (_fact(seed="9" * 5000), "seed: expected a whole number"),
    "a seed below 0": (_fact(seed="-1"), "seed: expected a whole number"),
    "another status": (_fact(status="done"), "status: expected one of completed, .*, found 'done'"),
    "what drives a terminal": (_fact(attack="v2\x1b[2J"), "attack: expected a name"),
    "no name": (_fact(attack=""), "attack: expected a name"),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "good.safetensors"
    attacked("v2").save(path)
    return path


@pytest.mark.parametrize("what", WRONG)
def test_refuses(what: str, saved: Path, tmp_path: Path) -> None:
    change, message = WRONG[what]
    with safe_open(str(saved), framework="pt") as file:
        facts, parts = dict(file.metadata()), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(facts, parts)
    save_file(parts, tmp_path / "bad.safetensors", metadata=facts)
    with pytest.raises(ModelFileError, match=message) as caught:
        load_inversions(tmp_path / "bad.safetensors")
    assert str(tmp_path / "bad.safetensors") in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"), [("none", "found nothing"), ("", "found a folder"), ("\0", "found nothing")]
)
def test_needs_a_file(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=f"expected a file of inversions, {message}"):
        load_inversions(tmp_path / name)


def test_files_that_are_too_large_are_refused(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    with pytest.raises(ModelFileError, match="expected at most 100 bytes"):
        load_inversions(saved)


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted({*BYTES, *CONTENT_SAFETENSORS} - {"another structure"}))
def test_damage_is_refused_or_harmless(kind: str, saved: Path, tmp_path: Path) -> None:
    """A mutated file is refused, or gives valid inversions that survive another round trip."""
    refused = 0
    for seed in range(20):
        bad = tmp_path / "bad.safetensors"
        bad.write_bytes(saved.read_bytes())
        {**BYTES, **CONTENT_SAFETENSORS}[kind](bad, np.random.default_rng(seed))
        try:
            inversions: Any = load_inversions(bad)
        except BlNeuroError:
            refused += 1
            continue
        inversions.save(tmp_path / "again.safetensors")
        again = load_inversions(tmp_path / "again.safetensors")
        assert all(a is b or torch.equal(a, b) for a, b in zip(tensors(inversions), tensors(again)))  # type: ignore[arg-type]
    assert refused > 0
