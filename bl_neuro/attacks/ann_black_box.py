"""Black-box access to a network that does not spike, such as the twin of a spiking target."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bl_neuro.access import BlackBox, Gate, Reveals
from bl_neuro.attacks.ann_box import AnnBox
from bl_neuro.backends.inputs import Accepted
from bl_neuro.errors import InputError

SHOWN: tuple[Reveals, ...] = ("scores", "label")


class AnnBlackBox(BlackBox):
    """A `BlackBox` of an ANN, so that attacks on spiking targets run on it without a change.

    A query is the mean over time of spikes (T, B, *input_shape), an image in 0..1. reveals: "scores", the softmax of
    the logits, or "label". ann, budget: see `AnnBox` and `BlackBox`.

    Raises:
        InputError: another output, a budget below 1, or spikes that are not 0 or 1 or of another shape.
    """

    __slots__ = ()

    def __init__(self, ann: Any, reveals: Reveals = "scores", budget: int | None = None) -> None:
        box = AnnBox(ann)
        if reveals not in SHOWN:
            raise InputError(
                f"reveals: expected one of {', '.join(SHOWN)} of a network without spikes, found {reveals!r}"
            )
        expected = ("T", "B", *box.input_shape)

        def check(spikes: Any) -> Accepted:
            values = torch.as_tensor(spikes)
            if values.dim() != len(expected) or tuple(values.shape[2:]) != box.input_shape or 0 in values.shape:
                raise InputError(
                    f"spikes: expected shape ({', '.join(map(str, expected))}), found {tuple(values.shape)}"
                )
            if not bool(((values == 0) | (values == 1)).all()):
                raise InputError("spikes: expected values 0 and 1")
            return Accepted(values)

        def ask(accepted: Accepted) -> Tensor:
            logits = box.run(accepted.spikes.float().mean(0))
            return logits.argmax(1) if reveals == "label" else torch.softmax(logits.double(), dim=1)

        self._set_up(reveals, budget, box.input_shape, box.classes, Gate(check, ask))
