"""Atomic writing of files: a temporary file beside the target, then a rename.

Every output is written through `atomic_path`, which replaces regular files only.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bl_neuro.errors import InputError, ReportError

KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
"""Names of everything but regular files, by type."""


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, which replaces `path` when the block ends without an error.

    Raises:
        OSError: the folder cannot be created or written, or `path` is not a regular file but, for example, a device or
            a symbolic link; `path` is then unchanged.
    """
    target = Path(path)
    need_regular(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem}-", suffix=target.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        need_regular(target)
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def need_regular(path: Path) -> None:
    """Checks that `path` is a regular file or does not exist. Symbolic links are not followed.

    Raises:
        OSError: it is something else, which an output must not replace.
    """
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if not stat.S_ISREG(mode):
        raise OSError(f"{path}: expected a regular file or a free name, found {_kind(mode)}, which is not replaced")


def need_empty(path: Path) -> None:
    """Checks that the lock file `path` is an empty regular file or does not exist, since a lock empties it.

    Raises:
        OSError: it is something else.
    """
    need_regular(path)
    if path.exists() and path.stat().st_size > 0:
        raise OSError(f"{path}: expected an empty lock file or a free name, found a file that has content")


def need_free(paths: Iterable[Path], force: bool) -> None:
    """Checks outputs before they are computed: with `force`, they may be regular files; without, they must not exist.

    Raises:
        InputError: a file exists, and force is False. ReportError: a path is not a regular file.
    """
    for path in paths:
        try:
            need_regular(path)
        except OSError as error:
            raise ReportError(f"{path}: could not be written ({error})") from error
        if path.exists() and not force:
            raise InputError(
                f"{path}: already exists; choose another name, or overwrite it with --force (force=True in Python)"
            )


def what_is_at(path: Path) -> str:
    """The kind of object at `path`, such as "a file", "a folder" or "a named pipe".

    "nothing" also for names that no file can have.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # too long, a null byte, a loop of links
        return "nothing"
    return "a file" if stat.S_ISREG(mode) else _kind(mode)


def _kind(mode: int) -> str:
    return KINDS.get(stat.S_IFMT(mode), "a special file")


def need_folder(path: Path) -> None:
    """Creates the folder `path` and checks that it is writable, before a long computation.

    If no folder for temporary files is writable, as in a container with a read-only file system, they go there as well.

    Raises:
        ReportError: the folder cannot be created or is not writable, or its name is not UTF-8.
    """
    if not is_utf8(path):
        raise ReportError(f"{path}: expected a folder whose name is UTF-8, since reports repeat it")
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise ReportError(f"{path}: expected a writable folder ({error})") from error
    _need_temporary_files(path)


def _need_temporary_files(folder: Path) -> None:
    """Makes this process and those that it starts put temporary files into `folder` if no usual place is writable."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder.absolute())


def is_utf8(path: str | Path) -> bool:
    """Whether the path can be written in a report."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def write_text(path: str | Path, text: str) -> None:
    """Writes `text` (UTF-8) to `path`, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def expanded(path: str | Path, name: str | None = None) -> Path:
    """`path` with the home folder in the place of a leading `~`. name: of the setting, for the error message.

    Raises:
        InputError: it is neither text nor a `Path`, or the home folder is not known.
    """
    try:
        return Path(path).expanduser()
    except TypeError as error:
        raise InputError(f"{name or 'path'}: expected text or a Path, found {path!r:.200}") from error
    except RuntimeError as error:
        raise InputError(
            f"{name or 'path'}: expected a path, found {str(path)!r}, and no home folder is known for "
            f"{Path(path).parts[0]!r}; write the path without it"
        ) from error


def cache_folder(cache: str | Path | None = None) -> Path | None:
    """The cache folder: `cache`, or BL_NEURO_CACHE, or bl-neuro in XDG_CACHE_HOME or in ~/.cache.

    None if none of them is set and there is no home folder.

    Raises:
        InputError: the folder starts with the home folder of a user that is not known.
    """
    if cache is not None:
        return expanded(cache, "cache")
    for variable, folder in (("BL_NEURO_CACHE", ""), ("XDG_CACHE_HOME", "bl-neuro")):
        if os.environ.get(variable):
            return expanded(os.environ[variable], variable) / folder
    try:
        return Path("~/.cache/bl-neuro").expanduser()
    except RuntimeError:
        return None
