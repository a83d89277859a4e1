"""The training loop: it returns the best weights, stops without gain, and resumes from checkpoints."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from bl_neuro import InputError, ModelFileError
from bl_neuro.training import Checkpoint
from bl_neuro.training.checkpoint import _digest, write_checkpoint
from bl_neuro.training.fit import Course, Phase, epochs_for, fit

X = torch.from_numpy(np.random.default_rng(0).normal(size=(40, 6))).float()
Y = (X[:, 0] > 0).long()


class Interrupted(Exception):
    pass


def module() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))


def phases(net: nn.Module, epochs: tuple[int, ...] = (3, 2)) -> list[Phase]:
    def loss(index: Any, rng: np.random.Generator) -> torch.Tensor:
        noisy = X[index] + 0.1 * torch.from_numpy(rng.normal(size=(len(index), 6))).float()
        return F.cross_entropy(net(noisy), Y[index])

    return [Phase(count, 0.05, 0.01, loss) for count in epochs]


def course(**changes: Any) -> Course:
    plain = Course(samples=np.arange(40), batch=16, seed=3, purpose="test", facts={"data": "normal"})
    return dataclasses.replace(plain, **changes)


def weights(net: nn.Module) -> list[torch.Tensor]:
    return [value.clone() for value in net.state_dict().values()]


def same(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    return all(map(torch.equal, first, second))


def trained(**changes: Any) -> list[torch.Tensor]:
    net = module()
    fit(net, phases(net), course(**changes))
    return weights(net)


def scores(net: nn.Module, values: list[float]) -> tuple[Callable[[], tuple[float, float]], list[list[torch.Tensor]]]:
    """A validation that answers with `values`, and the weights it saw."""
    seen: list[list[torch.Tensor]] = []

    def validate() -> tuple[float, float]:
        seen.append(weights(net))
        return values[len(seen) - 1], 0.0

    return validate, seen


def test_comes_from_its_seed_alone() -> None:
    state = torch.get_rng_state()
    first = trained()
    torch.rand(3)
    assert same(trained(), first)
    assert not same(trained(seed=4), first)
    assert not same(trained(purpose="other"), first)
    torch.set_rng_state(state)
    trained()
    assert torch.equal(torch.get_rng_state(), state)


def test_learns() -> None:
    net = module()
    fit(net, phases(net, (20,)), course())
    assert not net.training
    assert float((net(X).argmax(1) == Y).float().mean()) > 0.9


def test_the_best_comes_out_and_the_next_phase_starts_from_it() -> None:
    net = module()
    validate, seen = scores(net, [0.2, 0.7, 0.6, 0.1, 0.3])
    fit(net, phases(net), course(validate=validate))
    assert len(seen) == 5
    assert same(weights(net), seen[1])


def test_stops_without_gain_but_tries_every_phase() -> None:
    net = module()
    validate, seen = scores(net, [0.5, 0.5, 0.4, 0.3, 0.6, 0.2, 0.1, 0.3])
    fit(net, phases(net, (9, 9)), course(validate=validate, patience=3))
    assert len(seen) == 8  # in each phase a gain, and three epochs without
    assert same(weights(net), seen[4])


def test_reports_progress() -> None:
    calls: list[tuple[int, int]] = []
    trained(progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


def test_without_epochs_nothing_changes() -> None:
    net = module()
    before = weights(net)
    fit(net, phases(net, (0, 0)), course())
    assert same(weights(net), before)


@pytest.mark.parametrize(("samples", "epochs"), [(10, 40), (9_000, 20), (60_000, 5)])
def test_epochs_that_are_left_open(samples: int, epochs: int) -> None:
    assert epochs_for(samples, 5, 40) == epochs


# Checkpoints


def cut_short(after: int, place: Checkpoint, **changes: Any) -> None:
    """A training that dies after so many epochs."""

    def die(done: int, _: int) -> None:
        if done == after:
            raise Interrupted

    net = module()
    with suppress(Interrupted):
        fit(net, phases(net), course(checkpoint=place, progress=die, **changes))


@pytest.mark.parametrize("after", [1, 2, 3, 4, 5])
def test_a_resumed_training_gives_the_uninterrupted_result(after: int, tmp_path: Path) -> None:
    place = Checkpoint(tmp_path / "checkpoint.safetensors", every_s=0)
    cut_short(after, place)
    calls: list[int] = []
    assert same(trained(checkpoint=place, progress=lambda done, _: calls.append(done)), trained())
    assert calls == list(range(after + 1, 6)) or (after == 5 and calls == [5])


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_goes_on_with_the_best_and_its_patience(after: int, tmp_path: Path) -> None:
    values = [0.2, 0.7, 0.6, 0.1, 0.3]
    place = Checkpoint(tmp_path / "checkpoint.safetensors", every_s=0)
    whole = module()
    fit(whole, phases(whole), course(validate=scores(whole, values)[0], patience=2))
    first = module()

    def die(done: int, _: int) -> None:
        if done == after:
            raise Interrupted

    with suppress(Interrupted):
        fit(first, phases(first), course(validate=scores(first, values)[0], patience=2, checkpoint=place, progress=die))
    again = module()
    validate = scores(again, values[after:])[0]
    fit(again, phases(again), course(validate=validate, patience=2, checkpoint=place))
    assert same(weights(again), weights(whole))


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    place = Checkpoint(tmp_path / "checkpoint.safetensors")
    first = trained(checkpoint=place)
    content = Path(place.path).read_bytes()
    net = module()
    fit(net, [Phase(3, 0.05, 0.01, lambda *_: pytest.fail("trained again"))] * 2, course(checkpoint=place))
    assert same(weights(net), first)
    assert Path(place.path).read_bytes() == content


def test_checkpoints_are_written_at_most_at_the_given_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []

    def counted(*args: Any) -> None:
        written.append(1)
        write_checkpoint(*args)

    monkeypatch.setattr("bl_neuro.training.fit.write_checkpoint", counted)
    trained(checkpoint=Checkpoint(tmp_path / "checkpoint.safetensors", every_s=3600))
    assert len(written) == 1


@pytest.mark.parametrize("changes", [{"seed": 4}, {"purpose": "other"}, {"facts": {"data": "uniform"}}])
def test_refuses_the_checkpoint_of_another_training(changes: dict[str, Any], tmp_path: Path) -> None:
    place = Checkpoint(tmp_path / "checkpoint.safetensors", every_s=0)
    cut_short(2, place)
    with pytest.raises(
        InputError, match=r"checkpoint\.safetensors: the checkpoint belongs to another training: \w+: expected"
    ):
        trained(checkpoint=place, **changes)


def rewritten(path: Path, change: Callable[[dict[str, Any], dict[str, str]], None]) -> None:
    with safe_open(str(path), framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = dict(file.metadata())
    change(tensors, header)
    save_file(tensors, path, header)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors, header: header.update(format="bl-neuro/network/1"),
        lambda tensors, header: header.update(standing="{}"),
        lambda tensors, header: header.update(standing="[]"),
        lambda tensors, header: header.update(standing="nonsense"),
        lambda tensors, header: header.pop("standing"),
        lambda tensors, header: header.update(facts="[]"),
        lambda tensors, header: header.pop("facts"),
        lambda tensors, header: tensors.pop("weights.0.weight"),
        lambda tensors, header: tensors.update({"weights.0.weight": torch.zeros(3)}),
        lambda tensors, header: tensors.update({"weights.0.weight": torch.full((8, 6), float("nan"))}),
        lambda tensors, header: tensors.update({"best.0.weight": torch.zeros(8, 6)}),
        lambda tensors, header: tensors.update({"optimiser.exp_avg.0.weight": torch.zeros(3)}),
        lambda tensors, header: tensors.update({"optimiser.exp_avg.9.weight": torch.zeros(3)}),
        lambda tensors, header: tensors.pop("optimiser.exp_avg.0.weight"),
        lambda tensors, header: tensors.update({"surplus": torch.zeros(3)}),
    ],
)
@pytest.mark.slow
@pytest.mark.parametrize("digest", ["old", "new"])
def test_a_damaged_checkpoint_is_set_aside_and_the_training_starts_anew(
    change: Any, digest: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = Checkpoint(tmp_path / "checkpoint.safetensors", every_s=0)
    cut_short(2, place)

    def damage(tensors: dict[str, Any], header: dict[str, str]) -> None:
        change(tensors, header)
        if digest == "new":  # as if somebody had written a checkpoint that does not hold together
            header.pop("digest")
            header["digest"] = _digest(header, tensors)

    rewritten(Path(place.path), damage)
    calls: list[int] = []
    assert same(trained(checkpoint=place, progress=lambda done, _: calls.append(done)), trained())
    assert calls == [1, 2, 3, 4, 5]
    assert (tmp_path / "checkpoint.safetensors.damaged").exists()
    (problem,) = place.damage
    assert problem.startswith("checkpoint.safetensors: damaged checkpoint (")
    assert "it is now checkpoint.safetensors.damaged, and the training starts anew" in caplog.text


@pytest.mark.slow
@settings(max_examples=60)
@given(data=st.data())
def test_any_flipped_bit_or_cut_is_noticed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    path.unlink(missing_ok=True)
    cut_short(2, Checkpoint(path, every_s=0))
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    path.write_bytes(content)
    place = Checkpoint(path, every_s=3600)
    assert same(trained(checkpoint=place), trained())


def test_one_flipped_bit_of_a_weight_is_noticed(tmp_path: Path) -> None:
    place = Checkpoint(tmp_path / "checkpoint.safetensors", every_s=0)
    cut_short(2, place)
    path = Path(place.path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert same(trained(checkpoint=place), trained())
    assert place.damage == ["checkpoint.safetensors: damaged checkpoint (its content does not match its digest)"]


def test_a_whole_file_of_another_kind_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"x": torch.zeros(3)}, path, {"format": "pt"})
    content = path.read_bytes()
    with pytest.raises(ModelFileError, match=r"expected a checkpoint .*, found 'pt'"):
        trained(checkpoint=Checkpoint(path))
    assert path.read_bytes() == content


def test_an_unwritable_path_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelFileError, match="could not be written"):
        trained(checkpoint=Checkpoint(tmp_path / "file" / "checkpoint.safetensors"))


def test_refuses_a_time_below_zero() -> None:
    with pytest.raises(InputError, match="every_s"):
        Checkpoint("x", every_s=-1)
