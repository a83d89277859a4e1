"""A limit on the number of queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bl_neuro.checks import whole_number
from bl_neuro.errors import InputError
from bl_neuro.mitigations.base import Mitigation


@dataclass(frozen=True)
class QueryCap(Mitigation):
    """Limits the total number of queries to `queries`, for all inversions of one attack together.

    The attacker knows the limit: the attack divides it between its warm start and the classes.
    """

    name: ClassVar[str] = "query_cap"
    title: ClassVar[str] = "Limited queries"
    phrase: ClassVar[str] = "no more than {setting}"

    queries: int

    def __post_init__(self) -> None:
        count = whole_number(self.queries)
        if count is None or count < 1:
            raise InputError(f"queries: expected a whole number of at least 1, found {self.queries!r}")

    @property
    def setting(self) -> str:
        """See `Mitigation.setting`."""
        return f"{self.queries} queries"

    def budget(self, planned: int | None) -> int | None:
        """See `Mitigation.budget`."""
        return self.queries if planned is None else min(self.queries, planned)
