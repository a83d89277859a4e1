"""Handwritten `.net` files for tests: each block is a dict of the contents of its groups.

Keyword arguments replace entries of a block, or with None remove them; `neuron__iDecay` is the key `neuron/iDecay`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

Block = dict[str, Any]


def neuron(**changed: Any) -> Block:
    """The entries of a neuron group."""
    values: Block = {"type": "CUBA", "iDecay": 1024, "vDecay": 123, "vThMant": 80, "refDelay": 1, "gradedSpike": False}
    return {f"neuron/{key}": value for key, value in {**values, **changed}.items() if value is not None}


def dense(**changed: Any) -> Block:
    """A dense block of 2 neurons with 3 inputs."""
    values: Block = {"type": "dense", "shape": [2], "weight": [[1, -2, 3], [4, 5, -6]], **neuron()}
    return _without_none({**values, **changed})


def conv(**changed: Any) -> Block:
    """A convolution from an image (1, 4, 5) to (2, 3, 4)."""
    values: Block = {
        "type": "conv", "shape": [2, 3, 4], "weight": np.arange(8).reshape(2, 1, 2, 2) - 3, "stride": [1, 1],
        "padding": [0, 0], "dilation": [1, 1], "groups": 1, **neuron(),
    }  # fmt: skip
    return _without_none({**values, **changed})


def image(**changed: Any) -> Block:
    """An input block with the shape of an image, without neurons."""
    return _without_none({"type": "input", "shape": [1, 4, 5], **changed})


def current(**changed: Any) -> Block:
    """An input block with neurons."""
    return _without_none({"type": "input", "shape": [3], "weight": [40], "bias": [7], **neuron(), **changed})


def _without_none(block: Block) -> Block:
    renamed = {key.replace("__", "/"): value for key, value in block.items()}
    return {key: value for key, value in renamed.items() if value is not None}


def write(path: Path, *blocks: Block) -> Path:
    """Writes the blocks. Neuron types are strings of variable length, as in files from SLAYER."""
    with h5py.File(path, "w") as file:
        for index, block in enumerate(blocks):
            group = file.create_group(f"layer/{index}")
            for key, value in block.items():
                if key == "type":
                    group.create_dataset(key, (1,), "S10", [value.encode()])
                else:
                    group[key] = value
    return path
