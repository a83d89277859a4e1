"""Black-box v2 through Lava's own simulator of Loihi 2, on an exported network of MNIST, and the same on `loihi`.

    BL_NEURO_DATA=... python scripts/reproduce/mnist_on_lava.py --work runs/mnist --out results/mnist-on-lava.json

The target (784-1000-10, that of seed 0 of mnist_black_box.py, whose --work may be given) is written to a .net file, and
what is attacked is read from that file. The same seed attacks it on both substrates with output counts: the
traces and the inversions must be equal to the last bit. Exits with 1 where they are not.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from black_box_table import CLASSES
from mnist_black_box import JUDGES, STEPS, Bench
from paper_table import command, commit

import bl_neuro as bl
from bl_neuro.attacks import BrainLeaksV2, Inversions
from bl_neuro.experiment.provenance import machine, now, versions
from bl_neuro.files import write_text
from bl_neuro.leakage import hits


def attacked(network: bl.Network, substrate: str, attack: BrainLeaksV2, seed: int) -> tuple[Inversions, float]:
    """The inversions of every class and the seconds they took, a first query not counted."""
    with bl.open_target(network, substrate) as target:
        target.run(torch.zeros(STEPS, 1, *network.input_shape))  # starts what has to be started
        box = bl.BlackBox(target, reveals="counts", budget=attack.warm_start + CLASSES * attack.queries)
        began = time.perf_counter()

        def told(done: int, total: int) -> None:
            print(f"\r{substrate}: {done}/{total}, {time.perf_counter() - began:.0f} s", end="", flush=True)

        found = attack(box, classes=range(CLASSES), steps=STEPS, seed=seed, progress=told)
        print()
        return found, time.perf_counter() - began


def facts(found: Inversions, seconds: float, judges: dict[str, Any]) -> dict[str, Any]:
    """What came of one substrate."""
    classes = np.arange(CLASSES)
    verdicts = {name: judge.probabilities(found.images.numpy()) for name, judge in judges.items()}
    return {
        "inversions": len(found.classes),
        "queries": found.queries,
        "queries_a_class": found.queries_per_class,
        "seconds": round(seconds, 1),
        "queries_a_second": round(found.queries / seconds, 1),
        "attack_accuracy": {name: float(hits(each, classes).mean()) for name, each in verdicts.items()},
    }


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/mnist"), help="folder for trained networks")
    parser.add_argument("--out", type=Path, default=Path("results/mnist-on-lava.json"))
    parser.add_argument("--queries", type=int, default=512, help="a class, after the shared warm start")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    bench = Bench(options.work)
    exported = options.work / "mnist.net"
    bl.save(bench.target("trained", 0), exported)
    network = bl.load(exported)
    with bl.open_target(network, "loihi") as target:
        accuracy = bl.training.measure_accuracy(target, bench.split.test, STEPS, 0)
    judges = {name: bench.judge(name) for name in JUDGES}
    attack = replace(BrainLeaksV2.for_mnist(), queries=options.queries)
    made = {name: attacked(network, name, attack, options.seed) for name in ("loihi", "lava")}
    one, two = (found for found, _ in made.values())
    equal = {
        "inversions": torch.equal(one.spikes, two.spikes),
        "trace_objective": torch.equal(one.trace.objective, two.trace.objective),
        "trace_rates": torch.equal(one.trace.rates, two.trace.rates),
        "trace_queries": torch.equal(one.trace.queries, two.trace.queries),
    }
    results = {
        "made": now(),
        "commit": commit(),
        "command": command(),
        "versions": versions(),
        "machine": machine(),
        "network": "784-1000-10, read from a .net file",
        "fingerprint": network.fingerprint,
        "accuracy_as_exported": accuracy,
        "attack": attack.settings(),
        "seed": options.seed,
        "reveals": "counts",
        **{name: facts(found, seconds, judges) for name, (found, seconds) in made.items()},
        "equal": equal,
    }
    write_text(options.out, json.dumps(results, indent=1) + "\n")
    print(json.dumps({key: results[key] for key in ("loihi", "lava", "equal", "accuracy_as_exported")}, indent=1))
    return 0 if all(equal.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
