"""The demo as users run it, on every substrate, real Lava included; then its report in a real browser."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bl_neuro.report import Results

pytestmark = [pytest.mark.slow, pytest.mark.lava, pytest.mark.timeout(900)]
SUBSTRATES = ("snntorch", "norse", "slayer", "loihi", "lava")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, needs: Callable[[str], None]) -> tuple[Path, Any]:
    """The folder of a demo, and what it printed."""
    for substrate in SUBSTRATES:
        needs(substrate)
    out = tmp_path_factory.mktemp("demo")
    words = [sys.executable, "-m", "bl_neuro", "demo", "--json", "--out", str(out)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return out, json.loads(done.stdout)


@pytest.fixture(scope="module")
def results(finished: tuple[Path, Any]) -> Results:
    return Results.from_json((finished[0] / "results.json").read_bytes())


def test_attacks_every_substrate_in_every_way_it_allows(results: Results) -> None:
    assert {(row.attack, row.substrate) for row in results.rows} == {
        *(("v1", substrate) for substrate in SUBSTRATES[:4]),
        *(("v2", substrate) for substrate in SUBSTRATES),
    }
    assert len(results.rows) == 9
    assert all(row.n == 40 for row in results.rows)


def test_targets_work_and_leak(results: Results) -> None:
    for row in results.rows:
        assert row.target_accuracy >= 0.95, row.substrate
        assert row.attack_accuracy >= 0.85, (row.substrate, row.attack)
        assert row.target_success is not None
        assert row.target_success >= 0.9


def test_black_boxes_saw_counts_and_few_queries(results: Results) -> None:
    for row in results.rows:
        if row.attack == "v2":
            assert (row.access, row.reveals) == ("black_box", "counts")
            assert row.queries_per_class <= 1000
            assert row.status == {"completed": row.n}


def test_slayer_loihi_and_lava_are_the_same_machine(results: Results) -> None:
    slayer, loihi, lava = (
        next(row for row in results.rows if row.attack == "v2" and row.substrate == substrate)
        for substrate in ("slayer", "loihi", "lava")
    )
    same = ("target_accuracy", "attack_accuracy", "confidence", "daa", "pearson_selectivity", "ssim", "spike_density")
    measured = [{name: getattr(row, name) for name in same} for row in (slayer, loihi, lava)]
    assert measured[0] == measured[1] == measured[2]


def test_null_controls_give_nothing_away(results: Results) -> None:
    assert {row.attack for row in results.controls} == {"v1", "v2"}
    for row in results.controls:
        assert row.kind == "shuffled_labels"
        assert row.n >= 40
        assert row.attack_accuracy <= 0.3
        assert row.target_accuracy < 0.3


def test_prints_where_the_report_is(finished: tuple[Path, Any], results: Results) -> None:
    out, said = finished
    assert said["report"] == str(out / "report.html")
    assert [row["attack_accuracy"] for row in said["rows"]] == [row.attack_accuracy for row in results.rows]
    assert (out / "report.html").stat().st_size > 100_000


@pytest.mark.browser
def test_the_report_opens_in_a_browser(finished: tuple[Path, Any], results: Results, browser: Any) -> None:
    browser.get_log("browser")
    browser.get((finished[0] / "report.html").as_uri())
    assert browser.get_log("browser") == []
    text = browser.find_element("tag name", "body").text
    assert all(substrate in text.lower() for substrate in SUBSTRATES)
    for row in results.rows:
        assert f"{row.attack_accuracy:.2f}"[1:] in text or f"{row.attack_accuracy:.0%}" in text
    pictures = browser.execute_script("return [...document.images].map(image => image.naturalWidth)")
    assert len(pictures) > 50
    assert 0 not in pictures
    scroll = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.execute_script(scroll) == 0
