"""Files of a picture: both formats hold the words, equal pictures are equal bytes, failures are typed."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from bl_neuro.drawing import Picture, spike_raster
from bl_neuro.drawing.picture import listed
from bl_neuro.errors import ReportError

SVG = "{http://www.w3.org/2000/svg}"


def picture(title: str = 'a & b <"c"> ünd') -> Picture:
    return spike_raster(np.eye(5, dtype=np.uint8), title)


def test_both_formats_hold_the_words() -> None:
    made = picture()
    assert 'a & b <"c"> ünd' in made.alt
    png = Image.open(io.BytesIO(made.png))
    assert png.format == "PNG"
    assert png.text["Description"] == made.alt  # type: ignore[attr-defined]
    assert "Software" not in png.text  # type: ignore[attr-defined]
    root = ElementTree.fromstring(made.svg)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == made.alt
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text == made.alt


def test_text_of_an_svg_is_text() -> None:
    assert 'a & b <"c"> ünd' in "".join(ElementTree.fromstring(picture().svg).itertext())


@pytest.mark.slow
def test_equal_pictures_are_equal_bytes() -> None:
    assert (picture().png, picture().svg) == (picture().png, picture().svg)
    assert picture().png != picture("other").png


def test_dollar_signs_are_literal() -> None:
    assert "$x$" in "".join(ElementTree.fromstring(picture("$x$").svg).itertext())
    picture("$")  # one alone is no formula either


def test_two_files(tmp_path: Path) -> None:
    made = picture()
    png, svg = made.save(tmp_path / "new" / "raster v1.2")
    assert (png.name, svg.name) == ("raster v1.2.png", "raster v1.2.svg")
    assert (png.read_bytes(), svg.read_bytes()) == (made.png, made.svg)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match="expected a file that can be written"):
        picture().save(tmp_path / "file" / "raster")


def test_long_lists_are_cut() -> None:
    assert listed("abc") == "a, b, c"
    assert listed("abc", most=2) == "a, b and 1 more"


def test_drawing_libraries_are_imported_lazily() -> None:
    code = "import sys, bl_neuro.drawing; print({'matplotlib', 'PIL', 'torch', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "set()", done.stderr
