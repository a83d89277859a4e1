"""Runs an endpoint until it is told to end: opens the substrate, the log and the port, and gives all of them back."""

from __future__ import annotations

import resource
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import uvicorn
from prometheus_client import start_http_server

from bl_neuro.backends import Target
from bl_neuro.backends.registry import find_backend
from bl_neuro.deploy.serve.app import Endpoint
from bl_neuro.deploy.serve.clients import Clients
from bl_neuro.deploy.serve.ledger import Ledger
from bl_neuro.deploy.serve.logs import RequestLog
from bl_neuro.deploy.serve.metrics import Metrics
from bl_neuro.deploy.serve.model import ServedModel
from bl_neuro.deploy.serve.protocol import MOST_TURNED_AWAY, BoundedHttp
from bl_neuro.deploy.serve.settings import ServeSettings
from bl_neuro.errors import InputError

GRACE_S = 30
"""Seconds that requests in flight have to end in, once the server is told to."""
MOST_CONNECTIONS = 1024
MOST_AT_ONCE = 128
"""Connections that are accepted before the first of them is looked at."""
SPARE_FILES = 2 * MOST_AT_ONCE + MOST_TURNED_AWAY + 192
"""Open files besides those of the connections that are served."""


def serve(target: Target, settings: ServeSettings, clients: Clients) -> None:
    """Serves `target` until SIGTERM or Ctrl-C; who waits then is still answered.

    Raises:
        InputError: the settings do not go together, a port cannot be had, or the files of TLS are none.
        NotRevealed: the substrate does not put that out. OSError: those files cannot be read.
    """
    if not settings.loopback and not len(clients):
        raise InputError(f"--host {settings.host}: others can ask there; give clients tokens (--token-file)")
    if settings.certificate is not None and settings.key is not None:
        check_pair(settings.certificate, settings.key)
    arithmetic = find_backend(target.substrate).arithmetic
    with ExitStack() as opened:
        model = ServedModel.of(target, settings, arithmetic == "loihi")
        computed = target.substrate if arithmetic in (None, "real") else arithmetic
        served = f"{target.network.fingerprint} {settings.reveals} {computed}"
        ledger = Ledger(settings.log, served, settings.budget)
        opened.callback(ledger.close)
        metrics = Metrics()
        if settings.metrics_port is not None:
            opened.callback(_show(metrics, settings.metrics_port))
        log = RequestLog()
        port = opened.enter_context(_port(settings))
        if not settings.loopback and settings.certificate is None:
            log.write("warning", said="tokens and queries travel in the clear: give --tls-certificate and --tls-key")
        facts = {
            "model": settings.name,
            "reveals": settings.reveals,
            "budget": settings.budget,
            "log": str(settings.log),
        }
        log.write("listening", host=settings.host, port=port.getsockname()[1], clients=len(clients), **facts)
        endpoint = Endpoint(model, clients, ledger, metrics, log)
        with _signals_end_only_the_server():
            uvicorn.Server(_config(endpoint, settings)).run(sockets=[port])


def _port(settings: ServeSettings) -> socket.socket:
    """Listens. The protocol is named, or asyncio would not send small answers at once (TCP_NODELAY)."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    port = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port.bind((settings.host, settings.port))
        port.listen(MOST_AT_ONCE)
    except OSError as error:
        port.close()
        where = f"--host {settings.host}, --port {settings.port}"
        raise InputError(f"{where}: cannot listen there: {error.strerror or error}") from error
    return port


def _show(metrics: Metrics, port: int) -> Callable[[], None]:
    """Puts the measures on a page, to this machine alone; what is given back ends it."""
    try:
        page, answering = start_http_server(port, "127.0.0.1", metrics.registry)
    except OSError as error:
        raise InputError(f"--metrics-port {port}: cannot listen there: {error.strerror or error}") from error

    def end() -> None:
        page.shutdown()
        page.server_close()
        answering.join()

    return end


@contextmanager
def _signals_end_only_the_server() -> Iterator[None]:
    """Uvicorn ends on a signal and then raises it again; what is open here would not be given back."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _room_for_connections() -> int:
    """As the files allow that may be open: asyncio stops for seconds, and fills the log, where one is refused."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = min(_count(most), max(_count(now), MOST_CONNECTIONS + SPARE_FILES))
    if files > _count(now):
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    return min(MOST_CONNECTIONS, max(files // 4, files - SPARE_FILES))


def _count(limit: int) -> int:
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit


def _config(endpoint: Endpoint, settings: ServeSettings) -> uvicorn.Config:
    return uvicorn.Config(
        endpoint.app,
        http=BoundedHttp,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_room_for_connections(),
        backlog=MOST_AT_ONCE,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=None if settings.certificate is None else str(settings.certificate),
        ssl_keyfile=None if settings.key is None else str(settings.key),
        ssl_version=ssl.PROTOCOL_TLS_SERVER,
    )


def check_pair(certificate: Path, key: Path) -> None:
    """Whether these PEM files are a certificate, its chain perhaps behind it, and its key.

    Raises:
        InputError: one is not PEM, the key is another certificate's, or it wants a passphrase.
        OSError: one cannot be read.
    """
    for option, path in (("--tls-certificate", certificate), ("--tls-key", key)):
        if b"-----BEGIN " not in path.read_bytes():
            raise InputError(f"{option} {path}: expected a PEM file")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, _no_passphrase)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise InputError(f"--tls-key {key}: expected the key of {certificate}, found another's") from error
        raise InputError(
            f"--tls-certificate {certificate}, --tls-key {key}: expected a certificate in the one and its key in the "
            f"other ({error.reason or error})"
        ) from error


def _no_passphrase() -> str:
    """A server that asks at a terminal would wait there for ever."""
    raise InputError("--tls-key: expected a key without a passphrase")
