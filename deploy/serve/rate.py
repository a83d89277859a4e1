"""How many requests a second each client may make: a token bucket that holds one second's worth."""

from __future__ import annotations

import time
from collections.abc import Callable


class RateLimit:
    """`rate` requests a second for each client, at most a second's worth at once; None for no limit."""

    def __init__(self, rate: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait(self, client: str) -> float:
        """0 where `client` may go on, and it is counted; else the seconds until it may."""
        if self._rate is None:
            return 0.0
        now, most = self._clock(), max(1.0, self._rate)
        held, before = self._buckets.get(client, (most, now))
        held = min(most, held + (now - before) * self._rate)
        allowed = held >= 1.0
        self._buckets[client] = (held - 1.0 if allowed else held, now)
        return 0.0 if allowed else (1.0 - held) / self._rate
