"""The shipped contract accepts a backend that another package brings, and notices what such a backend can get wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from bl_neuro.backends import Backend, Response, Target
from bl_neuro.backends.base import Start
from bl_neuro.backends.registry import BACKENDS
from bl_neuro.network import Network
from bl_neuro.testing.backend_contract import BackendContract, Opener
from bl_neuro.testing.reference_target import ReferenceTarget


def backend_of(target: type[Target], named: str) -> type[Backend]:
    class Found(Backend):
        name: ClassVar[str] = named
        summary: ClassVar[str] = "a double"
        modules: ClassVar[tuple[str, ...]] = ()
        extra: ClassVar[str] = "none"
        differentiable: ClassVar[bool] = True

        @classmethod
        def problems(cls, network: Network) -> list[str]:
            return []

        @classmethod
        def open(cls, network: Network, **options: Any) -> Target:
            return target(network, **options)

    return Found


@contextlib.contextmanager
def installed(target: type[Target], name: str) -> Iterator[None]:
    """Makes a target a substrate, as the entry point of an installed package does."""
    backend = backend_of(target, name)
    point = SimpleNamespace(name=name, value="package:Backend", load=lambda: backend)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BACKENDS, "_added", {name: point})
        yield


class TestReference(BackendContract):
    substrate = "reference"

    @pytest.fixture(autouse=True, scope="class")
    def _installed(self) -> Iterator[None]:
        with installed(ReferenceTarget, "reference"):
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
        late = [torch.cat([torch.zeros_like(each[:1]), each[:-1]]) for each in response.layers or []]
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
    def __init__(self, network: Network, **options: Any) -> None:
        super().__init__(network)


class Unclosable(ReferenceTarget):
    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("target", "test", "arguments"),
    [
        (ResetMembrane, "test_the_membrane_is_before_the_reset_over_the_threshold", {}),
        (KeepsState, "test_no_state_is_kept_between_runs", {}),
        (Late, "test_dense_networks_are_exact", {"dense_seed": 0}),
        (OneStart, "test_biases_act_from_the_start_that_is_asked_for", {}),
        (SeesTheBatch, "test_a_batch_equals_its_samples_one_by_one", {}),
        (Gambles, "test_no_chance_is_drawn", {}),
        (OtherGradient, "test_the_gradient_is_the_canonical_one", {"what": "dense"}),
        (IgnoresOptions, "test_an_unknown_option_is_refused", {}),
        (Unclosable, "test_closing", {}),
    ],
)
def test_the_contract_notices(target: type[Target], test: str, arguments: dict[str, Any]) -> None:
    class Contract(BackendContract):
        substrate = "reference"

    for each, passes in ((ReferenceTarget, True), (target, False)):
        with installed(each, "reference"), contextlib.ExitStack() as stack:
            expected = contextlib.nullcontext() if passes else pytest.raises((AssertionError, pytest.fail.Exception))
            with expected:
                getattr(Contract(), test)(Opener("reference", stack), **arguments)
