"""`bl-neuro demo`."""

from __future__ import annotations

from pathlib import Path

from bl_neuro.audit.demo import run_demo
from bl_neuro.cli.output import print_json, print_table, progress_bars, say
from bl_neuro.report import Results, answer
from bl_neuro.report.schema import Control, Row
from bl_neuro.report.words import interval, percent


def demo(out: Path, seed: int, substrates: str | None, as_json: bool) -> None:
    """Runs the demo and says where its report is."""
    chosen = None if substrates is None else [name.strip() for name in substrates.split(",") if name.strip()]
    with progress_bars() as stages:
        report = run_demo(out, seed=seed, substrates=chosen, stages=stages)
    results = Results.from_json((out / "results.json").read_bytes())
    if as_json:
        print_json({"report": str(report), "results": str(out / "results.json"), **_headline(results)})
        return
    columns = ["substrate", "attack", "sees", "target acc.", "attack acc.", "confidence", "queries/class", "seconds"]
    print_table("Inversions judged by an evaluator that never saw the target's data", columns, _table(results), 3)
    say(f"\n{answer(results)}\n\nReport: {report}")


def _headline(results: Results) -> dict[str, list[dict[str, object]]]:
    names = {"substrate", "attack", "reveals", "target_accuracy", "attack_accuracy", "confidence", "queries_per_class"}
    return {
        "rows": [row.model_dump(include=names) for row in results.rows],
        "controls": [row.model_dump(include={*names, "kind"}) for row in results.controls],
    }


def _table(results: Results) -> list[list[str]]:
    return [
        [
            row.substrate,
            f"{row.attack}, null control" if isinstance(row, Control) else row.attack,
            row.reveals or "",
            *_numbers(row),
        ]
        for row in results.all_rows()
    ]


def _numbers(row: Row) -> list[str]:
    found = f"{percent(row.attack_accuracy)} ({interval(row)})"
    accuracy = percent(row.target_accuracy, 1)
    return [accuracy, found, f"{row.confidence:.2f}", f"{row.queries_per_class:g}", f"{row.seconds:.1f}"]
