"""Shared by the packaging tests: the files of the repository, as git lists them."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout; skips where the tests were copied elsewhere."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("looks at the repository's files: needs git and a checkout")
    return ROOT


@pytest.fixture(scope="session")
def repository_files(repository: Path) -> list[Path]:
    """Files that are tracked or would be, relative to the root; symlinks are left as they are."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=repository,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    names = (Path(name) for name in listed.split("\0") if name)
    return sorted(name for name in names if (repository / name).is_symlink() or (repository / name).is_file())
