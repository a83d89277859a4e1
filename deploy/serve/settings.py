"""Settings of an endpoint."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bl_neuro.deploy.serve.paths import own_files
from bl_neuro.errors import InputError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
LOWEST_RATE = 1e-6
"""Requests per second."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class ServeSettings:
    """Settings of an endpoint, validated; InputError for values out of range.

    name: name of the model in URLs. log: the file to which every query is written. seal: the file that counts its
    entries, by default beside it. accept_log_damage: continue with a damaged log. inputs: other files that the server
    was started with, such as the model, by option; the log must be another file. reveals: see `bl_neuro.BlackBox`.
    budget: total number of queries (samples) of each client, None for no limit. rate: requests per second of each
    client, None for no limit. max_body: bytes of a request, and of its unpacked spikes. max_json: bytes of a request
    without binary tensors. max_batch: samples of a request, and of one call of the substrate. max_steps: time steps of
    a request. max_waiting: samples that may wait, at most half of them from one client. max_bytes: bytes of all bodies
    in memory. deadline_s: seconds from the first byte of a request to its answer. window_s: seconds by which a call of
    the substrate is delayed at most so that concurrent requests can join it, 0 for no delay.
    """

    name: str
    log: Path
    seal: Path | None = None
    accept_log_damage: bool = False
    inputs: Mapping[str, Path | None] = field(default_factory=dict)
    reveals: str = "counts"
    budget: int | None = None
    rate: float | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    certificate: Path | None = None
    key: Path | None = None
    metrics_port: int | None = None
    max_body: int = 32 * 2**20
    max_json: int = 2**20
    max_batch: int = 1024
    max_steps: int = 1024
    max_waiting: int = 4096
    max_bytes: int = 256 * 2**20
    deadline_s: float = 30.0
    window_s: float = 0.004

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise InputError(f"--name: expected letters, digits, '.', '_' and '-', at most 64, found {self.name!r}")
        if self.budget is not None and self.budget < 1:
            raise InputError(f"--budget: expected at least 1 query, found {self.budget}")
        if self.rate is not None and not LOWEST_RATE <= self.rate < math.inf:
            raise InputError(f"--rate: expected at least {LOWEST_RATE:g} requests per second, found {self.rate}")
        for option, port in (("--port", self.port), ("--metrics-port", self.metrics_port)):
            if port is not None and not 0 <= port < 2**16:
                raise InputError(f"{option}: expected 0..65535, found {port}")
        sizes = ("max_body", "max_json", "max_batch", "max_steps", "max_waiting", "max_bytes")
        for size in sizes:
            if getattr(self, size) < 1:
                raise InputError(f"{size}: expected at least 1, found {getattr(self, size)}")
        if not 0 < self.deadline_s < math.inf:
            raise InputError(f"--deadline: expected seconds above 0, found {self.deadline_s}")
        if not 0 <= self.window_s < math.inf:
            raise InputError(f"window_s: expected seconds of at least 0, found {self.window_s}")
        if (self.certificate is None) != (self.key is None):
            raise InputError("--tls-certificate and --tls-key: expected both or neither")

    def check_files(self) -> None:
        """Raises InputError unless the server would write regular files of its own only."""
        tls = {"--tls-certificate": self.certificate, "--tls-key": self.key}
        own_files(self.log, self.seal, {**self.inputs, **tls})

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect."""
        return self.host in LOOPBACK
