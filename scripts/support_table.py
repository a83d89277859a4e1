"""Creates the table of supported networks in docs/substrates.md by asking every backend about small networks.

    .venv/bin/python scripts/support_table.py              prints the table of all registered substrates
    .venv/bin/python scripts/support_table.py --write      writes that of built-in substrates to docs/substrates.md,
                                                           between the `<!-- support -->` marks
    .venv/bin/python scripts/support_table.py --check      exits with 1 if docs/substrates.md is out of date

No framework needs to be installed, since `Backend.problems` does not import any.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import bl_neuro as bl
from bl_neuro.backends import Backend
from bl_neuro.backends.registry import BACKENDS, arithmetic_title
from bl_neuro.errors import ModelFileError
from bl_neuro.files import write_text

README = Path(__file__).resolve().parent.parent / "docs" / "substrates.md"
BEGIN, END = "<!-- support -->", "<!-- /support -->"
YES, NO = "yes", "no"
WEIGHT = np.array([[0.75, -0.25, 0.5], [0.25, 0.5, -0.5], [-0.25, 1.0, 0.25], [0.5, 0.5, 0.5]])
KERNEL = np.array([[0.5, -0.25], [0.25, 0.5]]).reshape(1, 1, 2, 2) * np.ones((4, 1, 1, 1))
WHOLE = np.array([[120, -40, 80], [40, 80, -80], [-40, 100, 40], [80, 80, 80]])


def dense(
    weight: Any = WEIGHT, /, delay: Any = None, recurrent: Any = None, current_bias: Any = None, **neuron: Any
) -> bl.Network:
    """Three inputs, four neurons."""
    return bl.Network((3,), [bl.Dense(weight, bl.CubaLIF(**neuron), delay, recurrent, current_bias)])


def conv(options: dict[str, Any] | None = None, **neuron: Any) -> bl.Network:
    """Images (2, 5, 5), four channels."""
    chosen = options or {"groups": 2}
    kernel = KERNEL if chosen.get("groups", 1) == 2 else KERNEL.repeat(2, axis=1)
    return bl.Network((2, 5, 5), [bl.Conv(kernel, bl.CubaLIF(**neuron), **chosen)])


def pooled(pool: Any) -> bl.Network:
    """A pooling layer, and neurons behind it."""
    return bl.Network((2, 4, 4), [pool, bl.Flatten(), bl.Dense(np.tile(WEIGHT, 3)[:, :8], bl.CubaLIF())])


def whole(weight: Any = WHOLE, /, delay: Any = None, recurrent: Any = None, **neuron: Any) -> bl.Network:
    """A network in Loihi's arithmetic, as a .net file holds it."""
    values = {"threshold": 100, "current_decay": 0.5, "voltage_decay": 0.25, **neuron}
    return bl.Network((3,), [bl.Dense(weight, bl.CubaLIF(**values), delay, recurrent)], arithmetic="loihi")


def with_inputs(arithmetic: Any, weight: float, threshold: float, after: Any) -> bl.Network:
    """Input neurons, which take real values, before a dense layer."""
    neuron = bl.CubaLIF(threshold=threshold)
    if arithmetic == "loihi":
        neuron = bl.CubaLIF(threshold, 1.0, 0.25)
    return bl.Network((3,), [bl.Input(weight, neuron), bl.Dense(after, neuron)], arithmetic=arithmetic)


def sigma_delta(delay: Any = None, activation: Any = "relu") -> bl.Network:
    """A sigma-delta network of three layers."""
    hidden = bl.Dense(WHOLE, bl.SigmaDelta(6, 1, activation), delay)
    return bl.Network((3,), [bl.Input(64, bl.Delta(6)), hidden, bl.Dense(WHOLE.T, bl.Sigma())])


