"""Authorized clients: names and SHA-256 hashes of their bearer tokens. The tokens themselves are never stored."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bl_neuro.deploy.serve.paths import read_input
from bl_neuro.deploy.serve.settings import NAME
from bl_neuro.errors import InputError
from bl_neuro.files import need_regular

MIN_TOKEN = 16
"""Minimum length of a token in characters. Tokens are random, so a fast hash is sufficient."""
ANYBODY = "anybody"
"""Name of the client when no tokens are set."""
_HASH = re.compile(r"[0-9a-f]{64}")
_MAX_CLIENTS = 1024


class Clients:
    """Clients, identified by the hash of their token."""

    def __init__(self, hashes: dict[str, str]) -> None:
        self._hashes = {name: bytes.fromhex(digest) for name, digest in hashes.items()}

    def __len__(self) -> int:
        return len(self._hashes)

    def authenticated(self, authorization: str | None) -> str | None:
        """The client whose token an Authorization header carries, or None. Runs in constant time."""
        if not self._hashes:
            return ANYBODY
        scheme, _, token = (authorization or "").partition(" ")
        digest = hashlib.sha256(token.strip().encode("utf-8", "surrogateescape")).digest()
        client = None
        for name, client_digest in self._hashes.items():
            if hmac.compare_digest(digest, client_digest):
                client = name
        return client if scheme.lower() == "bearer" else None


def hashes_of(tokens: Iterable[str], source: str) -> dict[str, str]:
    """Token hashes by client name, from entries NAME:TOKEN. source: where they come from, for error messages.

    Raises:
        InputError: an entry has another form; the message does not repeat it.
    """
    hashes: dict[str, str] = {}
    for entry in tokens:
        name, colon, token = entry.partition(":")
        if not colon or not NAME.fullmatch(name) or len(token) < MIN_TOKEN or not token.isascii() or " " in token:
            raise InputError(f"{source}: expected NAME:TOKEN, the token of at least {MIN_TOKEN} characters, no spaces")
        _add(hashes, name, hashlib.sha256(token.encode()).hexdigest(), source)
    return hashes


def read_token_file(path: Path) -> dict[str, str]:
    """Token hashes by client name, from lines "NAME SHA256"; empty lines and comments (#) are skipped.

    Raises:
        InputError: the file cannot be read, or a line has another form; the message gives its number.
    """
    hashes: dict[str, str] = {}
    text = read_input(path, "--token-file").decode("utf-8-sig", "replace")
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or not NAME.fullmatch(words[0]) or not _HASH.fullmatch(words[1]):
            raise InputError(f"{path}:{number}: expected a client's name and the SHA-256 of its token in hexadecimal")
        _add(hashes, words[0], words[1], f"{path}:{number}")
    return hashes


def add_client(path: Path, name: str, show: Callable[[str], object] | None = None) -> str:
    """Creates a token for client `name`, appends its hash to the file at `path` and returns the token.

    show: is called with the token before its hash is stored, so that a token that cannot be shown is not kept.

    Raises:
        InputError: the client exists, or the name or the file is invalid. OSError: the file cannot be written, or is
            not a regular file.
    """
    need_regular(path)
    hashes = read_token_file(path) if path.exists() else {}
    if name in hashes:
        raise InputError(f"{path}: client {name!r} already exists; remove its line to give it another token")
    if not NAME.fullmatch(name):
        raise InputError(f"client: expected a name of letters, digits, '.', '_' and '-', found {name!r}")
    token = secrets.token_urlsafe(32)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    with os.fdopen(handle, "a", encoding="utf-8") as file:
        if show is not None:
            show(token)
        file.write(f"{name} {hashlib.sha256(token.encode()).hexdigest()}\n")
    return token


def _add(hashes: dict[str, str], name: str, digest: str, source: str) -> None:
    if name in hashes or digest in hashes.values():
        raise InputError(f"{source}: client {name!r}, or its token, occurs twice")
    if len(hashes) == _MAX_CLIENTS:
        raise InputError(f"{source}: expected at most {_MAX_CLIENTS} clients")
    hashes[name] = digest


class RateLimit:
    """Token bucket that allows each client `rate` requests per second, None for no limit.

    A burst may contain the requests of one second.
    """

    def __init__(self, rate: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait(self, client: str) -> float:
        """Counts a request of `client` and returns 0 if it is allowed now, else the seconds until it is allowed."""
        if self._rate is None:
            return 0.0
        time_now, capacity = self._clock(), max(1.0, self._rate)
        tokens, last_time = self._buckets.get(client, (capacity, time_now))
        tokens = min(capacity, tokens + (time_now - last_time) * self._rate)
        allowed = tokens >= 1.0
        self._buckets[client] = (tokens - 1.0 if allowed else tokens, time_now)
        return 0.0 if allowed else (1.0 - tokens) / self._rate
