"""The model as its clients see it: names, shapes and datatypes, without weights, data or the name of the substrate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bl_neuro.access import BlackBox, Reveals
from bl_neuro.backends import Target
from bl_neuro.backends.inputs import checked_input
from bl_neuro.deploy.serve.batcher import batch_first
from bl_neuro.deploy.serve.request import INPUT, Limits
from bl_neuro.deploy.serve.settings import ServeSettings
from bl_neuro.remote.tensors import datatype_of

VERSION = "1"
"""The only version of the served model."""


@dataclass(frozen=True)
class ServedModel:
    """A target behind a black box without a budget; the ledger meters the queries of each client."""

    target: Target
    box: BlackBox
    settings: ServeSettings
    output_datatype: str
    output_shape: tuple[int, ...]
    shared_calls: bool
    """Whether requests of several clients may share a call: only if an answer is bit-identical whatever else is in its
    batch, which holds for Loihi's integers and not for floating point."""

    @classmethod
    def of(cls, target: Target, settings: ServeSettings, shared_calls: bool) -> ServedModel:
        """Queries the target once, to start it and to learn the shape and datatype of its output.

        Raises:
            NotRevealed: the substrate does not reveal `settings.reveals`.
        """
        reveals: Reveals = settings.reveals  # type: ignore[assignment]  # validated by the box
        box = BlackBox(target, reveals)
        silence = torch.zeros(1, 1, *target.network.input_shape, dtype=torch.uint8)
        answer = batch_first(box.query(silence), reveals)
        shape = (-1, -1, *answer.shape[2:]) if reveals in ("membrane", "spikes") else (-1, *answer.shape[1:])
        return cls(target, box, settings, datatype_of(answer), shape, shared_calls)

    @property
    def limits(self) -> Limits:
        """The limits of one request."""
        settings = self.settings
        return Limits(
            self.box.input_shape, settings.max_steps, settings.max_batch, settings.max_json, settings.max_body
        )

    def accepted(self, values: Tensor) -> Tensor:
        """`values` (T, B, *input_shape) converted to the box's input; InputError if they are invalid."""
        checked = checked_input(values, self.target.network)
        return checked if self.target.network.input_kind == "current" else checked.to(torch.uint8)

    def metadata(self, remaining: int | None) -> dict[str, Any]:
        """The protocol's model metadata. remaining: queries that the requesting client may still spend."""
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
        input_tensor = {
            "name": INPUT,
            "datatype": "FP32" if current else "UINT8",
            "shape": [-1, -1, *self.box.input_shape],
        }
        output_tensor = {"name": settings.reveals, "datatype": self.output_datatype, "shape": list(self.output_shape)}
        return {
            "name": settings.name,
            "versions": [VERSION],
            "platform": "bl_neuro",
            "inputs": [input_tensor],
            "outputs": [output_tensor],
            "parameters": parameters,
        }
