"""Safetensors files that are equal where their contents are: the library writes metadata in an order of chance."""

from __future__ import annotations

import json
from pathlib import Path

LENGTH = 8
"""Bytes at the start of a file that say how long its header is, little-endian; headers are padded to as many."""


def settle_header(path: Path) -> None:
    """Writes the header of a safetensors file anew, its metadata sorted; tensors stay as they are."""
    content = path.read_bytes()
    end = LENGTH + int.from_bytes(content[:LENGTH], "little")
    header = json.loads(content[LENGTH:end])
    header = {name: dict(sorted(header[name].items())) if name == "__metadata__" else header[name] for name in header}
    text = json.dumps(dict(sorted(header.items())), separators=(",", ":")).encode()
    text += b" " * (-len(text) % LENGTH)
    path.write_bytes(len(text).to_bytes(LENGTH, "little") + text + content[end:])
