"""Checking what users and files hand over."""

from __future__ import annotations

from typing import Any

MAX_STEPS = 2**16
"""Most time steps of a sample."""


def whole_number(value: Any) -> int | None:
    """`value` as an int where it is a whole number, also one of NumPy, of torch or written 3.0; None where not."""
    try:
        number: Any = value.item() if hasattr(value, "item") else value
        if isinstance(number, bool) or not isinstance(number, (int, float)) or int(number) != number:
            return None
        return int(number)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # NaN, infinity, an array of several
        return None
