"""Numbers as text, and numbers to compare, the same on every processor.

A mean of .8875 may come out as 0.8875000000000001 on one processor and as 0.8874999999999999 on another, because they
add its terms in another order. Rounded as they are, the two print as 0.888 and 0.887. Every figure in a table, a
summary or a sentence therefore goes through `fixed`, and a mean that is compared with another goes through `settled`.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal
from math import isfinite

GUARD = 6
"""Decimals beyond those printed that are trusted: a figure of three decimals is first rounded to nine."""
_EXACT = Context(prec=400)
"""Digits for any float64, which has at most 309 before the point."""


def settled(value: float) -> float:
    """The value to nine decimals: means that are equal but for the order of their terms are equal then."""
    return round(float(value), 9)


def fixed(value: float, places: int, form: str = "") -> str:
    """A number with `places` decimals, of which a tie is rounded away from zero: `fixed(0.8875, 3)` is `0.888`.

    A value is a tie where it is one to `GUARD` decimals more. form: "+" shows the sign of positive numbers too, ","
    sets thousands apart, "+," does both. A number that is 0 to those decimals has no minus; one just below it has, as
    in Python: `-0.000`.
    """
    if not isfinite(value):
        return f"{value:{form}.{places}f}"
    near = Decimal(f"{value:.{places + GUARD}f}")
    rounded = (near or abs(near)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _EXACT)
    return f"{rounded:{form}f}"
