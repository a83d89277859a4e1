"""How the kernels are compiled, and where they are kept: a cache that notices when any of them has changed.

Numba keeps what it compiled beside a function's file and looks at that file alone; but functions of other files are
compiled into it. So everything is kept in a folder named after the sources of all kernels together.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numba

from bl_neuro.files import cache_folder

_config: Any = numba.config
HERE = Path(__file__).resolve().parent


def kernel_folder(sources: Path = HERE) -> Path | None:
    """Where kernels made of the files in `sources` are kept; None where nothing can be written."""
    digest = hashlib.sha256()
    for path in sorted(sources.glob("*.py")):
        digest.update(path.read_bytes())
    for folder in _candidates(sources):
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder / f"kernels-{digest.hexdigest()[:16]}"
    return None


def _candidates(sources: Path) -> Iterator[Path]:
    chosen = _config.CACHE_DIR  # NUMBA_CACHE_DIR
    if chosen:
        yield Path(chosen)
    yield sources / "__pycache__"
    with suppress(RuntimeError):  # no home folder
        yield cache_folder()


_FOLDER = kernel_folder()


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A kernel: without the interpreter's lock, without bounds checks, kept on disk where that can be."""

    def make(function: Callable[..., Any]) -> Any:
        before = _config.CACHE_DIR
        _config.CACHE_DIR = "" if _FOLDER is None else str(_FOLDER)
        try:
            return numba.njit(nogil=True, cache=_FOLDER is not None, boundscheck=False, **options)(function)
        finally:
            _config.CACHE_DIR = before

    return make
