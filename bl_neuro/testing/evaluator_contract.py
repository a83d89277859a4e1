"""The contract suite of evaluators: what every evaluator must do.

In your test module:

    class TestMyEvaluator(EvaluatorContract):
        kind = "my_evaluator"
        settings: ClassVar = {"epochs": 30}

Needs pytest. The evaluator is trained once, on small images of bars.
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
    """What evaluators of all kinds must do. Set `kind`, and `settings` with which training takes seconds."""

    kind: ClassVar[str]
    settings: ClassVar[dict[str, Any]] = {}
    least_accuracy: ClassVar[float] = 0.8
    """Minimum accuracy on held-out bars, where chance is one third."""

    def trained(self) -> ImageEvaluator:
        """An evaluator that is trained once for all tests of the suite."""
        return _trained(self.kind, json.dumps(self.settings))

    def short(self, data: Samples, **changes: Any) -> ImageEvaluator:
        """An evaluator after a short training, to test what its training depends on."""
        if EVALUATORS.find(self.kind).fitted_at_once:
            changes.pop("epochs", None)
        return train_evaluator(data, kind=self.kind, steps=STEPS, **{**self.settings, **changes})

    def test_its_name_finds_it(self) -> None:
        """The registry contains it under its name, with a title and settings."""
        entry = EVALUATORS.find(self.kind)
        assert entry.name == self.kind
        assert entry.title
        assert entry.judges in ("images", "spikes")
        assert issubclass(entry.Settings, EvaluatorSettings)
        assert dataclasses.is_dataclass(entry.Settings)
        json.dumps(entry.Settings(**self.settings).definition(), allow_nan=False)

    def test_wrong_settings_are_refused_by_name(self) -> None:
        """Unknown settings, and settings of a wrong type, raise an error that names them."""
        data = bars(0)
        with pytest.raises(InputError, match="no_such_setting"):
            self.short(data, no_such_setting=1)
        for field in dataclasses.fields(EVALUATORS.find(self.kind).Settings):
            with pytest.raises(InputError, match=field.name):
                train_evaluator(data, kind=self.kind, **{**self.settings, field.name: {"no": "such value"}})

    def test_it_learns(self) -> None:
        """It is better than chance on images it was not trained on, and is in evaluation mode."""
        evaluator = self.trained()
        assert evaluator.accuracy(bars(1)) >= self.least_accuracy
        assert not evaluator.training
        assert (evaluator.shape, evaluator.classes) == ((1, SIDE, SIDE), CLASSES)
        assert evaluator.architecture == " ".join(evaluator.architecture.split())

    def test_it_judges_images_and_spikes(self) -> None:
        """Images and spikes give probabilities and features; an image gives the same alone as in a batch."""
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
        """Images of another size, with other channels, or flat, raise an error."""
        for shape in (
            (1, SIDE, SIDE),
            (2, 1, SIDE, SIDE + 1),
            (2, 3, SIDE, SIDE),
            (2, SIDE * SIDE),
            (0, 1, SIDE, SIDE),
        ):
            with pytest.raises(InputError, match="expected images of shape"):
                self.trained().probabilities(np.zeros(shape))

    def test_it_is_less_certain_of_noise(self) -> None:
        """Its certainty is finite, and lower for most images of noise than for most bars."""
        evaluator = self.trained()
        noise = stream(0, "contract noise").random((60, 1, SIDE, SIDE))
        of_bars, of_noise = evaluator.certainty(bars(1).images), evaluator.certainty(noise)
        assert of_bars.shape == (150,)
        assert np.isfinite(of_bars).all()
        assert np.median(of_noise) < np.median(of_bars)

    def test_its_file_survives_a_round_trip(self, tmp_path: Path) -> None:
        """Saving and loading does not change its answers."""
        evaluator, path = self.trained(), tmp_path / "evaluator.safetensors"
        evaluator.save(path)
        again = load_evaluator(path)
        assert type(again) is type(evaluator)
        assert again.architecture == evaluator.architecture
        inputs = bars(1).images[:9]
        np.testing.assert_array_equal(again.probabilities(inputs), evaluator.probabilities(inputs))

    def test_it_comes_from_its_seed_alone(self) -> None:
        """Its weights depend only on the seed. Training changes no global state.

        An evaluator that is fitted in one step may not depend on the seed.
        """
        chance, data = global_chance(), bars(0)
        first, again, other = (self.short(data, epochs=1, seed=seed) for seed in (1, 1, 2))
        assert global_chance() == chance
        assert all(map(torch.equal, first.state_dict().values(), again.state_dict().values()))
        if not EVALUATORS.find(self.kind).fitted_at_once:
            assert not all(map(torch.equal, first.state_dict().values(), other.state_dict().values()))

    def test_it_resumes_from_its_checkpoint(self, tmp_path: Path) -> None:
        """A finished training is not repeated, and a checkpoint with another seed raises an error.

        An evaluator that is fitted in one step has no checkpoint.
        """
        if EVALUATORS.find(self.kind).fitted_at_once:
            return
        place, data = Checkpoint(tmp_path / "checkpoint.safetensors"), bars(0)
        first, again = (self.short(data, epochs=1, checkpoint=place) for _ in range(2))
        assert all(map(torch.equal, first.state_dict().values(), again.state_dict().values()))
        with pytest.raises(InputError, match="another training"):
            self.short(data, epochs=1, seed=5, checkpoint=place)

    def test_it_learns_from_events(self) -> None:
        """It can be trained on event recordings, and judges their spikes."""
        images = bars(0, 30)
        frames = np.moveaxis(images.spikes(slice(30), STEPS, stream(0, "contract")), 0, 1)
        events = EventDataset.from_frames("bars", "made up", frames, images.labels, images.class_names)
        evaluator = self.short(events, epochs=1)
        assert 0.0 <= evaluator.accuracy(events) <= 1.0


@cache
def _trained(kind: str, settings: str) -> ImageEvaluator:
    return train_evaluator(bars(0), kind=kind, steps=STEPS, **json.loads(settings))


def bars(seed: int, count: int = 150) -> Dataset:
    """Noisy images of a vertical, horizontal or diagonal bar."""
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
