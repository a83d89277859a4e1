"""Attacks endpoints whose answers are mutated: each attack ends with a result, or with an error of ours.

    python scripts/harden/fuzz_endpoint_answers.py --count 2000 --seed 0

One example is an endpoint: its metadata, its list of extensions, its configuration and its answers to queries, valid
ones in which fields were removed, exchanged, repeated or given values of other types and sizes, or whose HTTP status,
headers or bytes were changed (`endpoint_answers`). A child process opens a `RemoteBlackBox` and runs a short attack of
BrainLeaks v2 against it. An example fails where the child crashes, raises anything else, prints a warning, takes more
than 5 s of processor time or grows by more than 1 GB. Failing examples are kept. Prints counts; exit code 1 where any
example failed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from endpoint_answers import HostileEndpoint, example
from fuzz_model_files import Child, serve

import bl_neuro as bl

LIMIT_S, LIMIT_MB = 5.0, 1000


def attack(path: str) -> None:
    """Attacks the endpoint that the example in this file describes."""
    warnings.simplefilter("error")
    facts = json.loads(Path(path).read_text())
    with HostileEndpoint(facts) as endpoint:
        options = {"reveals": "scores", "layout": "rates", "timeout_s": 2.0, "patience_s": 0.2}
        with bl.RemoteBlackBox(endpoint.url, **{**options, **facts["options"]}) as box:
            bl.attacks.BrainLeaksV2(queries=20)(box, classes=range(box.classes), steps=2, seed=0)


def failure(answer: dict[str, Any]) -> str | None:
    """The reason why this outcome is a failure; None if it is allowed."""
    if answer["verdict"] not in ("read", "refused"):
        return f"{answer['verdict']}: {answer['detail']}"
    if answer["seconds"] > LIMIT_S:
        return f"took {answer['seconds']:.2f} s"
    if answer["mb"] > LIMIT_MB:
        return f"grew by {answer['mb']:.0f} MB"
    return None


def fuzz(count: int, seed: int, kept: Path) -> dict[str, Any]:
    """Attacks `count` endpoints; failing examples are kept in `kept`."""
    child = Child([sys.executable, __file__, "--serve"])
    outcomes, errors, failed, most_seconds, most_mb = Counter[str](), Counter[str](), 0, 0.0, 0.0
    try:
        with tempfile.TemporaryDirectory(prefix="bl-neuro-fuzz-") as folder:
            for number in range(count):
                path = Path(folder) / f"endpoint-{seed}-{number}.json"
                path.write_text(json.dumps(example(np.random.default_rng([seed, number]))))
                answer = child.open(path)
                outcomes[{"read": "attacked"}.get(answer["verdict"], answer["verdict"])] += 1
                errors[answer["detail"].partition(":")[0]] += answer["verdict"] == "refused"
                most_seconds, most_mb = max(most_seconds, answer["seconds"]), max(most_mb, answer["mb"])
                reason = failure(answer)
                if reason is not None:
                    failed += 1
                    kept.mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, kept / path.name)
                    print(f"FAILED {kept / path.name}: {reason}", file=sys.stderr, flush=True)
                path.unlink()
    finally:
        child.close()
    return {
        "count": count, "failed": failed, "outcomes": dict(sorted(outcomes.items())),
        "errors": dict(sorted((+errors).items())), "most_seconds": round(most_seconds, 2), "most_mb": round(most_mb),
    }  # fmt: skip


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000, help="how many endpoints (default 20000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kept", type=Path, default=Path("fuzz-failures"), help="where failing examples are kept")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(attack)
        return 0
    report = fuzz(options.count, options.seed, options.kept)
    print(json.dumps(report, indent=2))
    return 1 if report["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
