"""Checks the header of an untrusted safetensors file before the library parses it: its size, tensors and types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bl_neuro.errors import ModelFileError

MAX_HEADER_BYTES = 2**22
"""The library parses any header that is valid JSON: 99 MB of it take 17 s and 2.4 GB."""
MAX_TENSORS = 16384
NUMBERS = (
    *("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"),
    *("I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"),
)
"""Types of tensors that can be read; others are complex, or need a newer version of PyTorch."""


def tensor_types(path: Path) -> dict[str, str]:
    """The type of each tensor in the file, by name, such as "F32".

    Raises:
        ModelFileError: the file cannot be read, or its header is damaged or too large.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > size - 8:
                raise ModelFileError(f"{path}: not a readable safetensors file (it is cut)")
            if length > MAX_HEADER_BYTES:
                raise ModelFileError(f"{path}: expected a header of at most {MAX_HEADER_BYTES} bytes, found {length}")
            content = file.read(length)
    except OSError as error:
        raise ModelFileError(f"{path}: could not be read ({error.strerror})") from error
    try:
        header: Any = json.loads(content)
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        if len(tensors) > MAX_TENSORS:
            raise ModelFileError(f"{path}: expected at most {MAX_TENSORS} tensors, found {len(tensors)}")
        return {name: str(entry["dtype"])[:20] for name, entry in tensors.items()}
    except (ValueError, AttributeError, TypeError, KeyError, RecursionError) as error:
        raise ModelFileError(f"{path}: not a readable safetensors file (damaged header: {str(error)[:200]})") from error


def need_numbers(path: Path, types: dict[str, str], name: str) -> None:
    """Raises ModelFileError unless the tensor `name`, if there is one, is of a type that can be read."""
    if name in types and types[name] not in NUMBERS:
        raise ModelFileError(f"{path}: {name}: expected real numbers ({', '.join(NUMBERS)}), found {types[name]}")
