"""The table of black-box attackers: its cells, and its rows and differences from stored results."""

from __future__ import annotations

from typing import Any

import attackers_table
from attackers_table import JUDGES, ROWS, SNN, TWIN, Cell, cells, compared, markdown, row_of


def made_up(hit: dict[str, int]) -> dict[Cell, Any]:
    """Results of two targets in which an attack's inversions of every class are hits, or none is."""
    results = {}
    for seed in (1, 2):
        for cell in cells(seed, 1):
            won = hit.get(f"{cell.row.label} {cell.where}", 0)
            results[cell] = {
                "queries": 640,
                "hits": {kind: [won] * 10 for kind in JUDGES},
                "accepted": [1] * 5 + [0] * 5,
            }
    return results


def test_every_cell_has_a_name_of_its_own_and_every_query_attack_a_null() -> None:
    own = list(cells(1, 2))
    assert len({cell.name for cell in own}) == len(own)
    nulls = {cell.row.label for cell in own if cell.where == attackers_table.NULL}
    assert nulls == {row.label for row in ROWS if row.snn and row.attack.access == "black_box"}
    views = {(cell.row.label, cell.view) for cell in own if cell.where == SNN}
    assert ("brep", "label") in views
    assert ("brep", "counts") not in views


def test_rows_and_differences_are_those_of_the_results() -> None:
    results = made_up({f"v2 {SNN}": 1, f"gamin {TWIN}": 1})
    places = dict.fromkeys((cell.row, cell.where, cell.view) for cell in results)
    table = [row_of(*place, results) for place in places]
    row = next(row for row in table if (row["attack"], row["where"], row["reveals"]) == ("v2", SNN, "label"))
    assert row["queries_per_class"] == 64
    assert row["accepted"] == 0.5
    assert row["accuracy"]["conv"]["value"] == 1
    assert row["hits"]["conv"] == [[1] * 10] * 2
    differences = {(pair["first"], pair["second"]): pair["difference"]["conv"]["value"] for pair in compared(table)}
    assert differences[("v2", SNN, "counts"), ("gamin", SNN, "counts")] == 1
    assert differences[("v2", TWIN, "scores"), ("gamin", TWIN, "scores")] == -1
    assert differences[("gamin", SNN, "label"), ("gamin", TWIN, "label")] == -1
    silent = [{"title": "fonts", "accuracy": row["accuracy"]}]
    report = {
        "targets": 2,
        "restarts": 1,
        "test_accuracy": {SNN: 0.98, TWIN: 0.96},
        "attacks": table,
        "silent": silent,
        "compared": compared(table),
    }
    text = markdown(report)
    assert "Test accuracy: SNN 0.980, ANN twin 0.960." in text
    assert "| v2 | SNN | label | 64 | 0.50 | 1.00 (0.84 to 1.00) | 1.00 (0.84 to 1.00) | 0.00 (" in text
    assert "| v2, SNN, counts | gamin, SNN, counts | 1.00 (1.00 to 1.00) | 1.00 (1.00 to 1.00) |" in text
