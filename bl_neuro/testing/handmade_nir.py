"""NIR files written entry by entry, for files that no exporter writes."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py

Tree = dict[str, Any]


def chain(nodes: Tree, **more: Any) -> Tree:
    """The graph in which each node leads to the next. more: further entries, or others in place of these."""
    return {"type": "NIRGraph", "nodes": nodes, "edges": [list(edge) for edge in pairwise(nodes)], **more}


def write_graph(path: Path, graph: Tree) -> Path:
    """Writes nested dicts of arrays, texts and lists of texts as a file; returns its path."""
    with h5py.File(path, "w") as file:
        _write(file.create_group("node"), graph)
    return path


def _write(group: h5py.Group, values: Tree) -> None:
    for key, value in values.items():
        if isinstance(value, dict):
            _write(group.create_group(key), value)
        else:
            kind = h5py.string_dtype() if isinstance(value, (str, list)) else None
            group.create_dataset(key, data=value, dtype=kind)
