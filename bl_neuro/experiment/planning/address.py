"""Content addresses: what a result depends on, as one hash."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> str:
    """`value` as JSON in one form only: keys sorted, no spaces, ASCII. ValueError for NaN and infinities."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def content_address(definition: Any) -> str:
    """SHA-256 of the canonical JSON of `definition`, in hexadecimal."""
    return hashlib.sha256(canonical_json(definition).encode()).hexdigest()
