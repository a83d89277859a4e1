"""The box of an attacker with images: what it takes and refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bl_neuro import BlackBox, InputError, WhiteBox
from bl_neuro.attacks import AuxiliaryBox
from bl_neuro.testing.reference_target import ReferenceTarget, easy_images, easy_network

IMAGES: Any = np.random.default_rng(0).random((5, 1, 3, 4)).astype(np.float32)


def test_shows_the_target_and_the_images() -> None:
    box = AuxiliaryBox(BlackBox(ReferenceTarget(easy_images())), IMAGES)
    assert (box.input_shape, box.classes) == ((1, 3, 4), 3)
    assert box.images.dtype == np.float64
    assert np.array_equal(box.images, IMAGES)
    assert box.assumption == "the inputs resemble 5 images that the attacker has"
    assert not hasattr(box, "target")


def test_flat_inputs_take_images_of_as_many_pixels() -> None:
    assert AuxiliaryBox(BlackBox(ReferenceTarget(easy_network())), IMAGES).input_shape == (12,)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES[:1], "expected at least two images"),
        (IMAGES[:, 0], "expected at least two images"),
        (IMAGES[..., :3], r"expected images of the target's inputs \(1, 3, 4\), found \(1, 3, 3\)"),
        (IMAGES.reshape(5, 1, 4, 3), r"found \(1, 4, 3\)"),
        (IMAGES + 1, "expected values in 0..1"),
        (IMAGES * np.nan, "expected values in 0..1"),
        ("digits", "expected an array of numbers, found str"),
    ],
)
def test_refuses_other_images(images: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        AuxiliaryBox(BlackBox(ReferenceTarget(easy_images())), images)


def test_refuses_a_white_box() -> None:
    with pytest.raises(InputError, match="expected a BlackBox of the target, found WhiteBox"):
        AuxiliaryBox(WhiteBox(ReferenceTarget(easy_images())), IMAGES)  # type: ignore[arg-type]
