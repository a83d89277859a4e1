"""HTTP connections whose answers must be there in time, and whose failed handshakes are told from lost answers."""

from __future__ import annotations

import io
import socket
import ssl
import time
from http.client import HTTPResponse
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

CONNECTING_S, SENDING_S = 10.0, 60.0
"""Seconds at most for a connection to be made, and for a request to be sent."""
_FINAL = {
    "HTTP_REQUEST",
    "NO_PROTOCOLS_AVAILABLE",
    "NO_SHARED_CIPHER",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "UNKNOWN_PROTOCOL",
    "UNSUPPORTED_PROTOCOL",
    "WRONG_SSL_VERSION",
    "WRONG_VERSION_NUMBER",
}
"""OpenSSL's reasons that trying again does not change: the two sides speak different protocols."""


def is_final(error: object) -> bool:
    """Whether a failure of TLS stays: a certificate that is not trusted, or another protocol.

    A server that restarts, or a balancer whose server does, hangs up in the middle of a handshake as well.
    """
    if isinstance(error, ssl.SSLError):
        return isinstance(error, ssl.SSLCertVerificationError) or error.reason in _FINAL
    return not isinstance(error, OSError)  # urllib3's own checks of the certificate


class _InTime(io.RawIOBase):
    """An answer's bytes as they come; TimeoutError once it took the time that one read may take, all reads together."""

    def __init__(self, raw: io.RawIOBase, line: socket.socket) -> None:
        self._raw, self._line = raw, line
        allowed = line.gettimeout()
        self._until = None if allowed is None else time.monotonic() + allowed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._until is not None:
            left = self._until - time.monotonic()
            if left <= 0:
                raise TimeoutError("the answer did not come in time")
            self._line.settimeout(left)
        found: int | None = self._raw.readinto(buffer)
        return found

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_InTime(self.fp.detach(), sock))


class _Plain(HTTPConnection):
    response_class = _Answer

    def request(self, *arguments: Any, **options: Any) -> None:
        """urllib3 would give a body of many megabytes the time that a connection may take to be made."""
        if self.is_closed:
            self.connect()
        self.timeout = SENDING_S
        super().request(*arguments, **options)


class _Secure(_Plain, HTTPSConnection):
    def connect(self) -> None:
        try:
            super().connect()
        except OSError as error:
            if is_final(error):
                raise
            raise NewConnectionError(self, f"the handshake broke off: {error}") from error


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


def pool(timeout_s: float, certificates: str | None) -> urllib3.PoolManager:
    """Connections that are kept open. timeout_s: for an answer, from its first byte's wait to its last byte.

    A connection that was not made, TLS included, is a NewConnectionError or a ConnectTimeoutError: nothing was sent.
    """
    made = urllib3.PoolManager(
        maxsize=32,
        timeout=urllib3.Timeout(connect=min(CONNECTING_S, timeout_s), read=timeout_s),
        retries=False,
        ca_certs=certificates,
    )
    made.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
    return made
