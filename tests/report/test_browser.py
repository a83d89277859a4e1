"""The page in a real browser, from a file: no request, no error, no picture missing, nothing off the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bl_neuro.report import Pictures, Results, write_report

pytestmark = [pytest.mark.browser, pytest.mark.slow]

OVERFLOW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
PICTURES = "return [...document.images].map(i => [i.currentSrc.slice(0, 30), i.naturalWidth, i.alt])"
# The charts must follow the theme and the width by themselves: which of their four dresses is on?
DRESSES = """return [...document.querySelectorAll('picture')].map(p => {
  const used = p.querySelector('img').currentSrc;
  const source = [...p.querySelectorAll('source')].find(s => s.srcset === used);
  return source ? source.media : ''; })"""


@pytest.fixture
def report(make_results: Callable[..., Results], make_pictures: Callable[[Results], Pictures], tmp_path: Path) -> str:
    results = make_results()
    return write_report(results, make_pictures(results), tmp_path).as_uri()


def requests(browser: Any) -> list[str]:
    """Addresses asked for since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_opens_offline_at_every_width(browser: Any, report: str, width: int, scheme: str) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 700}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    theme = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", theme)
    browser.get_log("browser")
    requests(browser)

    browser.get(report)

    asked = requests(browser)
    assert report in asked
    assert [url for url in asked if url != report and not url.startswith("data:")] == []
    assert browser.get_log("browser") == []
    pictures = browser.execute_script(PICTURES)
    assert len(pictures) > 100
    assert [picture for picture in pictures if picture[1] == 0 or not picture[2]] == []
    assert browser.execute_script(OVERFLOW) == 0
    for media in browser.execute_script(DRESSES):
        assert ("dark" in media) == (scheme == "dark")
        assert ("max-width" in media) == (width < 700)
