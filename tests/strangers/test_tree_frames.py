"""Trees survive the way between processes; messages of a child that was taken over do no harm."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bl_neuro.strangers.tree_frames import HEADER, InvalidFrame, Refused, Tree, encoded_tree, received_tree


def received(message: bytes, max_bytes: int = 1000) -> Tree:
    rest = bytearray(message)

    def receive(count: int) -> bytearray:
        if len(rest) < count:
            raise InvalidFrame("cut")
        part = rest[:count]
        del rest[:count]
        return part

    return received_tree(receive, max_bytes)


def test_a_tree_arrives_as_it_was_sent() -> None:
    tree: Tree = {
        "a": {"b": np.arange(6, dtype=">i2").reshape(2, 3), "c": np.array(2.5, np.float32), "d": np.empty((0, 3))},
        "e": [["x", "y"]],
        "f": "é",
        "g": Refused("damaged"),
        "h": np.broadcast_to(np.float64(0.5), (7, 5)),
    }
    other = received(b"".join(encoded_tree(tree)))
    for name in ("b", "c", "d"):
        assert np.array_equal(other["a"][name], tree["a"][name])
        assert other["a"][name].dtype == tree["a"][name].dtype
    assert (other["e"], other["f"], other["g"]) == (tree["e"], tree["f"], tree["g"])
    assert (other["h"].shape, other["h"].strides) == ((7, 5), (0, 0))


@pytest.mark.parametrize(
    "entry",
    [
        {"array": ["O", [1], False]},
        {"array": ["f8", [10**9], False]},
        {"array": ["f8", [-1], False]},
        {"array": ["f8", [True], False]},
        {"array": ["f8", [2**30], True]},
        {"array": ["(3,)f8", [1], False]},
        {"array": ["f8", [1] * 40, False]},
        {"array": 3},
        {"text": {"a": 1}},
        {"refused": 3},
        {"group": []},
        {"code": "1"},
        {},
        [],
    ],
)
def test_hostile_messages_are_refused(entry: Any) -> None:
    described = json.dumps({"group": {"x": entry}}).encode()
    with pytest.raises(InvalidFrame):
        received(HEADER.pack(len(described), 8) + described + bytes(8))


def test_sizes_are_bounded_before_anything_is_received() -> None:
    for length, total in ((2**31, 0), (0, 1001)):
        with pytest.raises(InvalidFrame, match="expected at most"):
            received(HEADER.pack(length, total))
    deep = b'{"group":{"x":' * 5000
    with pytest.raises(InvalidFrame, match="malformed"):
        received(HEADER.pack(len(deep), 0) + deep)


@given(st.binary(max_size=60), st.integers(0, 150))
def test_damage_is_an_invalid_frame(noise: bytes, place: int) -> None:
    message = b"".join(encoded_tree({"a": np.arange(3), "b": "word", "c": {"d": np.zeros(2)}}))
    with contextlib.suppress(InvalidFrame):
        received(message[:place] + noise + message[place + len(noise) :])
