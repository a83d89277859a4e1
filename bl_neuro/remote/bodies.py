"""JSON in the bodies of requests and responses."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from bl_neuro.errors import EndpointProtocolError


class NotInJson(ValueError):
    """NaN or an infinity, which Python's parser accepts although JSON has no such numbers."""


def strict_json(text: str | bytes) -> Any:
    """The content of `text`.

    Raises:
        NotInJson: it contains NaN or an infinity. ValueError: it is not JSON. RecursionError: it is nested too deeply.
    """
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> NoReturn:
    raise NotInJson(name)


def read_json(body: bytes, url: str) -> Any:
    """The JSON in `body`; EndpointProtocolError if it is invalid."""
    try:
        return strict_json(body)
    except NotInJson as error:
        raise EndpointProtocolError(f"{url}: expected JSON, found {error}, which is no number in JSON") from error
    except (ValueError, RecursionError) as error:
        start = body[:40].lstrip()
        kind = "an empty response" if not start else "a web page" if start.startswith(b"<") else repr(body[:40])
        raise EndpointProtocolError(f"{url}: expected JSON, found {kind}") from error


def need_no_error(content: Any, key: str, expected: str, url: str) -> None:
    """Raises EndpointProtocolError for an error with status 200, in place of an object with `key`."""
    if isinstance(content, dict) and "error" in content and key not in content:
        text = str(content["error"])[:300]
        raise EndpointProtocolError(f"{url}: expected {expected}, found an error with status 200: {text}")
