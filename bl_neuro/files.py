"""Writing files so that nothing is ever half there: a temporary file beside the target, then one rename."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from bl_neuro.errors import ReportError


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`; what is written there becomes `path` when the block ends without an error.

    Raises:
        OSError: the folder cannot be made or written; `path` is as it was before.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem}-", suffix=target.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def what_is_at(path: Path) -> Literal["a file", "a folder", "nothing"]:
    """What lies at `path`; nothing does where the name is one that no file can have."""
    try:
        return "a file" if path.is_file() else "a folder" if path.is_dir() else "nothing"
    except (OSError, ValueError):  # too long, a null byte
        return "nothing"


def need_folder(path: Path) -> None:
    """Makes the folder `path` and tries it, before minutes are spent on what could then not be written there.

    Raises:
        ReportError: it cannot be made or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise ReportError(f"{path}: expected a folder that can be written to ({error})") from error


def write_text(path: str | Path, text: str) -> None:
    """Writes `text` (UTF-8) to `path`, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def cache_folder(cache: str | Path | None = None) -> Path:
    """The folder for caches: `cache`, or BL_NEURO_CACHE, or bl-neuro in XDG_CACHE_HOME or in ~/.cache."""
    named = cache if cache is not None else os.environ.get("BL_NEURO_CACHE")
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "bl-neuro"
