"""The shipped contract accepts a correct backend of another package and rejects faulty ones."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from bl_neuro.backends import Backend, Response
from bl_neuro.backends.declaration import Start
from bl_neuro.backends.registry import BACKENDS
from bl_neuro.network import Network
from bl_neuro.testing.backend_contract import BackendContract
from bl_neuro.testing.reference_target import ReferenceBackend, ReferenceTarget
from bl_neuro.testing.registered import registered
from bl_neuro.testing.substrate_fixture import Opener


@contextlib.contextmanager
def installed(target: type[ReferenceTarget]) -> Iterator[None]:
    """Makes a target the substrate "reference", as the entry point of an installed package does."""
    backend = type("Backend", (ReferenceBackend,), {"target": target})
    with registered(BACKENDS, backend):
        yield


class TestReference(BackendContract):
    substrate = "reference"

    @pytest.fixture(autouse=True, scope="class")
    def _installed(self) -> Iterator[None]:
        with installed(ReferenceTarget):
            yield


class ResetMembrane(ReferenceTarget):
    def _run(self, spikes: Tensor, layers: bool, start: Start) -> Response:
        response = super()._run(spikes, layers, start)
        assert response.membrane is not None
        return replace(response, membrane=response.membrane * (1 - response.spikes))


class KeepsState(ReferenceTarget):
    runs = 0

    def _run(self, spikes: Tensor, layers: bool, start: Start) -> Response:
        self.runs += 1
        response = super()._run(spikes, layers, start)
        return replace(response, spikes=response.spikes.roll(self.runs, 0))


class Late(ReferenceTarget):
    def _run(self, spikes: Tensor, layers: bool, start: Start) -> Response:
        response = super()._run(spikes, layers, start)
        late = [torch.cat([torch.zeros_like(spikes[:1]), spikes[:-1]]) for spikes in response.layers or []]
        return replace(response, layers=late if layers else None)


class OneStart(ReferenceTarget):
    def _run(self, spikes: Tensor, layers: bool, start: Start) -> Response:
        return super()._run(spikes, layers, "aligned")


class SeesTheBatch(ReferenceTarget):
    def _run(self, spikes: Tensor, layers: bool, start: Start) -> Response:
        response = super()._run(spikes, layers, start)
        return replace(response, spikes=response.spikes * response.spikes[:, :1])


class Gambles(ReferenceTarget):
    def _run(self, spikes: Tensor, layers: bool, start: Start) -> Response:
        torch.rand(1)
        return super()._run(spikes, layers, start)


class OtherGradient(ReferenceTarget):
    def _run(self, spikes: Tensor, layers: bool, start: Start) -> Response:
        response = super()._run(spikes, layers, start)
        assert response.membrane is not None
        membrane = response.membrane.detach() + 2 * (response.membrane - response.membrane.detach())
        return replace(response, membrane=membrane)


class IgnoresOptions(ReferenceTarget):
    def __init__(self, network: Network, backend: type[Backend], **options: Any) -> None:
        super().__init__(network, backend)


class Unclosable(ReferenceTarget):
    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("target", "test", "arguments"),
    [
        (ResetMembrane, "test_the_membrane_is_before_the_reset_over_the_threshold", {}),
        (KeepsState, "test_no_state_is_kept_between_runs", {}),
        (Late, "test_dense_networks_are_exact", {"dense_seed": 0}),
        (OneStart, "test_biases_act_from_the_requested_start", {}),
        (SeesTheBatch, "test_a_batch_equals_its_samples_one_by_one", {}),
        (Gambles, "test_no_global_random_numbers_are_drawn", {}),
        (OtherGradient, "test_the_gradient_is_the_canonical_one", {"what": "dense"}),
        (IgnoresOptions, "test_an_unknown_option_is_refused", {}),
        (Unclosable, "test_closing", {}),
    ],
)
def test_the_contract_rejects_broken_backends(
    target: type[ReferenceTarget], test: str, arguments: dict[str, Any]
) -> None:
    class Contract(BackendContract):
        substrate = "reference"

    for subject, passes in ((ReferenceTarget, True), (target, False)):
        with installed(subject), contextlib.ExitStack() as stack:
            expected = contextlib.nullcontext() if passes else pytest.raises((AssertionError, pytest.fail.Exception))
            with expected:
                getattr(Contract(), test)(Opener("reference", stack), **arguments)
