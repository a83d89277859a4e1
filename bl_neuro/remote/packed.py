"""Spikes as bits: an extension of ours to the protocol's binary tensors, an eighth of their size or less.

A tensor's parameter `packed` says how its bytes are read: "bits", its values in row-major order, eight to a byte, the
lowest bit first; "held", the same of its first frame alone, which stays for all time steps. Its shape and datatype
(UINT8) are those of the unpacked tensor; bits that are left over are 0.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from bl_neuro.backends.base import is_held
from bl_neuro.errors import InputError

Packing = Literal["bits", "held"]
PACKINGS: tuple[str, ...] = get_args(Packing)
EXTENSION = "packed_spikes"


def packing_of(spikes: Tensor) -> Packing:
    """How `spikes` (T, B, ...) take the least room."""
    return "held" if is_held(spikes) else "bits"


def pack(spikes: Tensor) -> bytes:
    """The bits of `spikes` (T, B, ...), uint8 of 0 and 1, in their `packing_of`."""
    frames = spikes[:1] if is_held(spikes) else spikes
    return np.packbits(frames.contiguous().numpy().reshape(-1), bitorder="little").tobytes()


def unpack(values: bytes | memoryview, packing: str, shape: list[int]) -> Tensor:
    """The spikes (T, B, ...) of these bits, uint8; a held frame is one in memory too.

    Raises:
        InputError: an unknown packing, too many or too few bytes, or bits left over that are not 0.
    """
    if packing not in PACKINGS:
        raise InputError(f"packed: expected one of {', '.join(PACKINGS)}, found {str(packing)[:20]!r}")
    stored = [1, *shape[1:]] if packing == "held" else shape
    count = math.prod(stored)
    if len(values) != (count + 7) // 8:
        raise InputError(f"expected {(count + 7) // 8} bytes for {count} spikes, found {len(values)}")
    octets = np.frombuffer(values, np.uint8)
    if count % 8 and octets[-1] >> (count % 8):
        raise InputError("expected 0 in the bits that are left over, found another")
    frames = torch.from_numpy(np.unpackbits(octets, count=count, bitorder="little")).reshape(stored)
    return frames.expand(shape)
