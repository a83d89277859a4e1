"""What the child processes of the reading rooms run, run in this process."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from bl_neuro.strangers import hdf5_reader, image_reader
from bl_neuro.strangers.image_reader import pixels
from bl_neuro.strangers.reading_child import READERS, Rejected

COLOUR = np.random.default_rng(0).integers(0, 256, size=(24, 32, 3), dtype=np.uint8)


def encoded(image: Any, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_readers_warm_up() -> None:
    assert set(READERS) == {"hdf5", "images"}
    for reader in (hdf5_reader.READER, image_reader.READER):
        reader.warm_up()
        assert reader.memory(10, 2**28) > 2**28


def test_hdf5(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file.create_dataset("group/values", data=np.arange(90.0), compression=4, shuffle=True)
    with (tmp_path / "file.h5").open("rb") as raw:
        tree = hdf5_reader.READER.read(raw, 4000, 2**20, (1, 0, 0))
    assert np.array_equal(tree["group"]["values"], np.arange(90.0))


@pytest.mark.parametrize("mode", ["L", "RGB", "1", "P", "LA", "RGBA"])
@pytest.mark.parametrize("options", [{}, {"optimize": True}])
def test_png(mode: str, options: dict[str, Any]) -> None:
    image = Image.fromarray(COLOUR).convert(mode)
    content = encoded(image, "PNG", **options)
    assert np.array_equal(pixels(content, 3, 0, 0), np.moveaxis(np.asarray(image.convert("RGB")), -1, 0))
    assert pixels(content, 1, 6, 8).shape == (1, 6, 8)
    for damaged in (content[:-1], content + b"\0", content[:60] + bytes([content[60] ^ 1]) + content[61:]):
        with pytest.raises(Rejected, match="damaged"):
            pixels(damaged, 1, 0, 0)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}, {"subsampling": 0}])
def test_jpeg(options: dict[str, Any]) -> None:
    content = encoded(Image.fromarray(COLOUR), "JPEG", quality=90, **options)
    expected = np.moveaxis(np.asarray(Image.open(io.BytesIO(content))), -1, 0)
    assert np.array_equal(pixels(content, 3, 0, 0), expected)
    frame = content.index(b"\xff\xc2" if "progressive" in options else b"\xff\xc0")
    for place, side in ((5, 8), (5, 48), (7, 16)):
        changed = content[: frame + place] + struct.pack(">H", side) + content[frame + place + 2 :]
        with pytest.raises(Rejected, match=r"pixels are missing|more pixels|header promises pixels in \d+ intervals"):
            pixels(changed, 3, 0, 0)


@pytest.mark.parametrize("options", [{"optimize": True}, {"progressive": True}])
def test_a_jpeg_whose_codes_say_little_is_counted(options: dict[str, Any]) -> None:
    """With so few codes, noise after the pixels changes nothing, as in an image with superfluous pixels."""
    content = encoded(Image.fromarray(np.zeros((1, 1), np.uint8)), "JPEG", **options)
    assert pixels(content, 1, 0, 0).tolist() == [[[0]]]


def test_netpbm_and_other_files() -> None:
    assert pixels(b"P5\n2 1\n255\n\x01\x02", 1, 0, 0).tolist() == [[[1, 2]]]
    for content in (b"", b"GIF89a", b"P5\n2 1\n255\n\x01"):
        with pytest.raises(Rejected):
            pixels(content, 1, 0, 0)


def test_transparent_pixels_are_rejected() -> None:
    with pytest.raises(Rejected, match="expected opaque pixels"):
        pixels(encoded(Image.new("RGBA", (3, 3), (0, 0, 0, 9)), "PNG"), 1, 0, 0)
