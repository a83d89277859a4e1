"""snnTorch modules as networks.

    Leaky(beta)                  voltage_decay = 1 - beta, current_decay = 1
    Synaptic(alpha, beta)        voltage_decay = 1 - beta, current_decay = 1 - alpha
    "subtract", delayed reset    reset "subtract_delayed", snnTorch's default
    "zero", reset_delay=False    reset "zero"; a Leaky resets to the same with reset_delay=True
    a bias of the layer before   the neurons' bias, where alpha is 0 or there is none

Betas and alphas count as snnTorch clamps them, to 0..1. Surrogate gradients are not part of a network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bl_neuro.arrays import FloatArray, SpikeArray
from bl_neuro.errors import MissingDependency, NetworkError, Unsupported
from bl_neuro.interop.checked import RUN_EXAMPLE, Trace, reference_traces, require_same
from bl_neuro.interop.module_copy import Named, in_order, private_copy, torch_part, undisturbed, values_of
from bl_neuro.interop.parts import Neurons, assemble, collect
from bl_neuro.network import Network, Readout, checked_input_shape
from bl_neuro.neuron import TIE, Reset

SOURCE = "the snnTorch module"
Own = Callable[[nn.Module, Tensor], Any]


def from_snntorch(
    module: nn.Module,
    input_shape: Iterable[int],
    *,
    order: Sequence[str] | None = None,
    run: Own | None = None,
    readout: Readout = "spikes",
    checked: bool = True,
) -> Network:
    """The network that a snnTorch module is; the module is left as it was.

    module: an `nn.Sequential` of Linear, Conv2d, Flatten, AvgPool2d, Leaky and Synaptic, or a module with a forward of
    its own and `order`. input_shape: of one frame, (features,) or (channels, height, width).
    order: names of its layers in the order they run, for a module with a forward of its own.
    run: runs a copy of the module on spikes (T, B, *input_shape), float64, from rest, where neither `copy(spikes)` nor
    `copy(spikes[t])` step by step does:

        from_snntorch(module, (784,), order=[...], run=lambda copy, spikes: copy(spikes, len(spikes)))
        from_snntorch(module, (784,), order=[...], run=lambda copy, spikes: copy(spikes.transpose(0, 1)))  # (B, T, ...)

    checked: run module and network on 30 steps of random spikes and refuse where a bin of any layer differs.

    Ties count as a network counts them: a voltage that equals its threshold but for rounding does not fire.

    Raises:
        Unsupported: something of the module cannot be expressed exactly, or the check found a difference.
        InputError: an argument is not what was expected. MissingDependency: snnTorch is not installed.
    """
    snn = _snntorch()
    shape = checked_input_shape(input_shape)
    copied = private_copy(module)
    layers = in_order(copied, order, (nn.Sequential,))

    def spikes(layer: Any) -> bool:
        return isinstance(layer, snn.SpikingNeuron)

    parts, problems = collect(
        layers, lambda name, layer: _neurons(name, layer, snn) if spikes(layer) else torch_part(name, layer), spikes
    )
    network = assemble(parts, shape, SOURCE, problems, readout, flattens=order is not None)
    if checked:
        with undisturbed():
            own = _Runner(copied, layers, order is not None, run, snn)
            require_same(network, own, lambda spikes: reference_traces(network, spikes), SOURCE)
    return network


def _snntorch() -> Any:
    try:
        import snntorch
    except ImportError as error:
        raise MissingDependency(
            'snnTorch is not installed; install it with: pip install "bl-neuro[snntorch]"'
        ) from error
    return snntorch


def _neurons(name: str, layer: Any, snn: Any) -> Neurons:
    """The parameters of a Leaky or Synaptic; NetworkError with all that keeps it from being ours."""
    kind = type(layer)
    if kind not in (snn.Leaky, snn.Synaptic):
        raise NetworkError([f"{name}: {kind.__name__}: expected Leaky or Synaptic, which have exact counterparts"])
    problems = []
    if layer.inhibition:
        problems.append(f"{name}: inhibition: only the strongest neuron would fire, which no network here does")
    if layer.state_quant:
        problems.append(f"{name}: state_quant: states are not quantised here; bl.save(network, 'x.net') quantises")
    if bool((values_of(layer.graded_spikes_factor) != 1).any()):
        problems.append(f"{name}: graded_spikes_factor: spikes are 0 or 1; multiply it into the weights that follow")
    reset, problem = _reset(layer, kind is snn.Synaptic)
    if problem:
        problems.append(f"{name}: {problem}")
    threshold = values_of(layer.threshold)
    if not (threshold > 0).all():
        problems.append(f"{name}: threshold: expected values above 0, found {threshold.min():g}")
    if problems:
        raise NetworkError(problems)
    alpha = np.clip(values_of(layer.alpha), 0, 1) if kind is snn.Synaptic else np.zeros(())
    beta = np.clip(values_of(layer.beta), 0, 1)
    return Neurons(name, threshold, 1.0 - alpha, 1.0 - beta, reset=reset)


def _reset(layer: Any, synaptic: bool) -> tuple[Reset, str]:
    """Our name of its reset, and why there is none. snnTorch decides by the buffer, which a state dict may set."""
    number = int(layer.reset_mechanism_val)
    mechanism = next((name for name, value in layer.reset_dict.items() if value == number), str(number))
    if mechanism == "subtract" and layer.reset_delay:
        return "subtract_delayed", ""
    if mechanism == "zero" and not (layer.reset_delay and synaptic):
        return "zero", ""
    reasons = {
        "subtract": "reset_mechanism 'subtract' with reset_delay=False: snnTorch decides spikes with a lowered "
        "membrane where it stays above the threshold; use reset_delay=True or 'zero'",
        "zero": "reset_mechanism 'zero' with reset_delay=True: a Synaptic then drops the input of the step after a "
        "spike; use reset_delay=False",
        "none": "reset_mechanism 'none': every neuron of a network resets",
    }
    return "zero", reasons.get(mechanism, f"reset_mechanism {mechanism}: unknown")


class _Runner:
    """Runs a private copy from rest and notes what every spiking layer puts out, whoever calls it."""

    def __init__(self, module: nn.Module, layers: list[Named], own_forward: bool, run: Own | None, snn: Any) -> None:
        self._module = module
        self._layers = layers
        self._own_forward = own_forward
        self._run = run
        self._cells = [layer for _, layer in layers if isinstance(layer, snn.SpikingNeuron)]
        self._said: list[list[tuple[Tensor, Tensor]]] = [[] for _ in self._cells]
        for cell, said in zip(self._cells, self._said):
            _prepare(cell, said)

    def __call__(self, spikes: SpikeArray) -> list[Trace]:
        inputs = torch.from_numpy(spikes.astype(np.float64))
        for attempt in self._attempts():
            self._rest()
            attempt(inputs)
            if all(len(said) == len(inputs) for said in self._said):
                return [self._trace(index) for index in range(len(self._cells))]
        counts = [len(said) for said in self._said]
        raise Unsupported(
            f"{SOURCE}: its forward took its neurons {counts} times through {len(inputs)} steps, neither given "
            f"(T, B, ...) nor step by step; pass run=, a function of (copy, spikes) that runs it, such as {RUN_EXAMPLE}"
        )

    def _attempts(self) -> list[Callable[[Tensor], Any]]:
        if self._run is not None:
            run = self._run
            return [lambda inputs: run(self._module, inputs)]
        if not self._own_forward:
            return [self._child_by_child]
        return [_forgiving(self._module), lambda inputs: [self._module(step) for step in inputs]]

    def _child_by_child(self, inputs: Tensor) -> None:
        """What `nn.Sequential` does, also where neurons return their states along with their spikes."""
        for step in inputs:
            values: Any = step
            for _, layer in self._layers:
                values = layer(values)
                values = values[0] if isinstance(values, tuple) else values

    def _rest(self) -> None:
        for cell, said in zip(self._cells, self._said):
            cell.reset_mem()
            said.clear()

    def _trace(self, index: int) -> Trace:
        said = self._said[index]
        fired, voltage = (torch.stack(list(each)).numpy() for each in zip(*said))
        threshold = values_of(self._cells[index].threshold)
        membrane: FloatArray = voltage / threshold
        return Trace(fired.astype(np.float64), membrane)


def _prepare(cell: Any, said: list[tuple[Tensor, Tensor]]) -> None:
    """Makes a copied neuron speak float64, decide ties as a network does, and note its spikes and membranes."""
    fire = cell.spike_grad
    cell.spike_grad = lambda shifted: fire(shifted).to(shifted.dtype)  # snnTorch's surrogates put out float32
    if int(cell.reset_mechanism_val) == cell.reset_dict["zero"]:
        cell.threshold.data = cell.threshold.data * (1.0 + TIE)

    def note(_: nn.Module, __: Any, result: Any) -> None:
        fired = result[0] if isinstance(result, tuple) else result
        said.append((fired.clone(), cell.mem.clone()))

    cell.register_forward_hook(note)


def _forgiving(module: nn.Module) -> Callable[[Tensor], None]:
    """Calls `module` on all steps at once; where it does not take them, the other way of calling it is tried."""

    def call(inputs: Tensor) -> None:
        try:
            module(inputs)
        except Exception:  # noqa: BLE001 - a module made for one step may fail on (T, B, ...) in any way
            return

    return call
