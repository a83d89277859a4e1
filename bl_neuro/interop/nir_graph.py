"""NIR's graphs as one row of nodes: nested graphs in place, and loops of single neurons apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bl_neuro.errors import NetworkError
from bl_neuro.interop.nir_values import need_known_entries
from bl_neuro.network import MAX_LAYERS
from bl_neuro.strangers.tree_frames import Tree

MAX_NODES = 3 * MAX_LAYERS + 2
MAX_EDGES = 4 * MAX_NODES
LINEAR = ("Linear", "Affine", "Scale", "Delay")
"""The kinds of nodes of which a loop may consist."""
NEURONS = ("LIF", "CubaLIF", "IF", "Threshold")
Named = tuple[str, Tree]


@dataclass(frozen=True)
class Port:
    """The Input or Output of a nested graph, which only passes on its values. before: the node that leads to it."""

    name: str
    node: Tree
    before: str


@dataclass(frozen=True)
class Row:
    """The nodes from Input to Output. loops: by the name of neurons, the nodes of each of their loops, in order."""

    nodes: tuple[Named, ...]
    loops: dict[str, list[list[Named]]]
    ports: tuple[Port, ...]


@dataclass
class _Flat:
    """All nodes of a graph and of the graphs nested in it, and the ports of these."""

    nodes: dict[str, Tree] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    inner: dict[str, Tree] = field(default_factory=dict)


def row(graph: Tree) -> Row:
    """The row of nodes of a graph.

    Raises:
        NetworkError: the graph is malformed or too large, or is not one chain of nodes with loops of single neurons.
    """
    flat = _Flat()
    _add(flat, graph, "", 0)
    ports = _joined(flat)
    loops = _without_loops(flat)
    names = _chain(flat)
    return Row(tuple((name, flat.nodes[name]) for name in names), loops, ports)


def _add(flat: _Flat, graph: Tree, prefix: str, depth: int) -> tuple[str, str]:
    """Adds a graph, whose nodes get names that start with `prefix`; returns its Input and its Output."""
    place = f"node {prefix[:-1]}" if prefix else "the graph"
    need_known_entries(place, graph)
    entries, edges = graph["nodes"], graph["edges"]
    if not isinstance(entries, dict):
        raise NetworkError([f"{place}: nodes: expected a group, found a value"])
    nodes = {name: node for name, node in entries.items() if isinstance(node, dict)}
    if not 2 <= len(nodes) <= MAX_NODES or len(nodes) != len(entries):
        raise NetworkError([f"{place}: expected 2 to {MAX_NODES} nodes, found {len(nodes)}"])
    starts, ends = {}, {}
    for name, node in nodes.items():
        full = prefix + name
        if full in flat.nodes or full in flat.inner or len(flat.nodes) + len(flat.inner) >= MAX_NODES:
            raise NetworkError([f"node {full}: expected unique names of at most {MAX_NODES} nodes"])
        if node.get("type") == "NIRGraph":
            first, last = _add(flat, node, f"{full}.", depth + 1)
            ends[name], starts[name] = first, last
            continue
        starts[name] = ends[name] = full
        is_port = depth > 0 and node.get("type") in ("Input", "Output")
        (flat.inner if is_port else flat.nodes)[full] = node
    flat.edges += [(starts[left], ends[right]) for left, right in _edges(place, edges, nodes)]
    if len(flat.edges) > MAX_EDGES:
        raise NetworkError([f"edges: expected at most {MAX_EDGES}, found {len(flat.edges)}"])
    return _only(place, nodes, "Input", prefix), _only(place, nodes, "Output", prefix)


def _edges(place: str, edges: Any, nodes: Iterable[str]) -> list[tuple[str, str]]:
    """The edges of a graph, each of them once."""
    names = set(nodes)
    if not isinstance(edges, list) or not all(
        isinstance(edge, list) and len(edge) == 2 and all(isinstance(end, str) and end in names for end in edge)
        for edge in edges
    ):
        raise NetworkError([f"{place}: edges: expected pairs of names of nodes"])
    return list(dict.fromkeys((left, right) for left, right in edges))


def _only(place: str, nodes: dict[str, Tree], kind: str, prefix: str) -> str:
    names = [name for name, node in nodes.items() if node.get("type") == kind]
    if len(names) != 1:
        raise NetworkError([f"{place}: expected one {kind}, found {len(names)}"])
    return prefix + names[0]


def _joined(flat: _Flat) -> tuple[Port, ...]:
    """Replaces the Inputs and Outputs of nested graphs by edges from the nodes before them to those behind them."""
    ports: list[Port] = []
    for port, node in flat.inner.items():
        need_known_entries(f"node {port}", node)
        before = [left for left, right in flat.edges if right == port]
        behind = [right for left, right in flat.edges if left == port]
        if not before or not behind or port in before:
            raise NetworkError([f"node {port}: the {node['type']} of a nested graph is not connected"])
        others = [edge for edge in flat.edges if port not in edge]
        flat.edges = list(dict.fromkeys([*others, *((left, right) for left in before for right in behind)]))
        if len(flat.edges) > MAX_EDGES:
            raise NetworkError([f"edges: expected at most {MAX_EDGES}, found {len(flat.edges)}"])
        ports = [Port(old.name, old.node, before[0] if old.before == port else old.before) for old in ports]
        ports.append(Port(port, node, before[0]))
    return tuple(ports)


def _without_loops(flat: _Flat) -> dict[str, list[list[Named]]]:
    """Takes the loops of single neurons out of the graph."""
    loops: dict[str, list[list[Named]]] = {}
    for name, node in list(flat.nodes.items()):
        if node.get("type") not in NEURONS:
            continue
        for start in [right for left, right in flat.edges if left == name]:
            chain = _loop(flat, name, start)
            if chain is None:
                continue
            loops.setdefault(name, []).append([(link, flat.nodes.pop(link)) for link in chain])
            gone = {*chain}
            flat.edges = [edge for edge in flat.edges if not gone.intersection(edge) and edge != (name, name)]
    return loops


def _loop(flat: _Flat, name: str, start: str) -> list[str] | None:
    """The linear nodes from neurons `name` over `start` back to them; None if `start` does not lead there."""
    chain: list[str] = []
    link = start
    while link != name:
        before = [left for left, right in flat.edges if right == link]
        behind = [right for left, right in flat.edges if left == link]
        if link in chain or flat.nodes[link].get("type") not in LINEAR or len(before) != 1 or len(behind) != 1:
            return None
        chain.append(link)
        link = behind[0]
    return chain


def _chain(flat: _Flat) -> list[str]:
    rule = (
        "expected one chain of nodes from one Input to one Output, with loops only from neurons back to themselves, "
        "through Linear, Affine, Scale or Delay"
    )
    for ends, word in ((0, "leads to"), (1, "follows")):
        others: dict[str, list[str]] = {}
        for edge in flat.edges:
            others.setdefault(edge[ends], []).append(edge[1 - ends])
        for name, names in others.items():
            if len(names) > 1:
                listed = ", ".join(sorted(names)[:5])
                raise NetworkError([f"{rule}; this graph branches or loops: node {name} {word} {listed}"])
    successors = dict(flat.edges)
    names = [name for name, node in flat.nodes.items() if node.get("type") == "Input"]
    while names[-1] in successors and len(names) <= len(flat.nodes):
        names.append(successors[names[-1]])
    if len(names) != len(flat.nodes) or flat.nodes[names[-1]].get("type") != "Output":
        raise NetworkError([f"{rule}; this graph is not connected"])
    return names
