"""snnTorch modules as networks.

    Leaky(beta)                  voltage_decay = 1 - beta, current_decay = 1
    Synaptic(alpha, beta)        voltage_decay = 1 - beta, current_decay = 1 - alpha
    RLeaky, RSynaptic            the same, with recurrent synapses of one step's delay
    Lapicque(R, C, time_step)    voltage_decay = time_step / (R C), threshold * C / time_step, current_decay = 1
    "subtract", delayed reset    reset "subtract_delayed", snnTorch's default
    "zero", reset_delay=False    reset "zero"; a Leaky resets to the same with reset_delay=True
    a bias of the previous layer the neurons' bias, if alpha is 0 or absent

Betas and alphas are clamped to 0..1, as in snnTorch. Surrogate gradients are not part of a network.
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
from bl_neuro.interop.checked import RUN_EXAMPLE, LayerTrace, reference_traces, require_same
from bl_neuro.interop.module_copy import Named, in_order, private_copy, torch_part, undisturbed
from bl_neuro.interop.parts import Neurons, collect
from bl_neuro.interop.plain_values import values_of
from bl_neuro.isolation import isolated
from bl_neuro.network import Network, Readout, checked_input_shape
from bl_neuro.neuron import TIE, Reset

SOURCE = "the snnTorch module"
RunFunction = Callable[[nn.Module, Tensor], Any]


@isolated
def from_snntorch(
    module: nn.Module,
    input_shape: Iterable[int],
    *,
    order: Sequence[str] | None = None,
    run: RunFunction | None = None,
    readout: Readout = "spikes",
    checked: bool = True,
) -> Network:
    """Converts a snnTorch module to a network; the module is not modified.

    module: an `nn.Sequential` of Linear, Conv2d, Flatten, AvgPool2d, BatchNorm1d and BatchNorm2d with their running
    statistics (folded into the layer before), Dropout (without effect), Leaky, Synaptic, RLeaky, RSynaptic and
    Lapicque, or a module with a custom forward and `order`.
    input_shape: shape of one frame, (features,) or (channels, height, width).
    order: names of the layers in execution order, for a module with a custom forward.
    run: function that runs a copy of the module on spikes (T, B, *input_shape), float64, from its initial state, if
    neither `copy(spikes)` nor `copy(spikes[t])` step by step nor `copy(spikes[0])`, a forward that loops over time with
    one frame held in every step, does:

        from_snntorch(module, (784,), order=[...], run=lambda copy, spikes: copy(spikes, len(spikes)))
        from_snntorch(module, (784,), order=[...], run=lambda copy, spikes: copy(spikes.transpose(0, 1)))  # (B, T, ...)

    checked: whether to compare module and network on 30 steps of random spikes and refuse if any bin differs, or if the
    module or `run` returns tensors other than those of the last neurons (see `interop.own_output`).

    Ties are decided as in a network: a voltage that equals its threshold up to rounding does not cause a spike.

    Raises:
        Unsupported: something in the module cannot be expressed exactly, or the check found a difference.
        InputError: an argument is invalid.
        MissingDependency: snnTorch is not installed.
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
            runner = _Runner(copied, layers, order is not None, run, snn)
            require_same(network, runner, lambda spikes: reference_traces(network, runner.driven(spikes)), SOURCE)
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
    """The parameters of a Leaky or Synaptic; NetworkError with all reasons if it has no exact counterpart."""
    kind = type(layer)
    synaptic, recurrent = kind in (snn.Synaptic, snn.RSynaptic), kind in (snn.RLeaky, snn.RSynaptic)
    if not synaptic and not recurrent and kind not in (snn.Leaky, snn.Lapicque):
        expected = "Leaky, Synaptic, RLeaky, RSynaptic or Lapicque, which have exact counterparts"
        raise NetworkError([f"{name}: {kind.__name__}: expected {expected}{_RECIPES.get(kind.__name__, '')}"])
    problems = []
    if layer.inhibition:
        problems.append(f"{name}: inhibition: not supported (only the strongest neuron would spike)")
    if layer.state_quant:
        problems.append(f"{name}: state_quant: not supported; bl.save(network, 'x.net') quantizes a network")
    if bool((values_of(layer.graded_spikes_factor, f"{name}: graded_spikes_factor") != 1).any()):
        problems.append(f"{name}: graded_spikes_factor: spikes are 0 or 1; multiply it into the weights that follow")
    reset, problem = _reset(name, layer, kind is not snn.Leaky)
    if problem:
        problems.append(f"{name}: {problem}")
    threshold = values_of(layer.threshold, f"{name}: threshold")
    if not (threshold > 0).all():
        problems.append(f"{name}: threshold: expected values above 0, found {threshold.min():g}")
    if problems:
        raise NetworkError(problems)
    alpha = np.clip(values_of(layer.alpha, f"{name}: alpha"), 0, 1) if synaptic else np.zeros(())
    beta = np.clip(values_of(layer.beta, f"{name}: beta"), 0, 1)
    if kind is snn.Lapicque:
        return _lapicque(name, layer, threshold, reset)
    weights, bias = _recurrence(name, layer) if recurrent else (None, None)
    return Neurons(name, threshold, 1.0 - alpha, 1.0 - beta, reset=reset, recurrent=weights, recurrent_bias=bias)


