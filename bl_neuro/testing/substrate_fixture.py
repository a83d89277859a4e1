"""Common fixtures of the contract suites of backends: open targets, and skip tests if a framework is missing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from bl_neuro.backends import find_backend, missing_reason, open_target
from bl_neuro.backends.target import Target
from bl_neuro.layers import Dense
from bl_neuro.network import Network
from bl_neuro.neuron import CubaLIF
from bl_neuro.testing.random_networks import random_dense

PLAIN = random_dense(100, (12, 16, 6), biases=False)
"""A network without biases that most tests share, with its target, which must not keep state."""
BIASED = Network((12,), [Dense(layer.weight, CubaLIF(bias=0.25)) for layer in PLAIN.layers if isinstance(layer, Dense)])
"""The same weights with biases that nearly make a neuron spike, so that aligned and cold starts differ."""


class Opener:
    """Opens each network once and reuses its target, since opening can take seconds."""

    def __init__(self, substrate: str, stack: contextlib.ExitStack) -> None:
        self._substrate, self._stack = substrate, stack
        self._targets: dict[tuple[str, str], Target] = {}

    def __call__(self, network: Network = PLAIN, **options: Any) -> Target:
        """The open target of `network`."""
        key = network.fingerprint, repr(sorted(options.items()))
        if key not in self._targets:
            self._targets[key] = self.fresh(network, **options)
        return self._targets[key]

    def fresh(self, network: Network = PLAIN, **options: Any) -> Target:
        """A new target of `network`."""
        return self._stack.enter_context(open_target(network, self._substrate, **options))


class SubstrateFixture:
    """Sets the substrate under test."""

    substrate: ClassVar[str]

    @property
    def arithmetic(self) -> str:
        """The arithmetic that the backend declares; skips if it declares none, since it then promises nothing."""
        declared = find_backend(self.substrate).arithmetic
        if declared is None:
            pytest.skip(f"substrate '{self.substrate}' declares no arithmetic, so nothing is promised of its spikes")
        return declared

    @pytest.fixture(scope="class")
    def opener(self) -> Iterator[Opener]:
        """Opens targets. Skips, with the install command, if the framework is missing."""
        reason = missing_reason(find_backend(self.substrate))
        if reason:
            pytest.skip(f"substrate '{self.substrate}': {reason}")
        with contextlib.ExitStack() as stack:
            yield Opener(self.substrate, stack)
