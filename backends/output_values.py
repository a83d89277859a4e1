"""The real output values that the graded messages of a sigma-delta network stand for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bl_neuro.sigma_delta import VALUE_OF_MESSAGE, VALUE_OF_SIGMA, Sigma


def output_values(neuron: Any, messages: Tensor) -> Tensor:
    """Output values (T, ...), float64, for messages (T, ...) of output neurons since the start of the run.

    The state of `Sigma` neurons, or the sum of the messages so far of `SigmaDelta` neurons, in units in which an input
    value of 1 is 1 (for input neurons with the weight 64).
    """
    values = messages.to(torch.float64)
    return values / VALUE_OF_SIGMA if isinstance(neuron, Sigma) else values.cumsum(0) / VALUE_OF_MESSAGE
