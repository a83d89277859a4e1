"""The page of an audit: complete, in order, self-contained, with hostile strings escaped."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bl_neuro.errors import ReportError
from bl_neuro.experiment.findings.models import Findings
from bl_neuro.report.page import CELL_PAGES, REPORT, SECTIONS, audit_pages, write_report

Make = Callable[..., Findings]
MakePictures = Callable[..., Any]
ABSENT = ("baselines", "membership", "secrets", "nearest_members", "halfway")
"""Sections of what the audit of these tests did not measure."""
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> {{ 7*7 }} &"


class Outline(HTMLParser):
    """Tags with their attributes in order, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.text = re.sub(r"\s+", " ", self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(audit: Findings, make_audit_pictures: MakePictures) -> Outline:
    pages = audit_pages(audit, make_audit_pictures())
    assert list(pages) == [REPORT]
    return Outline(pages[REPORT])


def test_the_answer_comes_first_then_every_section_in_order(page: Outline) -> None:
    ids = [attributes["id"] for name, attributes in page.tags if name == "h2"]
    assert ids == [key for key, _ in SECTIONS if key not in ABSENT]
    assert ids[0] == "pictures"
    levels = [int(name[1]) for name, _ in page.tags if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    assert page.all("html")[0]["lang"] == "en"
    names = [name for name, _ in page.tags]
    answer = next(i for i, (_, attributes) in enumerate(page.tags) if attributes.get("class") == "answer")
    assert answer < names.index("h2") < names.index("table")


def test_every_link_leads_somewhere(page: Outline) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    for link in page.all("a"):
        assert str(link["href"]).removeprefix("#") in ids


def test_the_page_loads_no_external_resources(page: Outline) -> None:
    assert page.all("script") == []
    assert [link["rel"] for link in page.all("link")] == ["icon"]
    for tag, name in (("img", "src"), ("link", "href")):
        assert all(str(attributes[name]).startswith("data:image/") for attributes in page.all(tag))


def test_every_picture_says_what_it_shows(page: Outline) -> None:
    alts = [str(attributes.get("alt") or "") for attributes in page.all("img")]
    assert all(alts)
    assert "Mean training picture of class 3" in alts
    shown = [alt for alt in alts if alt.startswith("Inversion of class 9, v2, label on loihi, seed 0: ")]
    assert shown in (
        ["Inversion of class 9, v2, label on loihi, seed 0: recognised by conv"],
        ["Inversion of class 9, v2, label on loihi, seed 0: not recognised by conv"],
    )
    for drawing in page.all("svg"):
        assert drawing.get("aria-hidden") == "true" or (drawing["role"] == "img" and drawing["aria-label"])


def test_tables_have_headers_with_a_scope_and_scroll_in_a_box_of_their_own(page: Outline) -> None:
    assert all(header.get("scope") in ("col", "row", "rowgroup") for header in page.all("th"))
    boxes = [attributes for _, attributes in page.tags if attributes.get("class") == "scroll"]
    assert len(boxes) >= len(page.all("table"))
    assert all(box["role"] == "region" and box["aria-label"] and box["tabindex"] == "0" for box in boxes)
    named = [box["aria-label"] for box in boxes]
    assert len(named) == len(set(named))


@pytest.mark.parametrize(
    "sentence",
    [
        "What do networks trained on digits give away, and does the substrate change it?",
        "An attacker who can only query the network and spends 74 queries per class gets pictures that the evaluator",
        "Does the substrate change leakage?",
        "null control on loihi, conv",
        "Each target was trained somehow.",
        "640 weights",
        "What it does not say",
        "snntorch and norse",
        "snntorch and norse less loihi",
        "shows label, less as trained",
        "black box, 74 queries per class",
        "and lava, replayed",
        "untrained targets",
        "not above chance",
        "answers rounded to 0.1conv: from ",
        "spiking: from ",
        "Noise, and which input spikes are left out, is drawn anew in every answer",
        "Query caps are measured against a budget of 740 queries for all classes together; honest users are capped too",
        "separate families of Holm’s correction",
        "not that showing less leaks more",
        "nonebut fewer answers",
        "v2, scores on loihi",
        "a promise is broken",
        "lava did the same as loihi in every replay",
        "May only query, and sees label.",
        "The target itself names 9 of 10.",
        "74 queries per class, completed.",
        "4 target seeds are few",
        "barely anything of individual members of the training data (nearest-sample membership AUC .51 on digits)",
        "These results are as trustworthy as their folder: digests reveal damaged files, not forged ones.",
        "98 of 100 done",
        "bl-neuro audit made-up",
        "none",
    ],
)
def test_the_page_says(page: Outline, sentence: str) -> None:
    assert sentence in page.text


def test_sections_of_what_was_not_run_are_left_out(make_audit: Make, make_audit_pictures: MakePictures) -> None:
    bare = make_audit(
        ladder=[],
        power=[],
        mitigations=[],
        replays=[],
        verification=[],
        controls=[],
        stands_for={},
        network=None,
        families=[],
    )
    page = Outline(audit_pages(bare, make_audit_pictures())[REPORT])
    ids = [attributes["id"] for name, attributes in page.tags if name == "h2"]
    absent = (*ABSENT, "ladder", "families", "power", "mitigations", "replays", "network")
    assert ids == [key for key, _ in SECTIONS if key not in absent]
    assert "No ladder was run" in page.text
    assert "not judged" in page.text  # the control's rows are still there


def test_the_page_of_a_given_model_is_about_this_model(make_audit: Make, make_audit_pictures: MakePictures) -> None:
    page = Outline(audit_pages(make_audit(unit="restart"), make_audit_pictures())[REPORT])
    assert "What does this model, audited on digits, give away?" in page.text
    assert "a verdict is about this one model" in page.text
    assert "lines their 95% intervals" in page.text
    assert "means over restarts" in page.text
    assert "one given model" in page.text


def test_accuracy_is_of_a_test_only_where_the_training_data_is_known(
    make_audit: Make, make_audit_pictures: MakePictures
) -> None:
    def text(**changes: Any) -> str:
        return Outline(audit_pages(make_audit(**changes), make_audit_pictures())[REPORT]).text

    overlap = {"state": "none", "shared": 0, "target_samples": 9, "evaluator_samples": 9, "test_samples": 9,
               "class_means": "dataset", "sentence": "None is shared."}  # fmt: skip
    unknown = {**overlap, "state": "not known", "shared": None}
    label, note = "Accuracy on the loaded samples", "(whether it was trained on them is not known)"
    given = text(unit="restart", overlap=unknown)
    assert label in given
    assert note in given
    assert "Test accuracy" not in given
    for known in (text(unit="restart", overlap=overlap), text()):
        assert "Test accuracy" in known
        assert label not in known
        assert note not in known


def test_a_control_that_shows_little_is_no_good_news(make_audit: Make, make_audit_pictures: MakePictures) -> None:
    made = make_audit().controls[0].model_dump()
    one = {**made, "estimate": {**made["estimate"], "seeds": 1, "n": 10}, "detectable": 0.55}
    for control, kind in ((one, "open"), ({**made, "detectable": 0.2}, "equivalent")):
        page = audit_pages(make_audit(controls=[control]), make_audit_pictures())[REPORT]
        assert f'<span class="verdict {kind}">not above chance</span>' in page
        assert "would show, with a probability of 80%, an accuracy of" in page


@pytest.mark.slow
def test_a_band_is_drawn_where_it_is_known(make_audit: Make, make_audit_pictures: MakePictures) -> None:
    def areas(low: list[float | None]) -> int:
        curves = [{**curve.model_dump(), "low": low} for curve in make_audit().curves]
        return audit_pages(make_audit(curves=curves), make_audit_pictures())[REPORT].count("<polygon")

    whole = areas([0.0, 0.4, 0.7])
    assert whole > 0
    assert areas([None, 0.4, 0.7]) == whole
    assert areas([None, None, 0.7]) == areas([None, None, None]) == 0


def test_substrates_that_were_not_run_have_a_reason(make_audit: Make, make_audit_pictures: MakePictures) -> None:
    results = make_audit(not_run={"slayer": "lava-dl is not installed"})
    page = Outline(audit_pages(results, make_audit_pictures())[REPORT])
    assert "slayer was not run: lava-dl is not installed." in page.text


def test_a_control_below_chance_is_neither_good_news_nor_p_of_zero(
    make_audit: Make, make_audit_pictures: MakePictures
) -> None:
    control = make_audit().controls[0].model_dump()
    estimate = {**control["estimate"], "value": 0.01, "low": 0.0, "high": 0.02}
    low = make_audit(controls=[{**control, "estimate": estimate, "p": 0.0001, "adjusted_p": 0.0003}])
    page = Outline(audit_pages(low, make_audit_pictures())[REPORT])
    assert "below chance p < 0.001, Holm" in page.text
    assert "not above chance" not in page.text


def test_an_audit_of_which_nothing_is_done_has_a_page_too(make_audit: Make, make_audit_pictures: MakePictures) -> None:
    done = make_audit()
    measures = ("queries_per_class", "target_accuracy", "target_success", "pearson_selectivity", "spike_density")
    waiting: dict[str, Any] = {
        "access": None,
        "threat_model": None,
        "status": {},
        "evaluators": {},
        **dict.fromkeys(measures),
    }
    rows = [{**row.model_dump(), **waiting} for row in done.rows]
    empty: dict[str, list[Any]] = {
        name: [] for name in ("verdicts", "alike", "ladder", "power", "mitigations", "replays", "controls")
    }
    judges = [
        {**evaluator.model_dump(), "architecture": None, "accuracy": None, "samples": None}
        for evaluator in done.evaluators
    ]
    results = make_audit(rows=rows, evaluators=judges, curves=[], inversions=[], stands_for={}, **empty)
    page = Outline(audit_pages(results, make_audit_pictures())[REPORT])
    assert "No two substrates have finished cells that can be compared." in page.text
    assert "No attack is done." in page.text


def test_many_cells_go_to_pages_of_their_own(audit: Findings, make_audit_pictures: MakePictures) -> None:
    pages = audit_pages(audit, make_audit_pictures(), most_embedded=1000)
    main = Outline(pages[REPORT])
    cells = [path for path in pages if path.startswith(f"{CELL_PAGES}/")]
    assert len(cells) == 10
    links = [str(link["href"]) for link in main.all("a") if not str(link["href"]).startswith("#")]
    assert links == cells
    for path in cells:
        page = Outline(pages[path])
        assert len(page.all("img")) == 4
        assert page.all("a")[0]["href"] == f"../{REPORT}#cells"
    assert len(pages[REPORT]) < len(audit_pages(audit, make_audit_pictures())[REPORT])


def test_substrates_on_which_a_row_came_out_the_same_are_shown_once(
    make_audit: Make, make_audit_pictures: MakePictures
) -> None:
    class SamePictures(type(make_audit_pictures())):  # type: ignore[misc]
        def images(self, address: str) -> Any:
            return super().images(address.replace("norse", "snntorch"))

    page = Outline(audit_pages(make_audit(), SamePictures())[REPORT])
    ids = [str(attributes["id"]) for attributes in page.all("details") if attributes.get("id")]
    assert "cells-v2-scores-on-snntorch-and-norse" in ids
    assert "cells-v2-scores-on-loihi" in ids
    assert len(ids) == 7
    addresses = [str(code.get("title")) for code in page.all("code") if code.get("title")]
    assert sorted(addresses) == sorted(cell.address for cell in make_audit().inversions)


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_pictures_of_any_channels(audit: Findings, make_audit_pictures: MakePictures, channels: int) -> None:
    page = Outline(audit_pages(audit, make_audit_pictures(12, channels))[REPORT])
    kinds = {str(attributes["class"]) for attributes in page.all("img")}
    assert kinds == ({"colour"} if channels in (2, 3) else {"ink"})


def test_hostile_strings_are_text(make_audit: Make, make_audit_pictures: MakePictures) -> None:
    plain = make_audit()
    data = {**plain.dataset.model_dump(), "name": HOSTILE, "class_names": [f"{HOSTILE}{i}" for i in range(10)]}
    rows = [{**row.model_dump(), "threat_model": HOSTILE} for row in plain.rows]
    cells = [{**cell.model_dump(), "status": HOSTILE} for cell in plain.inversions]
    made = {"command": HOSTILE, "versions": {HOSTILE: [HOSTILE]}, "machines": [HOSTILE]}
    results = make_audit(dataset=data, rows=rows, inversions=cells, made=made, description=HOSTILE)
    for most in (10**9, 0):
        for text in audit_pages(results, make_audit_pictures(), most).values():
            page = Outline(text)
            assert page.all("script") == []
            assert [tag for tag, attributes in page.tags if any(name.startswith("on") for name in attributes)] == []
            assert all(str(attributes["src"]).startswith("data:image/") for attributes in page.all("img"))
            assert "alert(1)" in page.text


def test_files_are_written_together(audit: Findings, make_audit_pictures: MakePictures, tmp_path: Path) -> None:
    old = tmp_path / "report-cells" / "999-of-before.html"
    old.parent.mkdir()
    old.write_text("")
    page = write_report(audit, make_audit_pictures(), tmp_path)
    assert page == tmp_path / "report.html"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "report-cells", "report.html", "results.json", "summary.md",
    ]  # fmt: skip
    assert not old.exists()
    assert Findings.from_json((tmp_path / "results.json").read_bytes()) == audit
    (tmp_path / "blocked").write_text("")
    with pytest.raises(ReportError, match="cannot write the report"):
        write_report(audit, make_audit_pictures(), tmp_path / "blocked")


def test_equal_results_give_equal_pages(audit: Findings, make_audit_pictures: MakePictures) -> None:
    assert audit_pages(audit, make_audit_pictures()) == audit_pages(audit, make_audit_pictures())


def test_text_that_cannot_be_written_leaves_the_cells_and_says_so(
    audit: Findings, make_audit_pictures: MakePictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Findings, "to_json", lambda self: "caf\udce9")
    with pytest.raises(ReportError, match=r"cannot write the report into .*; the finished cells are kept there"):
        write_report(audit, make_audit_pictures(), tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
