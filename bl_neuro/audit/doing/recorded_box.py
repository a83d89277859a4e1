"""A black box that keeps a digest of all that was asked and answered, so that two attacks can be compared whole."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor

from bl_neuro.access import BlackBox, Reveals
from bl_neuro.backends import Target
from bl_neuro.backends.base import is_held
from bl_neuro.mitigations import Mitigation


class RecordedBox(BlackBox):
    """A `BlackBox`; `digest` is the SHA-256 of every query and every answer so far, in order, to the last bit."""

    __slots__ = ("_digest",)

    def __init__(
        self,
        target: Target,
        reveals: Reveals,
        budget: int | None,
        mitigation: Mitigation | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(target, reveals, budget, mitigation, seed)
        self._digest = hashlib.sha256()

    @property
    def digest(self) -> str:
        """In hexadecimal."""
        return self._digest.hexdigest()

    def query(self, spikes: Any) -> Tensor:
        """See `BlackBox.query`."""
        answer = super().query(spikes)
        asked = torch.as_tensor(spikes)
        self._add(asked[:1] if is_held(asked) else asked, len(asked))
        self._add(answer.double(), 1)  # of one dtype, whatever the substrate's, which loses nothing
        return answer

    def _add(self, values: Tensor, times: int) -> None:
        self._digest.update(repr((times, str(values.dtype), tuple(values.shape))).encode())
        self._digest.update(values.contiguous().numpy().tobytes())
