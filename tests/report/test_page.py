"""The page: complete, self-contained, and deaf to what hostile strings ask of it."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from bl_neuro.report import InversionPictures, Pictures, Results, Row, figures
from bl_neuro.report.html import render

Make = Callable[..., Results]
MakePictures = Callable[[Results], Pictures]
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> $x$ {{ 7*7 }} _&"


class Outline(HTMLParser):
    """Tags with their attributes in order, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(make_results: Make, make_pictures: MakePictures) -> Outline:
    results = make_results()
    return Outline(render(results, make_pictures(results)))


def test_sections_come_in_order(page: Outline) -> None:
    ids = [attributes["id"] for name, attributes in page.tags if name == "h2"]
    assert ids == ["pictures", "curves", "measures", "control", "threats", "conclusions", "provenance"]
    levels = [int(name[1]) for name, _ in page.tags if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    assert page.all("html")[0]["lang"] == "en"


def test_every_link_leads_somewhere(page: Outline) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    for link in page.all("a"):
        assert str(link["href"]).removeprefix("#") in ids


def test_nothing_is_fetched(page: Outline) -> None:
    assert page.all("script") == []
    assert [link["rel"] for link in page.all("link")] == ["icon"]  # without one, a browser asks for favicon.ico
    for tag, name in (("img", "src"), ("source", "srcset"), ("link", "href")):
        for attributes in page.all(tag):
            assert str(attributes[name]).startswith("data:image/")


def test_every_picture_says_what_it_shows(page: Outline) -> None:
    alts = [str(attributes.get("alt") or "") for attributes in page.all("img")]
    assert all(alts)
    assert alts.count("Mean training picture of class 3") == 1
    assert "Inversion of class 9 from lava by v2, counts" in alts
    assert "Inversion of class 0 from snntorch by v2, counts (null control)" in alts


@pytest.mark.parametrize(
    "sentence",
    [
        "class prototypes",
        "nothing here tests membership",
        "That snntorch, norse, slayer and lava differ, or that they leak alike",
        "too narrow for any claim about substrates",
        "That another evaluator would agree",
        "A target fooled is not data leaked",
        "Pictures of 8×8 pixels",
        "It saturates",
        "it says nearly nothing about leakage",
        "evaluator split, which the target never saw",
        "The attacked network takes no spikes.",
        "98 done, 2 budget spent",
        "6 min 53 s",
        "blurred with a Gaussian of 0.6 pixels.",
    ],
)
def test_the_page_says(page: Outline, sentence: str) -> None:
    assert sentence in re.sub(r"\s+", " ", page.text)


def test_a_lean_run_still_gives_a_page(
    make_results: Make, make_row: Callable[..., Row], make_pictures: MakePictures
) -> None:
    results = make_results(rows=[make_row("lava", "v2", curve=None)], controls=[], notes=[])
    text = Outline(render(results, make_pictures(results))).text
    assert "This run has no null control" in text
    assert "No attack of this run was followed query by query" in text
    assert "Notes on this run" not in text


def test_a_class_without_an_inversion_is_left_open(make_results: Make, make_pictures: MakePictures) -> None:
    results = make_results()
    pictures = make_pictures(results)
    rates = pictures.inversions["lava-v2"].rates
    pictures.inversions["lava-v2"] = InversionPictures(rates, np.zeros(len(rates), int))
    page = Outline(render(results, pictures))
    labels = [attributes.get("aria-label") for attributes in page.all("span")]
    assert "No inversion of class 1 from lava by v2, counts" in labels


def test_hostile_strings_are_text(
    make_results: Make, make_row: Callable[..., Row], make_pictures: MakePictures
) -> None:
    plain = make_results()
    row = make_row(HOSTILE, "v2", dataset=HOSTILE, threat_model=HOSTILE, inversions="x")
    evaluator = plain.evaluators[0].model_copy(update={"name": HOSTILE, "architecture": HOSTILE})
    control = make_row(HOSTILE, "v2", dataset=HOSTILE, kind="untrained", inversions="y")
    changes: dict[str, Any] = {
        "dataset": plain.dataset.model_copy(update={"name": HOSTILE, "source": HOSTILE}),
        "network": plain.network.model_copy(update={"encoder": HOSTILE, "layers": [HOSTILE]}),
        "evaluators": [evaluator], "rows": [row], "controls": [control], "command": HOSTILE,
        "versions": {HOSTILE: HOSTILE}, "platform": {HOSTILE: HOSTILE}, "notes": [HOSTILE],
    }  # fmt: skip
    results = make_results(**changes)
    made = make_pictures(results)
    pictures = Pictures(made.class_means, [f"{HOSTILE}{i}" for i in range(10)], made.inversions)
    rendered = render(results, pictures)
    page = Outline(rendered)
    assert "<script" not in rendered
    assert page.all("script") == []
    assert [tag for tag, attributes in page.tags if any(name.startswith("on") for name in attributes)] == []
    assert all(str(attributes["src"]).startswith("data:image/") for attributes in page.all("img"))
    assert HOSTILE in page.text
    assert "49" not in rendered.split("<h1>")[1].split("</h1>")[0]
    for chart in (figures.accuracy_chart(results), figures.confidence_chart(results)):
        assert chart is not None
        names = {element.tag.rsplit("}")[-1] for element in ElementTree.fromstring(chart.svg).iter()}
        assert not names & {"script", "img", "image", "foreignObject"}
        assert HOSTILE.encode() not in chart.svg


def test_png_holds_the_picture() -> None:
    from matplotlib.image import imread

    picture = np.linspace(0.0, 1.0, 12).reshape(3, 4)
    uri = figures.data_uri(figures.png(picture), "image/png")
    shown = imread(io.BytesIO(base64.b64decode(uri.partition(",")[2])), format="png")
    np.testing.assert_allclose(shown, 1.0 - picture, atol=1 / 255)


@pytest.mark.parametrize("narrow", [False, True])
def test_charts_are_svg_in_the_pages_fonts(make_results: Make, narrow: bool) -> None:
    results = make_results()
    for chart in (
        figures.accuracy_chart(results, figures.DARK, narrow),
        figures.confidence_chart(results, figures.DARK, narrow),
    ):
        assert chart is not None
        ElementTree.fromstring(chart.svg)
        assert b"DejaVu" not in chart.svg
        assert b"Helvetica" in chart.svg
        assert chart.width == pytest.approx(96 * (figures.NARROW if narrow else figures.WIDE), abs=1)


def test_the_package_imports_without_matplotlib() -> None:
    code = (
        "import sys, bl_neuro.report; "
        "print([m for m in ('matplotlib', 'jinja2', 'safetensors', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_drawing_leaves_matplotlibs_settings_alone(make_results: Make) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    figures.accuracy_chart(make_results())
    assert dict(matplotlib.rcParams) == before
