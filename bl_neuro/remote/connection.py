"""HTTP to one endpoint: connections kept open, retries that never spend twice, every refusal a typed error."""

from __future__ import annotations

import json
import ssl
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from bl_neuro.errors import (
    BudgetExceeded,
    EndpointProtocolError,
    EndpointRefused,
    EndpointUnavailable,
    InputError,
    MissingDependency,
)

MOST_ANSWER = 256 * 2**20
"""Bytes of an answer."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 5.0
_BUSY = (408, 429, 502, 503, 504)
_SURELY_NOT_RUN = (429, 503)


@dataclass(frozen=True)
class Answered:
    """A 200. headers: names in lower case."""

    body: bytes
    headers: dict[str, str]


class Connection:
    """To `base`, http(s)://host[:port][/path]. patience_s: how long a request is tried for in all.

    certificates: a PEM file of the authorities that HTTPS trusts, the system's by default. Redirects are not followed,
    so that a token goes nowhere else.
    """

    def __init__(
        self, base: str, token: str | None, timeout_s: float, patience_s: float, certificates: str | None = None
    ) -> None:
        try:
            import urllib3
        except ImportError as error:
            raise MissingDependency(
                'remote: urllib3 is not installed; install it with: pip install "bl-neuro[serve]"'
            ) from error
        self.base = _checked(base)
        if certificates is not None:
            _check_authorities(certificates)
        if token is not None and not (token.isascii() and token.isprintable() and token.strip() == token):
            raise InputError("token: expected printable ASCII characters")
        self._patience_s = patience_s
        self._pool = urllib3.PoolManager(
            maxsize=32,
            timeout=urllib3.Timeout(connect=min(10.0, timeout_s), read=timeout_s),
            retries=False,
            ca_certs=certificates,
        )
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def get(self, path: str) -> Any:
        """The JSON at `path`."""
        return read_json(self._request("GET", path, None, {}, again=True).body, self.base + path)

    def post(self, path: str, body: bytes, headers: dict[str, str], again: bool) -> Answered:
        """The answer to `body`. again: whether the endpoint charges it once, however often it is sent."""
        return self._request("POST", path, body, headers, again)

    def close(self) -> None:
        """Closes the connections."""
        self._pool.clear()

    def _request(self, method: str, path: str, body: bytes | None, headers: dict[str, str], again: bool) -> Answered:
        until = time.monotonic() + self._patience_s
        pause = FIRST_PAUSE_S
        while True:
            found = self._once(method, path, body, headers, again)
            if isinstance(found, Answered):
                return found
            wait = min(max(pause, found.after or 0.0), LONGEST_PAUSE_S)
            if time.monotonic() + wait > until:
                raise EndpointUnavailable(f"{self.base}{path}: {found.why}, for {self._patience_s:g} s")
            time.sleep(wait)
            pause *= 2

    def _once(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], again: bool
    ) -> Answered | _NotYet:
        import urllib3
        from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, SSLError

        url = self.base + path
        try:
            response = self._pool.request(
                method,
                url,
                body=body,
                headers={**self._headers, **headers},
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            content = response.read(MOST_ANSWER + 1)
            if len(content) > MOST_ANSWER:
                response.close()
                raise EndpointProtocolError(f"{url}: expected an answer of at most {MOST_ANSWER} bytes")
            response.drain_conn()
            response.release_conn()
        except SSLError as error:
            raise EndpointRefused(f"{url}: TLS failed: {error}{_advice(error)}") from error
        except (NewConnectionError, ConnectTimeoutError) as error:
            return _NotYet(f"cannot be reached ({type(error).__name__})")
        except urllib3.exceptions.LocationParseError as error:
            raise InputError(f"{url}: expected the URL of a model") from error
        except (HTTPError, OSError) as error:
            if again:
                return _NotYet(f"the connection broke ({type(error).__name__})")
            raise EndpointUnavailable(
                f"{url}: the connection broke ({type(error).__name__}); the query may have been answered and charged, "
                "and this endpoint knows no idempotency keys: it is not sent again"
            ) from error
        if response.status == 200:
            return Answered(content, {name.lower(): value for name, value in response.headers.items()})
        return _refused(url, response.status, content, response.headers.get("Retry-After"), again)


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
        return _NotYet(f"{status}: {said}", float(retry_after) if retry_after and retry_after.isdigit() else None)
    if code == "budget_exceeded":
        raise BudgetExceeded(what)
    if status in (400, 422):
        raise InputError(what)
    if status >= 500:
        raise EndpointUnavailable(what)
    hint = "; give its token" if status == 401 else ""
    raise EndpointRefused(what + hint)


def _said(content: bytes) -> tuple[str, str]:
    """The message and the code in an error's body, as far as there are any."""
    try:
        found = json.loads(content[:65536])
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(found, dict):
        return "", ""
    text = str(found.get("error") or found.get("detail") or "")[:300]
    return "".join(each if each.isprintable() else " " for each in text), str(found.get("code", ""))


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
