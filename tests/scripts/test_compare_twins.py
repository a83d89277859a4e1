"""The table of spiking networks beside their ANN twins."""

from pathlib import Path

import compare_twins

ROOT = Path(__file__).parents[2]


def test_the_recorded_table_is_made_from_the_recorded_results() -> None:
    page = compare_twins.page(ROOT / "results")
    assert page == (ROOT / "results" / "membership-twins.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith("| digits | 32 | lira | label |"))
    assert row.endswith("| 96.6% | 96.6% | yes | -0.011 [-0.016, -0.006] |")


def test_the_page_on_the_literature_quotes_the_table() -> None:
    quoted = (ROOT / "docs" / "literature.md").read_text(encoding="utf-8")
    for line in compare_twins.page(ROOT / "results").splitlines():
        cells = line.strip("| ").split(" | ")
        if len(cells) == len(compare_twins.COLUMNS) and cells[2] in ("lira", "rmia"):
            attack = {"lira": "LiRA", "rmia": "RMIA"}[cells[2]]
            assert f"| {' | '.join([cells[0], cells[3], attack, *cells[4:6], *cells[8:10]])} |" in quoted
