"""HTTP to one endpoint: connections kept open, retries that never spend twice, every refusal a typed error."""

from __future__ import annotations

import json
import logging
import math
import ssl
import time
import warnings
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from bl_neuro.errors import (
    BudgetExceeded,
    EndpointProtocolError,
    EndpointRefused,
    EndpointUnavailable,
    InputError,
    MissingDependency,
    TokenInTheClear,
)

MOST_METADATA = 2**20
MOST_REFUSAL = 64 * 2**10
"""Bytes of an answer that describes, and of what is read of one that refuses."""
_LOG = logging.getLogger(__name__)
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 5.0
_PART = 64 * 2**10
_BUSY = (408, 429, 502, 503, 504)
_SURELY_NOT_RUN = (429,)
"""A 503 may also be a proxy's, whose server ran the query and hung up."""


@dataclass(frozen=True)
class Answered:
    """A 200. headers: names in lower case."""

    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True)
class _Request:
    """again: whether it may be sent again after it may have run. most: bytes of its answer."""

    method: str
    path: str
    again: bool
    most: int
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    may_be_absent: bool = False


class Connection:
    """To `base`, http(s)://host[:port][/path]. patience_s: how long a request is tried for in all.

    timeout_s: how long one answer may take to its last byte. certificates: a PEM file of the authorities that HTTPS
    trusts, the system's by default. Redirects are not followed, so that a token goes nowhere else.
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
        """The JSON at `path`. may_be_absent: None where there is nothing (404)."""
        asked = _Request("GET", path, again=True, most=MOST_METADATA, may_be_absent=may_be_absent)
        return read_json(self._request(asked).body, self.base + path)

    def post(self, path: str, body: bytes, headers: dict[str, str], again: bool, most: int) -> Answered:
        """The answer to `body`, of `most` bytes. again: whether the endpoint charges it once, however often it is sent.

        Raises:
            EndpointError, InputError, BudgetExceeded: what the endpoint said, or that it did not. EndpointRefused has
            the `code` that it gave.
        """
        return self._request(_Request("POST", path, again, most, body, headers))

    def close(self) -> None:
        """Closes the connections."""
        self._pool.clear()

    def _request(self, asked: _Request) -> Answered:
        until = time.monotonic() + self._patience_s
        pause, told = FIRST_PAUSE_S, False
        while True:
            found = self._once(asked)
            if isinstance(found, Answered):
                return found
            wait = min(max(pause, found.after or 0.0), LONGEST_PAUSE_S)
            if pause > FIRST_PAUSE_S * 8 and not told:
                told = True
                _LOG.warning("%s: %s; tried again for %g s", self.base, found.why, self._patience_s)
            if time.monotonic() + wait > until:
                raise EndpointUnavailable(f"{self.base}{asked.path}: {found.why}, for {self._patience_s:g} s")
            time.sleep(wait)
            pause *= 2

    def _once(self, asked: _Request) -> Answered | _NotYet:
        from urllib3.exceptions import (
            ConnectTimeoutError,
            HTTPError,
            LocationParseError,
            NameResolutionError,
            NewConnectionError,
            SSLError,
        )

        from bl_neuro.remote.transport import is_final

        url = self.base + asked.path
        try:
            status, content, headers = self._exchanged(asked, url)
        except NameResolutionError as error:
            raise EndpointUnavailable(f"{url}: there is no such host") from error
        except (NewConnectionError, ConnectTimeoutError) as error:
            return _NotYet(f"cannot be reached ({type(error.__cause__ or error).__name__})")
        except LocationParseError as error:
            raise InputError(f"{url}: expected the URL of a model") from error
        except (HTTPError, OSError) as error:
            if isinstance(error, SSLError) and is_final(error.args[0] if error.args else None):
                raise EndpointRefused(f"{url}: TLS failed: {error}{_advice(error)}") from error
            if asked.again:
                return _NotYet(f"the connection broke ({type(error).__name__})")
            raise EndpointUnavailable(
                f"{url}: the connection broke ({type(error).__name__}); {_MAY_HAVE_RUN}"
            ) from error
        if status == 200:
            return Answered(content, headers)
        if status == 404 and asked.may_be_absent:
            return Answered(b"null", {})
        return _refused(url, status, content, headers.get("retry-after"), asked.again)

    def _exchanged(self, asked: _Request, url: str) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of the answer."""
        response = self._pool.request(
            asked.method,
            url,
            body=asked.body,
            headers={**self._headers, **asked.headers},
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
        most = asked.most if response.status == 200 else MOST_REFUSAL
        content = bytearray()
        while len(content) <= most and (part := response.read1(_PART)):
            content += part
        if len(content) <= most:
            response.release_conn()
        else:
            response.close()  # with what is still to come
            if response.status == 200:
                raise EndpointProtocolError(f"{url}: expected an answer of at most {most} bytes")
        return response.status, bytes(content), {name.lower(): value for name, value in response.headers.items()}


_MAY_HAVE_RUN = (
    "the query may have been answered and charged, and this endpoint knows no idempotency keys: it is not sent again"
)


@dataclass(frozen=True)
class _NotYet:
    """Asking again may help. after: seconds that the endpoint asks for."""

    why: str
    after: float | None = None


def read_json(body: bytes, where: str) -> Any:
    """The JSON in `body`; EndpointProtocolError where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise EndpointProtocolError(f"{where}: expected JSON, found {body[:40]!r}") from error


def _refused(url: str, status: int, content: bytes, retry_after: str | None, again: bool) -> _NotYet:
    """What a status means; raises where asking again is of no use."""
    said, code = _said(content)
    what = f"{url}: {status}: {said}" if said else f"{url}: status {status}"
    if status in _SURELY_NOT_RUN or (again and status in _BUSY):
        return _NotYet(f"{status}: {said}", _seconds(retry_after))
    if code == "budget_exceeded":
        raise BudgetExceeded(what)
    if status in (400, 422):
        raise InputError(what)
    if status in _BUSY:
        raise EndpointUnavailable(f"{what}; {_MAY_HAVE_RUN}")
    if status >= 500:
        raise EndpointUnavailable(what)
    hint = "; give its token" if status == 401 else ""
    raise EndpointRefused(what + hint, code)


def _seconds(retry_after: str | None) -> float | None:
    """A date is none, nor are digits of other scripts."""
    known = retry_after is not None and retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 10
    return float(retry_after or 0) if known else None


def _said(content: bytes) -> tuple[str, str]:
    """The message and the code in an error's body, as far as there are any."""
    try:
        found = json.loads(content)
        if not isinstance(found, dict):
            return "", ""
        text, code = str(found.get("error") or found.get("detail") or "")[:300], str(found.get("code", ""))[:100]
    except (ValueError, RecursionError):
        return "", ""
    return "".join(each if each.isprintable() else " " for each in text), code


def _check_token(token: str, base: str) -> None:
    if not (token.isascii() and token.isprintable() and token.strip() == token):
        raise InputError("token: expected printable ASCII characters")
    parts = urlsplit(base)
    if parts.scheme == "http" and not _is_here(parts.hostname or ""):
        warnings.warn(
            f"the token travels to {parts.netloc} in the clear, for all to read on the way: use https",
            TokenInTheClear,
            stacklevel=4,  # whoever made the black box
        )


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _check_authorities(path: str) -> None:
    """The library says which file it cannot read only once it asks."""
    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ValueError) as error:  # also ssl.SSLError
        said = "expected a PEM file" if isinstance(error, ssl.SSLError) else getattr(error, "strerror", None) or error
        raise InputError(f"certificates: {path}: {said}") from error


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
