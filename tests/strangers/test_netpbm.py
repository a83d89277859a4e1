"""Comments in text images are read, and bounded."""

from __future__ import annotations

import pytest

from bl_neuro.strangers.netpbm import MOST_COMMENTS, read_netpbm


def test_comments_between_the_values_are_bounded() -> None:
    header = b"P2\n300 300\n255\n"
    assert read_netpbm(header + (b"# a row\n" + b"7 " * 300) * 300).max() == 7
    with pytest.raises(ValueError, match=f"expected at most {MOST_COMMENTS} comments, found 90000"):
        read_netpbm(header + b"#\n7 " * 300 * 300)