def probes() -> dict[str, dict[str, bl.Network]]:
    """Small networks that each need one thing, by what they need."""
    per_neuron = {"current_decay": [0.2, 0.5, 0.9, 1.0], "voltage_decay": [0.1, 0.3, 0.5, 1.0]}
    geometry = {"stride": 2, "padding": 1, "dilation": (1, 2), "groups": 2}
    squares = np.linspace(0.5, 1.5, 4 * 16).reshape(4, 4, 4)
    return {
        "Layers": {
            "`Dense`": dense(),
            "`Conv` with stride, padding, dilation, groups": conv(geometry),
            "`Flatten`": bl.Network((1, 1, 3), [bl.Flatten(), bl.Dense(WEIGHT, bl.CubaLIF())]),
            "`SumPool`": pooled(bl.SumPool(2)),
            "`AveragePool`": pooled(bl.AveragePool(2)),
            "`Input`: real values into neurons": with_inputs("real", 1.0, 1.0, WEIGHT[:, :3]),
            "`delay` of synapses": dense(delay=2),
            "`recurrent` synapses": dense(recurrent=0.25 * np.ones((4, 4))),
            "`current_bias` of synapses": dense(current_decay=0.5, current_bias=[0.0, 0.1, 0.2, -0.1]),
            "a layer with all weights zero": dense(np.zeros((4, 3))),
            "weights above 254 thresholds": dense(300 * WEIGHT),
        },
        "Neurons": {
            "decays, one per neuron": dense(**per_neuron),
            "`current_decay` 0": dense(current_decay=0.0),
            "`voltage_decay` 0": dense(voltage_decay=0.0),
            "`threshold`, one per neuron": dense(threshold=[0.5, 1.0, 1.5, 2.0]),
            "`threshold` of a `Conv`, one per channel": conv(threshold=[0.5, 1.0, 1.5, 2.0]),
            "`threshold` of a `Conv`, one per neuron": conv(threshold=squares),
            "`bias`": dense(bias=[0.0, 0.1, 0.2, -0.1]),
            "reset `zero`": dense(current_decay=0.5),
            "reset `subtract`, `current_decay` 1": dense(reset="subtract"),
            "reset `subtract`, `current_decay` below 1": dense(reset="subtract", current_decay=0.5),
            "reset `subtract_delayed`": dense(reset="subtract_delayed"),
        },
        "Loihi's arithmetic (`.net` files)": {
            "even weights in -256..254": whole(),
            "other weights": whole(WHOLE + 1),
            "weights that Loihi's 8 bits clip": whole(2 * WHOLE),
            "`vThMant` 0": whole(threshold=0),
            "`vThMant` from 4096": whole(threshold=5000),
            "layer that never spikes (no neuron group)": whole(threshold=2**17, current_decay=0.0, voltage_decay=1.0),
            "`bias`": whole(bias=[0, 5, -3, 10]),
            "`vDecay` 0": whole(voltage_decay=0.0),
            "delays": whole(delay=[[0, 1, 2]]),
            "recurrent synapses": whole(recurrent=20 * np.ones((4, 4))),
            "delays and recurrent synapses": whole(delay=1, recurrent=20 * np.ones((4, 4))),
            "input neurons": with_inputs("loihi", 100, 90, WHOLE[:, :3]),
        },
        "Sigma-delta networks": {
            "`Delta`, `SigmaDelta` and `Sigma`": sigma_delta(),
            "`Dense` with delays": sigma_delta(delay=[[0, 1, 2]]),
            "`SigmaDelta` without ReLU (`unit`)": sigma_delta(activation="unit"),
        },
    }


def table(backends: Sequence[type[Backend]] | None = None) -> str:
    """The table of `backends`, bl-neuro's own by default, as Markdown; under it, folded, the reasons that they give."""
    if backends is None:
        backends = [BACKENDS.find(name) for name in BACKENDS.ours]
    notes: dict[str, int] = {}
    lines = [
        f"| in the network | {' | '.join(f'`{backend.name}`' for backend in backends)} |",
        f"|---|{'---|' * len(backends)}",
    ]
    for title, features in probes().items():
        lines.append(f"| **{title}** |{' |' * len(backends)}")
        for feature, network in features.items():
            cells = [_cell(backend, network, notes) for backend in backends]
            lines.append(f"| {feature} | {' | '.join(cells)} |")
    lines.append(f"| **The substrate** |{' |' * len(backends)}")
    white = [YES if backend.differentiable else NO for backend in backends]
    arithmetic = [
        "not declared" if backend.arithmetic is None else arithmetic_title(backend.arithmetic) for backend in backends
    ]
    lines.append(f"| gradients (white box) | {' | '.join(white)} |")
    lines.append(f"| arithmetic; substrates with the same one are identical | {' | '.join(arithmetic)} |")
    listed = [f"{number}. {note}" for note, number in notes.items()]
    folded = ["<details><summary>Why not</summary>", "", *listed, "", "</details>"]
    return "\n".join([*lines, "", *folded]) + "\n"


def _cell(backend: type[Backend], network: bl.Network, notes: dict[str, int]) -> str:
    reasons = list(_reasons(backend.problems(network)))
    numbers = [str(notes.setdefault(reason, len(notes) + 1)) for reason in reasons]
    return f"{NO} ({', '.join(numbers)})" if numbers else YES


def _reasons(problems: list[str]) -> Iterator[str]:
    """Problems without the number of the layer that has them, each once."""
    yield from dict.fromkeys(re.sub(r"^layer \d+: ", "", problem) for problem in problems)


def written(path: Path = README) -> str | None:
    """The table that a file has between its marks, or None without marks."""
    text = path.read_text(encoding="utf-8")
    begin, end = text.find(BEGIN), text.find(END)
    return None if begin < 0 or end < begin else text[begin + len(BEGIN) : end].strip() + "\n"


def insert(path: Path = README) -> None:
    """Puts the table between the marks of a file."""
    text = path.read_text(encoding="utf-8")
    if written(path) is None:
        raise ModelFileError(f"{path.name}: expected the marks {BEGIN} and {END}, in this order")
    before, rest = text.split(BEGIN, 1)
    write_text(path, f"{before}{BEGIN}\n{table()}{END}{rest.split(END, 1)[1]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.write:
        insert()
    elif not options.check:
        print(table(list(BACKENDS.usable().values())), end="")
    elif written() != table():
        print(
            "docs/substrates.md: its support table is not what the backends say; run scripts/support_table.py --write"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
