"""The ANN twin: it learns, repeats, can be differentiated; its files are read or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bl_neuro import InputError, ModelFileError
from bl_neuro.attacks import AnnBox, GradientInversion
from bl_neuro.data import Dataset, EventDataset, Split
from bl_neuro.testing.attack_assertions import global_chance
from bl_neuro.training import AnnTwin, Checkpoint, load_ann_twin, train_ann_twin


@pytest.fixture(scope="module")
def trained(split: Split) -> AnnTwin:
    return train_ann_twin(split.target, (40,), epochs=40, rate=5e-3)


def test_learns_the_digits(trained: AnnTwin, split: Split) -> None:
    assert trained.accuracy(split.test) > 0.9
    assert (trained.input_shape, trained.hidden, trained.classes) == ((1, 8, 8), (40,), 10)
    assert not trained.training


def test_an_attack_may_differentiate_it(trained: AnnTwin) -> None:
    box = AnnBox(trained)
    values, gradient = box.gradient(torch.full((2, 1, 8, 8), 0.5), lambda logits: logits[:, 3])
    assert gradient.shape == (2, 1, 8, 8)
    assert bool(gradient.any())
    assert (box.input_shape, box.classes, box.queries, len(values)) == ((1, 8, 8), 10, 2, 2)


def test_comes_from_its_seed_alone(few: Split) -> None:
    states = global_chance()
    first, again, other = (train_ann_twin(few.target, (8,), epochs=2, seed=seed) for seed in (1, 1, 2))
    assert all(map(torch.equal, first.state_dict().values(), again.state_dict().values()))
    assert not any(map(torch.equal, first.state_dict().values(), other.state_dict().values()))
    assert global_chance() == states


def test_resumes_from_its_checkpoint(few: Split, tmp_path: Path) -> None:
    place = Checkpoint(tmp_path / "checkpoint.safetensors")
    first = train_ann_twin(few.target, (8,), epochs=2, checkpoint=place)
    again = train_ann_twin(few.target, (8,), epochs=2, checkpoint=place)
    assert all(map(torch.equal, first.state_dict().values(), again.state_dict().values()))
    with pytest.raises(InputError, match="another training: hidden"):
        train_ann_twin(few.target, (9,), epochs=2, checkpoint=place)


def test_events_are_their_mean_frames(few: Split) -> None:
    """Time-summed counts: the order of the frames does not matter, and the inversion is a frame of constant rates."""
    frames = few.target.spikes(slice(0, 40), 8, np.random.default_rng(0)).swapaxes(0, 1)
    labels, names = few.target.labels[:40], few.target.class_names
    events = EventDataset.from_frames("moving digits", "made up", frames, labels, names)
    still = Dataset("mean frames", "made up", frames.mean(axis=1), labels, names)
    twin, same = (train_ann_twin(data, (8,), epochs=2) for data in (events, still))
    assert all(map(torch.equal, twin.state_dict().values(), same.state_dict().values()))
    assert twin.accuracy(events) == twin.accuracy(still)
    inversions = GradientInversion(iterations=2)(AnnBox(twin), classes=[0, 1], steps=50, seed=0)
    assert inversions.spikes.shape == (50, 2, 1, 8, 8)
    assert inversions.rates is not None
    assert torch.allclose(inversions.spikes.float().mean(0), inversions.rates, atol=0.3)


@pytest.mark.parametrize(
    "options", [{"epochs": -1}, {"batch": 0}, {"rate": 0.0}, {"hidden": (0,)}, {"hidden": (10**9,)}]
)
def test_refuses_numbers(options: dict[str, object], few: Split) -> None:
    with pytest.raises(InputError):
        train_ann_twin(few.target, **{"epochs": 1, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("hidden", [(), (5,), (6, 4)])
def test_round_trip_is_exact(hidden: tuple[int, ...], tmp_path: Path) -> None:
    twin = AnnTwin((1, 4, 4), hidden, 3)
    path = tmp_path / "twin.safetensors"
    twin.save(path)
    again = load_ann_twin(path)
    images = torch.from_numpy(np.random.default_rng(0).random((5, 1, 4, 4))).float()
    assert (again.input_shape, again.hidden, again.classes) == ((1, 4, 4), hidden, 3)
    assert torch.equal(again(images), twin(images))


@pytest.mark.parametrize(
    "facts",
    [
        {"format": "bl-neuro/evaluator/2"},
        {"hidden": "five"},
        {"hidden": "6"},
        {"hidden": "0"},
        {"hidden": ",".join(["5"] * 20)},
        {"hidden": "99999999999"},
        {"shape": "1,4"},
        {"shape": "1,4,5"},
        {"shape": "1,99999,99999"},
        {"classes": "4"},
        {"classes": "0"},
    ],
)
def test_refuses_facts(facts: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "twin.safetensors"
    metadata = {"format": "bl-neuro/ann-twin/1", "hidden": "5", "shape": "1,4,4", "classes": "3"}
    save_file(AnnTwin((1, 4, 4), (5,), 3).state_dict(), path, metadata)
    assert load_ann_twin(path).classes == 3
    save_file(AnnTwin((1, 4, 4), (5,), 3).state_dict(), path, {**metadata, **facts})
    with pytest.raises(ModelFileError, match=r"twin\.safetensors"):
        load_ann_twin(path)
