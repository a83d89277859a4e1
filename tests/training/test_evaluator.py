"""The evaluator: accurate, repeatable, blind to brightness; its files are read or refused."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from bl_neuro import InputError, ModelFileError
from bl_neuro.data import Split
from bl_neuro.testing.attack_assertions import global_chance
from bl_neuro.training import (
    EVALUATORS,
    Checkpoint,
    ConvEvaluator,
    Evaluator,
    ImageEvaluator,
    image_evaluator,
    load_evaluator,
    train_evaluator,
)

IN_EPOCHS = [name for name in EVALUATORS if not EVALUATORS.find(name).fitted_at_once]
NORMALISED = ("conv", "spiking")
FACTS = {"format": "bl-neuro/evaluator/2", "kind": "conv", "shape": "1,8,8", "classes": "10"}


@pytest.fixture(
    scope="module",
    params=[pytest.param(kind, marks=pytest.mark.slow) if kind == "spiking" else kind for kind in NORMALISED],
)
def trained(request: pytest.FixtureRequest, split: Split) -> ImageEvaluator:
    return train_evaluator(split.evaluator, kind=request.param, steps=10, epochs=30)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "evaluator.safetensors"


def weights(evaluator: ImageEvaluator) -> list[torch.Tensor]:
    return list(evaluator.state_dict().values())


@pytest.mark.slow
def test_learns_the_digits(trained: ImageEvaluator, split: Split) -> None:
    assert trained.accuracy(split.test) > 0.9
    assert not trained.training


@pytest.mark.slow
def test_probabilities_are_probabilities(trained: ImageEvaluator, split: Split) -> None:
    images = split.test.images[:20]
    probabilities = trained.probabilities(images)
    assert probabilities.shape == (20, 10)
    assert probabilities.dtype == np.float64
    assert probabilities.min() >= 0
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(trained.probabilities(images[3:4])[0], probabilities[3], atol=1e-5)
    np.testing.assert_allclose(trained.probabilities(images), probabilities)  # no dropout when it judges


@pytest.mark.slow
def test_does_not_see_brightness_or_contrast(trained: ImageEvaluator, split: Split) -> None:
    images = split.test.images[:20]
    np.testing.assert_allclose(trained.probabilities(images * 0.3 + 0.4), trained.probabilities(images), atol=1e-3)


def test_a_blank_image_is_judged_all_the_same(trained: ImageEvaluator) -> None:
    assert np.isfinite(trained.probabilities(np.zeros((1, 1, 8, 8)))).all()


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 1, 8, 9), (2, 3, 8, 8), (2, 64), (0, 1, 8, 8)])
def test_refuses_images_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"evaluator: expected images of shape \(1, 8, 8\)"):
        ConvEvaluator((1, 8, 8), 10).probabilities(np.zeros(shape))


def test_is_an_evaluator(trained: ImageEvaluator) -> None:
    judge: Evaluator = trained
    assert judge.shape == (1, 8, 8)
    assert judge.spiking == (judge.name == "spiking")
    assert ("not spiking" in judge.architecture) != judge.spiking


def test_spikes_are_judged_as_the_images_they_average_to(trained: ImageEvaluator, split: Split) -> None:
    images = split.test.images[:60]
    held = np.broadcast_to(images, (12, *images.shape))
    np.testing.assert_allclose(trained.probabilities(held), trained.probabilities(images), atol=1e-4)
    spikes = split.test.spikes(slice(60), 60, np.random.default_rng(0))
    assert (trained.probabilities(spikes).argmax(1) == split.test.labels[:60]).mean() > 0.8


def test_features_tell_classes_apart(trained: ImageEvaluator, split: Split) -> None:
    features = trained.features(split.test.images[:200])
    assert features.shape[0] == 200
    assert features.ndim == 2
    labels = split.test.labels[:200]
    unit = features / np.linalg.norm(features, axis=1, keepdims=True).clip(1e-9)
    likeness = unit @ unit.T
    np.fill_diagonal(likeness, -1)
    assert (labels[likeness.argmax(1)] == labels).mean() > 0.8


def test_many_images_are_judged_a_few_at_a_time(
    trained: ImageEvaluator, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trained.probabilities(split.test.images[:10])
    monkeypatch.setattr(image_evaluator, "BATCH", 3)
    np.testing.assert_allclose(trained.probabilities(split.test.images[:10]), whole, atol=1e-6)


@pytest.mark.parametrize("kind", IN_EPOCHS)
@pytest.mark.parametrize("shape", [(1, 2, 2), (1, 8, 8), (1, 23, 40), (1, 28, 28), (3, 34, 34), (1, 112, 92)])
def test_takes_images_of_any_size(kind: str, shape: tuple[int, int, int]) -> None:
    evaluator = EVALUATORS.find(kind)(shape, 4)
    assert evaluator.probabilities(np.random.default_rng(0).random((2, *shape))).shape == (2, 4)
    assert len(evaluator.architecture) < 120


@pytest.mark.parametrize("shape", [(1, 1, 8), (1, 8, 1), (1, 200, 9)])
@pytest.mark.parametrize("kind", NORMALISED)
def test_refuses_lines(kind: str, shape: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match="at least 2 pixels per side"):
        EVALUATORS.find(kind)(shape, 4)


@pytest.mark.parametrize(
    "options", [{"kind": "oracle"}, {"steps": 0}, {"batch": 8}, {"epochs": -1}, {"device": "abacus"}]
)
def test_refuses_options(options: dict[str, Any], few: Split) -> None:
    with pytest.raises(InputError, match="evaluator: expected one of" if "kind" in options else next(iter(options))):
        train_evaluator(few.evaluator, **options)


def test_resumes_from_its_checkpoint(few: Split, tmp_path: Path) -> None:
    place = Checkpoint(tmp_path / "checkpoint.safetensors")
    first, again = (train_evaluator(few.evaluator, steps=4, epochs=2, checkpoint=place) for _ in range(2))
    assert all(map(torch.equal, weights(first), weights(again)))
    with pytest.raises(InputError, match="another training: purpose"):
        train_evaluator(few.evaluator, kind="spiking", steps=4, epochs=2, checkpoint=place)


@pytest.mark.parametrize("kind", IN_EPOCHS)
def test_comes_from_its_seed_alone(kind: str, few: Split) -> None:
    states = global_chance()
    first, again, other = (
        train_evaluator(few.evaluator, kind=kind, steps=4, epochs=2, seed=seed) for seed in (1, 1, 2)
    )
    assert all(map(torch.equal, weights(first), weights(again)))
    assert not any(map(torch.equal, weights(first), weights(other)))
    assert global_chance() == states


def test_reports_progress(few: Split) -> None:
    calls: list[tuple[int, int]] = []
    train_evaluator(few.evaluator, steps=2, epochs=2, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 2), (2, 2)]


# Files


def test_round_trip_is_exact(trained: ImageEvaluator, path: Path, split: Split) -> None:
    trained.save(path)
    states = global_chance()
    again = load_evaluator(path)
    assert global_chance() == states
    assert (again.shape, again.classes) == ((1, 8, 8), 10)
    assert np.array_equal(again.probabilities(split.test.images), trained.probabilities(split.test.images))


def forge(path: Path, changes: dict[str, torch.Tensor | None] | None = None, **facts: str | None) -> None:
    """Writes an evaluator's file with tensors and facts exchanged, or left out where None."""
    tensors = {**ConvEvaluator((1, 8, 8), 10).state_dict(), **(changes or {})}
    metadata = {**FACTS, **facts}
    save_file(
        {name: tensor for name, tensor in tensors.items() if tensor is not None},
        path,
        metadata={name: fact for name, fact in metadata.items() if fact is not None},
    )


