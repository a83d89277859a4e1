"""Refusal of a request: an HTTP status, a machine-readable code, and a message."""

from __future__ import annotations


class Problem(Exception):
    """Sent as {"error": message, "code": code} with `status`, and Retry-After if repeating the request may help."""

    def __init__(self, status: int, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.retry_after = status, code, message, retry_after


def busy(message: str) -> Problem:
    """503: the same request may succeed a moment later."""
    return Problem(503, "busy", message, 1.0)


def log_damaged() -> Problem:
    """403: entries of the log of queries are missing, so that budgets cannot be enforced."""
    message = "the log of queries was damaged, so that budgets cannot be enforced; the operator must restart the server"
    return Problem(403, "log_damaged", message)
