"""Settings out of range are refused before a server starts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from bl_neuro.deploy.serve import ServeSettings
from bl_neuro.deploy.serve.app import _refused
from bl_neuro.deploy.serve.clients import RateLimit
from bl_neuro.deploy.serve.problem import Problem
from bl_neuro.deploy.serve.settings import LOWEST_RATE
from bl_neuro.errors import InputError


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        *(("rate", value, "--rate: expected at least 1e-06") for value in (1e-320, 0.0, -1.0, math.inf, math.nan)),
        *(("deadline_s", value, "--deadline: expected seconds above 0") for value in (0.0, math.inf, math.nan)),
        *(("window_s", value, "window_s: expected seconds of at least 0") for value in (-1.0, math.inf, math.nan)),
    ],
)
def test_numbers_without_an_effect_are_refused(setting: str, value: float, message: str) -> None:
    changed: dict[str, Any] = {setting: value}
    with pytest.raises(InputError, match=message):
        ServeSettings("model", Path("log"), **changed)


def test_the_lowest_rate_has_a_time_to_wait() -> None:
    limit = RateLimit(ServeSettings("model", Path("log"), rate=LOWEST_RATE).rate, clock=lambda: 0.0)
    assert limit.wait("a") == 0.0
    response = _refused(Problem(429, "rate_limited", "expected fewer requests", limit.wait("a")), "POST")
    assert 1e6 <= int(response.headers["Retry-After"]) <= 1e6 + 1
