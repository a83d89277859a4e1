"""Writes results/speed.md from what `benchmark_substrates.py --out` measured.

python scripts/measure/speed_tables.py results/speed.json results/speed-without-vnni.json ... > results/speed.md
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

OTHERS = ("products", "slayer", "snntorch, stepped", "snntorch, hoisted", "norse", "spikingjelly")


def measured(result: dict[str, Any]) -> list[str]:
    """Two tables of one run."""
    instructions = f", as on a processor without {result['without'].upper()}" if result["without"] else ""
    lines = [
        f"## Batch, density{instructions}",
        "",
        f"Measured {result['at']}: {', '.join(result['machine'].values())}.",
        "",
    ]
    lines += [f"| network | inputs | batch | density | queries/s | {' | '.join(OTHERS)} |"]
    lines += ["|---" * (5 + len(OTHERS)) + "|"]
    for row in result["rows"]:
        if "lava" in row:
            continue
        ratios = [row["loihi_is_faster_by"].get(name) for name in OTHERS]
        cells = [row["network"], "held" if row["held"] else "general", row["batch"], row["density"]]
        cells += [f"{row['queries_per_second']['loihi']:,.0f}", *("" if r is None else f"{r:.2f}x" for r in ratios)]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return [*lines, "", *against_lava(result)]


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
        gain = row["lava"]["lava, replicas"] / row["lava"]["lava, streamed"]
        lines.append(f"| {row['network']} | {' | '.join(cells)} | {gain:.1f}x |")
    return [*lines, ""]


def main() -> None:
    """See the module."""
    wrong = 0
    lines = ["# Speed of the emulator", ""]
    lines += [
        "How many times as fast as others `loihi` is, one thread; made by `scripts/measure/benchmark_substrates.py`.",
        "",
    ]
    for path in sys.argv[1:]:
        result = json.loads(Path(path).read_text())
        lines += measured(result)
        wrong += sum(row.get("bins_unlike_slayer", 0) for row in result["rows"])
        wrong += sum(row["lava"]["bins_unlike_lava"] for row in result["rows"] if "lava" in row)
    print("\n".join([*lines, f"Bins in which `loihi` differed from SLAYER or Lava in all of these runs: {wrong}."]))


if __name__ == "__main__":
    main()