def refused(path: Path, message: str = "") -> None:
    with pytest.raises(ModelFileError, match=message) as error:
        load_evaluator(path)
    assert str(path) in str(error.value)


def test_forged_files_are_read_where_nothing_is_wrong(path: Path) -> None:
    forge(path)
    assert load_evaluator(path).classes == 10


@pytest.mark.parametrize(
    "facts",
    [
        {"format": None},
        {"format": "bl-neuro/network/1"},
        {"kind": None},
        {"kind": "oracle"},
        {"shape": None},
        {"classes": None},
        {"shape": "1,8"},
        {"shape": "1,8,eight"},
        {"shape": "1,0,8"},
        {"shape": "-1,8,8"},
        {"shape": "1,8,16"},
        {"shape": "1,99999999,99999999"},
        {"classes": "ten"},
        {"classes": "0"},
        {"classes": "11"},
        {"classes": "1000000000"},
        {"classes": "9" * 5000},
    ],
    ids=lambda facts: ",".join(f"{name} {fact}" for name, fact in facts.items())[:40],
)
def test_refuses_facts(path: Path, facts: dict[str, Any]) -> None:
    forge(path, **facts)
    refused(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"first.weight": None},
        {"extra": torch.zeros(1)},
        {"first.weight": torch.zeros(16, 1, 5, 5)},
        {"last.bias": torch.zeros(10, dtype=torch.float64)},
        {"last.bias": torch.zeros(10, dtype=torch.float16)},
        {"last.bias": torch.zeros(10, dtype=torch.int64)},
        {"last.bias": torch.full((10,), float("nan"))},
        {"last.bias": torch.full((10,), float("inf"))},
    ],
    ids=["missing", "surplus", "shape", "float64", "float16", "int64", "NaN", "infinity"],
)
def test_refuses_weights(path: Path, changes: dict[str, Any]) -> None:
    forge(path, changes)
    refused(path)


