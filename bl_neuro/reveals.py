"""What a deployed network may reveal with an answer, the most first."""

from __future__ import annotations

from typing import Literal, get_args

Reveals = Literal["membrane", "scores", "spikes", "counts", "label"]
REVEALS: tuple[Reveals, ...] = get_args(Reveals)
