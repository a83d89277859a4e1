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

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from endpoint_answers import HostileEndpoint, example
from fuzzing import Fuzzer, beyond, options_of, run

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


def make(path: Path, rng: np.random.Generator) -> None:
    """Writes a description of an endpoint."""
    path.write_text(json.dumps(example(rng)))


def failure(answer: dict[str, Any]) -> str | None:
    """The reason why this outcome is a failure; None if it is allowed."""
    return beyond(answer, LIMIT_S, LIMIT_MB)


def main() -> int:
    """Runs the command line."""
    fuzzer = Fuzzer(
        make=make,
        read=attack,
        failure=lambda path: failure,
        suffix=".json",
        label=lambda answer: "attacked" if answer["verdict"] == "read" else answer["verdict"],
    )
    return run(fuzzer, options_of(__doc__).parse_args(), [__file__])


if __name__ == "__main__":
    sys.exit(main())
