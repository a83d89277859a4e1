"""The two files of TLS, looked at before anything is started: the library's own complaints name no file."""

from __future__ import annotations

import ssl
from pathlib import Path

from bl_neuro.errors import InputError


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
