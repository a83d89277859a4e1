"""A black box that keeps a digest of all that was asked and answered, so that two attacks can be compared whole."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor

from bl_neuro.access import BlackBox
from bl_neuro.backends.base import is_held


class RecordedBox(BlackBox):
    """`box`, asked through this one; `digest` is the SHA-256 of every query and answer so far, to the last bit."""

    __slots__ = ("_box", "_digest")

    def __init__(self, box: BlackBox) -> None:
        self._box = box
        self._digest = hashlib.sha256()

    @property
    def digest(self) -> str:
        """In hexadecimal."""
        return self._digest.hexdigest()

    @property
    def reveals(self) -> str:
        """See `BlackBox.reveals`."""
        return self._box.reveals

    @property
    def input_shape(self) -> tuple[int, ...]:
        """See `BlackBox.input_shape`."""
        return self._box.input_shape

    @property
    def classes(self) -> int:
        """See `BlackBox.classes`."""
        return self._box.classes

    @property
    def budget(self) -> int | None:
        """See `BlackBox.budget`."""
        return self._box.budget

    @property
    def spent(self) -> int:
        """See `BlackBox.spent`."""
        return self._box.spent

    @property
    def remaining(self) -> int | None:
        """See `BlackBox.remaining`."""
        return self._box.remaining

    def query(self, spikes: Any) -> Tensor:
        """See `BlackBox.query`."""
        answer = self._box.query(spikes)
        asked = torch.as_tensor(spikes)
        self._add(asked[:1] if is_held(asked) else asked, len(asked))
        self._add(answer.double(), 1)  # of one dtype, whatever the substrate's, which loses nothing
        return answer

    def __repr__(self) -> str:
        return f"RecordedBox({self._box!r})"

    def _add(self, values: Tensor, times: int) -> None:
        self._digest.update(repr((times, str(values.dtype), tuple(values.shape))).encode())
        self._digest.update(values.contiguous().numpy().tobytes())
