"""Compilation and caching of the kernels; the cache is invalidated when the source of any kernel changes.

Numba caches a compiled function by its own source file only, although functions of other files are compiled into it.
The cache folder is therefore named after a hash of the sources of all kernels.

Numba uses a folder only if it is writable. Where no folder is, this process uses a private copy of the kernels beside
the sources, as an image of a container has them after `bl-neuro doctor`.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import shutil
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
    name = _name(sources)
    for folder in _candidates(sources):
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
            _need_usable(folder / name)
            return folder / name
    return None


def private_copy(sources: Path = HERE) -> Path | None:
    """A copy of the kernels beside `sources` for this process, which is removed when it ends; None without kernels.

    Compiled kernels are code: no folder that other users can write to is read.
    """
    kept = sources / "__pycache__" / _name(sources)
    with suppress(OSError):
        kernels = list(kept.rglob("*.nb[ic]"))
        if kernels:
            folder = Path(tempfile.mkdtemp(prefix="bl-neuro-kernels-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            for path in kernels:
                copy = folder / path.relative_to(kept)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
            return folder
    return None


def _name(sources: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(sources.glob("*.py")):
        digest.update(path.read_bytes())
    return f"kernels-{digest.hexdigest()[:16]}"


def _need_usable(folder: Path) -> None:
    """Raises OSError unless everything in a cache folder, if it exists, can be read and written."""
    if not folder.exists():
        return
    with tempfile.TemporaryFile(dir=folder):
        pass
    for path in folder.rglob("*"):
        if path.is_dir():
            with tempfile.TemporaryFile(dir=path):
                pass
        else:
            with path.open("rb"):
                pass


def _candidates(sources: Path) -> Iterator[Path]:
    chosen = _config.CACHE_DIR  # NUMBA_CACHE_DIR
    if chosen:
        yield Path(chosen)
    yield sources / "__pycache__"
    cache = cache_folder()
    if cache is not None:
        yield cache


def _folder() -> Path | None:
    folder = kernel_folder() or private_copy()
    if folder is None:
        logging.getLogger("bl_neuro").warning(
            "loihi: its kernels are compiled at every start, which takes about ten seconds, since there is no writable "
            "folder to keep them; set BL_NEURO_CACHE to one"
        )
    return folder


_FOLDER = _folder()


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
