"""Traces of the program that wrote a NIR file, which suggest how to read it: its time constants and resistances.

r = tau / 1e-4, and w_in = tau_syn / 1e-4    snnTorch's exporter: a gain of 1 in time steps of 1e-4
only IF, r = 1                               a time step of 1, as in exports of networks without time constants
r = 1, and time constants below 1            time constants in seconds, as Norse's and Rockpool's exporters write
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bl_neuro.interop.nir_graph import NEURONS
from bl_neuro.interop.nir_values import SNNTORCH_DT, shared
from bl_neuro.strangers.tree_frames import Tree

CLOSE = 1e-5


def suggestion(graph: Tree) -> str:
    """What the values of a graph's neurons suggest, as a sentence; empty if nothing does."""
    nodes = [node for node in _neurons(graph) if node.get("type") != "Threshold"]
    if not nodes:
        return ""
    if all(_is_of_snntorch(node) for node in nodes):
        return "Its time constants and resistances look like those of snnTorch's exporter. "
    if all(node.get("type") == "IF" and _all(node.get("r"), 1.0) for node in nodes):
        return "Its IF neurons with r = 1 look like a time step of 1: convention='nir', dt=1. "
    slowest = [tau for node in nodes for tau in (_largest(node.get("tau")), _largest(node.get("tau_mem"))) if tau]
    if slowest:
        return (
            f"Its time constants are up to {max(slowest):g}, in the unit of dt; a step must not be longer than "
            "the shortest of them. "
        )
    return ""


def _neurons(graph: Tree) -> Iterator[Tree]:
    """The nodes of neurons of a graph and of those nested in it."""
    nodes = graph.get("nodes")
    for node in nodes.values() if isinstance(nodes, dict) else ():
        if isinstance(node, dict) and node.get("type") in NEURONS:
            yield node
        elif isinstance(node, dict) and node.get("type") == "NIRGraph":
            yield from _neurons(node)


def _is_of_snntorch(node: Tree) -> bool:
    if node.get("type") == "LIF":
        return _ratio(node, "tau", "r")
    return node.get("type") == "CubaLIF" and _ratio(node, "tau_mem", "r") and _ratio(node, "tau_syn", "w_in")


def _ratio(node: Tree, tau: str, gain: str) -> bool:
    values = node.get(tau), node.get(gain)
    if not all(isinstance(value, np.ndarray) and value.dtype.kind in "fiu" for value in values):
        return False
    left, right = (shared(value) for value in values if value is not None)
    with np.errstate(all="ignore"):
        return left.shape == right.shape and bool(np.isclose(left, right * SNNTORCH_DT, rtol=CLOSE, atol=0).all())


def _all(values: Any, expected: float) -> bool:
    return isinstance(values, np.ndarray) and bool((shared(values) == expected).all())


def _largest(values: Any) -> float | None:
    is_numeric = isinstance(values, np.ndarray) and values.size and values.dtype.kind in "fiu"
    return float(shared(values).max()) if is_numeric else None
