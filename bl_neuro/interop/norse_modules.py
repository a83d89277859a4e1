"""Norse modules as networks.

    LIFBoxCell                 voltage_decay = dt tau_mem_inv, current_decay = 1
    LIFCell, LIF               voltage_decay = dt tau_mem_inv, current_decay = dt tau_syn_inv
    IAFCell, IAF               voltage_decay = 0, current_decay = 1
    a bias of the layer before the neurons' bias, where the current has no memory

Norse computes v <- v + dv ((v_leak - v) + i) and starts and, with v_reset = v_leak, resets at v_leak: its voltage above
v_leak is dv times ours, so that threshold = (v_th - v_leak) / dv. Another v_reset has no counterpart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bl_neuro.arrays import SpikeArray
from bl_neuro.errors import MissingDependency, NetworkError, Unsupported
from bl_neuro.interop.checked import Trace, reference_traces, require_same
from bl_neuro.interop.module_copy import in_order, private_copy, torch_part, undisturbed, values_of
from bl_neuro.interop.parts import Neurons, Part, assemble, collect
from bl_neuro.network import Network, Readout, checked_input_shape
from bl_neuro.neuron import TIE, Reset

SOURCE = "the Norse module"
Own = Callable[[nn.Module, Tensor], Any]


def from_norse(
    module: nn.Module,
    input_shape: Iterable[int],
    *,
    order: Sequence[str] | None = None,
    run: Own | None = None,
    readout: Readout = "spikes",
    checked: bool = True,
) -> Network:
    """The network that a Norse module is; the module is left as it was.

    module: a `SequentialState` of Linear, Conv2d, Flatten, AvgPool2d, Lift of these, and LIFBoxCell, LIFCell, LIF,
    IAFCell or IAF; or a module with a forward of its own and `order`. input_shape: of one frame, (features,) or
    (channels, height, width).
    order: names of its layers in the order they run, for a module with a forward of its own.
    run: runs a copy of the module on spikes (T, B, *input_shape), float64, from rest; needed with `order`:

        from_norse(module, (784,), order=[...], run=lambda copy, spikes: copy(spikes))

    checked: run module and network on 30 steps of random spikes and refuse where a bin of any layer differs.

    Ties count as a network counts them: a voltage that equals its threshold but for rounding does not fire.

    Raises:
        Unsupported: something of the module cannot be expressed exactly, or the check found a difference.
        InputError: an argument is not what was expected. MissingDependency: Norse is not installed.
    """
    norse = _norse()
    shape = checked_input_shape(input_shape)
    copied = private_copy(module)
    if type(module) is nn.Sequential and order is None:
        raise Unsupported(
            "nn.Sequential does not hand on the states of Norse's neurons; norse.torch.SequentialState of the same "
            "layers does"
        )
    layers = [(name, _unlifted(layer, norse)) for name, layer in in_order(copied, order, (norse.SequentialState,))]
    timed = _is_timed(copied, layers, norse)

    def spikes(layer: Any) -> bool:
        return isinstance(layer, _neuron_kinds(norse))

    def read(name: str, layer: Any) -> Part | None:
        lead = 2 if timed and not isinstance(layer, _Lifted) else 1
        layer = layer.module if isinstance(layer, _Lifted) else layer
        return _neurons(name, layer, norse) if spikes(layer) else torch_part(name, layer, lead)

    parts, problems = collect(layers, read, spikes)
    network = assemble(parts, shape, SOURCE, problems, readout, flattens=order is not None)
    if checked:
        cells = [layer for _, layer in layers if spikes(layer)]
        with undisturbed():
            own = _Runner(copied, cells, timed, order is not None, run)
            require_same(network, own, lambda values: reference_traces(network, values), SOURCE)
    return network


def _norse() -> Any:
    try:
        import norse.torch
    except ImportError as error:
        raise MissingDependency('Norse is not installed; install it with: pip install "bl-neuro[norse]"') from error
    return norse.torch


class _Lifted:
    """A layer that Norse's `Lift` takes through time."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def modules(self) -> Iterable[nn.Module]:
        """The layer itself and what is in it."""
        return self.module.modules()


def _unlifted(layer: Any, norse: Any) -> Any:
    """A lifted layer as such; neurons stay as they are."""
    if type(layer) is not norse.Lift:
        return layer
    inner = layer.lifted_module
    return inner if isinstance(inner, _neuron_kinds(norse)) else _Lifted(inner)


def _neuron_kinds(norse: Any) -> tuple[type, ...]:
    from norse.torch.module.snn import SNN, SNNCell, SNNRecurrent, SNNRecurrentCell

    return SNN, SNNCell, SNNRecurrent, SNNRecurrentCell


def _is_timed(module: Any, layers: list[tuple[str, Any]], norse: Any) -> bool:
    """Whether the module takes all steps at once."""
    from norse.torch.module.snn import SNN, SNNRecurrent

    return any(isinstance(each, (SNN, SNNRecurrent, norse.Lift)) for each in module.modules())


