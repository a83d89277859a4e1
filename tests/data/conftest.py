"""Small files in the real formats, and where the real data is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Event = tuple[int, int, int, int]
"""x, y, microseconds, polarity."""


class Files:
    """Writes small datasets in the formats of the real ones."""

    @staticmethod
    def idx(path: Path, values: np.ndarray) -> None:
        """An idx file of bytes, as LeCun et al. define it: a magic number, the sizes, the values."""
        path.parent.mkdir(parents=True, exist_ok=True)
        header = bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
        path.write_bytes(header + values.astype(np.uint8).tobytes())

    @staticmethod
    def mnist(root: Path, train: int = 12, test: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """A small MNIST; returns all images and labels, training first."""
        rng = np.random.default_rng(seed)
        images = rng.integers(0, 256, size=(train + test, 28, 28), dtype=np.uint8)
        labels = np.arange(train + test) % 10
        for part, index in (("train", slice(0, train)), ("t10k", slice(train, None))):
            Files.idx(root / "MNIST/raw" / f"{part}-images-idx3-ubyte", images[index])
            Files.idx(root / "MNIST/raw" / f"{part}-labels-idx1-ubyte", labels[index])
        return images, labels

    @staticmethod
    def pgm(path: Path, values: np.ndarray) -> None:
        """A binary 8-bit PGM."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"P5\n%d %d\n255\n" % values.shape[::-1] + values.astype(np.uint8).tobytes())

    @staticmethod
    def faces(root: Path, people: Sequence[int] = (1, 2, 10), numbers: Sequence[int] = range(1, 11)) -> None:
        """Photographs in which every pixel is 20 times the person plus the number."""
        for person in people:
            for number in numbers:
                Files.pgm(root / f"att_faces/s{person}/{number}.pgm", np.full((112, 92), 20 * person + number))

    @staticmethod
    def image(path: Path, values: np.ndarray) -> None:
        """An image in the format of the path's suffix."""
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values.astype(np.uint8)).save(path)

    @staticmethod
    def events(events: Sequence[Event]) -> bytes:
        """The 5 bytes of each event: x, y, one bit of polarity and 23 bits of time."""
        return b"".join(bytes([x, y]) + (p << 23 | t).to_bytes(3, "big") for x, y, t, p in events)

    @staticmethod
    def moving_dot(start: int, side: int, polarity: int = 0, steps: int = 40, pause: int = 1000) -> list[Event]:
        """A dot that walks along a row, and one beside it, so that neither is noise."""
        return [
            (min(start + step % (side - start), side - 1), start + row, 100 + pause * step, polarity)
            for step in range(steps)
            for row in (0, 1)
        ]

    @staticmethod
    def nmnist(root: Path, train: int = 12, test: int = 3) -> None:
        """A small N-MNIST of moving dots."""
        for part, first, count in (("Train", 1, train), ("Test", 1, test)):
            for number in range(count):
                path = root / f"NMNIST/{part}/{number % 10}/{first + number:05d}.bin"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(Files.events(Files.moving_dot(number % 10, 34)))


@pytest.fixture(scope="session")
def files() -> type[Files]:
    return Files


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of downloaded data that BL_NEURO_DATA names."""
    root = os.environ.get("BL_NEURO_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("needs downloaded data: set BL_NEURO_DATA to the folder that holds it")
    return Path(root)


@pytest.fixture(autouse=True)
def _no_caches_or_data_of_the_user(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "real_data" not in request.fixturenames:
        monkeypatch.delenv("BL_NEURO_DATA", raising=False)
    monkeypatch.setenv("BL_NEURO_CACHE", str(tmp_path_factory.mktemp("cache")))
