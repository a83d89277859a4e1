"""The pages of audits in a real browser, from files: no request, no error, every figure, readable, at both widths."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bl_neuro.experiment.comparison import compare_runs
from bl_neuro.experiment.findings.models import Findings
from bl_neuro.report.comparison_page import comparison_page
from bl_neuro.report.page import CELL_PAGES, audit_pages, write_report

pytestmark = [pytest.mark.browser, pytest.mark.slow]

OPEN = "document.querySelectorAll('details').forEach(each => { each.open = true; })"
OVERFLOW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
PICTURES = "return [...document.images].map(i => [i.naturalWidth, i.clientWidth, i.alt])"
DRAWINGS = """return [...document.querySelectorAll('svg')].map(s => {
  const box = s.getBoundingClientRect();
  return [box.width, box.height, s.getAttribute('aria-hidden') || s.getAttribute('aria-label') || '']; })"""
# The smallest text in pixels, as large as its drawing is shown.
SMALLEST = """return Math.min(...[...document.querySelectorAll('main *')]
  .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()))
  .map(e => parseFloat(getComputedStyle(e).fontSize) * (e.closest('svg')
    ? e.closest('svg').getBoundingClientRect().width / e.closest('svg').viewBox.baseVal.width : 1)))"""
CONTRAST = """
const linear = v => v / 255 <= .03928 ? v / 255 / 12.92 : ((v / 255 + .055) / 1.055) ** 2.4;
const light = c => { const [r, g, b] = c.map(linear); return .2126 * r + .7152 * g + .0722 * b; };
const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
const ground = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
  if (c.length === 3 || c[3] === 1) return c.slice(0, 3); } return [255, 255, 255]; };
const found = [];
for (const e of document.querySelectorAll('body *')) {
  if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
  if (e.closest('style, title')) continue;
  const style = getComputedStyle(e);
  const ink = parse(e.closest('svg') ? style.fill : style.color).slice(0, 3);
  const [a, b] = [light(ink), light(ground(e))].sort((x, y) => y - x);
  const ratio = (a + .05) / (b + .05);
  if (ratio < 4.5) found.push([e.outerHTML.slice(0, 80), ratio]);
}
return found;"""
# Tables that fit their box at every width, so that no verdict is out of sight.
CUT_OFF = """return [...document.querySelectorAll('section[aria-labelledby=mitigations] .scroll,'
  + 'section[aria-labelledby=power] .scroll, section[aria-labelledby=pairs] .scroll')]
  .filter(e => e.scrollWidth > e.clientWidth).map(e => [e.getAttribute('aria-label'), e.scrollWidth, e.clientWidth])"""
VERDICTS = """return [...document.querySelectorAll('section[aria-labelledby=mitigations] tr:has(.mark)')]
  .map(row => [...row.querySelectorAll('.verdict')].filter(e => e.checkVisibility()).length)"""
FOCUSED = """return [...document.querySelectorAll('a, summary, .scroll')].filter(e => { e.focus();
  return document.activeElement !== e; }).map(e => e.outerHTML.slice(0, 80))"""


@pytest.fixture
def pages(
    audit: Findings,
    make_audit: Callable[..., Findings],
    make_audit_pictures: Callable[..., Any],
    tmp_path: Path,
) -> dict[str, Path]:
    """The page of an audit, one of its cells, and one of two audits compared."""
    page = write_report(audit, make_audit_pictures(), tmp_path / "audit")
    apart = audit_pages(audit, make_audit_pictures(), most_embedded=0)
    name, text = next((name, text) for name, text in apart.items() if name.startswith(CELL_PAGES))
    cells = tmp_path / "audit" / name
    cells.parent.mkdir()
    cells.write_text(text)
    other = make_audit(lambda target, substrate, reveals: 0.7 if target == "trained" else 0.1, margin=0.05)
    compared = tmp_path / "compared.html"
    compared.write_text(comparison_page(compare_runs({"one": audit, "other": other})))
    return {"audit": page, "cells": cells, "compared": compared}


def requests(browser: Any) -> list[str]:
    """Addresses asked for since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_pages_open_offline_and_are_readable(browser: Any, pages: dict[str, Path], width: int, scheme: str) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 700}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    theme = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", theme)
    for name, path in pages.items():
        browser.get_log("browser")
        requests(browser)

        browser.get(path.as_uri())
        browser.execute_script(OPEN)

        asked = requests(browser)
        assert path.as_uri() in asked
        assert [url for url in asked if url != path.as_uri() and not url.startswith("data:")] == []
        assert browser.get_log("browser") == []
        assert browser.execute_script(OVERFLOW) == 0, name
        pictures = browser.execute_script(PICTURES)
        assert len(pictures) >= {"audit": 80, "cells": 4, "compared": 0}[name]
        assert [picture for picture in pictures if 0 in picture[:2] or not picture[2]] == []
        drawings = browser.execute_script(DRAWINGS)
        assert len(drawings) > {"audit": 60, "cells": 3, "compared": 20}[name]
        assert [drawing for drawing in drawings if 0 in drawing[:2] or not drawing[2]] == []
        assert browser.execute_script(CONTRAST) == []
        assert browser.execute_script(SMALLEST) >= 10, name
        assert browser.execute_script(FOCUSED) == []
        assert browser.execute_script(CUT_OFF) == []
        assert set(browser.execute_script(VERDICTS)) <= {1}, name


def test_details_open_by_the_keyboard(browser: Any, pages: dict[str, Path]) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.get(pages["audit"].as_uri())
    summary = browser.find_element("css selector", "#cells-v2-label-on-loihi summary")
    shown = (
        "return document.querySelector('#cells-v2-label-on-loihi img').checkVisibility({contentVisibilityAuto: true})"
    )
    before = browser.execute_script(shown)
    summary.send_keys(Keys.ENTER)
    assert (before, browser.execute_script(shown)) == (False, True)
