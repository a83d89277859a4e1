"""Another Python interpreter that a substrate runs in: whether its framework is there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from functools import lru_cache

PROBE_S = 60.0
"""Most seconds that an interpreter may take to say what it has."""
PROBE = """
import importlib.util, json, sys
def findable(name):
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
missing = [name for name in sys.argv[1:] if not findable(name)]
print("\\nfound: " + json.dumps({"version": sys.version.split()[0], "missing": missing}))
"""


def missing_in(python: str, modules: Sequence[str]) -> str | None:
    """Why `modules` cannot be used in the interpreter `python`, or None where they are there.

    The interpreter is asked once in the life of this process, unless something is missing.
    """
    try:
        _ask(python, tuple(modules))
    except _Missing as error:
        return str(error)
    return None


class _Missing(Exception):
    """Something is missing; raised rather than returned, so that only what is good is remembered."""


@lru_cache(maxsize=16)
def _ask(python: str, modules: tuple[str, ...]) -> None:
    try:
        done = subprocess.run(
            [python, "-W", "ignore", "-c", PROBE, *modules],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _Missing(f"the interpreter {python} did not answer in {PROBE_S:g} s") from None
    except (OSError, ValueError) as error:
        raise _Missing(f"the interpreter {python} does not start: {error}") from error
    said = [line for line in done.stdout.splitlines() if line.startswith("found: ")]
    if done.returncode or not said:
        last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise _Missing(f"{python} is not a Python interpreter that works (exit status {done.returncode}): {last[:300]}")
    found = json.loads(said[-1].removeprefix("found: "))
    if found["missing"]:
        names = ", ".join(found["missing"])
        raise _Missing(f"{names} not installed in the interpreter {python} (Python {found['version']})")
