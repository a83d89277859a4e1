"""Comparisons whose outcome is expected by construction: of substrates that compute in one arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

from bl_neuro.experiment.findings.estimates import Comparison
from bl_neuro.experiment.findings.models import AuditResults

ARITHMETICS = {"real": "real numbers", "loihi": "Loihi’s integers"}


def shared_arithmetic(results: AuditResults, substrates: Sequence[str]) -> str | None:
    """The arithmetic that all of `substrates` compute in, in words; None where they differ or it is not known."""
    kinds = {results.arithmetic.get(name) for name in substrates}
    return ARITHMETICS[kind] if len(kinds) == 1 and (kind := kinds.pop()) is not None else None


def equal_by_construction(results: AuditResults, substrates: Sequence[str]) -> bool:
    """Whether these substrates are expected to score the same: one arithmetic, or one stands for all others."""
    originals = {results.stands_for.get(name, name) for name in substrates}
    return len(originals) == 1 or shared_arithmetic(results, substrates) is not None


def is_evidence(results: AuditResults, comparison: Comparison) -> bool:
    """Whether a comparison says something of substrates: of two arithmetics, or against what is expected of one."""
    expected = equal_by_construction(results, [*comparison.first, *comparison.second])
    return not expected or comparison.verdict.verdict == "differs"
