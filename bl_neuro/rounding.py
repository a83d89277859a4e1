"""Formats and compares numbers so that the result is the same on every processor.

Since processors add terms in different orders, a mean of .8875 may be 0.8875000000000001 on one of them and
0.8874999999999999 on another, which round to 0.888 and 0.887. All numbers in tables, summaries and sentences are
therefore formatted with `fixed`, and means are rounded with `settled` before they are compared.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal
from math import isfinite

GUARD = 6
"""Decimals beyond those printed that are trusted: a figure of three decimals is first rounded to nine."""
_EXACT = Context(prec=400)
"""Number of digits for any float64, which has at most 309 before the decimal point."""

ROUNDING = 1e-9
"""Largest amount by which rounding may move a fraction outside 0..1; more is an error."""


def settled(value: float) -> float:
    """Rounds to nine decimals, so that means that differ only in the order of their terms are equal."""
    return round(float(value), 9)


def fixed(value: float, places: int, form: str = "") -> str:
    """Formats a number with `places` decimals. Ties are rounded away from zero: `fixed(0.8875, 3)` is `0.888`.

    A value counts as a tie if it is a tie when rounded to `GUARD` more decimals. form: "+" also shows the sign of
    positive numbers, "," separates thousands, "+," does both. A number that is 0 when rounded to those decimals has no
    minus sign; one just below it has, as in Python: `-0.000`.
    """
    if not isfinite(value):
        return f"{value:{form}.{places}f}"
    near = Decimal(f"{value:.{places + GUARD}f}")
    rounded = (near or abs(near)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _EXACT)
    return f"{rounded:{form}f}"
