"""NumPy's format: arrays are read, other content is refused."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bl_neuro.strangers.npy import read_npy, read_npy_stream


def content(array: np.ndarray, pickled: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=pickled)
    return file.getvalue()


GOOD = content(np.arange(6, dtype=np.float32).reshape(2, 3))


@pytest.mark.parametrize("dtype", ["?", "u1", "<i8", ">i2", "<f4", "f8"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (0, 3)])
def test_arrays_saved_by_numpy_are_read(dtype: str, order: Any, shape: tuple[int, ...]) -> None:
    array = np.array(np.arange(np.prod(shape, dtype=int)).reshape(shape) % 2, dtype, order=order)
    array_read = read_npy(content(array))
    assert np.array_equal(array_read, array)
    assert array_read.dtype == array.dtype
    assert array_read.flags.c_contiguous
    assert array_read.flags.writeable


def test_text_where_it_is_expected() -> None:
    assert read_npy(content(np.array(["cat", "ø"])), "U").tolist() == ["cat", "ø"]
    with pytest.raises(ValueError, match="expected an array of bool, integers or floats, found <U3"):
        read_npy(content(np.array(["cat", "dog"])))


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        (b"", "EOF|magic"),
        (b"not an array", "magic"),
        (GOOD[:-1], "damaged: 23 bytes of values"),
        (GOOD + b"x", "damaged: 25 bytes of values"),
        (GOOD.replace(b"(2, 3)", b"(9, 9)"), "damaged"),
        (GOOD.replace(b"(2, 3)", b"(-2,3)"), "damaged"),
        (GOOD.replace(b"\x93NUMPY\x01", b"\x93NUMPY\x03"), "version"),
        (content(np.array([{}], dtype=object), pickled=True), "found object"),
        (GOOD.replace(b"<f4", b"<c8"), "found complex64"),
        (GOOD.replace(b"(2, 3)", b"(True, 6)"), "expected a shape of whole numbers"),
        (GOOD.replace(b"(2, 3)", b"(0, 9%b)" % (b"9" * 30)), "expected a shape of whole numbers"),
    ],
)
def test_other_arrays_are_refused(damaged: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_npy(damaged)


@given(st.binary(max_size=200), st.integers(0, len(GOOD)), st.integers(0, 20))
def test_damage_is_a_value_error(noise: bytes, place: int, removed: int) -> None:
    mutated = GOOD[:place] + noise + GOOD[place + removed :]
    try:
        array_read = read_npy(mutated)
    except ValueError:
        return
    assert array_read.nbytes <= len(mutated)


def test_text_without_letters_takes_no_memory() -> None:
    """NumPy gives each a letter, and the header alone decides how many there are."""
    text = b"{'descr': '<U0', 'fortran_order': False, 'shape': (10000000000000,), }\n"
    header = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    with pytest.raises(ValueError, match="damaged: 0 bytes of values"):
        read_npy(header, "U")


@given(st.integers(0, 24), st.integers(0, 5))
def test_the_stream_must_be_as_long_as_it_says(length: int, extra: int) -> None:
    stream = io.BytesIO(GOOD[: len(GOOD) - length] + b"x" * extra)
    if length == extra == 0:
        assert read_npy_stream(stream, len(GOOD)).shape == (2, 3)
    elif length != extra:
        with pytest.raises(ValueError, match="damaged"):
            read_npy_stream(stream, len(GOOD))


def test_a_long_header_is_refused_in_one_line() -> None:
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), " + b" " * 12_000 + b"}\n"
    with pytest.raises(
        ValueError, match=r"^Header info length \(12060\) is large and may not be safe to load securely\.$"
    ):
        read_npy(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(24))


@pytest.mark.parametrize("order", ["<", ">"])
def test_letters_that_are_no_code_points_are_refused(order: str) -> None:
    """Python cannot make text of them, and raises a SystemError."""
    array = np.array(["cat", "\U0010ffff", "\ud800"], f"{order}U3")
    assert read_npy(content(array), "U").tolist() == array.tolist()
    for code in (0x110000, 0x7FFFFFFF, 0xFFFFFFFF):
        last = code.to_bytes(4, "little" if order == "<" else "big")
        with pytest.raises(ValueError, match="damaged: expected text, found numbers that are no letters"):
            read_npy(content(array)[:-4] + last, "U")


def test_bool_values_other_than_0_and_1_are_refused() -> None:
    with pytest.raises(ValueError, match="damaged: expected bool values of 0 and 1"):
        read_npy(content(np.array([True, False]))[:-1] + b"\x02")


@pytest.mark.parametrize("text", [b"(2, 3L)", rb"(2, 3)  , '\d': 0"])
def test_headers_are_read_or_refused_without_a_warning(text: bytes, recwarn: pytest.WarningsRecorder) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': %b}\n" % text
    damaged = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(24)
    if b"L" in text:
        assert read_npy(damaged).shape == (2, 3)  # as Python 2 wrote it
    else:
        with pytest.raises(ValueError, match="Header does not contain the correct keys"):
            read_npy(damaged)
    assert not recwarn.list
