"""Prints the tests of what changed since a commit, by the mirror of folders.

A changed test file or conftest.py stands for its own folder; bl_neuro/leakage/nulls.py and backends/base.py for the
folders tests/leakage and tests/backends; bl_neuro/network.py for tests/test_network.py. Tests of code that uses what
changed are not among them: `make test` runs those.

    scripts/changed_tests.py main
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]


def mirror(name: str) -> PurePosixPath | None:
    """Where the tests of a file of the repository are, if it is one that has tests."""
    path = PurePosixPath(name)
    top, *rest = path.parts
    if top == "tests":
        return path if path.name.startswith("test_") else path.parent
    if top in ("backends", "deploy", "scripts"):
        return PurePosixPath("tests", top, *rest[:-1] if top == "deploy" else ())
    if top != "bl_neuro":
        return None
    if len(rest) == 1:
        return PurePosixPath("tests", f"test_{rest[0]}")
    return PurePosixPath("tests", *rest[:-1])


def tests_of(names: Iterable[str], root: Path) -> list[str]:
    """The test files and folders of changed files that exist, none within another."""
    places = {place for place in map(mirror, names) if place is not None}
    places = {place if (root / place).exists() else place.parent for place in places}
    return sorted(str(place) for place in places if not places & set(place.parents) and (root / place).exists())


def changed(since: str) -> list[str]:
    """Files that differ from the commit `since`, and those that git does not know yet."""
    commands = (["diff", "--name-only", since], ["ls-files", "--others", "--exclude-standard"])
    listed = (
        subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
        for arguments in commands
    )
    return [name for result in listed for name in result.stdout.splitlines()]


def main() -> int:
    """See the module. Prints an empty line where nothing that changed has tests."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    print(*tests_of(changed(sys.argv[1]), ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
