"""Validation of values from users and files."""

from __future__ import annotations

from typing import Any

MAX_STEPS = 2**16
"""Maximum number of time steps of a sample."""


def whole_number(value: Any) -> int | None:
    """`value` as an int if it is a whole number (also from NumPy or torch, or written 3.0), else None."""
    try:
        number: Any = value.item() if hasattr(value, "item") else value
        if isinstance(number, bool) or not isinstance(number, (int, float)) or int(number) != number:
            return None
        return int(number)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # NaN, infinity, an array of several
        return None