_RECIPES = {"Alpha": "; use Synaptic with the same alpha and beta in its place and train again for a few epochs"}


def _lapicque(name: str, layer: Any, threshold: FloatArray, reset: Reset) -> Neurons:
    """Reads v <- (1 - dt / (R C)) v + (dt / C) i: the gain of the input becomes a higher threshold."""
    resistance, capacity, step = (values_of(getattr(layer, key), f"{name}: {key}") for key in ("R", "C", "time_step"))
    decay, gain = step / (resistance * capacity), step / capacity
    if not ((decay >= 0) & (decay <= 1) & (gain > 0)).all():
        reason = f"expected time_step / (R C) in 0..1 and C above 0, found {np.max(decay):g}"
        raise NetworkError([f"{name}: Lapicque: {reason}"])
    return Neurons(name, threshold / gain, 1.0, decay, reset=reset)


def _recurrence(name: str, layer: Any) -> tuple[FloatArray, FloatArray | None]:
    """Recurrent weights and bias of a RLeaky or RSynaptic."""
    if not layer.reset_delay:
        raise NetworkError([f"{name}: {type(layer).__name__}: reset_delay=False: expected True, its default"])
    recurrent = layer.recurrent
    if not layer.all_to_all:
        return values_of(recurrent.V, f"{name}: V"), None
    if type(recurrent) is not torch.nn.Linear:
        raise NetworkError([f"{name}: recurrent {type(recurrent).__name__}: expected linear_features=, a Linear"])
    bias = None if recurrent.bias is None else values_of(recurrent.bias, f"{name}: recurrent bias")
    return values_of(recurrent.weight, f"{name}: recurrent weight"), bias


def _reset(name: str, layer: Any, drops_input: bool) -> tuple[Reset, str]:
    """The reset that the forward pass applies, and the reason if it is not supported.

    drops_input: whether a delayed reset to zero also drops the input of its step, as in all neurons except Leaky.
    """
    mechanism, stated = _mechanism(layer), _stated_mechanism(name, layer)
    delayed = getattr(layer, "reset_delay", True)  # a Lapicque has no such option and resets one step later
    if mechanism != stated and not delayed:
        return "zero", (
            f"reset_mechanism: it was changed from '{mechanism}' to '{stated}' after the neuron was made, by a state "
            "dict or an assignment, and snnTorch applies both; make it with the mechanism that you want"
        )
    if mechanism == "subtract" and delayed:
        return "subtract_delayed", ""
    if mechanism == "zero" and not (delayed and drops_input):
        return "zero", ""
    reasons = {
        "subtract": "reset_mechanism 'subtract' with reset_delay=False: where the membrane potential stays above the "
        "threshold, snnTorch reduces it before the comparison; use reset_delay=True or 'zero'",
        "zero": f"reset_mechanism 'zero' with reset_delay=True: a {type(layer).__name__} then ignores the input of the "
        "step after a spike; use 'subtract', or reset_delay=False in a Synaptic",
        "none": "reset_mechanism 'none': expected a reset, which every neuron of a network has; for a readout of "
        "membrane potentials, use 'zero', count the spikes, and train again",
    }
    return "zero", reasons.get(mechanism, f"reset_mechanism {mechanism}: unknown")


def _mechanism(layer: Any) -> str:
    """The mechanism that the neuron was made with: it stays in force if a state dict or an assignment changes it."""
    names = {"_base_sub": "subtract", "_base_zero": "zero", "_base_int": "none"}
    function = getattr(layer.state_function, "__name__", str(layer.state_function))
    return names.get(function, function)


def _stated_mechanism(name: str, layer: Any) -> str:
    number = values_of(layer.reset_mechanism_val, f"{name}: reset_mechanism_val")
    if number.size != 1:
        raise NetworkError([f"{name}: reset_mechanism_val: expected one number, found shape {number.shape}"])
    stated = [mechanism for mechanism, value in layer.reset_dict.items() if value == number.item()]
    return stated[0] if stated else f"{number.item():g}"


