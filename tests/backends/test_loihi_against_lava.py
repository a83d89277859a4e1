"""Property: on any network and input, extremes included, `loihi` and real Lava agree in every bin and state.

`scripts/measure/parity_with_lava.py` runs hundreds of networks; here Hypothesis draws a few, and shrinks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bl_neuro as bl
from bl_neuro.backends.declaration import Start
from bl_neuro.testing.fixed_point import random_fixed_point

pytestmark = [pytest.mark.lava, pytest.mark.slow]
DENSITIES = (0.0, 0.05, 0.4, 1.0)


@pytest.fixture(autouse=True)
def _needs_both(needs: Callable[[str], None]) -> None:
    needs("lava")
    needs("loihi")


@st.composite
def cases(draw: st.DrawFn) -> tuple[bl.Network, Any]:
    """A network, and three samples of it (T, 3, ...)."""
    network = random_fixed_point(
        draw(st.integers(0, 2**31), label="network"),
        conv=draw(st.booleans(), label="conv"),
        delays=draw(st.booleans(), label="delays"),
        biases=draw(st.booleans(), label="biases"),
    )
    steps = draw(st.integers(1, 30), label="steps")
    rng = np.random.default_rng(draw(st.integers(0, 2**31), label="inputs"))
    densities = [draw(st.sampled_from(DENSITIES), label="density") for _ in range(3)]
    samples = [rng.random((steps, *network.input_shape)) < density for density in densities]
    return network, np.stack(samples, 1).astype(np.uint8)


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(case=cases(), start=st.sampled_from(["aligned", "cold"]))
def test_every_bin_and_every_state_is_lavas(case: tuple[bl.Network, Any], start: Start) -> None:
    network, x = case
    with bl.open_target(network, "loihi") as ours, bl.open_target(network, "lava", runtimes=1) as lava:
        actual, expected = ours.run_with_states(x, start=start), lava.run_with_states(x, start=start)
    assert actual.layers is not None
    assert expected.layers is not None
    for one, other in zip(actual.layers, expected.layers, strict=True):
        assert one.equal(other)
    assert actual.states is not None
    assert expected.states is not None
    for mine, theirs in zip(actual.states, expected.states, strict=True):
        for one, other in zip(mine, theirs, strict=True):
            assert one.equal(other)
