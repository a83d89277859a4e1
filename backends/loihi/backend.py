"""The `loihi` backend: its requirements, the networks that it can hold, and its options."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from bl_neuro.backends.base import Backend
from bl_neuro.deploy.net_values import synapse_problems
from bl_neuro.deploy.quantize import quantization_problems, quantize
from bl_neuro.errors import InputError
from bl_neuro.layers import Dense
from bl_neuro.network import Network

if TYPE_CHECKING:
    import torch

    from bl_neuro.backends.loihi.target import Engine
    from bl_neuro.backends.target import Target


class LoihiBackend(Backend):
    """Opens networks on an emulator of Loihi 2's fixed-point arithmetic. Needs no framework.

    Options: engine, "kernel" (compiled, CPU only) or "torch" (any device; the default on other devices and with
    NUMBA_DISABLE_JIT); device, "cpu" by default; threads, number of pieces of a batch that run in parallel (torch's
    number of threads by default). Sigma-delta networks run on the engine "torch". No option changes an answer.
    """

    name: ClassVar[str] = "loihi"
    title: ClassVar[str] = "bl-neuro's emulator of Loihi 2"
    summary: ClassVar[str] = "our emulator of Loihi 2, bit-exact with Lava's fixed point, white box"
    modules: ClassVar[tuple[str, ...]] = ("numba",)
    requirement: ClassVar[str] = "bl-neuro"
    differentiable: ClassVar[bool] = True
    shows_states: ClassVar[bool] = True
    arithmetic: ClassVar[str | None] = "loihi"
    arithmetic_title: ClassVar[str | None] = "Loihi's integers"
    emulates: ClassVar[str | None] = "lava"
    single_thread: ClassVar[Mapping[str, Any]] = MappingProxyType({"threads": 1})
    uses_torch_threads: ClassVar[bool] = False

    @classmethod
    def serving_options(cls, threads: int) -> dict[str, Any]:
        """See `Backend.serving_options`."""
        return {"threads": threads}

    @classmethod
    def problems(cls, network: Network) -> list[str]:
        """See `Backend.problems`."""
        layers = [] if quantization_problems(network) else quantize(network).as_loihi.layers
        return quantization_problems(network) + [
            f"layer {index}: {problem}"
            for index, layer in enumerate(layers)
            if isinstance(layer, Dense)
            for problem in synapse_problems(layer)
        ]

    @classmethod
    def open(
        cls,
        network: Network,
        engine: Engine | None = None,
        device: str | torch.device = "cpu",
        threads: int | None = None,
        **options: Any,
    ) -> Target:
        """Opens `network`; see the class for the options."""
        from bl_neuro.backends.loihi.target import LoihiTarget, checked_device

        if network.is_sigma_delta:
            from bl_neuro.backends.loihi.sigma_delta import SigmaDeltaTarget

            if engine not in (None, "torch"):
                raise InputError(f"engine: expected 'torch' for a sigma-delta network, found {engine!r}")
            return SigmaDeltaTarget(network, cls, checked_device(device), **options)
        return LoihiTarget(network, cls, engine, device, threads, **options)