class _Runner:
    """Runs a private copy from its initial state and records the output of every spiking layer."""

    def __init__(
        self, module: nn.Module, layers: list[Named], custom_forward: bool, run: RunFunction | None, snn: Any
    ) -> None:
        self._module = module
        self._layers = layers
        self._custom_forward = custom_forward
        self._run = run
        self._cells = [layer for _, layer in layers if isinstance(layer, snn.SpikingNeuron)]
        self._held: int | None = None
        self._recordings: list[list[tuple[Tensor, Tensor]]] = [[] for _ in self._cells]
        for cell, recording in zip(self._cells, self._recordings):
            _prepare(cell, recording)

    def __call__(self, spikes: SpikeArray) -> tuple[list[LayerTrace], Any]:
        inputs = torch.from_numpy(spikes.astype(np.float64))
        for attempt in self._attempts():
            self._reset_states()
            output = attempt(inputs)
            counts = [len(recording) for recording in self._recordings]
            if attempt == self._on_held_frame and len(set(counts)) == 1 and counts[0] > 1:
                self._held = counts[0]
                return [self._trace(index) for index in range(len(self._cells))], output
            if all(self._is_complete(recording, inputs) for recording in self._recordings):
                return [self._trace(index) for index in range(len(self._cells))], output
        raise Unsupported(
            f"{SOURCE}: its forward called its neurons {counts} times for {len(inputs)} steps, given (T, B, ...) or "
            f"single steps; pass run=, a function of (copy, spikes) that runs it, such as {RUN_EXAMPLE}"
        )

    def driven(self, spikes: SpikeArray) -> SpikeArray:
        """The input of the last run: `spikes`, or their first step in every step if the forward loops over time."""
        return spikes if self._held is None else np.repeat(spikes[:1], self._held, axis=0)

    def _is_complete(self, recording: list[tuple[Tensor, Tensor]], inputs: Tensor) -> bool:
        """Whether the neurons ran once for each of the steps, on the samples of one step."""
        return len(recording) == len(inputs) and all(fired.shape[0] == inputs.shape[1] for fired, _ in recording)

    def _attempts(self) -> list[Callable[[Tensor], Any]]:
        if self._run is not None:
            run = self._run
            return [lambda inputs: run(self._module, inputs)]
        if not self._custom_forward:
            return [self._child_by_child]
        if self._held is not None:
            return [self._on_held_frame]
        return [_call_ignoring_errors(self._module), self._on_held_frame, self._step_by_step]

    def _on_held_frame(self, inputs: Tensor) -> Any:
        """Runs a module whose forward loops over time on the first frame, which it holds in every step."""
        return _call_ignoring_errors(self._module)(inputs[0])

    def _step_by_step(self, inputs: Tensor) -> list[Any]:
        """Runs the module on single steps."""
        return [self._module(step) for step in inputs]

    def _child_by_child(self, inputs: Tensor) -> None:
        """Runs the layers like `nn.Sequential`, even if neurons return their states along with their spikes."""
        for step in inputs:
            values: Any = step
            for _, layer in self._layers:
                values = layer(values)
                values = values[0] if isinstance(values, tuple) else values

    def _reset_states(self) -> None:
        for cell, recording in zip(self._cells, self._recordings):
            cell.reset_mem()
            recording.clear()

    def _trace(self, index: int) -> LayerTrace:
        recording = self._recordings[index]
        fired, voltage = (torch.stack(list(values)).numpy() for values in zip(*recording))
        threshold = values_of(self._cells[index].threshold, "threshold")
        membrane: FloatArray = voltage / threshold
        return LayerTrace(fired.astype(np.float64), membrane, voltage)


def _prepare(cell: Any, recording: list[tuple[Tensor, Tensor]]) -> None:
    """Converts a copied neuron to float64 and a network's decision of ties, and records its spikes and membranes."""
    fire = cell.spike_grad
    cell.spike_grad = lambda shifted: fire(shifted).to(shifted.dtype)  # snnTorch's surrogates return float32
    if _mechanism(cell) == "zero":
        cell.threshold.data = cell.threshold.data * (1.0 + TIE)

    def note(_: nn.Module, __: Any, result: Any) -> None:
        fired = result[0] if isinstance(result, tuple) else result
        recording.append((fired.clone(), cell.mem.clone()))

    cell.register_forward_hook(note)


def _call_ignoring_errors(module: nn.Module) -> Callable[[Tensor], Any]:
    """Calls `module` on all time steps and ignores errors, after which single steps are tried."""

    def call(inputs: Tensor) -> Any:
        try:
            return module(inputs)
        except Exception:  # noqa: BLE001 - a module made for one step may fail on (T, B, ...) in any way
            return None

    return call
