"""Parity: whether a network spikes identically on several substrates, where it differs, and why; see `compare`."""

from __future__ import annotations

from bl_neuro.deploy.parity.causes import causes, promised
from bl_neuro.deploy.parity.comparison import compare
from bl_neuro.deploy.parity.inputs import Stimulus, generated, read_inputs
from bl_neuro.deploy.parity.report import PairParity, ParityReport, StimulusParity
from bl_neuro.deploy.parity.tally import FirstDifference, LayerParity

__all__ = [
    "FirstDifference",
    "LayerParity",
    "PairParity",
    "ParityReport",
    "Stimulus",
    "StimulusParity",
    "causes",
    "compare",
    "generated",
    "promised",
    "read_inputs",
]
