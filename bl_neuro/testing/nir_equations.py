"""NIR's equations, evaluated node by node with forward Euler: an independent reading of a graph, for comparisons.

The current of a step acts on the voltage of the same step. Where a graph loops, the spikes of neurons are those of the
step before. Voltages start at v_reset.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import NetworkError

Tree = dict[str, Any]


@dataclass
class NirEquations:
    """A graph of nested dicts, as in a file. dt: the time step. spikes: of every node of neurons, by its full name."""

    graph: Tree
    dt: float
    states: dict[str, FloatArray] = field(default_factory=dict)
    spikes: dict[str, list[FloatArray]] = field(default_factory=dict)

    def run(self, inputs: Any) -> FloatArray:
        """The values at the Output for inputs (T, B, *shape)."""
        return np.stack([_Step(self, step).graph("", self.graph, values) for step, values in enumerate(inputs)])

    def fire(self, name: str, node: Tree, drive: Any) -> Any:
        """The spikes of one step of neurons that receive `drive` (B, *shape)."""
        kind, dt = node["type"], self.dt
        if kind == "Threshold":
            return (drive > node["threshold"]).astype(np.float64)
        v_reset = node.get("v_reset", 0.0)
        voltage: Any = self.states.get(name, np.zeros_like(drive) + v_reset)
        if kind == "CubaLIF":
            current: Any = self.states.get(f"{name}/current", np.zeros_like(drive))
            current = current + dt / node["tau_syn"] * (node.get("w_in", 1.0) * drive - current)
            self.states[f"{name}/current"] = drive = current
        if kind == "IF":
            voltage = voltage + dt * node["r"] * drive
        else:
            tau = node["tau_mem" if kind == "CubaLIF" else "tau"]
            voltage = voltage + dt / tau * (node["v_leak"] - voltage + node["r"] * drive)
        fired = voltage > node["v_threshold"]
        self.states[name] = np.where(fired, v_reset, voltage)
        return fired.astype(np.float64)


@dataclass
class _Step:
    run: NirEquations
    step: int

    def graph(self, prefix: str, graph: Tree, inputs: FloatArray) -> FloatArray:
        values: dict[str, FloatArray] = {}
        nodes, edges = graph["nodes"], {(left, right) for left, right in graph["edges"]}

        def value(name: str, waiting: tuple[str, ...]) -> Any:
            if name in waiting:
                return self.before(prefix + name)
            if name not in values:
                before = [left for left, right in edges if right == name]
                received = sum(value(left, (*waiting, name)) for left in before)
                values[name] = self.node(prefix + name, nodes[name], inputs if not before else received)
            return values[name]

        return np.asarray(value(next(name for name in nodes if nodes[name]["type"] == "Output"), ()))

    def before(self, name: str) -> Any:
        recorded = self.run.spikes.get(name, [])
        return recorded[self.step - 1] if self.step else 0.0

    def node(self, name: str, node: Tree, received: Any) -> Any:
        kind = node["type"]
        if kind in ("Input", "Output"):
            return np.asarray(received, dtype=np.float64)
        if kind == "NIRGraph":
            return self.graph(f"{name}.", node, received)
        if kind in ("Linear", "Affine"):
            return np.asarray(received @ node["weight"].T if np.ndim(received) else 0.0) + node.get("bias", 0.0)
        if kind == "Delay":
            line = self.run.spikes.setdefault(name, [])
            line.append(np.asarray(received, dtype=np.float64))
            steps = np.broadcast_to(np.round(node["delay"] / self.run.dt).astype(int), line[-1].shape)
            past = [np.where(steps == lag, line[self.step - lag], 0.0) for lag in range(self.step + 1)]
            return np.sum(past, axis=0)
        if kind in ("LIF", "CubaLIF", "IF", "Threshold"):
            self.run.spikes.setdefault(name, []).append(self.run.fire(name, node, received))
            return self.run.spikes[name][-1]
        return _tensor_node(node, torch.from_numpy(np.asarray(received))).numpy()


def _tensor_node(node: Tree, values: torch.Tensor) -> torch.Tensor:
    kind = node["type"]
    if kind == "Scale":
        return values * torch.from_numpy(np.asarray(node["scale"]))
    if kind == "Flatten":
        return values.flatten(1)
    if kind in ("SumPool2d", "AvgPool2d"):
        size, stride, around = (tuple(np.asarray(node[key]).tolist()) for key in ("kernel_size", "stride", "padding"))
        pooled = F.avg_pool2d(values, size, stride, around)
        return pooled * (size[0] * size[1]) if kind == "SumPool2d" else pooled
    if kind not in ("Conv1d", "Conv2d"):
        raise NetworkError([f"{kind}: no equation here"])
    convolve = F.conv1d if kind == "Conv1d" else F.conv2d
    padding = node["padding"] if isinstance(node["padding"], str) else np.asarray(node["padding"]).tolist()
    stride, dilation = (np.asarray(node[key]).tolist() for key in ("stride", "dilation"))
    weight, bias = torch.from_numpy(node["weight"]), torch.from_numpy(node["bias"])
    return convolve(values, weight, bias, stride, padding, dilation, int(node["groups"]))
