"""Event datasets: frames packed into bits, and the spikes given to a network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as st_numpy

from bl_neuro import InputError
from bl_neuro.data import EventDataset, Samples
from bl_neuro.data.events import pack, unpack

RNG = np.random.default_rng(0)
FRAMES = (RNG.random((5, 4, 2, 3, 3)) < 0.4).astype(np.uint8)
LABELS = np.array([0, 1, 0, 1, 1])


def dataset(frames: np.ndarray = FRAMES) -> EventDataset:
    return EventDataset.from_frames("dots", "made up", frames, LABELS[: len(frames)], ("a", "b"))


@given(st_numpy.arrays(np.bool_, st_numpy.array_shapes(min_dims=4, max_dims=5, max_side=6)))
def test_packing_loses_nothing(frames: np.ndarray) -> None:
    packed = pack(frames)
    assert packed.dtype == np.uint8
    assert packed.shape == (*frames.shape[:-3], -(-int(np.prod(frames.shape[-3:])) // 8))
    assert np.array_equal(unpack(packed, frames.shape[-3:]), frames)


def test_it_is_a_dataset_like_those_of_images() -> None:
    data: Samples = dataset()
    assert (data.classes, data.input_shape, data.class_names) == (2, (2, 3, 3), ("a", "b"))
    np.testing.assert_allclose(data.images, FRAMES.mean(axis=1))
    np.testing.assert_allclose(data.images_at(np.array([3, 1])), FRAMES[[3, 1]].mean(axis=1))
    np.testing.assert_allclose(data.class_means()[1], FRAMES[[1, 3, 4]].mean(axis=(0, 1)))
    part = data.subset(np.array([4, 0]))
    assert part.labels.tolist() == [1, 0]
    np.testing.assert_allclose(part.images, FRAMES[[4, 0]].mean(axis=1))


def test_images_of_many_samples_are_made_a_few_at_a_time() -> None:
    frames = (RNG.random((150, 3, 1, 2, 5)) < 0.5).astype(np.uint8)
    data = EventDataset.from_frames("many", "made up", frames, np.zeros(150, dtype=int), ("a",))
    assert np.array_equal(data.images, frames.mean(axis=1))
    assert data.packed.nbytes == 150 * 3 * 2


@pytest.mark.parametrize("steps", [1, 3, 4, 7])
@pytest.mark.parametrize("index", [np.array([2, 0]), slice(1, 4)], ids=["array", "slice"])
def test_spikes_are_the_frames_time_first_cut_or_filled_up(steps: int, index: np.ndarray | slice) -> None:
    spikes = dataset().spikes(index, steps, np.random.default_rng(0))
    assert spikes.dtype == np.uint8
    assert spikes.shape == (steps, len(FRAMES[index]), 2, 3, 3)
    kept = min(steps, 4)
    assert np.array_equal(spikes[:kept], np.moveaxis(FRAMES[index], 1, 0)[:kept])
    assert not spikes[kept:].any()
    assert np.array_equal(dataset().frames_at(index), FRAMES[index])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: dataset().spikes(slice(None), 4, RNG, "rate"), "encoder: dots contains spikes, which need no encoder"),
        (lambda: dataset().spikes(slice(None), 0, RNG), r"steps: expected 1\.\.65536, found 0"),
        (lambda: dataset(FRAMES[:, 0]), r"frames: expected \(N, T, C, H, W\), found \(5, 2, 3, 3\)"),
        (lambda: dataset(FRAMES * 2), r"frames: expected only 0 and 1, found 0\.\.2"),
        (lambda: dataset(np.full(FRAMES.shape, np.nan)), "frames: expected only 0 and 1"),
        (lambda: EventDataset("n", "s", pack(FRAMES), LABELS, ("a", "b"), (2, 3, 5)), "packed: expected uint8"),
        (lambda: EventDataset("n", "s", pack(FRAMES), LABELS, ("a",), (2, 3, 3)), r"labels: expected 0\.\.0"),
    ],
)
def test_invalid_events_are_refused(wrong: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        wrong()
