"""HTTP to one endpoint: persistent connections, retries that never charge a query twice, and typed errors."""

from __future__ import annotations

import json
import logging
import math
import ssl
import time
import warnings
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bl_neuro.errors import (
    BudgetExceeded,
    DataError,
    EndpointProtocolError,
    EndpointRefused,
    EndpointUnavailable,
    InputError,
    MissingDependency,
    TokenInTheClear,
)
from bl_neuro.remote.bodies import read_json
from bl_neuro.strangers.door import regular_file

MAX_METADATA = 2**20
MAX_REFUSAL = 64 * 2**10
"""Maximum bytes of a metadata response, and of the part of an error response that is read."""
_LOG = logging.getLogger(__name__)
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 5.0
_PART = 64 * 2**10
_BUSY = (408, 429, 502, 503, 504)
_NOT_RUN = (429,)
"""Statuses after which a query certainly did not run; a 503 may come from a proxy whose server did run it."""


@dataclass(frozen=True)
class HttpResponse:
    """A response with status 200. headers: names in lower case."""

    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True)
class _Request:
    """A request.

    repeatable: whether it may be sent again although it may have run. max_bytes: maximum size of the response.
    may_be_absent: whether status 404 is allowed.
    """

    method: str
    path: str
    repeatable: bool
    max_bytes: int
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    may_be_absent: bool = False


