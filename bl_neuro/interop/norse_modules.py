"""Norse modules as networks.

    LIFBoxCell                 voltage_decay = dt tau_mem_inv, current_decay = 1
    LIFCell, LIF               voltage_decay = dt tau_mem_inv, current_decay = dt tau_syn_inv
    IAFCell, IAF               voltage_decay = 0, current_decay = 1
    a bias of the previous layer becomes the neurons' bias, if current_decay is 1

Norse computes v <- v + dv ((v_leak - v) + i). It starts at v_leak and, with v_reset = v_leak, resets to it: its voltage
above v_leak is dv times that of bl_neuro, so threshold = (v_th - v_leak) / dv. Another v_reset has no counterpart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bl_neuro.arrays import FloatArray, SpikeArray
from bl_neuro.errors import MissingDependency, NetworkError, Unsupported
from bl_neuro.interop.assembly import assemble
from bl_neuro.interop.checked import LayerTrace, reference_traces, require_same
from bl_neuro.interop.module_copy import in_order, private_copy, torch_part, undisturbed
from bl_neuro.interop.parts import Neurons, Part, collect
from bl_neuro.interop.plain_values import values_of
from bl_neuro.isolation import isolated
from bl_neuro.network import Network, Readout, checked_input_shape
from bl_neuro.neuron import TIE, Reset

SOURCE = "the Norse module"
RunFunction = Callable[[nn.Module, Tensor], Any]


@isolated
def from_norse(
    module: nn.Module,
    input_shape: Iterable[int],
    *,
    order: Sequence[str] | None = None,
    run: RunFunction | None = None,
    readout: Readout = "spikes",
    checked: bool = True,
) -> Network:
    """Converts a Norse module to a network; the module is not modified.

    module: a `SequentialState` of Linear, Conv2d, Flatten, AvgPool2d, BatchNorm1d, BatchNorm2d, Lift of these, and
    LIFBoxCell, LIFCell, LIF, IAFCell or IAF; or a module with a custom forward and `order`.
    input_shape: shape of one frame, (features,) or (channels, height, width).
    order: names of the layers in execution order, for a module with a custom forward.
    run: function that runs a copy of the module on spikes (T, B, *input_shape), float64, from its initial state;
    required with `order`:

        from_norse(module, (784,), order=[...], run=lambda copy, spikes: copy(spikes))

    checked: whether to compare module and network on 30 steps of random spikes and refuse if any bin differs, or if the
    module or `run` returns tensors other than those of the last neurons (see `interop.own_output`).

    Ties are decided as in a network: a voltage that equals its threshold up to rounding does not cause a spike.

    Raises:
        Unsupported: something in the module cannot be expressed exactly, or the check found a difference.
        InputError: an argument is invalid.
        MissingDependency: Norse is not installed.
    """
    norse = _norse()
    shape = checked_input_shape(input_shape)
    copied = private_copy(module)
    if type(module) is nn.Sequential and order is None:
        raise Unsupported(
            "nn.Sequential does not pass on the states of Norse's neurons; use norse.torch.SequentialState with the "
            "same layers"
        )
    layers = [(name, _unlifted(layer, norse)) for name, layer in in_order(copied, order, (norse.SequentialState,))]
    takes_sequences = _takes_sequences(copied, layers, norse)

    def is_spiking(layer: Any) -> bool:
        return isinstance(layer, _neuron_kinds(norse))

    def read_layer(name: str, layer: Any) -> Part | None:
        lead = 2 if takes_sequences and not isinstance(layer, _Lifted) else 1
        layer = layer.module if isinstance(layer, _Lifted) else layer
        return _neurons(name, layer, norse) if is_spiking(layer) else torch_part(name, layer, lead)

    parts, problems = collect(layers, read_layer, is_spiking)
    network = assemble(parts, shape, SOURCE, problems, readout, flattens=order is not None)
    if checked:
        cells = [layer for _, layer in layers if is_spiking(layer)]
        with undisturbed():
            runner = _Runner(copied, cells, takes_sequences, order is not None, run)
            require_same(network, runner, lambda values: reference_traces(network, values), SOURCE)
    return network


def _norse() -> Any:
    try:
        import norse.torch
    except ImportError as error:
        raise MissingDependency('Norse is not installed; install it with: pip install "bl-neuro[norse]"') from error
    return norse.torch


class _Lifted:
    """A layer that Norse's `Lift` applies to every time step."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def modules(self) -> Iterable[nn.Module]:
        """The layer and its submodules."""
        return self.module.modules()


