"""How many samples one request may have: as the endpoint declares, or as its refusals say."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from bl_neuro.errors import EndpointError, EndpointProtocolError, EndpointRefused, InputError
from bl_neuro.remote.connection import Connection
from bl_neuro.remote.described import BATCH_AXES, Described

CONFIGURATION = "model_configuration"
"""The protocol extension of Triton whose page contains `max_batch_size`."""
_MOST = re.compile(r"batch[-_ ]?size[^.;]{0,40}?(?:<=|at most|maximum(?: of)?|exceeds?) *(\d{1,9})\b", re.IGNORECASE)
_EXACT = re.compile(r"index: (\d) Got: \d+ Expected: (\d{1,9})\b")
"""What Triton says of its `max_batch_size`, and ONNX Runtime of an axis of fixed size."""


def configured_batch(connection: Connection, path: str) -> int | None:
    """`max_batch_size` of the model at `path`, None if the endpoint does not state it."""
    page: Any = None
    with suppress(EndpointError, InputError):  # an optional page
        page = connection.get(f"{path}/config", may_be_absent=True)
    most = page.get("max_batch_size") if isinstance(page, dict) else None
    return most if isinstance(most, int) and not isinstance(most, bool) and most > 0 else None


class BatchLimit:
    """The largest batch of `model`'s requests. fixed: the only batch that it takes, or None for smaller ones too."""

    def __init__(self, model: Described) -> None:
        self.fixed = model.fixed_batch
        self._most = self.fixed or model.max_batch or 2**31
        self._axis = BATCH_AXES[model.layout]

    def samples(self, room: int) -> int:
        """Samples of the next request. room: how many fit into its bytes.

        Raises:
            EndpointProtocolError: the only batch that the endpoint takes does not fit.
        """
        if self.fixed is not None and self.fixed > room:
            raise EndpointProtocolError(
                f"the endpoint declares batches of exactly {self.fixed} samples, of which {room} fit into one request"
            )
        return max(1, min(room, self._most))

    def learn(self, error: Exception, batch: int, url: str) -> bool:
        """Learns from the refusal of a request of `batch` samples; returns whether a smaller one may be accepted."""
        text = str(error).replace(url, "")
        if self.fixed is not None:
            return False
        exact = _EXACT.search(text)
        if exact is not None and int(exact[1]) == self._axis and int(exact[2]) > 0:
            self.fixed = self._most = int(exact[2])
            return True
        if batch == 1:
            return False
        most = _MOST.search(text)
        if most is not None and 0 < int(most[1]) < batch:
            self._most = int(most[1])
            return True
        too_large = isinstance(error, EndpointRefused) and error.status == 413
        if "batch" in text.lower() or too_large:
            self._most = batch // 2
            return True
        return False


def padded(values: Tensor, axis: int, batch: int | None) -> Tensor:
    """`values` with the last sample on `axis` repeated up to `batch` samples, if it is given."""
    missing = 0 if batch is None else batch - values.shape[axis]
    if missing <= 0:
        return values
    last = values.narrow(axis, -1, 1)
    return torch.cat([values, last.expand(*values.shape[:axis], missing, *values.shape[axis + 1 :])], dim=axis)
