"""What attacks return: pictures, files, and several runs as one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from bl_neuro import ReportError
from bl_neuro.attacks import Inversions, Status, Trace
from bl_neuro.attacks.inversions import joined


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
    found = made(0)
    assert found.images.shape == (2, 1, 3, 3)
    assert float(found.images[1, 0, 2, 1]) == found.spikes[:, 1, 0, 2, 1].tolist().count(1) / 4
    assert found.queries_per_class == 15


def test_status_is_its_word() -> None:
    assert [str(status) for status in Status] == ["completed", "budget_spent", "no_gain", "stopped"]


@pytest.mark.parametrize("rates", [True, False])
def test_saves_everything(tmp_path: Path, rates: bool) -> None:
    found = made(3, status=Status.BUDGET_SPENT, rates=rates)
    found.save(tmp_path / "new" / "inversions.safetensors")
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
        "spikes": found.spikes,
        "classes": found.classes,
        "trace.queries": found.trace.queries,
        "trace.objective": found.trace.objective,
        "trace.rates": found.trace.rates,
        **({} if found.rates is None else {"rates": found.rates}),
    }
    assert held.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(held[name], tensor)


def test_a_place_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
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
