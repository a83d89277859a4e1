"""Opens a network on a substrate."""

from __future__ import annotations

from typing import Any

from bl_neuro.backends.registry import find_backend, missing_reason
from bl_neuro.backends.target import Target
from bl_neuro.errors import InputError, MissingDependency, Unsupported
from bl_neuro.isolation import isolated
from bl_neuro.network import Network


@isolated
def open_target(network: Network, substrate: str, **options: Any) -> Target:
    """Opens `network` on `substrate`: "loihi", "lava", "slayer", "snntorch", "norse" or one from another package.

    Options are passed to the backend; see its documentation.

    Raises:
        UnknownSubstrate, MissingDependency: there is no such substrate, or its framework is not installed.
        Unsupported: the substrate cannot run the network; the message lists every layer and parameter.
        SubstrateFailed: the substrate did not start.
    """
    if not isinstance(network, Network):
        raise InputError(f"network: expected a bl_neuro Network, found {type(network).__name__}")
    backend = find_backend(substrate)
    problems = backend.problems(network)
    if problems:
        raise Unsupported(f"substrate '{substrate}' cannot hold this network: {'; '.join(problems)}")
    reason = missing_reason(backend, **options)
    if reason:
        raise MissingDependency(f"substrate '{substrate}': {reason}")
    try:
        return backend.open(network, **options)
    except TypeError as error:
        if options and "unexpected keyword argument" in str(error):
            raise InputError(f"substrate '{substrate}': unknown option ({error})") from error
        raise
