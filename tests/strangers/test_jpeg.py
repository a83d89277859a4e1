"""Parts of JPEG files are bounded by the size of the image."""

from __future__ import annotations

import io
import time
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bl_neuro.strangers.jpeg import MOST_INTERVALS, MOST_NOISE, CheckedJpeg, jpeg_size


def encoded(side: int, **options: Any) -> bytes:
    memory = io.BytesIO()
    values = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(values if side < 1000 else values * 0).save(memory, "JPEG", **options)
    return memory.getvalue()


SMALL = encoded(8)
END = b"\xff\xd9"


def test_restart_markers_are_bounded_by_the_size_of_the_image() -> None:
    with pytest.raises(ValueError, match="promises pixels in 1 intervals, and 2 or more follow"):
        CheckedJpeg(SMALL[:-2] + b"\xff\xd0" * 1000 + END)


@pytest.mark.parametrize("options", [{"progressive": True}, {}])
def test_every_scan_has_as_many_intervals_as_its_pixels_need(options: dict[str, Any]) -> None:
    content = encoded(40, restart_marker_blocks=2, **options)
    checked = CheckedJpeg(content)
    plain, extended = (np.asarray(Image.open(io.BytesIO(data))) for data in (content, checked.extended))
    assert np.array_equal(plain, extended)
    last = max(content.rfind(bytes([0xFF, marker])) for marker in range(0xD0, 0xD8))
    for changed in (content[:last] + END, content[:-2] + b"\xff\xd7\0" + END):
        with pytest.raises(ValueError, match=r"promises pixels in \d+ intervals, and \d+( or more)? follow"):
            CheckedJpeg(changed)


def test_segments_are_bounded() -> None:
    comments = SMALL[:2] + b"\xff\xfe\0\2" * 5000 + SMALL[2:]
    for read in (CheckedJpeg, jpeg_size):
        with pytest.raises(ValueError, match="expected at most 4096 segments"):
            read(comments)
    assert CheckedJpeg(SMALL[:2] + b"\xff\xfe\0\2" * 4000 + SMALL[2:]).plain == CheckedJpeg(SMALL).plain


def test_scans_of_large_images_are_bounded() -> None:
    content = encoded(4096, progressive=True)
    CheckedJpeg(content)
    last = content[content.rindex(b"\xff\xda") : -2]
    with pytest.raises(ValueError, match="expected at most 268435456 pixels in all scans, found 17 scans or more"):
        CheckedJpeg(content[:-2] + 20 * last + END)


def test_intervals_of_all_scans_are_bounded_and_noise_too() -> None:
    content = encoded(4096, restart_marker_blocks=1)
    checked = CheckedJpeg(content)
    assert len(checked.extended) <= len(content) + MOST_NOISE
    with pytest.raises(ValueError, match=f"expected at most {MOST_INTERVALS} intervals between restart markers"):
        CheckedJpeg(encoded(4096, restart_marker_blocks=1, progressive=True))


def test_bytes_that_precede_a_marker_are_read_in_linear_time() -> None:
    assert CheckedJpeg(SMALL[:-2] + b"\xff" * 2**16 + END).plain == CheckedJpeg(SMALL).plain
    start = time.process_time()
    CheckedJpeg(SMALL[:-2] + b"\xff" * 2**14 + b"\0" + END)
    assert time.process_time() - start < 0.5


def scans(content: bytes) -> list[int]:
    """Where the tables and pixels of each scan but the first start."""
    starts = [at for at in range(len(content)) if content.startswith(b"\xff\xda", at)]
    return [max(content.rfind(b"\xff\xc4", 0, start), before) for before, start in pairwise(starts)]


def test_progressive_images_without_their_last_scans_are_refused() -> None:
    content = encoded(40, progressive=True)
    CheckedJpeg(content)
    starts = scans(content)
    assert len(starts) == 9
    for start in starts:
        np.asarray(Image.open(io.BytesIO(content[:start] + END)))
        with pytest.raises(ValueError, match="some of its scans are missing"):
            CheckedJpeg(content[:start] + END)


def test_an_image_without_a_scan_in_between_is_refused() -> None:
    content = encoded(40, progressive=True)
    starts = scans(content)
    with pytest.raises(ValueError, match="some of its scans are missing"):
        CheckedJpeg(content[: starts[1]] + content[starts[2] :])


def test_a_baseline_image_with_a_scan_of_one_component_alone_is_refused() -> None:
    scan = SMALL.index(b"\xff\xda")
    header = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0"
    with pytest.raises(ValueError, match="some of its scans are missing"):
        CheckedJpeg(SMALL[:scan] + header + SMALL[scan + 14 :])
