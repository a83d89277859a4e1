"""What a backend declares of its substrate. Imports no framework, so that this can be asked at no cost."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

Start = Literal["aligned", "cold"]
"""How a run starts the layers of a network; see `Target.run`."""


class Declaration:
    """The name, requirements and abilities of a substrate, as class attributes of its backend.

    Code outside the backend never depends on the name of a substrate. Everything specific to a substrate is declared
    here.
    """

    name: ClassVar[str]
    """Name of the substrate in files, tables and command lines."""
    title: ClassVar[str]
    """Name of the software that runs the network."""
    summary: ClassVar[str]
    """One-line description."""
    modules: ClassVar[tuple[str, ...]]
    """Modules that must import for this backend to work."""
    requirement: ClassVar[str]
    """What pip must install for these modules, such as "bl-neuro[norse]"."""
    newest_python: ClassVar[tuple[int, int] | None] = None
    """The newest Python version that the modules support, such as (3, 10); None for no limit."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Distributions whose versions are recorded with results."""
    imported_here: ClassVar[bool] = True
    """False if only another process imports the modules, as with Lava."""

    differentiable: ClassVar[bool]
    """Whether gradients flow through its responses, so that white-box attacks are possible."""
    reveals_membrane: ClassVar[bool] = True
    """Whether its targets reveal the membrane potential of the output."""
    shows_states: ClassVar[bool] = False
    """Whether its targets have `run_with_states`."""
    arithmetic: ClassVar[str | None] = None
    """Name of the arithmetic in which it computes: "real" (float64), "loihi" (Loihi's integers) or one of its own, such
    as "xylo". Substrates with the same arithmetic promise identical spikes. None if it promises nothing."""
    arithmetic_title: ClassVar[str | None] = None
    """What reports call the arithmetic, after "computes in". One backend of each arithmetic needs to declare it."""
    holds_24_bits: ClassVar[bool] = True
    """False if states in Loihi's arithmetic may exceed 24 bits, which Loihi wraps and clips; the promise then only
    holds for samples whose states do not exceed them."""
    emulates: ClassVar[str | None] = None
    """The substrate that this one reproduces exactly, but faster. Its responses are checked against that substrate."""

    single_thread: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Options with which a target uses only one thread or process at a time."""
    uses_torch_threads: ClassVar[bool] = True
    """False if the substrate does not use torch's threads, because it has its own threads or processes."""

    @classmethod
    def serving_options(cls, threads: int) -> dict[str, Any]:
        """Options for a server that sends many small queries, with this number of threads."""
        return {}

    @classmethod
    def warning(cls) -> str:
        """What limits the substrate on this machine although it runs, and what to do, for `bl-neuro doctor`."""
        return ""
