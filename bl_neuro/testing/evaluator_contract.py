"""The contract suite of evaluators: what every evaluator must do.

In a test module of yours:

    class TestMyEvaluator(EvaluatorContract):
        kind = "my_evaluator"
        settings: ClassVar = {"epochs": 30}

Needs pytest. The evaluator is trained once, on small pictures of bars.
"""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from bl_neuro.data import Dataset, EventDataset, Samples
from bl_neuro.errors import InputError
from bl_neuro.seeding import stream
from bl_neuro.testing.attack_assertions import global_chance
from bl_neuro.training.checkpoint import Checkpoint
from bl_neuro.training.evaluator import load_evaluator, train_evaluator
from bl_neuro.training.image_evaluator import EvaluatorSettings, ImageEvaluator
from bl_neuro.training.registry import EVALUATORS

STEPS, SIDE, CLASSES = 12, 8, 3


class EvaluatorContract:
    """What evaluators of all kinds must do. Set `kind`, and `settings` with which it learns in seconds."""

    kind: ClassVar[str]
    settings: ClassVar[dict[str, Any]] = {}
    least_accuracy: ClassVar[float] = 0.8
    """Of bars that it did not see, where a third is chance."""

    def trained(self) -> ImageEvaluator:
        """One evaluator, trained once for all tests of the suite."""
        return _trained(self.kind, json.dumps(self.settings))

    def short(self, data: Samples, **changes: Any) -> ImageEvaluator:
        """An evaluator of a short training, to see what it depends on."""
        return train_evaluator(data, kind=self.kind, steps=STEPS, **{**self.settings, **changes})

    def test_its_name_finds_it(self) -> None:
        """The registry has it under the name that it states, with a title and settings."""
        entry = EVALUATORS.find(self.kind)
        assert entry.name == self.kind
        assert entry.title
        assert entry.judges in ("images", "spikes")
        assert issubclass(entry.Settings, EvaluatorSettings)
        assert dataclasses.is_dataclass(entry.Settings)
        json.dumps(entry.Settings(**self.settings).definition(), allow_nan=False)

    def test_wrong_settings_are_refused_by_name(self) -> None:
        """Unknown settings, and settings of a type that they cannot have."""
        data = bars(0)
        with pytest.raises(InputError, match="no_such_setting"):
            self.short(data, no_such_setting=1)
        for field in dataclasses.fields(EVALUATORS.find(self.kind).Settings):
            with pytest.raises(InputError, match=field.name):
                self.short(data, **{field.name: {"no": "such value"}})

    def test_it_learns(self) -> None:
        """Better than chance on images that it did not see, and it is ready to judge."""
        evaluator = self.trained()
        assert evaluator.accuracy(bars(1)) >= self.least_accuracy
        assert not evaluator.training
        assert (evaluator.shape, evaluator.classes) == ((1, SIDE, SIDE), CLASSES)
        assert evaluator.architecture == " ".join(evaluator.architecture.split())

    def test_it_judges_images_and_spikes(self) -> None:
        """Both give probabilities of every class and features; an image alone is judged as among others."""
        evaluator, data = self.trained(), bars(1)
        images = data.images[:9]
        for inputs in (images, data.spikes(slice(9), STEPS, stream(0, "contract"))):
            table = evaluator.probabilities(inputs)
            assert table.shape == (9, CLASSES)
            assert table.dtype == np.float64
            np.testing.assert_allclose(table.sum(1), 1, atol=1e-6)
            np.testing.assert_array_equal(evaluator.probabilities(inputs), table)
            features = evaluator.features(inputs)
            assert features.shape[0] == 9
            assert features.ndim == 2
        np.testing.assert_allclose(
            evaluator.probabilities(images[4:5])[0], evaluator.probabilities(images)[4], atol=1e-5
        )

    def test_other_shapes_are_refused(self) -> None:
        """An image of another size, of other channels, or in a row."""
        for shape in (
            (1, SIDE, SIDE),
            (2, 1, SIDE, SIDE + 1),
            (2, 3, SIDE, SIDE),
            (2, SIDE * SIDE),
            (0, 1, SIDE, SIDE),
        ):
            with pytest.raises(InputError, match="expected images of shape"):
                self.trained().probabilities(np.zeros(shape))

    def test_its_file_survives_a_round_trip(self, tmp_path: Path) -> None:
        """Saved and loaded, it judges as before, to the last bit."""
        evaluator, path = self.trained(), tmp_path / "evaluator.safetensors"
        evaluator.save(path)
        again = load_evaluator(path)
        assert type(again) is type(evaluator)
        assert again.architecture == evaluator.architecture
        inputs = bars(1).images[:9]
        np.testing.assert_array_equal(again.probabilities(inputs), evaluator.probabilities(inputs))

    def test_it_comes_from_its_seed_alone(self) -> None:
        """Equal seeds give equal weights, whatever was drawn elsewhere; other seeds do not. Nothing global changes."""
        chance, data = global_chance(), bars(0)
        first, again, other = (self.short(data, epochs=1, seed=seed) for seed in (1, 1, 2))
        assert global_chance() == chance
        assert all(map(torch.equal, first.state_dict().values(), again.state_dict().values()))
        assert not all(map(torch.equal, first.state_dict().values(), other.state_dict().values()))

    def test_it_resumes_from_its_checkpoint(self, tmp_path: Path) -> None:
        """A finished training is not done again, and a checkpoint of another seed is refused."""
        place, data = Checkpoint(tmp_path / "checkpoint.safetensors"), bars(0)
        first, again = (self.short(data, epochs=1, checkpoint=place) for _ in range(2))
        assert all(map(torch.equal, first.state_dict().values(), again.state_dict().values()))
        with pytest.raises(InputError, match="another training"):
            self.short(data, epochs=1, seed=5, checkpoint=place)

    def test_it_learns_from_events(self) -> None:
        """Recordings of events train it too, and their spikes are judged."""
        images = bars(0, 30)
        frames = np.moveaxis(images.spikes(slice(30), STEPS, stream(0, "contract")), 0, 1)
        events = EventDataset.from_frames("bars", "made up", frames, images.labels, images.class_names)
        evaluator = self.short(events, epochs=1)
        assert 0.0 <= evaluator.accuracy(events) <= 1.0


@cache
def _trained(kind: str, settings: str) -> ImageEvaluator:
    return train_evaluator(bars(0), kind=kind, steps=STEPS, **json.loads(settings))


def bars(seed: int, count: int = 150) -> Dataset:
    """Noisy pictures of an upright, a lying or a slanting bar."""
    rng = stream(seed, "evaluator contract")
    labels = np.arange(count) % CLASSES
    images = 0.15 * rng.random((count, 1, SIDE, SIDE))
    for image, label in zip(images, labels):
        place = int(rng.integers(1, SIDE - 2))
        if label == 0:
            image[0, :, place : place + 2] = 0.9
        elif label == 1:
            image[0, place : place + 2] = 0.9
        else:
            image[0][np.eye(SIDE, dtype=bool) | np.eye(SIDE, k=1, dtype=bool)] = 0.9
    return Dataset("bars", "made up", images, labels, ("upright", "lying", "slanting"))