def _neurons(name: str, layer: Any, norse: Any) -> Neurons:
    """The parameters of Norse's neurons; NetworkError with all that keeps them from being ours."""
    from norse.torch.module.iaf import IAF, IAFCell

    kind = type(layer)
    filtered = kind in (norse.LIFCell, norse.LIF)
    integrates = kind in (IAF, IAFCell)
    if not filtered and not integrates and kind is not norse.LIFBoxCell:
        expected = "LIFBoxCell, LIFCell, LIF, IAFCell or IAF"
        raise NetworkError([f"{name}: {kind.__name__}: expected {expected}, which have exact counterparts"])
    p = layer.p
    problems = []
    reset, problem = _reset(p)
    threshold, v_reset = values_of(p.v_th), values_of(p.v_reset)
    start = v_reset if integrates else values_of(p.v_leak)
    if problem:
        problems.append(f"{name}: {problem}")
    if reset == "subtract" and bool(np.any(start)):
        problems.append(f"{name}: v_leak other than 0 with reset_subtract: expected 0")
    if reset == "zero" and bool(np.any(v_reset - start)):
        problems.append(f"{name}: v_reset other than v_leak: the voltage starts at one and resets to the other")
    if not (threshold - start > 0).all():
        problems.append(f"{name}: v_th: expected values above {'v_reset' if integrates else 'v_leak'}")
    decay = np.ones(()) if integrates else layer.dt * values_of(p.tau_mem_inv)
    if not ((decay > 0) & (decay <= 1)).all():
        problems.append(f"{name}: dt * tau_mem_inv: expected values above 0 and up to 1, found {decay.min():g}")
    if problems:
        raise NetworkError(problems)
    current_decay = layer.dt * values_of(p.tau_syn_inv) if filtered else 1.0
    return Neurons(name, (threshold - start) / decay, current_decay, 0.0 if integrates else decay, reset=reset)


def _reset(p: Any) -> tuple[Reset, str]:
    from norse.torch.functional.reset import reset_subtract, reset_value

    if getattr(p, "reset_method", reset_value) is reset_value:  # LIF and IAF know no other
        return "zero", ""
    if p.reset_method is reset_subtract:
        return "subtract", ""
    return "zero", "reset_method: expected reset_value or reset_subtract"


class _Runner:
    """Runs a private copy from rest and notes what every spiking layer puts out."""

    def __init__(self, module: nn.Module, cells: list[Any], timed: bool, own_forward: bool, run: Own | None) -> None:
        if own_forward and run is None:
            raise Unsupported(
                f"{SOURCE} has a forward of its own: pass run=, a function of (copy, spikes) that runs a copy of it on "
                "spikes (T, B, ...) from rest, so that it can be checked, such as run=lambda copy, spikes: copy(spikes)"
            )
        self._module = module
        self._cells = cells
        self._timed = timed
        self._run = run
        self._said: list[list[tuple[Tensor, Tensor]]] = [[] for _ in cells]
        for cell, said in zip(cells, self._said):
            _prepare(cell, said)

    def __call__(self, spikes: SpikeArray) -> list[Trace]:
        inputs = torch.from_numpy(spikes.astype(np.float64))
        for said in self._said:
            said.clear()
        if self._run is not None:
            self._run(self._module, inputs)
        elif self._timed:
            self._module(inputs)
        else:
            state = None
            for step in inputs:
                _, state = self._module(step, state)
        return [self._trace(index, len(inputs)) for index in range(len(self._cells))]

    def _trace(self, index: int, steps: int) -> Trace:
        from norse.torch.module.snn import SNN

        said = self._said[index]
        p = self._cells[index].p
        if isinstance(self._cells[index], SNN):  # all steps at once; it shows the last voltage alone
            if len(said) == 1 and len(said[0][0]) == steps:
                return Trace(values_of(said[0][0]))
        elif len(said) == steps:
            fired, voltage = (values_of(torch.stack(list(each))) for each in zip(*said))
            start = values_of(getattr(p, "v_leak", p.v_reset))
            return Trace(fired, (voltage - start) / (values_of(p.v_th) - start))
        raise Unsupported(f"{SOURCE}: its forward took its neurons {len(said)} times through {steps} steps")


def _prepare(cell: Any, said: list[tuple[Tensor, Tensor]]) -> None:
    """Gives a copied neuron float64 parameters and a network's way with ties; notes its spikes and voltages."""
    given = {name: getattr(cell.p, name) for name in cell.p._fields}
    exact: dict[str, Any] = {
        name: value.detach().double() if isinstance(value, Tensor) and value.is_floating_point() else value
        for name, value in given.items()
    }
    start = exact.get("v_leak", exact["v_reset"])
    if _reset(cell.p)[0] == "zero":
        exact["v_th"] = start + (exact["v_th"] - start) * (1.0 + TIE)
    cell.p = type(cell.p)(**exact)

    def note(_: nn.Module, __: Any, result: Any) -> None:
        fired, state = result
        said.append((fired.clone(), state.v.clone()))

    cell.register_forward_hook(note)
