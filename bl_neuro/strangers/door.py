"""How files and folders of strangers are opened: regular files only, and names that can be printed."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bl_neuro.errors import DataError, printable
from bl_neuro.files import KINDS, is_utf8
from bl_neuro.strangers.budget import MOST_ENTRIES

FOREIGN_NAMES = frozenset({
    "__macosx", "network trash folder", "temporary items", "thevolumesettingsfolder", "thefindbycontentfolder",
    "icon\r",  # macOS
    "$recycle.bin", "system volume information", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini",
    "@eadir", "@tmp", "#recycle", "#snapshot", "@recycle", "@recently-snapshot",  # network storage
    "lost+found", "__pycache__",
})  # fmt: skip
"""Names, in lower case, of folders and files that archivers, operating systems and network storage create."""
FOREIGN_PATTERN = re.compile(r"found\.\d{3}")
"""The folders into which Windows puts the remains of damaged files."""


@contextmanager
def regular_file(path: Path, inside: Path | None = None) -> Iterator[BinaryIO]:
    """The regular file `path`, open for reading. Nothing else is ever waited for.

    inside: a folder above `path`; links below it must not lead out of it.

    Raises:
        DataError: it is missing, cannot be opened, is not a regular file, or a link leads out of the folder.
    """
    need_inside(path, inside)
    try:
        _need_regular(path, os.stat(path).st_mode)  # first, since opening a device may change its state
        # O_NONBLOCK: if a named pipe takes the place of the file, opening it would wait for ever
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected a file that can be read ({_reason(error)})") from error
    with os.fdopen(handle, "rb") as file:
        _need_regular(path, os.fstat(handle).st_mode)
        yield file


def _need_regular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise DataError(f"{path}: expected a file, found {KINDS.get(stat.S_IFMT(mode), 'something else')}")


def read_bytes(path: Path, most: int, inside: Path | None = None) -> bytes:
    """The content of the regular file `path`.

    Raises:
        DataError: it is larger than `most` bytes; or see `regular_file`.
    """
    with regular_file(path, inside) as file:
        need_size(path, file, most)
        try:
            content = file.read(most + 1)
        except OSError as error:
            raise DataError(f"{path}: expected a file that can be read ({_reason(error)})") from error
    if len(content) > most:
        raise DataError(f"{path}: expected at most {most} bytes, found more")
    return content


def need_size(path: Path, file: BinaryIO, most: int) -> int:
    """The size in bytes of the open `file` at `path`. Raises DataError if it is larger than `most`."""
    size = os.fstat(file.fileno()).st_size
    if size > most:
        raise DataError(f"{path}: expected at most {most} bytes, found {size}")
    return size


def need_inside(path: Path, inside: Path | None) -> None:
    """Raises DataError if a link leads from `path` out of the folder `inside`."""
    if inside is None or not any(part.is_symlink() for part in (path, *path.parents) if _is_below(part, inside)):
        return
    try:
        target, home = path.resolve(), inside.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a loop of links
        raise DataError(f"{path}: expected a file, found a link that leads nowhere ({_reason(error)})") from error
    if not target.is_relative_to(home):
        raise DataError(f"{path}: expected a file in {inside}, found a link to {target}; copy the file instead")


def _is_below(path: Path, folder: Path) -> bool:
    return path != folder and path.is_relative_to(folder)


def entries(folder: Path) -> list[Path]:
    """The paths in `folder`, sorted, without hidden ones and those that archivers and operating systems create.

    Raises:
        DataError: the folder cannot be read, or has more than `MOST_ENTRIES` entries.
    """
    names = []
    try:
        with os.scandir(folder) as scan:
            for entry in scan:
                names.append(entry.name)
                if len(names) > MOST_ENTRIES:
                    raise DataError(f"{folder}: expected at most {MOST_ENTRIES} entries, found more")
    except OSError as error:
        raise DataError(f"{folder}: expected a folder that can be read ({_reason(error)})") from error
    return [folder / name for name in sorted(names) if not is_foreign(name)]


def is_foreign(name: str) -> bool:
    """Whether a file or folder of this name is hidden or not the user's own data."""
    spelling = name.lower()
    return name.startswith(".") or spelling in FOREIGN_NAMES or bool(FOREIGN_PATTERN.fullmatch(spelling))


def folders(folder: Path) -> list[Path]:
    """The subfolders of `folder`, sorted; see `entries`."""
    return [path for path in entries(folder) if is_folder(path)]


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder, or a link to one.

    Raises:
        DataError: this cannot be known, since a folder above it cannot be searched, or a link leads nowhere, for
            example to a disk that is not mounted.
    """
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def exists(path: Path) -> bool:
    """Whether there is anything at `path`. Raises: see `is_folder`."""
    return _mode(path) is not None


def _mode(path: Path) -> int | None:
    """The mode of what is at `path`, or None if nothing is; see `is_folder`."""
    try:
        return os.stat(path).st_mode
    except FileNotFoundError as error:
        if os.path.islink(path):
            raise DataError(
                f"{path}: expected a file or folder, found a link to {os.readlink(path)}, which does not exist; mount "
                "or copy what it links to, or remove the link"
            ) from error
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected a file or folder that can be read ({_reason(error)})") from error


def files_in_subfolders(folder: Path, suffix: str) -> list[Path]:
    """The files `<subfolder>/<name><suffix>` in `folder`, sorted; none if there is no such folder.

    suffix: in lower case; the files may have it in any case.

    Raises:
        DataError: a folder cannot be read, a link leads nowhere, or the name of `folder` differs in case.
    """
    if is_folder(folder):
        return [path for part in folders(folder) for path in entries(part) if path.suffix.lower() == suffix]
    for path in folders(folder.parent):
        if path.name.lower() == folder.name.lower():
            raise DataError(f"{path}: expected a folder named {folder.name}; rename it")
    return []


def printable_name(name: str) -> str:
    """A name from outside as text that can be printed and stored: bytes that are not UTF-8 are escaped."""
    if not is_utf8(name):
        name = name.encode("utf-8", "surrogateescape" if _from_bytes(name) else "surrogatepass").decode(
            "utf-8", "backslashreplace"
        )
    return printable(name.replace("\n", "\\n"))


def _from_bytes(name: str) -> bool:
    return all("\udc80" <= char <= "\udcff" for char in name if "\ud800" <= char <= "\udfff")


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
