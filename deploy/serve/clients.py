"""Who may ask: names, and the SHA-256 of their bearer tokens. The tokens themselves are kept nowhere."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bl_neuro.deploy.serve.settings import NAME
from bl_neuro.errors import InputError

LEAST_TOKEN = 16
"""Characters: a token is drawn, not chosen, and so needs no slow hash."""
ANYBODY = "anybody"
"""Who asks where no tokens are set."""
_HASH = re.compile(r"[0-9a-f]{64}")
_MOST = 1024


class Clients:
    """Clients by the hash of their token."""

    def __init__(self, hashes: dict[str, str]) -> None:
        self._hashes = {name: bytes.fromhex(digest) for name, digest in hashes.items()}

    def __len__(self) -> int:
        return len(self._hashes)

    def named(self, authorization: str | None) -> str | None:
        """The client that an Authorization header names, or None. It takes as long whoever it is."""
        if not self._hashes:
            return ANYBODY
        scheme, _, token = (authorization or "").partition(" ")
        digest = hashlib.sha256(token.strip().encode("utf-8", "surrogateescape")).digest()
        found = None
        for name, known in self._hashes.items():
            if hmac.compare_digest(digest, known):
                found = name
        return found if scheme.lower() == "bearer" else None


def hashes_of(tokens: Iterable[str], where: str) -> dict[str, str]:
    """Hashes of tokens given as NAME:TOKEN; InputError, which does not repeat them, where they are not."""
    found: dict[str, str] = {}
    for each in tokens:
        name, colon, token = each.partition(":")
        if not colon or not NAME.fullmatch(name) or len(token) < LEAST_TOKEN or not token.isascii() or " " in token:
            raise InputError(f"{where}: expected NAME:TOKEN, the token of at least {LEAST_TOKEN} characters, no spaces")
        _add(found, name, hashlib.sha256(token.encode()).hexdigest(), where)
    return found


def read_token_file(path: Path) -> dict[str, str]:
    """Hashes by name, of lines "NAME SHA256"; empty lines and comments (#) are skipped.

    Raises:
        InputError: a line is something else, with its number; OSError: the file cannot be read.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or not NAME.fullmatch(words[0]) or not _HASH.fullmatch(words[1]):
            raise InputError(f"{path}:{number}: expected a client's name and the SHA-256 of its token in hexadecimal")
        _add(found, words[0], words[1], f"{path}:{number}")
    return found


def add_client(path: Path, name: str) -> str:
    """A new token for `name`, whose hash is added to the file at `path`. The token is shown here and never again."""
    known = read_token_file(path) if path.exists() else {}
    if name in known:
        raise InputError(f"{path}: client {name!r} is there already; remove its line to give it another token")
    if not NAME.fullmatch(name):
        raise InputError(f"client: expected a name of letters, digits, '.', '_' and '-', found {name!r}")
    token = secrets.token_urlsafe(32)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(handle, "a", encoding="utf-8") as file:
        file.write(f"{name} {hashlib.sha256(token.encode()).hexdigest()}\n")
    return token


def _add(found: dict[str, str], name: str, digest: str, where: str) -> None:
    if name in found or digest in found.values():
        raise InputError(f"{where}: client {name!r}, or its token, is there twice")
    if len(found) == _MOST:
        raise InputError(f"{where}: expected at most {_MOST} clients")
    found[name] = digest


class RateLimit:
    """`rate` requests a second for each client, at most a second's worth at once; None for no limit."""

    def __init__(self, rate: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait(self, client: str) -> float:
        """0 where `client` may go on, and it is counted; else the seconds until it may."""
        if self._rate is None:
            return 0.0
        now, most = self._clock(), max(1.0, self._rate)
        held, before = self._buckets.get(client, (most, now))
        held = min(most, held + (now - before) * self._rate)
        allowed = held >= 1.0
        self._buckets[client] = (held - 1.0 if allowed else held, now)
        return 0.0 if allowed else (1.0 - held) / self._rate
