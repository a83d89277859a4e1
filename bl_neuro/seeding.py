"""Independent streams of chance from one seed: one for each purpose, so that no two purposes share their draws.

With the same plain seed, the first random weights of a target would be the first random probes of an attack on it.
"""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, purpose: str, *index: int) -> np.random.Generator:
    """The generator of `purpose`, a fixed name such as "attack v2", for `seed`. index: which of several alike."""
    return np.random.default_rng(_sequence(seed, purpose, index))


def derived_seed(seed: int, purpose: str, *index: int) -> int:
    """A whole number in 0..2^32-1 that stands for `purpose` under `seed`."""
    return int(_sequence(seed, purpose, index).generate_state(1)[0])


def _sequence(seed: int, purpose: str, index: tuple[int, ...]) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed, spawn_key=(zlib.crc32(purpose.encode()), *index))
