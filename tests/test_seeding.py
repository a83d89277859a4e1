"""One seed gives an independent random stream for every purpose."""

from __future__ import annotations

import numpy as np

from bl_neuro.seeding import derived_seed, stream


def draws(*arguments: object) -> tuple[float, ...]:
    return tuple(stream(*arguments).random(4))  # type: ignore[arg-type]


def test_streams_repeat_and_differ_by_seed_purpose_and_index() -> None:
    asked = [(0, "a"), (1, "a"), (0, "b"), (0, "a", 0), (0, "a", 1), (0, "a", 0, 0)]
    assert len({draws(*names) for names in asked}) == len(asked)
    assert all(draws(*names) == draws(*names) for names in asked)
    assert draws(0, "a") != tuple(np.random.default_rng(0).random(4))


def test_streams_are_the_same_for_ever() -> None:
    assert stream(3, "attack v2", 1).integers(0, 10**6, 4).tolist() == [220756, 644418, 161007, 100205]
    assert derived_seed(3, "restart", 1) == 795394541


def test_derived_seeds_are_seeds() -> None:
    seeds = {derived_seed(seed, purpose, index) for seed in range(5) for purpose in "ab" for index in range(5)}
    assert len(seeds) == 50
    assert all(isinstance(seed, int) and 0 <= seed < 2**32 for seed in seeds)
