"""What a verification finds, JSON-ready: pairs of substrates, what is promised of them, and whether it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bl_neuro.deploy.parity import Stimulus, compare, generated
from bl_neuro.network import Network

FACTS = ("substrates", "declined", "steps", "silent_layers", "broken")
OF_A_PAIR = ("substrate", "reference", "promised", "exact", "bins", "identical", "samples", "answers_differ")


def verified(network: Network, substrates: Sequence[str], steps: int, inversions: Sequence[Tensor]) -> dict[str, Any]:
    """Runs `network` on `substrates` with inputs of the library's and with `inversions` (T, K, *shape); compares all.

    Raises:
        MissingDependency, Unsupported, SubstrateFailed: one of them cannot run it.
    """
    shape = network.input_shape
    own = [torch.cat([each.reshape(*each.shape[:2], *shape) for each in inversions], dim=1)] if inversions else []
    stimuli = (*generated(network, steps), *(Stimulus("inversions", each.numpy()) for each in own))
    report = compare(network, substrates, stimuli).to_json()
    pairs = [{**{name: pair[name] for name in OF_A_PAIR}, "inputs": pair["inputs"]} for pair in report["pairs"]]
    return {**{name: report[name] for name in FACTS}, "pairs": pairs}
