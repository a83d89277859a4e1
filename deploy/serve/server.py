"""Runs an endpoint until a signal ends it: opens the log and the ports, and releases them at the end."""

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
from bl_neuro.deploy.serve.paths import read_input
from bl_neuro.deploy.serve.protocol import MAX_REFUSED, BoundedHttp
from bl_neuro.deploy.serve.settings import ServeSettings
from bl_neuro.errors import InputError

GRACE_S = 30
"""Seconds allowed for requests in flight when the server shuts down."""
MAX_CONNECTIONS = 1024
BACKLOG = 128
"""Connections that the operating system queues before the server accepts them."""
SPARE_FILES = 2 * BACKLOG + MAX_REFUSED + 192
"""Open files needed besides those of the served connections."""


def serve(target: Target, settings: ServeSettings, clients: Clients) -> None:
    """Serves `target` until SIGTERM or Ctrl-C; waiting requests are still answered then.

    Raises:
        LogDamaged: the log of queries lost entries or was changed.
        InputError: the settings are inconsistent, a port is not available, the TLS files are invalid, or the server
            would write to a file that is not its own.
        NotRevealed: the substrate does not reveal `settings.reveals`.
    """
    if not settings.loopback and not len(clients):
        raise InputError(f"--host {settings.host}: other machines can connect; give clients tokens (--token-file)")
    settings.check_files()
    if settings.certificate is not None and settings.key is not None:
        check_pair(settings.certificate, settings.key)
    arithmetic = find_backend(target.substrate).arithmetic
    with ExitStack() as opened:
        model = ServedModel.of(target, settings, arithmetic == "loihi")
        computed = target.substrate if arithmetic in (None, "real") else arithmetic
        served = f"{target.network.fingerprint} {settings.reveals} {computed}"
        log = RequestLog()
        opened.callback(log.close)  # after the ledger, which may discover damage when it is closed

        def log_damage(damage: str) -> None:
            log.write("log_damaged", log=str(settings.log), message=damage)

        ledger = Ledger(settings.log, served, settings.budget, settings.seal, settings.accept_log_damage, log_damage)
        opened.callback(ledger.close)
        metrics = Metrics()
        if settings.metrics_port is not None:
            opened.callback(_start_metrics_page(metrics, settings.metrics_port))
        if ledger.accepted is not None:
            log.write("log_damage_accepted", log=str(settings.log), message=ledger.accepted)
        port = opened.enter_context(_port(settings))
        if not settings.loopback and settings.certificate is None:
            message = "tokens and queries are sent unencrypted: give --tls-certificate and --tls-key"
            log.write("warning", message=message)
        facts = {
            "model": settings.name,
            "reveals": settings.reveals,
            "budget": settings.budget,
            "log": str(settings.log),
        }
        log.write("listening", host=settings.host, port=port.getsockname()[1], clients=len(clients), **facts)
        endpoint = Endpoint(model, clients, ledger, metrics, log)
        with _preserved_signal_handlers():
            uvicorn.Server(_config(endpoint, settings)).run(sockets=[port])


def _port(settings: ServeSettings) -> socket.socket:
    """A listening socket. Its protocol is given explicitly, since asyncio sets TCP_NODELAY only then."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    port = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port.bind((settings.host, settings.port))
        port.listen(BACKLOG)
    except OSError as error:
        port.close()
        options = f"--host {settings.host}, --port {settings.port}"
        raise InputError(f"{options}: cannot listen: {error.strerror or error}") from error
    return port


def _start_metrics_page(metrics: Metrics, port: int) -> Callable[[], None]:
    """Serves the metrics on the loopback interface; returns the function that stops this."""
    try:
        page, answering = start_http_server(port, "127.0.0.1", metrics.registry)
    except OSError as error:
        raise InputError(f"--metrics-port {port}: cannot listen: {error.strerror or error}") from error

    def end() -> None:
        page.shutdown()
        page.server_close()
        answering.join()

    return end


@contextmanager
def _preserved_signal_handlers() -> Iterator[None]:
    """Ignores signals that uvicorn raises again after its shutdown, so that open resources are still released."""
    handlers = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _max_connections() -> int:
    """Number of connections that the limit on open files allows; beyond that limit asyncio would stall for seconds."""
    soft_limit, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = min(_count(hard_limit), max(_count(soft_limit), MAX_CONNECTIONS + SPARE_FILES))
    if files > _count(soft_limit):
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard_limit))
    return min(MAX_CONNECTIONS, max(files // 4, files - SPARE_FILES))


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
        limit_concurrency=_max_connections(),
        backlog=BACKLOG,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=None if settings.certificate is None else str(settings.certificate),
        ssl_keyfile=None if settings.key is None else str(settings.key),
        ssl_version=ssl.PROTOCOL_TLS_SERVER,
    )


def check_pair(certificate: Path, key: Path) -> None:
    """Checks that two PEM files are a certificate, optionally followed by its chain, and its private key.

    Raises:
        InputError: a file cannot be read or is not PEM, the key belongs to another certificate, or it needs a
            passphrase.
    """
    for option, path in (("--tls-certificate", certificate), ("--tls-key", key)):
        if b"-----BEGIN " not in read_input(path, option):
            raise InputError(f"{option} {path}: expected a PEM file")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, _no_passphrase)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            message = f"--tls-key {key}: expected the key of {certificate}, found the key of another certificate"
            raise InputError(message) from error
        raise InputError(
            f"--tls-certificate {certificate}, --tls-key {key}: expected a certificate and its private key "
            f"({error.reason or error})"
        ) from error


def _no_passphrase() -> str:
    """Refuses keys with a passphrase, for which OpenSSL would prompt at the terminal and wait."""
    raise InputError("--tls-key: expected a key without a passphrase")
