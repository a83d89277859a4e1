"""Pictures of attackers who ask nothing: what they look like, and where they do not apply."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from bl_neuro.errors import InputError
from bl_neuro.leakage.baseline_auxiliary import AVERAGED, MEANS, SAMPLES
from bl_neuro.leakage.baseline_fonts import FONTS
from bl_neuro.leakage.baseline_framing import SHARE, framed
from bl_neuro.leakage.baseline_kind import PublicImages, PublicKnowledge
from bl_neuro.leakage.baseline_registry import BASELINES, PRIOR

DIGITS = tuple("0123456789")


def knowledge(shape: tuple[int, ...] = (1, 28, 28), **changes: Any) -> PublicKnowledge:
    facts: dict[str, Any] = {"shape": shape, "classes": tuple(range(10)), "class_names": DIGITS}
    return PublicKnowledge(**{**facts, **changes})


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def public(count: int = 40, shape: tuple[int, ...] = (1, 12, 10)) -> PublicImages:
    """Images whose every pixel is the number of their class over 10; every eleventh has no class."""
    labels = tuple(None if place % 11 == 10 else place % 10 for place in range(count))
    values = np.array([1.0 if label is None else 0.1 * label for label in labels], np.float32)
    return PublicImages(np.broadcast_to(values[:, None, None, None], (count, *shape)).copy(), labels)


def test_fonts_draw_each_character_once_in_each_font() -> None:
    fonts = BASELINES.find("fonts")()
    assert fonts.problem(knowledge()) is None
    for layout in fonts.layouts:
        pictures = fonts.draw(knowledge(), layout, rng())
        assert pictures.shape == (len(FONTS), 10, 1, 28, 28)
        assert pictures.dtype == np.float32
        assert 0 <= pictures.min() <= pictures.max() <= 1
        assert len(np.unique(pictures.reshape(100, -1), axis=0)) == 100
        assert np.array_equal(pictures, fonts.draw(knowledge(), layout, np.random.default_rng(5)))


def test_characters_are_recognised_by_their_likeness_to_other_fonts() -> None:
    pictures = BASELINES.find("fonts")().draw(knowledge(), "centred", rng()).reshape(len(FONTS), 10, -1)
    hits = []
    for font in range(len(FONTS)):
        others = np.delete(pictures, font, axis=0).mean(axis=0)
        likeness = np.corrcoef(np.concatenate([pictures[font], others]))[:10, 10:]
        hits += (likeness.argmax(axis=1) == np.arange(10)).tolist()
    assert np.mean(hits) > 0.9


def test_some_classes_and_colour_images_are_drawn_as_they_are_asked_for() -> None:
    some = knowledge((3, 20, 30), classes=(7, 1), class_names=("7", " 1 "))
    pictures = BASELINES.find("fonts")().draw(some, "filled", rng())
    assert pictures.shape == (len(FONTS), 2, 3, 20, 30)
    assert np.array_equal(pictures[:, :, 0], pictures[:, :, 2])
    whole = BASELINES.find("fonts")().draw(knowledge((1, 20, 30)), "filled", rng())
    assert np.array_equal(pictures[:, 0, 0], whole[:, 7, 0])


@pytest.mark.parametrize("names", [("ann", "bob"), ("0", "10"), ("0", ""), ("\n", "1"), ("가", "나")])
def test_fonts_do_not_apply_to_names_that_are_no_characters_of_the_fonts(names: tuple[str, ...]) -> None:
    problem = BASELINES.find("fonts")().problem(knowledge(classes=(0, 1), class_names=names))
    assert problem is not None
    assert ("single characters" in problem) != ("matplotlib's fonts" in problem)


def test_layouts_fill_the_image_as_stated() -> None:
    picture = np.zeros((50, 60))
    picture[10:40, 20:30] = 1.0  # three times as high as wide
    filled, centred = framed(picture, "filled", 24, 24), framed(picture, "centred", 28, 28)
    assert np.array_equal(np.argwhere(filled > 0.5)[[0, -1]], [[0, 8], [23, 15]])
    rows = np.flatnonzero((centred > 0.5).any(axis=1))
    assert len(rows) == round(28 * SHARE) == 20
    assert rows[0] == 4
    wide = framed(picture.T, "filled", 8, 8)
    assert np.array_equal(np.flatnonzero((wide > 0.5).any(axis=0)), np.arange(1, 7))
    assert not framed(np.zeros((5, 5)), "filled", 8, 8).any()


@pytest.mark.parametrize(("name", "count"), [("auxiliary_mean", MEANS), ("auxiliary_sample", SAMPLES)])
def test_public_images_of_the_own_class_are_shown(name: str, count: int) -> None:
    kind, known = BASELINES.find(name)(), knowledge((1, 8, 8), auxiliary=public())
    assert kind.problem(known) is None
    assert kind.layouts == ("whole", "filled", "centred")
    pictures = kind.draw(known, "whole", rng())
    assert pictures.shape == (count, 10, 1, 8, 8)
    np.testing.assert_allclose(pictures[:, :, 0, 3, 3], np.tile(0.1 * np.arange(10), (count, 1)), atol=1e-5)
    assert kind.draw(known, "centred", rng()).shape == (count, 10, 1, 8, 8)
    coloured = knowledge((3, 8, 8), auxiliary=public(shape=(3, 12, 10)))
    assert kind.draw(coloured, "whole", rng()).shape == (count, 10, 3, 8, 8)


def test_means_are_of_many_images_and_samples_of_one() -> None:
    labels = tuple(place % 10 for place in range(2000))
    images = np.random.default_rng(3).random((2000, 1, 8, 8)).astype(np.float32)
    known = knowledge((1, 8, 8), auxiliary=PublicImages(images, labels))
    means = BASELINES.find("auxiliary_mean")().draw(known, "whole", rng())
    samples = BASELINES.find("auxiliary_sample")().draw(known, "whole", rng())
    over_draws = [drawn.std(axis=0, ddof=1).mean() for drawn in (means, samples)]
    assert over_draws[0] == pytest.approx(over_draws[1] / AVERAGED**0.5, rel=0.1)
    assert len(np.unique(samples.reshape(-1, 64), axis=0)) > 190
    own = {images[place].tobytes() for place in range(2000) if labels[place] == 4}
    assert all(samples[turn, 4].tobytes() in own for turn in range(SAMPLES))


def test_public_images_do_not_apply_without_every_class() -> None:
    kind = BASELINES.find("auxiliary_mean")()
    assert kind.problem(knowledge()) == "the experiment names no public data ([auxiliary])"
    few = PublicImages(np.zeros((3, 1, 4, 4), np.float32), (0, 1, None))
    assert kind.problem(knowledge(auxiliary=few)) == "the public data has no class named 2, 3, 4 and 5 more"
    assert kind.problem(knowledge(classes=(1,), class_names=("1",), auxiliary=few)) is None


def test_the_prior_is_no_kind_of_pictures() -> None:
    with pytest.raises(InputError, match="expected one of fonts, auxiliary_mean, auxiliary_sample, found 'prior'"):
        BASELINES.find(PRIOR)
    for name in BASELINES:
        kind = BASELINES.find(name)
        assert kind.name == name
        assert kind.title
        assert kind.knowledge


def test_fonts_are_found_without_importing_matplotlib() -> None:
    """Matplotlib does not import without a home folder, where audits must still run."""
    code = (
        "import sys; from bl_neuro.leakage.baseline_fonts import _fonts_with, FONTS;"
        "print(len(_fonts_with('0123456789')) == len(FONTS), len(_fonts_with('\\u4e00')), 'matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "0", "False"]
