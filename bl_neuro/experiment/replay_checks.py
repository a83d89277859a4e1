"""Checks that two substrates can be compared bit by bit."""

from __future__ import annotations

from typing import Any

from bl_neuro.backends import available_substrates, find_backend
from bl_neuro.experiment.document import Problems
from bl_neuro.experiment.toml_lines import KeyPath


def pair_problems(place: KeyPath, substrate: Any, of: Any, ours: list[str]) -> Problems:
    """Problems of a replay at `place` of what ran on `of` on `substrate`. ours: the substrates of the experiment."""
    known = available_substrates()
    if of not in ours:
        yield (*place, "of"), f"expected one of the experiment's substrates, found {of!r}"
    elif substrate in ours:
        yield (*place, "substrate"), f"every attack already runs on {substrate}; remove it from substrates"
    elif substrate not in known:
        yield (*place, "substrate"), f"expected one of {', '.join(known)}, found {substrate!r}"
    elif of in known:
        promised, other = find_backend(substrate).arithmetic, find_backend(of).arithmetic
        if promised is None or promised != other:
            yield (
                (*place, "substrate"),
                f"{substrate} and {of} do not promise identical spikes; expected the same arithmetic",
            )
