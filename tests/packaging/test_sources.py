"""No file of the repository is tied to one machine or one package index."""

import re
from pathlib import Path

import pytest

FORBIDDEN = {
    "a package index": re.compile(
        r"(?:pypi|pythonhosted|anaconda|pytorch)\.org/(?:simple|whl|packages|conda)"
        r"|https?://[^\s)\"'<>]*/simple\b"
        r"|files\.pythonhosted\.org",
        re.IGNORECASE,
    ),
    "an option that chooses a package index": re.compile(
        r"(?:extra[-_])?index[-_]url|find[-_]links|trusted[-_]host", re.IGNORECASE
    ),
    "a path of one machine": re.compile(
        r"(?<![\w.~*-])/(?:work|root|mnt|Users/\w+|home/\w+)/|[A-Z]:\\+Users\\", re.IGNORECASE
    ),
}


def text_of(path: Path) -> str | None:
    """The text of a file, or None when it is binary or a symlink."""
    content = b"\0" if path.is_symlink() else path.read_bytes()
    return None if b"\0" in content else content.decode("utf-8", errors="replace")


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names(what: str, repository: Path, repository_files: list[Path]) -> None:
    home = Path.home()
    own = [str(place) + "/" for place in (repository, home) if len(place.parts) > 1]
    problems = []
    for name in repository_files:
        for number, line in enumerate((text_of(repository / name) or "").splitlines(), start=1):
            here = what == "a path of one machine" and any(place in line for place in own)
            if here or FORBIDDEN[what].search(line):
                problems.append(f"{name}:{number}: {line.strip()[:120]}")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("a package index", "https://example.org" + "/simple/"),
        ("an option that chooses a package index", "--extra-index" + "-url=x"),
        ("a path of one machine", "cd /" + "home/someone/checkout"),
        ("a path of one machine", "'/" + "root/.cache'"),
    ],
)
def test_the_patterns_see(what: str, line: str) -> None:
    assert FORBIDDEN[what].search(line)


@pytest.mark.parametrize("line", ["https://example.org/mnt/page", "src/home/page/", "~/mnt/data", "/tmp/x"])
def test_the_patterns_let_pass(line: str) -> None:
    assert not any(pattern.search(line) for pattern in FORBIDDEN.values())
