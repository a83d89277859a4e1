"""Validation of values from users and files."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
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


def within(value: Any, low: float, high: float) -> bool:
    """Whether `value` is a number (also from NumPy) in low..high; NaN and texts are not."""
    return isinstance(value, Real) and low <= float(value) <= high


MOST_SHOWN = 80
"""Maximum number of characters of a wrong value in an error message."""
EXPECTATIONS = {
    "missing": "is required, but missing",
    "extra_forbidden": "unknown name",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_parsing_size": "expected a whole number of fewer digits",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "finite_number": "expected a finite number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "string_type": "expected a text",
    "string_pattern_mismatch": "expected a text that matches {pattern}",
    "string_too_short": "expected a text of at least {min_length} characters",
    "string_too_long": "expected a text of at most {max_length} characters",
    "too_short": "expected a list of {min_length} or more values",
    "too_long": "expected a list of {max_length} or fewer values",
    "list_type": "expected a list",
    "tuple_type": "expected a list",
    "dict_type": "expected a table",
    "model_type": "expected a table",
    "literal_error": "expected {expected}",
    "greater_than_equal": "expected {kind} of at least {ge}",
    "greater_than": "expected {kind} above {gt}",
    "less_than_equal": "expected {kind} of at most {le}",
    "less_than": "expected {kind} below {lt}",
    "value_error": "{error}",
}
"""What was expected, by the type of a problem that Pydantic reports."""
NO_VALUE = ("missing", "extra_forbidden")


def expectation(problem: Mapping[str, Any]) -> str:
    """What a value should have been, in words, from one of the `errors()` of a Pydantic `ValidationError`."""
    facts = {name: f"{fact:g}" if isinstance(fact, float) else fact for name, fact in problem.get("ctx", {}).items()}
    limit = next((facts[name] for name in ("ge", "gt", "le", "lt") if name in facts), None)
    words = EXPECTATIONS.get(problem["type"])
    if words is None:  # a message of our own, or a rare type
        return str(problem["msg"])
    return words.format(kind="a whole number" if isinstance(limit, int) else "a number", **facts)


def problem_text(problem: Mapping[str, Any]) -> str:
    """The expectation of a problem that Pydantic reports, and the value that was found."""
    if problem["type"] in NO_VALUE:
        return expectation(problem)
    value = repr(problem["input"])
    return f"{expectation(problem)}, found {value if len(value) <= MOST_SHOWN else value[:MOST_SHOWN] + '...'}"
