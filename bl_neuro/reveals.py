"""The outputs that a deployed network can reveal, the most informative first."""

from __future__ import annotations

from typing import Literal, get_args

Reveals = Literal["membrane", "scores", "spikes", "counts", "label"]
REVEALS: tuple[Reveals, ...] = get_args(Reveals)
