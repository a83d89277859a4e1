"""HTTP connections with a deadline for complete responses, which distinguish failed handshakes from lost responses."""

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

CONNECT_S, SEND_S = 10.0, 60.0
"""Maximum seconds for opening a connection, and for sending a request."""
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
"""OpenSSL's permanent reasons for failure: both sides use different protocols."""


def is_final(error: object) -> bool:
    """Whether a TLS failure is permanent: an untrusted certificate, or another protocol.

    A restarting server, or a load balancer in front of one, may close the connection during a handshake as well; that
    failure is not permanent.
    """
    if isinstance(error, ssl.SSLError):
        return isinstance(error, ssl.SSLCertVerificationError) or error.reason in _FINAL
    return not isinstance(error, OSError)  # urllib3's own checks of the certificate


class _DeadlineReader(io.RawIOBase):
    """Reads a response; TimeoutError if all reads together exceed the timeout of one read."""

    def __init__(self, raw: io.RawIOBase, connection_socket: socket.socket) -> None:
        self._raw, self._socket = raw, connection_socket
        timeout = connection_socket.gettimeout()
        self._deadline = None if timeout is None else time.monotonic() + timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._deadline is not None:
            time_left = self._deadline - time.monotonic()
            if time_left <= 0:
                raise TimeoutError("the response did not arrive in time")
            self._socket.settimeout(time_left)
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_DeadlineReader(self.fp.detach(), sock))


class _Plain(HTTPConnection):
    response_class = _Answer

    def request(self, *arguments: Any, **options: Any) -> None:
        """Sets a separate timeout for sending, for which urllib3 would use the connect timeout."""
        if self.is_closed:
            self.connect()
        self.timeout = SEND_S
        super().request(*arguments, **options)


class _Secure(_Plain, HTTPSConnection):
    def connect(self) -> None:
        try:
            super().connect()
        except OSError as error:
            if is_final(error):
                raise
            raise NewConnectionError(self, f"the TLS handshake was interrupted: {error}") from error


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


def pool(timeout_s: float, certificates: str | None) -> urllib3.PoolManager:
    """Persistent connections. timeout_s: seconds for a complete response.

    A failure to connect, including TLS, raises NewConnectionError or ConnectTimeoutError; no request was sent then.
    """
    manager = urllib3.PoolManager(
        maxsize=32,
        timeout=urllib3.Timeout(connect=min(CONNECT_S, timeout_s), read=timeout_s),
        retries=False,
        ca_certs=certificates,
    )
    manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
    return manager
