"""The demo's attacks over many target seeds: how far the figures of one seed can be trusted.

    .venv/bin/python scripts/demo_over_seeds.py --seeds 8 --out results/digits-over-seeds.json

Trains and attacks one target a seed on snntorch and slayer (which equals Lava bin for bin), with and without background
noise in training, and prints means with 95% intervals over seeds. What a seed gave is kept: a rerun goes on.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import sem, t

from bl_neuro.audit.demo import DemoPlan, DemoStory
from bl_neuro.audit.provenance import versions
from bl_neuro.audit.threads import one_thread
from bl_neuro.files import write_text

SUBSTRATES = ["snntorch", "slayer"]


class Quiet:
    """No progress."""

    def stage(self, name: str) -> Any:
        return lambda done, total: None


def measure(seed: int, noise: float) -> list[dict[str, Any]]:
    """Rows of one target seed."""
    plan = DemoPlan()
    plan = replace(plan, target=replace(plan.target, noise=noise))
    with one_thread():
        rows, _ = DemoStory(plan, seed, Quiet()).attack_all(SUBSTRATES)
    keep = {"substrate", "attack", "target_accuracy", "attack_accuracy", "confidence", "queries_per_class", "n"}
    return [{**row.model_dump(include=keep), "target_seed": seed, "training_noise": noise} for row in rows]


def summary(rows: list[dict[str, Any]]) -> list[str]:
    """A Markdown table: mean over target seeds with its 95% interval, and the range."""
    lines = [
        "| training noise | substrate | attack | target accuracy | attack accuracy | lowest seed | confidence |",
        "|---|---|---|---|---|---|---|",
    ]
    keys = sorted({(row["training_noise"], row["attack"], row["substrate"]) for row in rows}, reverse=True)
    for noise, attack, substrate in keys:
        own = [r for r in rows if (r["training_noise"], r["attack"], r["substrate"]) == (noise, attack, substrate)]
        columns = [np.array([r[name] for r in own]) for name in ("target_accuracy", "attack_accuracy", "confidence")]
        accuracy, success, confidence = (_interval(column) for column in columns)
        low = columns[1].min()
        lines.append(f"| {noise} | {substrate} | {attack} | {accuracy} | {success} | {low:.3f} | {confidence} |")
    return lines


def _interval(values: np.ndarray) -> str:
    half = t.ppf(0.975, len(values) - 1) * sem(values) if len(values) > 1 else float("nan")
    return f"{values.mean():.3f} ± {half:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("results/digits-over-seeds.json"))
    options = parser.parse_args()
    rows = json.loads(options.out.read_text())["rows"] if options.out.exists() else []
    done = {(row["target_seed"], row["training_noise"]) for row in rows}
    for noise in (0.5, 0.0):
        for seed in range(options.seeds):
            if (seed, noise) not in done:
                rows += measure(seed, noise)
                write_text(options.out, json.dumps({"versions": versions(), "rows": rows}, indent=1) + "\n")
    text = "\n".join([f"Digits, {options.seeds} target seeds, 40 inversions each.", "", *summary(rows)]) + "\n"
    write_text(options.out.with_suffix(".md"), text)
    print(text)


if __name__ == "__main__":
    main()
