"""Numbers and names as a report prints them."""

from __future__ import annotations

ATTACKS = {
    "v1": "v1",
    "v2": "v2",
    "v2_gradient": "v2 gradient",
    "ann": "ANN baseline",
    "cma_es": "CMA-ES",
    "one_plus_one": "(1+1)-ES",
    "random": "random search",
    "transfer": "transfer",
}


def percent(fraction: float, decimals: int = 0) -> str:
    """A fraction in 0..1 as a percentage; only an exact 0 or 1 prints as 0% or 100%."""
    for places in (decimals, 1, 2, 3):
        text = f"{100.0 * fraction:.{places}f}"
        if 0.0 < float(text) < 100.0 or fraction in (0.0, 1.0):
            return f"{text}%"
    return "<0.001%" if fraction < 0.5 else ">99.999%"


def chance_label(fraction: float) -> str:
    """What guessing scores, as a percentage with one decimal only where it needs one: 10%, 2.5%."""
    return f"{100.0 * fraction:.1f}".removesuffix(".0") + "%"


def percent_range(low: float, high: float) -> str:
    """Two fractions in 0..1 as one percentage, or as `low–high%` where they print differently."""
    first, last = percent(low), percent(high)
    return first if first == last else f"{first.removesuffix('%')}–{last}"


def decimal(value: float, places: int = 2) -> str:
    """A number with a true minus sign, and none before a zero."""
    text = f"{value:.{places}f}"
    if float(text) == 0.0:
        text = text.removeprefix("-")
    return text.replace("-", "−")


def amount(value: float) -> str:
    """A number of things, 0 or more, with thousands set apart; one decimal below ten if it is not whole."""
    return f"{value:,.1f}" if value < 10 and value != int(value) else f"{value:,.0f}"


def duration(seconds: float) -> str:
    """A time of 0 seconds or more, in seconds up to two minutes and in minutes and seconds after."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole} s" if whole < 120 else f"{whole // 60:,} min {whole % 60:02d} s"


def listed(words: list[str], last: str = "and") -> str:
    """`a`, `a and b`, or `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"
