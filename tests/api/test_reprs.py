"""Public objects have a one-line repr and a notebook view."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.attacks.inversions import Inversions, load_inversions
from bl_neuro.testing.reference_target import ReferenceTarget, easy_network

PNG, GIF = b"\x89PNG\r\n\x1a\n", b"GIF89a"


@pytest.fixture(scope="module")
def inversions() -> Inversions:
    box = bl.BlackBox(ReferenceTarget(easy_network()))
    return bl.BrainLeaksV2(queries=4, warm_start=4)(box, classes=[1, 0, 1], steps=5)


def test_everything_is_one_line(inversions: Inversions) -> None:
    target = ReferenceTarget(easy_network())
    box = bl.BlackBox(target, "label", 9)
    things: list[Any] = [
        target.network,
        target,
        box,
        bl.WhiteBox(target),
        target.run(np.ones((2, 1, *box.input_shape))),
    ]
    for thing in [*things, inversions, inversions.show(), inversions.animate()]:
        assert "\n" not in repr(thing)
        assert len(repr(thing)) < 300, repr(thing)[:300]
    assert "object at" not in " ".join(map(repr, things))


def test_a_network_is_a_table_in_a_notebook() -> None:
    network = easy_network()
    html = network._repr_html_()
    assert html.count("<tr>") == 1 + len(network.layers)
    assert f"{network.parameters:,} weights in real arithmetic" in html


def test_inversions_are_pictures(inversions: Inversions) -> None:
    assert inversions._repr_png_().startswith(PNG)
    assert inversions.show().alt == "Grid of 3 images, a column for each of: class 1, class 0, class 1."
    assert inversions.show().png == inversions._repr_png_() == inversions.show()._repr_png_()
    animation = inversions.animate()
    assert animation.gif.startswith(GIF)
    assert animation._repr_html_().startswith('<img alt="Animation of 3 inversions')


def test_flat_inputs_are_shown_in_the_stated_image_shape(inversions: Inversions) -> None:
    count = int(np.prod(inversions.spikes.shape[2:]))
    assert inversions.show((1, count)).png.startswith(PNG)
    with pytest.raises(bl.InputError, match=rf"image_shape: expected \(H, W\) or \(C, H, W\) of {count} inputs"):
        inversions.show((2, count))


def test_one_inversion_is_selected(inversions: Inversions, tmp_path: Path) -> None:
    one = inversions.select(1)
    assert one.classes.tolist() == [0]
    assert (one.images[0] == inversions.images[1]).all()
    assert one.trace.rates.shape[1] == 1
    assert (one.queries, one.attack) == (inversions.queries, inversions.attack)
    assert inversions.select(-1).classes.tolist() == [1]
    assert one.queries_per_class == one.select(0).queries_per_class == inversions.queries_per_class
    one.save(tmp_path / "one.safetensors")
    assert load_inversions(tmp_path / "one.safetensors").queries_per_class == inversions.queries_per_class
    with pytest.raises(bl.InputError, match=r"index: expected 0\.\.2, found 3"):
        inversions.select(3)
