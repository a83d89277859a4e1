"""Contact sheets: a tile for each inversion, its class above, what was seen in it below."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from bl_neuro.drawing import contact_sheet
from bl_neuro.errors import InputError

IMAGES = np.random.default_rng(0).random((12, 1, 6, 6))


def size(sheet: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(sheet)).size


def test_names_every_tile_and_counts_what_is_recognised() -> None:
    names = [f"class {label}" for label in range(12)]
    sheet = contact_sheet(IMAGES, range(12), names, readings=[0, None, *range(2, 11), 3])
    assert "class 7" in sheet.svg.decode()
    assert "→ class 3" in sheet.svg.decode()
    assert "→ none" in sheet.svg.decode()
    assert sheet.alt.endswith("the evaluator takes 10 of them for their class.")
    assert contact_sheet(IMAGES, range(12), names, readings=[0, None, *range(2, 11), 3]).png == sheet.png


def test_rows_hold_as_many_as_columns_say() -> None:
    one, two, three = (size(contact_sheet(IMAGES, range(12), columns=columns).png) for columns in (12, 6, 4))
    assert one[0] > two[0] > three[0]
    assert one[1] < two[1] < three[1]


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_draws_any_channels(channels: int) -> None:
    assert contact_sheet(np.repeat(IMAGES[:2], channels, axis=1), [1, 1]).alt.startswith("Contact sheet of 2 inver")


@pytest.mark.parametrize(
    ("images", "classes", "options", "message"),
    [
        (IMAGES[:, 0], range(12), {}, r"images: expected \(K, C, H, W\)"),
        (IMAGES, range(11), {}, "classes: expected"),
        (IMAGES, range(12), {"class_names": ["a"]}, "class_names: expected at least 12 names, found 1"),
        (IMAGES, range(12), {"readings": [1]}, "readings: expected 12, found 1"),
    ],
)
def test_refuses_what_does_not_fit(images: object, classes: object, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        contact_sheet(images, classes, **options)  # type: ignore[arg-type]
