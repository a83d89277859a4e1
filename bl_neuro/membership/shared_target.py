"""A target that several black boxes query with the same inputs, and that simulates each input once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bl_neuro.backends.declaration import Start
from bl_neuro.backends.inputs import Accepted, is_held
from bl_neuro.backends.target import Response, Target


class SharedTarget(Target):
    """Repeats the last response of `target` if the next input is the same in every bit.

    All outputs of a black box are functions of one response. Attackers who see different outputs are different
    attackers, so each of them has a box of its own with its own query budget:

        shared = SharedTarget(target)
        boxes = [BlackBox(shared, reveals, budget=100) for reveals in ("counts", "label")]

    A response has the spikes and membrane potentials of the output layer only. Closing `target` is left to its owner.
    """

    def __init__(self, target: Target) -> None:
        super().__init__(target.network, target.backend)
        self._target = target
        self._last: tuple[Tensor, Start, Response] | None = None

    def run(self, x: Any, layers: bool = False, start: Start = "aligned") -> Response:
        """See `Target.run`."""
        accepted = self._accepted(x, start)._replace(checker=self._target)  # which has checked it
        spikes = accepted.spikes
        if layers or spikes.requires_grad:
            return self._target.run(accepted, layers, start)
        if self._last is None or self._last[1] != start or not _same(self._last[0], spikes):
            self._last = _copy(spikes), start, self._target.run(accepted, False, start)
        return self._last[2]

    def _checked(self, x: Any) -> Accepted:
        return self._target.accept(x)

    def _run(self, spikes: Tensor, layers: bool, start: Start) -> Response:
        return self._target.run(spikes, layers, start)


def _copy(spikes: Tensor) -> Tensor:
    """A copy, which the caller cannot change; of inputs that are held over all steps, one step is copied."""
    return spikes[:1].clone().expand_as(spikes) if is_held(spikes) else spikes.clone()


def _same(first: Tensor, second: Tensor) -> bool:
    return first.dtype == second.dtype and torch.equal(first, second)
