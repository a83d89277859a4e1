"""NIR's nodes by their kind: which of the readers of `nir_linear_nodes` and `nir_neurons` reads them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bl_neuro.errors import NetworkError
from bl_neuro.interop.nir_linear_nodes import Linear, conv, delay, dense, flatten, pool, scale
from bl_neuro.interop.nir_neurons import neurons
from bl_neuro.interop.nir_values import Discrete, need_known_entries
from bl_neuro.interop.parts import Neurons
from bl_neuro.strangers.tree_frames import Tree

READERS: dict[str, Callable[[str, Tree, Discrete], Linear | Neurons]] = {
    "Affine": dense,
    "Linear": dense,
    "Conv1d": conv,
    "Conv2d": conv,
    "Flatten": flatten,
    "SumPool2d": pool,
    "AvgPool2d": pool,
    "Scale": scale,
    "Delay": delay,
    "LIF": neurons,
    "CubaLIF": neurons,
    "IF": neurons,
    "Threshold": neurons,
}
NOT_SPIKING = "does not spike, but every layer of a network must"
REASONS = {
    "LI": f"a leaky integrator {NOT_SPIKING}",
    "CubaLI": f"a leaky integrator {NOT_SPIKING}",
    "I": f"an integrator {NOT_SPIKING}",
}


def node_part(name: str, node: Tree, discretization: Discrete) -> Linear | Neurons:
    """A node as a part. Raises NetworkError with the reason if it is not supported."""
    kind = node.get("type")
    if not isinstance(kind, str) or kind not in READERS:
        reason = REASONS.get(kind, f"expected one of {', '.join(READERS)}") if isinstance(kind, str) else "no type"
        raise NetworkError([f"node {name}: {str(kind)[:40]}: {reason}"])
    need_known_entries(f"node {name}", node)
    try:
        with np.errstate(all="ignore"):  # values beyond float64 become infinite, which every layer rejects
            return READERS[kind](f"node {name}", node, discretization)
    except KeyError as error:
        raise NetworkError([f"node {name} ({kind}): {error} is missing"]) from error