def test_a_huge_stated_size_allocates_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file may state the largest size: nothing of that size is allocated before its weights are read."""
    made: list[int] = []
    linear = torch.nn.Linear.reset_parameters

    def counted(self: torch.nn.Linear) -> None:
        made.append(0 if self.weight.is_meta else self.weight.numel())
        linear(self)

    monkeypatch.setattr(torch.nn.Linear, "reset_parameters", counted)
    forge(path, shape="512,512,512")
    refused(path)
    assert len(made) > 2
    assert max(made[2:], default=0) == 0  # the first two are those of the forger


@pytest.mark.parametrize("content", [b"", b"\0" * 80, b"PK\x03\x04" + b"\0" * 80, struct.pack("<Q", 2) + b"{}"])
def test_refuses_other_files(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    refused(path)


def test_refuses_missing_files(tmp_path: Path) -> None:
    refused(tmp_path / "none.safetensors")
    refused(tmp_path)


@settings(max_examples=100)
@given(data=st.data())
def test_damage_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    forge(path)
    content = bytearray(path.read_bytes())
    header = 8 + struct.unpack("<Q", content[:8])[0]
    content[data.draw(st.integers(0, header - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content[: data.draw(st.integers(header, len(content)))] if data.draw(st.booleans()) else content)
    with suppress(ModelFileError):
        assert load_evaluator(path).classes == 10


def test_an_unwritable_path_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelFileError, match="could not be written"):
        ConvEvaluator((1, 8, 8), 10).save(tmp_path / "file" / "evaluator.safetensors")


def test_nothing_but_weights_is_in_the_file(trained: ImageEvaluator, path: Path) -> None:
    trained.save(path)
    assert load_file(path).keys() == trained.state_dict().keys()


def test_evaluators_name_their_files() -> None:
    names = [EVALUATORS.find(name).file_name() for name in EVALUATORS.ours]
    others = [f"evaluator-{name}.safetensors" for name in EVALUATORS.ours if name != "conv"]
    assert names == ["evaluator.safetensors", *others]
