"""Writes results/speed.md from what `benchmark_substrates.py --out` measured.

python scripts/measure/speed_tables.py results/speed.json > results/speed.md
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

OTHERS = ("slayer", "snntorch, stepped", "snntorch, hoisted", "norse", "spikingjelly")


def measured(result: dict[str, Any]) -> list[str]:
    """Two tables of one run."""
    instructions = f", as on a processor without {result['without'].upper()}" if result["without"] else ""
    busiest = max(result["busy_shares"])
    names = [name for name in OTHERS if any(name in row.get("loihi_is_faster_by", {}) for row in result["rows"])]
    columns = [
        "network",
        "inputs",
        "batch",
        "density",
        "queries/s",
        "products",
        "their form",
        *names,
        "float32 spikes",
        "gradient",
        "ms more than products",
    ]
    lines = [
        f"## Batch, density{instructions}",
        "",
        f"Measured {result['at']}: {', '.join(result['machine'].values())}; others used {busiest:.0%} at most.",
        f"Medians of {result['rounds']} rounds, in brackets the smallest and the greatest.",
        "",
        f"| {' | '.join(columns)} |",
        "|---" * len(columns) + "|",
    ]
    for row in result["rows"]:
        if "lava" in row:
            continue
        cells = [row["network"], "held" if row["held"] else "general", row["batch"], row["density"]]
        cells += [f"{row['queries_per_second']['loihi']:,.0f}", ratio(row["loihi_is_faster_by"]["products"])]
        cells += [row["fastest_products"].removeprefix("products, ")]
        cells += [ratio(row["loihi_is_faster_by"].get(name)) for name in names]
        cells += [ratio(row["float32_spikes_cost"]), ratio(row["gradient_cost"])]
        cells += [f"{row['ms_more_than_products']['median']:+.2f}"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return [*lines, "", *against_lava(result)]


def ratio(spread: dict[str, float] | None) -> str:
    """A median with its range."""
    return f"{spread['median']:.2f}x ({spread['least']:.2f}, {spread['greatest']:.2f})" if spread else ""


def against_lava(result: dict[str, Any]) -> list[str]:
    """Real Lava, if it was measured."""
    rows = [row for row in result["rows"] if "lava" in row]
    if not rows:
        return []
    names = [name for name in rows[0]["lava"] if name.startswith("lava")]
    lines = ["Real Lava, queries a second (density 0.1), and how many times as many `loihi` answers:", ""]
    lines += [f"| network | {' | '.join(names)} | replicas over streamed |", "|---" * (2 + len(names)) + "|"]
    for row in rows:
        ours = next(
            other["queries_per_second"]["loihi"]
            for other in result["rows"]
            if other["network"] == row["network"] and other.get("batch", 0) > 1 and other.get("density") == 0.1
        )
        cells = [f"{row['lava'][name]:,.1f} ({ours / row['lava'][name]:,.0f}x)" for name in names]
        rate = row["lava"]
        gain = rate.get("replicas over streamed", rate["lava, replicas"] / rate["lava, streamed"])
        lines.append(f"| {row['network']} | {' | '.join(cells)} | {gain:.1f}x |")
    return [*lines, ""]


def main() -> None:
    """See the module."""
    wrong = 0
    lines = [
        "# Speed of the emulator",
        "",
        "How many times as many queries `loihi` answers as others, one thread, made by",
        "`scripts/measure/benchmark_substrates.py` on an idle machine. Products are the dense matrix products alone,",
        "in the fastest of several forms. The last columns are what spikes given as float32 instead of bytes cost,",
        "what a gradient at the input costs in times of a response, and how much longer a batch takes than products.",
        "",
    ]
    for path in sys.argv[1:]:
        result = json.loads(Path(path).read_text())
        lines += measured(result)
        wrong += sum(row.get("bins_unlike_slayer") or 0 for row in result["rows"])
        wrong += sum(row["lava"]["bins_unlike_lava"] for row in result["rows"] if "lava" in row)
    print("\n".join([*lines, f"Bins in which `loihi` differed from SLAYER or Lava in all of these runs: {wrong}."]))


if __name__ == "__main__":
    main()
