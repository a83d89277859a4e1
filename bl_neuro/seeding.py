"""Independent random streams from one seed, one for each purpose.

If the seed were used directly, the first random weights of a target would equal the first random probes of an attack.
"""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, purpose: str, *index: int) -> np.random.Generator:
    """The random generator of `purpose`, a fixed name such as "attack v2", for `seed`. index: distinguishes several."""
    return np.random.default_rng(_sequence(seed, purpose, index))


def derived_seed(seed: int, purpose: str, *index: int) -> int:
    """A seed in 0..2^32-1 for `purpose`, derived from `seed`."""
    return int(_sequence(seed, purpose, index).generate_state(1)[0])


def _sequence(seed: int, purpose: str, index: tuple[int, ...]) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed, spawn_key=(zlib.crc32(purpose.encode()), *index))