def _unlifted(layer: Any, norse: Any) -> Any:
    """The content of a `Lift` as `_Lifted`; neurons and other layers unchanged."""
    if type(layer) is not norse.Lift:
        return layer
    inner = layer.lifted_module
    return inner if isinstance(inner, _neuron_kinds(norse)) else _Lifted(inner)


def _neuron_kinds(norse: Any) -> tuple[type, ...]:
    from norse.torch.module.snn import SNN, SNNCell, SNNRecurrent, SNNRecurrentCell

    return SNN, SNNCell, SNNRecurrent, SNNRecurrentCell


def _takes_sequences(module: Any, layers: list[tuple[str, Any]], norse: Any) -> bool:
    """Whether the module processes all time steps in one call."""
    from norse.torch.module.snn import SNN, SNNRecurrent

    return any(isinstance(submodule, (SNN, SNNRecurrent, norse.Lift)) for submodule in module.modules())


def _neurons(name: str, layer: Any, norse: Any) -> Neurons:
    """The parameters of Norse's neurons; NetworkError with all reasons if they have no exact counterpart."""
    from norse.torch.functional.iaf import IAFParameters
    from norse.torch.module.iaf import IAF, IAFCell

    kind, p = type(layer), layer.p
    filtered = kind in (norse.LIFCell, norse.LIF)
    integrates = kind in (IAF, IAFCell)
    if not filtered and not integrates and kind is not norse.LIFBoxCell:
        expected = "LIFBoxCell, LIFCell, LIF, IAFCell or IAF"
        recipe = _RECIPES.get(kind.__name__, "")
        raise NetworkError([f"{name}: {kind.__name__}: expected {expected}, which have exact counterparts{recipe}"])
    parameters = norse.LIFParameters if filtered else IAFParameters if integrates else norse.LIFBoxParameters
    if type(p) is not parameters:
        raise NetworkError([f"{name}: p: expected {parameters.__name__}, found {type(p).__name__}"])

    def rate(inverse: Any, place: str) -> FloatArray:
        return values_of(layer.dt, f"{name}: dt") * values_of(inverse, f"{name}: {place}")

    threshold, v_reset = values_of(p.v_th, f"{name}: v_th"), values_of(p.v_reset, f"{name}: v_reset")
    start = v_reset if integrates else values_of(p.v_leak, f"{name}: v_leak")
    decay = np.ones(()) if integrates else rate(p.tau_mem_inv, "tau_mem_inv")
    current_decay: Any = rate(p.tau_syn_inv, "tau_syn_inv") if filtered else 1.0
    reset, problem = _reset(p)
    problems = [f"{name}: {problem}"] if problem else []
    if reset == "subtract" and bool(np.any(start)):
        problems.append(f"{name}: v_leak: expected 0 with reset_subtract")
    if reset == "zero" and bool(np.any(v_reset - start)):
        problems.append(f"{name}: v_reset: expected v_leak, at which the voltage starts")
    if not (threshold - start > 0).all():
        problems.append(f"{name}: v_th: expected values above {'v_reset' if integrates else 'v_leak'}")
    if not ((decay > 0) & (decay <= 1)).all():
        problems.append(f"{name}: dt * tau_mem_inv: expected values above 0 and up to 1, found {decay.min():g}")
    if problems:
        raise NetworkError(problems)
    return Neurons(name, (threshold - start) / decay, current_decay, 0.0 if integrates else decay, reset=reset)


_LEAKY = "; it does not spike: use LIFCell in its place, count the spikes, and train again"
_RECURRENT = "; its input and recurrent weights are not read: use a Linear and a LIFCell in its place and train again"
_RECIPES = {"LI": _LEAKY, "LICell": _LEAKY, "LIFRecurrent": _RECURRENT, "LIFRecurrentCell": _RECURRENT}


