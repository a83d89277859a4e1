"""The published datasets, where they are downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bl_neuro.data import load_dataset, official_split
from bl_neuro.data.dvs_gesture import DVS_GESTURE_FRAMING, GESTURES
from bl_neuro.data.nmnist import NMNIST_FRAMING, nmnist_recordings
from bl_neuro.data.recordings import read_events

pytestmark = pytest.mark.data


def need(root: Path, folder: str) -> Path:
    if not (root / folder).is_dir():
        pytest.skip(f"needs {folder} in the folder that BL_NEURO_DATA names")
    return root / folder


def test_mnist(real_data: Path) -> None:
    pytest.importorskip("torchvision", reason="torchvision is not installed")
    need(real_data, "MNIST")
    data: Any = load_dataset("mnist", real_data)
    assert data.completeness == "all 70,000"
    assert np.bincount(data.labels[:60_000]).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    assert data.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert data.pixels[:60_000].mean() == pytest.approx(33.318, abs=1e-3)
    assert official_split(data, 0).sizes() == {"target": 30_000, "evaluator": 30_000, "test": 10_000}


def test_att_faces(real_data: Path) -> None:
    need(real_data, "att_faces")
    faces: Any = load_dataset("att_faces", real_data)
    assert faces.completeness == "all 400"
    assert (faces.classes, faces.input_shape) == (40, (1, 112, 92))
    split = official_split(faces, 0, target=200, evaluator=120)
    for part, images in ((split.target, 5), (split.evaluator, 3), (split.test, 2)):
        assert np.bincount(part.labels).tolist() == [images] * 40
    # people resemble themselves more than others
    means = split.target.class_means().reshape(40, -1)
    shown = split.test.images.reshape(80, -1)
    nearest = ((shown[:, None] - means[None]) ** 2).mean(axis=2).argmin(axis=1)
    assert (nearest == split.test.labels).mean() > 0.8


def test_our_parser_and_tonics_own(real_data: Path) -> None:
    io = pytest.importorskip("tonic.io", reason="tonic is not installed")
    for folder, pattern, framing in (
        ("NMNIST", "*/*/*.bin", NMNIST_FRAMING),
        ("DVSGesture", "*.bs2", DVS_GESTURE_FRAMING),
    ):
        paths = sorted(need(real_data, folder).glob(pattern))[:3]
        for path in paths:
            ours = read_events(path, framing.sensor)
            assert np.array_equal(ours, io.read_mnist_file(str(path), dtype=ours.dtype))


def linked(root: Path, real: Path, names: list[str]) -> None:
    """A data root with some of the real files."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(real / name)


def test_nmnist(real_data: Path, tmp_path: Path) -> None:
    tonic = pytest.importorskip("tonic", reason="tonic is not installed")
    recordings = nmnist_recordings(need(real_data, "NMNIST"))
    if len(recordings) == 1100:
        assert np.bincount([recording.label for recording in recordings if not recording.held_out]).tolist() == [
            97, 116, 99, 93, 105, 92, 94, 117, 87, 100,
        ]  # fmt: skip
    chosen = [recording for recording in recordings if not recording.held_out][:3] + [
        recording for recording in recordings if recording.held_out
    ][:2]
    linked(tmp_path, real_data, [recording.path.relative_to(real_data).as_posix() for recording in chosen])
    data: Any = load_dataset("nmnist", tmp_path, cache=tmp_path / "cache")
    assert data.labels.tolist() == [recording.label for recording in chosen]
    assert 98 <= data.steps <= 106
    frames = data.frames_at(slice(None))
    transform = tonic.transforms.Compose(
        [tonic.transforms.Denoise(40_000), tonic.transforms.ToFrame(sensor_size=(34, 34, 2), time_window=3_000)]
    )
    for recording, ours in zip(chosen, frames):
        theirs = transform(tonic.io.read_mnist_file(str(recording.path), dtype=tonic.datasets.NMNIST.dtype))
        assert np.array_equal(ours[: len(theirs), 0], np.minimum(theirs[:, 0], 1))
        assert not ours[len(theirs) :].any()


def test_gestures(real_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("tonic", reason="tonic is not installed")
    folder = need(real_data, "DVSGesture")
    names = [path.name for path in sorted(folder.glob("*.bs2"))[:1]]
    if not names:
        pytest.skip("needs recordings *.bs2 in DVSGesture")
    labels = [path.name for path in folder.glob("labels*.txt")]
    linked(tmp_path, real_data, [f"DVSGesture/{name}" for name in names + labels])
    data: Any = load_dataset("dvs_gesture", tmp_path, cache=tmp_path / "cache")
    assert (data.class_names, data.input_shape) == (GESTURES, (1, 128, 128))
    assert data.completeness == "subset: 1 of 1,219"
    assert 20 <= data.steps <= 400
    assert 0.001 < data.images.mean() < 0.5
