"""The black box of an audit's endpoint: asked once more after a kill, it charges nothing twice."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from bl_neuro.errors import BudgetExceeded, EndpointRefused, ExperimentError
from bl_neuro.experiment.definition.endpoint_part import EndpointPart
from bl_neuro.experiment.definition.material import Material
from bl_neuro.remote import RemoteBlackBox


class EndpointBox(RemoteBlackBox):
    """A `RemoteBlackBox` whose endpoint must answer as many queries as an attack was planned with."""

    __slots__ = ()

    def query(self, spikes: Any) -> Tensor:
        """See `BlackBox.query`. EndpointRefused where the endpoint's budget ends before the attack's own."""
        left = self.remaining
        try:
            return super().query(spikes)
        except BudgetExceeded as error:
            if left is not None and left < spikes.shape[1]:
                raise
            raise EndpointRefused(
                f"{error}; the attack needs up to {self.budget} queries in all: ask for a larger budget there. What "
                "was asked is not charged again when the audit goes on"
            ) from error


def need_tokens(endpoints: Sequence[EndpointPart]) -> None:
    """ExperimentError where a variable of the environment is named for a token, and is not set."""
    for number, part in enumerate(endpoints):
        if "token" in part.model_fields_set and not os.environ.get(part.token):
            raise ExperimentError(
                f"endpoints.{number}.token: expected an environment variable that holds the token (not the token "
                f"itself), and {part.token} is not set"
            )


def open_endpoint(material: Material, substrate: str, budget: int | None, session: str) -> EndpointBox:
    """The endpoint that a substrate of an experiment is. session: the address of the cell that asks it.

    Raises:
        ExperimentError: it serves something else than the experiment says. EndpointError: see `RemoteBlackBox`.
    """
    part = material.endpoints[substrate]
    input_shape, outputs = material.input_shape(substrate), len(material.class_map)
    certificates = None if part.certificates is None else str(material.folder / part.certificates)
    box = EndpointBox(
        part.url,
        os.environ.get(part.token),
        part.reveals,
        budget,
        input=part.input,
        output=part.output,
        input_shape=None if part.input_shape is None else tuple(part.input_shape),
        classes=part.classes,
        layout=part.layout,
        certificates=certificates,
        session=session,
    )
    if box.input_shape != input_shape or box.classes != outputs:
        box.close()
        raise ExperimentError(
            f"endpoint {part.name}: expected inputs {input_shape} and {outputs} classes, as the experiment has them; "
            f"it takes {box.input_shape} and tells {box.classes} apart. Give input_shape, or class_map"
        )
    return box
