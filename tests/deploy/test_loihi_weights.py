"""Our model of what Loihi does to dense weights against Lava's own functions."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bl_neuro.backends import find_backend, missing_reason
from bl_neuro.deploy.loihi_weights import effective_weights, stored_weights, survives_encoding

IntArray = npt.NDArray[np.int64]


def by_path(package: str, name: str) -> ModuleType:
    """A module of Lava on its own: importing its package would settle multiprocessing's start method."""
    parent = importlib.util.find_spec(package)
    assert parent is not None
    (folder,) = parent.submodule_search_locations or [""]
    spec = importlib.util.spec_from_file_location(f"lava_{name}", Path(folder) / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def lava() -> SimpleNamespace:
    """Lava's own functions."""
    reason = missing_reason(find_backend("slayer"))  # imported in this Python
    if reason:
        pytest.skip(f"substrate 'slayer': {reason}")
    return SimpleNamespace(netx=by_path("lava.lib.dl.netx", "utils"), nc=by_path("lava.utils", "weightutils"))


def lavas_weights(lava: SimpleNamespace, weight: IntArray) -> tuple[IntArray, int]:
    """What PyDenseModelBitAcc multiplies with and how far it shifts, for a matrix that netx read from a file."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        scaled, bits, exponent, _ = lava.netx.optimize_weight_bits(weight)
    mode = lava.nc.determine_sign_mode(scaled)
    clipped = lava.nc.clip_weights(scaled, mode, num_bits=8)
    return lava.nc.truncate_weights(clipped, mode, bits).astype(np.int64), exponent


def integers(least: int, most: int) -> st.SearchStrategy[IntArray]:
    shape = arrays.array_shapes(min_dims=2, max_dims=2, max_side=5)
    multiples = st.sampled_from([1, 2, 4, 8, 64])
    plain = arrays.arrays(np.int64, shape, elements=st.integers(least, most))
    return st.builds(lambda weight, by: weight * by, plain, multiples).filter(np.any)


WEIGHTS = st.one_of(
    integers(-300, 300), integers(0, 300), integers(-300, 0), integers(-4, 4), integers(1, 5), integers(-5, -1)
)


@pytest.mark.lava
@settings(max_examples=600, deadline=None)
@given(weight=WEIGHTS)
def test_stored_weights_are_lavas(lava: SimpleNamespace, weight: IntArray) -> None:
    expected, exponent = lavas_weights(lava, weight)
    stored, shift = stored_weights(weight)
    assert shift == -exponent
    assert stored.tolist() == expected.tolist()


@pytest.mark.lava
@settings(max_examples=300, deadline=None)
@given(weight=WEIGHTS, seed=st.integers(0, 2**16))
def test_effective_weights_give_lavas_sums_where_the_encoding_loses_nothing(
    lava: SimpleNamespace, weight: IntArray, seed: int
) -> None:
    stored, exponent = lavas_weights(lava, weight)
    spikes = np.random.default_rng(seed).random((7, weight.shape[1])) < 0.5
    sums = spikes @ stored.T
    accumulated = sums << exponent if exponent > 0 else sums >> -exponent
    if survives_encoding(weight):
        assert effective_weights(weight).tolist() == weight.tolist()
        assert accumulated.tolist() == (spikes @ weight.T).tolist()


@settings(max_examples=300, deadline=None)
@given(weight=arrays.arrays(np.int64, (3, 4), elements=st.integers(-127, 127)).filter(np.any))
@pytest.mark.slow
def test_even_bytes_survive(weight: IntArray) -> None:
    """What `quantize` writes: the reason for its limits, with or without zeros and signs.

    But for inhibition alone down to a power of two: netx scales that to -256, which Lava clips.
    """
    for even in (2 * weight, 2 * np.abs(weight), -2 * np.abs(weight)):
        if even.max() <= 0 and -even.min() & (-even.min() - 1) == 0:
            assert not survives_encoding(even)
            continue
        assert survives_encoding(even)
        assert effective_weights(even).tolist() == even.tolist()


@pytest.mark.parametrize(
    ("weight", "survives"),
    [
        ([[2, -4]], True),
        ([[1, 3]], True),
        ([[0, 0]], False),
        ([[1, -3]], True),
        ([[255, -255]], False),
        ([[253, -2]], True),
        ([[256, 2]], False),
        ([[-256, -2]], False),
        ([[-128, -128]], False),
        ([[-300, -2]], False),
        ([[-256, 2]], True),
    ],
)
def test_known_cases(weight: list[list[int]], survives: bool) -> None:
    assert survives_encoding(np.array(weight)) == survives


def test_weights_beyond_the_byte_become_nothing() -> None:
    """Lava turns a matrix of exciting weights above 255 into zeros, silently."""
    assert not effective_weights(np.array([[256, 100]])).any()
    assert not effective_weights(np.array([[-128, -128]])).any()
