"""v2 on counts through `bl-neuro serve`, from loihi and from real Lava, beside the same runs at home: bit for bit?

    python scripts/measure/attack_served.py [--model FILE] [--queries 640] [--out results/attack_served.json]

Without --model the digits network is trained first, as `bl-neuro train digits --seed 0` does. The attack is that of the
digits audit, on all classes. The runs at home, each server and each client are processes of their own. The budget is
what a run at home spent, to the query, so that nothing may be left of it. Exits with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from served_process import served

from bl_neuro.files import write_text

BACKENDS = ("loihi", "lava")
STEPS, SEED = 20, 0
SETTINGS = {"window": 3.0, "contrast": "mixed"}
"""What the digits audit's v2 assumes, beside its queries."""
TOKEN = "BL_NEURO_TOKEN"


def attack(source: str, backend: str, queries: int, out: Path) -> None:
    """One attack: on `backend` where `source` is a file, through the endpoint where it is a URL."""
    import bl_neuro as bl
    from bl_neuro.experiment.threads import one_thread

    strategy = bl.attacks.BrainLeaksV2(queries=queries, **SETTINGS)  # type: ignore[arg-type]
    began = time.monotonic()
    with one_thread():
        if source.startswith("http"):
            with bl.RemoteBlackBox(source, token=os.environ[TOKEN], patience_s=300.0, timeout_s=300.0) as remote:
                inversions = strategy(remote, classes=range(10), steps=STEPS, seed=SEED)
                spent = remote.spent
            over = _refused(source)
        else:
            with bl.open_target(bl.load(source), backend) as target:
                box = bl.BlackBox(target, "counts")
                inversions = strategy(box, classes=range(10), steps=STEPS, seed=SEED)
                spent, over = box.spent, None
    inversions.save(out / "inversions.safetensors")
    facts = {"counted_by_the_client": spent, "refused_afterwards": over, "seconds": round(time.monotonic() - began, 1)}
    (out / "facts.json").write_text(json.dumps(facts))


def _refused(url: str) -> bool:
    """Whether the endpoint has nothing left for this client."""
    import bl_neuro as bl

    try:
        with bl.RemoteBlackBox(url, token=os.environ[TOKEN]):
            return False
    except bl.BudgetExceeded:
        return True


def in_a_process(source: str, backend: str, queries: int, out: Path, token: str = "") -> dict[str, Any]:
    """Has another process attack `source`, and says what it spent."""
    out.mkdir()
    command = [
        sys.executable,
        __file__,
        "--attack",
        source,
        "--on",
        backend,
        "--queries",
        str(queries),
        "--out",
        str(out),
    ]
    subprocess.run(command, check=True, env={**os.environ, TOKEN: token})
    facts: dict[str, Any] = json.loads((out / "facts.json").read_text())
    return facts


def sameness(one: Path, other: Path) -> dict[str, bool]:
    """What of two runs is the same, values and datatypes."""
    import bl_neuro as bl

    here, there = (bl.attacks.load_inversions(folder / "inversions.safetensors") for folder in (one, other))
    assert here.rates is not None
    assert there.rates is not None
    tensors = {
        "spikes": (here.spikes, there.spikes),
        "images": (here.images, there.images),
        "rates": (here.rates, there.rates),
        "classes": (here.classes, there.classes),
        "trace_queries": (here.trace.queries, there.trace.queries),
        "trace_objective": (here.trace.objective, there.trace.objective),
        "trace_rates": (here.trace.rates, there.trace.rates),
    }
    same = {name: a.dtype == b.dtype and torch.equal(a, b) for name, (a, b) in tensors.items()}
    return {**same, "queries": here.queries == there.queries, "status": here.status == there.status}


def through(backend: str, model: Path, home: Path, queries: int, budget: int, folder: Path) -> dict[str, Any]:
    """The attack through a server on `backend`, beside the one at home."""
    clients, log = folder / f"{backend}.clients", folder / f"{backend}.sqlite"
    made = [sys.executable, "-m", "bl_neuro", "token", "auditor", "--file", str(clients)]
    token = subprocess.run(made, check=True, capture_output=True, text=True).stdout.strip()
    options = ("--budget", str(budget), "--token-file", str(clients), "--deadline", "120")
    out = folder / backend
    with served(model, backend, log, *options) as server:
        facts = in_a_process(server.url, backend, queries, out, token)
    base = sqlite3.connect(log)
    requests, charged = base.execute("SELECT COUNT(*), SUM(cost) FROM queries WHERE client = 'auditor'").fetchone()
    base.close()
    same = sameness(home, out)
    counted = facts["counted_by_the_client"]
    equal = all(same.values()) and counted == charged == budget and facts["refused_afterwards"]
    return {"equal": equal, "same": same, **facts, "in_the_servers_log": charged, "requests": requests}


def digits_network(folder: Path) -> Path:
    """Trains the digits network."""
    command = [sys.executable, "-m", "bl_neuro", "train", "digits", "--out", str(folder)]
    command += ["--evaluators", "", "--device", "cpu", "--seed", str(SEED), "--json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "target.safetensors"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--queries", type=int, default=640, help="of each class")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--attack", help=argparse.SUPPRESS)
    parser.add_argument("--on", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.attack is not None:
        attack(arguments.attack, arguments.on, arguments.queries, arguments.out)
        return 0
    import bl_neuro as bl

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = arguments.model or digits_network(folder / "trained")
        homes = {backend: folder / f"home-{backend}" for backend in BACKENDS}
        facts = {backend: in_a_process(str(model), backend, arguments.queries, homes[backend]) for backend in BACKENDS}
        spent = facts["loihi"]["counted_by_the_client"]
        results: dict[str, Any] = {
            "network": bl.load(model).fingerprint,
            "settings": {"queries": arguments.queries, **SETTINGS, "steps": STEPS, "seed": SEED, "classes": 10},
            "at_home": {
                "queries": spent,
                "seconds": {backend: facts[backend]["seconds"] for backend in BACKENDS},
                "equal": all(sameness(homes["loihi"], homes["lava"]).values()),
            },
        }
        for backend in BACKENDS:
            results[backend] = through(backend, model, homes[backend], arguments.queries, spent, folder)
            print(f"{backend}: {json.dumps(results[backend])}", file=sys.stderr)
    results["load_average"] = os.getloadavg()[0]
    print(json.dumps(results, indent=2))
    if arguments.out is not None:
        write_text(arguments.out, json.dumps(results, indent=2) + "\n")
    return 0 if all(results[part]["equal"] for part in ("at_home", *BACKENDS)) else 1


if __name__ == "__main__":
    sys.exit(main())
