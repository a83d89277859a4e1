"""The model as its clients see it: names, shapes and datatypes. No weights, no data, no name of a substrate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bl_neuro.access import BlackBox, Reveals
from bl_neuro.backends import Target
from bl_neuro.backends.base import checked_input
from bl_neuro.deploy.serve.batcher import batch_first
from bl_neuro.deploy.serve.request import INPUT, Limits
from bl_neuro.deploy.serve.settings import ServeSettings
from bl_neuro.remote.tensors import datatype_of

VERSION = "1"
"""Of the model: there is one."""


@dataclass(frozen=True)
class ServedModel:
    """A target behind a box without a budget: the ledger meters it, a client at a time."""

    target: Target
    box: BlackBox
    settings: ServeSettings
    output_datatype: str
    output_shape: tuple[int, ...]
    together: bool
    """Whether requests of several clients may share a call: where an answer does not depend, to the last bit, on what
    it was computed beside. So it is in Loihi's integers, and not in floating point."""

    @classmethod
    def of(cls, target: Target, settings: ServeSettings, together: bool) -> ServedModel:
        """Asks the target once, to see what comes out, and to have it started.

        Raises:
            NotRevealed: the substrate does not put out what is to be revealed.
        """
        reveals: Reveals = settings.reveals  # type: ignore[assignment]  # the box checks it
        box = BlackBox(target, reveals)
        silence = torch.zeros(1, 1, *target.network.input_shape, dtype=torch.uint8)
        answer = batch_first(box.query(silence), reveals)
        shape = (-1, -1, *answer.shape[2:]) if reveals in ("membrane", "spikes") else (-1, *answer.shape[1:])
        return cls(target, box, settings, datatype_of(answer), shape, together)

    @property
    def limits(self) -> Limits:
        """What a request may hold."""
        settings = self.settings
        return Limits(
            self.box.input_shape, settings.max_steps, settings.max_batch, settings.max_json, settings.max_body
        )

    def accepted(self, values: Tensor) -> Tensor:
        """`values` (T, B, *input_shape) as the box takes them; InputError where it does not."""
        checked = checked_input(values, self.target.network)
        return checked if self.target.network.input_kind == "current" else checked.to(torch.uint8)

    def metadata(self, remaining: int | None) -> dict[str, Any]:
        """The protocol's metadata. remaining: what the client that asks may still spend."""
        current = self.target.network.input_kind == "current"
        settings = self.settings
        parameters = {
            "reveals": settings.reveals,
            "classes": self.box.classes,
            "remaining": remaining,
            "layout": "time_first",
            "max_steps": settings.max_steps,
            "max_batch": settings.max_batch,
            "max_bytes": settings.max_body,
        }
        given = {
            "name": INPUT,
            "datatype": "FP32" if current else "UINT8",
            "shape": [-1, -1, *self.box.input_shape],
        }
        shown = {"name": settings.reveals, "datatype": self.output_datatype, "shape": list(self.output_shape)}
        return {
            "name": settings.name,
            "versions": [VERSION],
            "platform": "bl_neuro",
            "inputs": [given],
            "outputs": [shown],
            "parameters": parameters,
        }