class Connection:
    """Connections to `base`, http(s)://host[:port][/path].

    timeout_s: seconds for a complete response. patience_s: seconds for which a request is repeated. certificates: PEM
    file of the authorities that HTTPS trusts, by default the system's. Redirects are not followed, so that the token is
    sent to no other server.
    """

    def __init__(
        self, base: str, token: str | None, timeout_s: float, patience_s: float, certificates: str | None = None
    ) -> None:
        try:
            from bl_neuro.remote.transport import pool
        except ImportError as error:
            raise MissingDependency(
                'remote: urllib3 is not installed; install it with: pip install "bl-neuro[serve]"'
            ) from error
        self.base = _checked(base)
        if not 0 < timeout_s < math.inf:
            raise InputError(f"timeout_s: expected a number of seconds above 0, found {timeout_s!r}")
        if certificates is not None:
            _check_authorities(certificates)
        if token is not None:
            _check_token(token, base)
        self._patience_s = patience_s
        self._pool = pool(timeout_s, certificates)
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def get(self, path: str, may_be_absent: bool = False) -> Any:
        """The JSON at `path`. may_be_absent: return None for status 404."""
        request = _Request("GET", path, repeatable=True, max_bytes=MAX_METADATA, may_be_absent=may_be_absent)
        return read_json(self._request(request).body, self.base + path)

    def post(self, path: str, body: bytes, headers: dict[str, str], repeatable: bool, max_bytes: int) -> HttpResponse:
        """The response to `body`, of at most `max_bytes` bytes.

        repeatable: whether the endpoint charges the request once, however often it is sent.

        Raises:
            EndpointError, InputError, BudgetExceeded: the endpoint refused, or did not answer. EndpointRefused carries
            the endpoint's `code` and `status`.
        """
        return self._request(_Request("POST", path, repeatable, max_bytes, body, headers))

    def close(self) -> None:
        """Closes the connections."""
        self._pool.clear()

    def _request(self, request: _Request) -> HttpResponse:
        until = time.monotonic() + self._patience_s
        pause, warned = FIRST_PAUSE_S, False
        while True:
            outcome = self._once(request)
            if isinstance(outcome, HttpResponse):
                return outcome
            wait = min(max(pause, outcome.retry_after or 0.0), LONGEST_PAUSE_S)
            if pause > FIRST_PAUSE_S * 8 and not warned:
                warned = True
                _LOG.warning("%s: %s; tried again for %g s", self.base, outcome.reason, self._patience_s)
            if time.monotonic() + wait > until:
                raise EndpointUnavailable(f"{self.base}{request.path}: {outcome.reason}, for {self._patience_s:g} s")
            time.sleep(wait)
            pause *= 2

    def _once(self, request: _Request) -> HttpResponse | _Retry:
        from urllib3.exceptions import (
            ConnectTimeoutError,
            HTTPError,
            LocationParseError,
            NameResolutionError,
            NewConnectionError,
            SSLError,
        )

        from bl_neuro.remote.transport import is_final

        url = self.base + request.path
        try:
            status, content, headers = self._exchanged(request, url)
        except NameResolutionError as error:
            raise EndpointUnavailable(f"{url}: the host name cannot be resolved") from error
        except (NewConnectionError, ConnectTimeoutError) as error:
            return _Retry(f"cannot be reached ({type(error.__cause__ or error).__name__})")
        except LocationParseError as error:
            raise InputError(f"{url}: expected the URL of a model") from error
        except (HTTPError, OSError) as error:
            if isinstance(error, SSLError) and is_final(error.args[0] if error.args else None):
                raise EndpointRefused(f"{url}: TLS failed: {error}{_advice(error)}") from error
            if request.repeatable:
                return _Retry(f"the connection broke ({type(error).__name__})")
            raise EndpointUnavailable(
                f"{url}: the connection broke ({type(error).__name__}); {_MAY_HAVE_RUN}"
            ) from error
        if status == 200:
            return HttpResponse(content, headers)
        if status == 404 and request.may_be_absent:
            return HttpResponse(b"null", {})
        return _refused(url, status, content, headers, request.repeatable)

    def _exchanged(self, request: _Request, url: str) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of the response."""
        response = self._pool.request(
            request.method,
            url,
            body=request.body,
            headers={**self._headers, **request.headers},
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
        max_bytes = request.max_bytes if response.status == 200 else MAX_REFUSAL
        content = bytearray()
        while len(content) <= max_bytes and (part := response.read1(_PART)):
            content += part
        if len(content) <= max_bytes:
            response.release_conn()
        else:
            response.close()  # discards the rest
            if response.status == 200:
                raise EndpointProtocolError(f"{url}: expected a response of at most {max_bytes} bytes")
        return response.status, bytes(content), {name.lower(): value for name, value in response.headers.items()}


_MAY_HAVE_RUN = (
    "the query may have been answered and charged, and this endpoint has no idempotency keys: it is not sent again"
)


@dataclass(frozen=True)
class _Retry:
    """Sending the request again may help. retry_after: seconds that the endpoint asks to wait."""

    reason: str
    retry_after: float | None = None


def _refused(url: str, status: int, content: bytes, headers: dict[str, str], repeatable: bool) -> _Retry:
    """A retry for an error status; raises if repeating the request cannot help."""
    text, code = _error_of(content)
    message = f"{url}: {status}: {text}" if text else f"{url}: status {status}"
    if status in _NOT_RUN or (repeatable and status in _BUSY):
        return _Retry(f"{status}: {text}", _seconds(headers.get("retry-after")))
    if code == "budget_exceeded":
        raise BudgetExceeded(message)
    if status in (400, 422):
        raise InputError(message)
    if status in _BUSY:
        raise EndpointUnavailable(f"{message}; {_MAY_HAVE_RUN}")
    if status >= 500:
        raise EndpointUnavailable(message)
    if status < 300:
        raise EndpointProtocolError(f"{message}; expected status 200")
    raise EndpointRefused(message + _hint(status, headers), code, status)


def _hint(status: int, headers: dict[str, str]) -> str:
    """What to try after a refusal."""
    if status == 401:
        return "; give its token"
    if status in (404, 405):
        return "; expected the URL of a model that is served with the Open Inference Protocol v2"
    if status >= 400:
        return ""
    location = headers.get("location", "")[:200]
    where = f" to {location!r}" if location else ""
    return f"; it redirects{where}, which is not followed, since a token would be sent there: give the final URL"


def _seconds(retry_after: str | None) -> float | None:
    """The seconds of a Retry-After header; None for dates and for digits of other scripts."""
    is_number = retry_after is not None and retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 10
    return float(retry_after or 0) if is_number else None


def _error_of(content: bytes) -> tuple[str, str]:
    """The message and the code of an error response, empty if missing."""
    try:
        content_json = json.loads(content)
        if not isinstance(content_json, dict):
            return "", ""
        text, code = (
            str(content_json.get("error") or content_json.get("detail") or "")[:300],
            str(content_json.get("code", ""))[:100],
        )
    except (ValueError, RecursionError):
        return "", ""
    return "".join(character if character.isprintable() else " " for character in text), code


def _check_token(token: str, base: str) -> None:
    if not (token.isascii() and token.isprintable() and token.strip() == token):
        raise InputError("token: expected printable ASCII characters")
    parts = urlsplit(base)
    if parts.scheme == "http" and not _is_here(parts.hostname or ""):
        warnings.warn(
            f"the token is sent unencrypted to {parts.netloc}: use https",
            TokenInTheClear,
            stacklevel=4,  # the code that created the black box
        )


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _check_authorities(path: str) -> None:
    """Raises InputError if the PEM file cannot be read; urllib3 would report this only with the first request."""
    try:
        with regular_file(Path(path)):  # OpenSSL would wait for a named pipe
            ssl.create_default_context(cafile=path)
    except DataError as error:
        raise InputError(f"certificates: {error}") from error
    except (OSError, ValueError) as error:  # also ssl.SSLError
        problem = (
            "expected a PEM file" if isinstance(error, ssl.SSLError) else getattr(error, "strerror", None) or error
        )
        raise InputError(f"certificates: {path}: {problem}") from error


def _advice(error: Exception) -> str:
    if "CERTIFICATE_VERIFY_FAILED" not in str(error):
        return ""
    return "; if you trust it, give the PEM file of its authority (certificates; --certificates on the command line)"


def _checked(base: str) -> str:
    try:
        parts = urlsplit(base)
        port = parts.port
    except ValueError as error:
        raise InputError(f"url: expected http(s)://host:port/v2/models/NAME, found {base!r}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or port == 0:
        raise InputError(f"url: expected http(s)://host:port/v2/models/NAME, found {base!r}")
    if parts.username is not None or parts.password is not None:
        raise InputError("url: expected no user or password in it; give a token")
    return base.rstrip("/")
