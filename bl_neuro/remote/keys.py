"""Idempotency keys: under one key an endpoint charges one query, however often it is asked."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections import Counter

from torch import Tensor

_SHOWN = 64
"""Characters of a session in a key; a digest tells longer ones apart. Endpoints take keys of 128."""


class Keys:
    """Random keys; or, of a `session`, keys that follow from what is asked: its values, and how often it was asked.

    A session that is asked once more has the same keys, whatever the order and the form in which its queries are sent.
    """

    def __init__(self, session: str | None) -> None:
        self._session = session
        self._asked: Counter[str] = Counter()
        self._counting = threading.Lock()

    def of(self, values: Tensor, datatype: str) -> str:
        """The key of a request for `values`, as the endpoint is to read them."""
        if self._session is None:
            return uuid.uuid4().hex
        found = hashlib.sha256(f"{self._session} {datatype} {tuple(values.shape)} ".encode())
        for part in values:  # one after the other: a held frame stays one in memory
            found.update(part.contiguous().numpy().data)
        digest = found.hexdigest()[:32]
        with self._counting:
            number = self._asked[digest]
            self._asked[digest] += 1
        return f"{self._session[:_SHOWN]}-{digest}-{number}"