def _reset(p: Any) -> tuple[Reset, str]:
    from norse.torch.functional.reset import reset_subtract, reset_value

    if getattr(p, "reset_method", reset_value) is reset_value:  # the only reset of LIF and IAF
        return "zero", ""
    if p.reset_method is reset_subtract:
        return "subtract", ""
    return "zero", "reset_method: expected reset_value or reset_subtract"


class _Runner:
    """Runs a private copy from its initial state and records the output of every spiking layer."""

    def __init__(
        self, module: nn.Module, cells: list[Any], takes_sequences: bool, custom_forward: bool, run: RunFunction | None
    ) -> None:
        if custom_forward and run is None:
            raise Unsupported(
                f"{SOURCE} has a custom forward: pass run=, a function of (copy, spikes) that runs a copy of it on "
                "spikes (T, B, ...) from its initial state, so that it can be checked, such as "
                "run=lambda copy, spikes: copy(spikes)"
            )
        self._module = module
        self._cells = cells
        self._takes_sequences = takes_sequences
        self._run = run
        self._recordings: list[list[tuple[Tensor, Tensor]]] = [[] for _ in cells]
        for cell, recording in zip(cells, self._recordings):
            _prepare(cell, recording)

    def __call__(self, spikes: SpikeArray) -> tuple[list[LayerTrace], Any]:
        inputs = torch.from_numpy(spikes.astype(np.float64))
        for recording in self._recordings:
            recording.clear()
        if self._run is not None:
            output = self._run(self._module, inputs)
            output = output if _is_state(output) else _without_states(output)
        elif self._takes_sequences:
            output, _ = self._module(inputs)
        else:
            state, output = None, []
            for step in inputs:
                result, state = self._module(step, state)
                output.append(result)
        return [self._trace(index, len(inputs)) for index in range(len(self._cells))], output

    def _trace(self, index: int, steps: int) -> LayerTrace:
        from norse.torch.module.snn import SNN

        recording = self._recordings[index]
        p = self._cells[index].p
        if isinstance(self._cells[index], SNN):  # all steps in one call; only the last voltage is available
            if len(recording) == 1 and len(recording[0][0]) == steps:
                return LayerTrace(values_of(recording[0][0], "spikes"))
        elif len(recording) == steps:
            fired, voltage = (values_of(torch.stack(list(values)), "state") for values in zip(*recording))
            start = values_of(getattr(p, "v_leak", p.v_reset), "v_leak")
            return LayerTrace(fired, (voltage - start) / (values_of(p.v_th, "v_th") - start), voltage)
        raise Unsupported(
            f"{SOURCE}: expected a forward pass that calls a neuron layer once per time step, or once with all steps; "
            f"found {len(recording)} calls in {steps} steps"
        )


def _is_state(value: Any) -> bool:
    """Whether `value` is a state of neurons, a named tuple of Norse."""
    return isinstance(value, tuple) and type(value).__module__.startswith("norse.")


def _without_states(output: Any) -> Any:
    """`output` without states in it: a membrane potential of 0 or 1 would look like other spikes."""
    if isinstance(output, dict):
        return {key: _without_states(value) for key, value in output.items() if not _is_state(value)}
    if isinstance(output, (tuple, list)):
        return [_without_states(value) for value in output if not _is_state(value)]
    return output


def _prepare(cell: Any, recording: list[tuple[Tensor, Tensor]]) -> None:
    """Converts a copied neuron to float64 and a network's decision of ties, and records its spikes and voltages."""
    parameters = {name: getattr(cell.p, name) for name in cell.p._fields}
    exact: dict[str, Any] = {
        name: value.detach().cpu().double() if isinstance(value, Tensor) and value.is_floating_point() else value
        for name, value in parameters.items()
    }
    start = exact.get("v_leak", exact["v_reset"])
    if _reset(cell.p)[0] == "zero":
        exact["v_th"] = start + (exact["v_th"] - start) * (1.0 + TIE)
    cell.p = type(cell.p)(**exact)

    def note(_: nn.Module, __: Any, result: Any) -> None:
        fired, state = result
        recording.append((fired.clone(), state.v.clone()))

    cell.register_forward_hook(note)
