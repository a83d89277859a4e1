"""The BrainLeaks table on DVS128 gestures: white-box v1 and v2 as published, and black-box v2 from spike counts.

    BL_NEURO_DATA=... python scripts/reproduce/reproduce_gestures.py

Targets 16384-300-10 with the canonical neuron, on at most 100 frames of 50 ms. With the official recordings (23 people
to train, 6 to test) targets and judges share the training people's recordings in equal parts, none in both. Where the
recordings name no test set, as the ten that the project was developed with do not, there is one of each gesture: then
targets, judges and tests all use the same ones, which shows that everything runs and measures no leakage. The results
say which it was. What is done is kept in --work and --out; a rerun goes on.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from paper_events import BLACK, JUDGES, WHITE, Entry, EventBench, assumed, cells, costs, keep_data, recordings, run
from paper_table import AUTHORS, AUTHORS_ACCURACY, Cell, Results, Row, foot, span, table

import bl_neuro as bl
from bl_neuro.attacks import BrainLeaksV1, BrainLeaksV2, BrainLeaksV2Gradient
from bl_neuro.data import EventDataset, Split
from bl_neuro.experiment.threads import one_thread
from bl_neuro.files import write_text
from bl_neuro.rounding import fixed

STEPS = 100
"""Most steps of an input: the authors' inversions last as many."""
SMOKE = "one recording a gesture: targets, judges and tests all use the same ones. A smoke run; no leakage is measured."
ENTRIES = {
    "v1": Entry(BrainLeaksV1(iterations=25, objective="spikes")),
    "v2_gradient": Entry(BrainLeaksV2Gradient.for_gestures()),
    "v2": Entry(BrainLeaksV2.for_gestures(), "counts"),
}
ROWS = [
    Row("v1", "v1, white box", AUTHORS["dvs_gesture", "v1"]),
    Row("v2_gradient", "v2 (gradient), white box", AUTHORS["dvs_gesture", "v2_gradient"]),
    Row("v2", "v2, black box, counts"),
]
GRID = range(64, 2049, 32)


def split_of(dataset: EventDataset) -> Split[EventDataset]:
    """By people where the recordings name a test set; otherwise the same ones for everything."""
    if dataset.held_out is not None and 0 < dataset.held_out.sum() < len(dataset.labels):
        return bl.data.official_split(dataset, seed=0)
    return Split(dataset, dataset, dataset, SMOKE)


def report(results: Results) -> str:
    """The results in Markdown."""
    theirs = [fixed(accuracy, 3) for accuracy in AUTHORS_ACCURACY["dvs_gesture"]]
    data = results.data["facts"]["data"]
    steps = results.data["settings"]["plan"]["steps"]
    judges = ", ".join(f"{name} {fixed(value, 3)}" for name, value in results.data["facts"]["judge accuracy"].items())
    accuracies = [f"on `{place}` {span(results.facts(f'target accuracy, {place}'))}" for place in (WHITE, BLACK)]
    lines = [
        "# The BrainLeaks table on DVS128 gestures",
        "",
        f"{recordings(results)}; {data['note']}",
        "",
        f"Targets 16384-300-10, canonical neuron, T={steps}. Accuracy of the targets {', '.join(accuracies)} (authors "
        f"{theirs[0]}); of the judges {judges} (authors {theirs[1]}).",
        "",
        *table(results.cells, ROWS, JUDGES),
        "",
        *costs(results, ROWS, ENTRIES, data["classes"]),
        "",
        *assumed(ENTRIES, ("v2",), (1, 128, 128)),
        *foot(results),
    ]
    return "\n".join(lines) + "\n"


def draw(bench: EventBench, judge: Any, stem: Path) -> None:
    """The first inversion of each gesture by each attack, on the first target; black-box v2's in motion."""
    names, images, answers = bench.split.target.class_names, {}, {}
    for row in ROWS:
        found, *_ = bench.invert(ENTRIES[row.attack], Cell(row.attack, 0))
        images[row.name] = (found.images.numpy(), found.classes.numpy())
        answers[row.name] = judge.probabilities(found.spikes.numpy()).argmax(axis=1)
        if row.attack == "v2":
            bl.drawing.event_animation(found.spikes.numpy()[::4], names).save(stem.with_suffix(".gif"))
    grid = bl.drawing.reconstruction_grid(bench.split.target.class_means(), images, names, answers=answers)
    grid.save(stem.with_name(f"{stem.name}-grid"))


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1, help="inversions of each class a target")
    parser.add_argument("--work", type=Path, default=Path("runs/paper-gestures"), help="folder for trained networks")
    parser.add_argument("--out", type=Path, default=Path("results/paper-gestures.json"))
    options = parser.parse_args()
    with one_thread():
        dataset: Any = bl.data.load_dataset("dvs_gesture")
        split = split_of(dataset)
        plan = replace(bl.training.plan_for("dvs_gesture"), steps=min(STEPS, dataset.steps))
        entries = {name: entry.settings() for name, entry in ENTRIES.items()}
        data = {"completeness": dataset.completeness, "split": split.note}
        results = Results(options.out, {"plan": plan.facts(), "attacks": entries, "data": data})
        keep_data(results, split)
        bench = EventBench(options.work, split, plan)

        def write() -> None:
            write_text(options.out.with_suffix(".md"), report(results))

        judges = run(results, bench, ENTRIES, list(cells(ENTRIES, options.seeds, options.repeats)), GRID, write)
        draw(bench, judges[JUDGES[0]], options.out.with_suffix(""))


if __name__ == "__main__":
    main()
