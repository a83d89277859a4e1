"""Compares one network on several substrates, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import torch
from torch import Tensor

from bl_neuro.deploy.parity import PairParity, Stimulus, compare, generated
from bl_neuro.experiment.measures import InputMeasures, PairMeasures, VerificationMeasures
from bl_neuro.network import Network


def verified(
    network: Network, substrates: Sequence[str], steps: int, inversions: Sequence[Tensor]
) -> VerificationMeasures:
    """Runs `network` on `substrates` with generated inputs and `inversions` (T, K, *shape), and compares all spikes.

    Raises:
        MissingDependency, Unsupported, SubstrateFailed: a substrate cannot run it.
    """
    shape = network.input_shape
    shaped = [spikes.reshape(*spikes.shape[:2], *shape) for spikes in inversions]
    own = [Stimulus("inversions", torch.cat(shaped, dim=1).numpy())] if shaped else []
    stimuli = (*generated(network, steps), *own)
    report = compare(network, substrates, stimuli)
    return VerificationMeasures(
        substrates=list(report.substrates),
        declined=report.declined,
        steps=report.steps,
        silent_layers=list(report.silent),
        broken=[[pair.left, pair.right] for pair in report.broken],
        pairs=[_pair_measures(pair) for pair in report.pairs],
    )


def _pair_measures(pair: PairParity) -> PairMeasures:
    return PairMeasures(
        substrate=pair.left,
        reference=pair.right,
        promised=pair.promised,
        exact=pair.exact,
        bins=pair.bins,
        identical=pair.identical,
        samples=pair.samples,
        answers_differ=pair.answers_differ,
        inputs=[InputMeasures(**asdict(stimulus)) for stimulus in pair.stimuli],
    )
