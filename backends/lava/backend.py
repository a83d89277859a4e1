"""The `lava` backend: its requirements, the networks that it can hold, and its options."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from bl_neuro.backends.base import Backend
from bl_neuro.backends.lava.relu import with_relu
from bl_neuro.backends.lava.simulation import SHARED_MEMORY, shared_memory_free
from bl_neuro.deploy.net_values import netx_problems
from bl_neuro.deploy.quantize import quantization_problems, quantize
from bl_neuro.errors import InputError
from bl_neuro.files import expanded
from bl_neuro.network import Network

if TYPE_CHECKING:
    from bl_neuro.backends.target import Target

USUAL_SHARED_MEMORY = 32 * 2**20
PYTHON_VARIABLE = "BL_NEURO_LAVA_PYTHON"
"""Environment variable with the path of the interpreter in which Lava is installed, if not the running one."""


class LavaBackend(Backend):
    """Opens networks on Lava's CPU simulator of Loihi 2 (`Loihi2SimCfg`, fixed point). Black box only.

    Options:
        deadline_s: seconds allowed for the answer to one sample before the simulation is considered hung (default 60).
            Sigma-delta networks have 1 s more per 2,000 neurons, since Lava clears their states one by one.
        replicas: number of samples that one simulation processes at once, at most 256; by default chosen by the sizes
            of batches, at most 32. 1 for convolutions, delays, recurrent synapses and input neurons.
        runtimes: number of parallel simulations; by default at most one per core, and only as many as the number of
            samples justifies.
        python: path of the interpreter that has Lava; by default the environment variable BL_NEURO_LAVA_PYTHON, else
            the running interpreter.
        spare: whether each simulation has an idle second process with Lava imported (about 90 MB), which replaces it
            immediately if it is killed; off by default.
        progress: called as progress(done, total) in the calling thread whenever samples of a run are finished.
    """

    name: ClassVar[str] = "lava"
    title: ClassVar[str] = "Lava"
    summary: ClassVar[str] = "Lava's CPU simulator of Loihi 2, bit-accurate fixed point, black box only"
    modules: ClassVar[tuple[str, ...]] = ("lava.magma", "lava.lib.dl.netx")
    imported_here: ClassVar[bool] = False
    requirement: ClassVar[str] = "bl-neuro[lava]"
    newest_python: ClassVar[tuple[int, int] | None] = (3, 10)
    packages: ClassVar[tuple[str, ...]] = ("lava-nc", "lava-dl")
    differentiable: ClassVar[bool] = False
    reveals_membrane: ClassVar[bool] = False
    shows_states: ClassVar[bool] = True
    arithmetic: ClassVar[str | None] = "loihi"
    single_thread: ClassVar[Mapping[str, Any]] = MappingProxyType({"runtimes": 1})
    uses_torch_threads: ClassVar[bool] = False

    @classmethod
    def serving_options(cls, threads: int) -> dict[str, Any]:
        """One simulation, and a spare one so that a query never waits for Lava to be imported."""
        return {"runtimes": 1, "spare": True}

    @classmethod
    def warning(cls) -> str:
        """Says if shared memory is too small for networks of usual size."""
        with suppress(OSError):
            free = shared_memory_free()
            if free is not None and free < USUAL_SHARED_MEMORY:
                return (
                    f"only small networks fit, since {SHARED_MEMORY} has {free // 1024:,} KiB of free shared memory; "
                    "enlarge it (docker run --shm-size=1g)"
                )
        return ""

    @classmethod
    def problems(cls, network: Network) -> list[str]:
        """See `Backend.problems`."""
        return quantization_problems(network) or netx_problems(with_relu(quantize(network).as_loihi))

    @classmethod
    def other_python(cls, python: Any = None, **options: Any) -> str | None:
        """See `Backend.other_python`."""
        chosen = _chosen_python(python)
        return None if chosen == sys.executable else chosen

    @classmethod
    def open(
        cls,
        network: Network,
        deadline_s: float = 60.0,
        replicas: int | None = None,
        runtimes: int | None = None,
        python: str | os.PathLike[str] | None = None,
        progress: Callable[[int, int], None] | None = None,
        spare: bool = False,
        **options: Any,
    ) -> Target:
        """Opens `network`; see the class for the options."""
        from bl_neuro.backends.lava.target import LavaTarget

        chosen = _chosen_python(python)
        return LavaTarget(network, cls, deadline_s, replicas, runtimes, chosen, progress, spare, **options)


def _chosen_python(python: Any) -> str:
    if python is None:
        given = os.environ.get(PYTHON_VARIABLE) or sys.executable
        return str(expanded(given, PYTHON_VARIABLE)) if given.startswith("~") else given  # keeps "./python"
    try:
        chosen = os.fspath(python)
    except TypeError:
        chosen = None
    if not isinstance(chosen, str) or not chosen:
        raise InputError(f"python: expected the path of an interpreter, found {python!r}")
    return chosen
