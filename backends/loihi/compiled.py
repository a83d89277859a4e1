"""Compilation and caching of the kernels; the cache is invalidated when the source of any kernel changes.

Numba caches a compiled function by its own source file only, although functions of other files are compiled into it.
The cache folder is therefore named after a hash of the sources of all kernels.
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
    """The cache folder of the kernels in `sources`; None if no folder is writable."""
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
    """Decorator of a kernel: compiled without the interpreter lock and bounds checks, cached on disk if possible."""

    def make(function: Callable[..., Any]) -> Any:
        cache_dir = _config.CACHE_DIR
        _config.CACHE_DIR = "" if _FOLDER is None else str(_FOLDER)
        try:
            return numba.njit(nogil=True, cache=_FOLDER is not None, boundscheck=False, **options)(function)
        finally:
            _config.CACHE_DIR = cache_dir

    return make
