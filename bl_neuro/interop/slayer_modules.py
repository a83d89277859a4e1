"""SLAYER (Lava-DL) blocks as networks in Loihi's arithmetic, with the integers that their `export_hdf5` writes.

    weight    the block's quantized weight, even, -256..254       iDecay, vDecay    rounded, over 4096
    vThMant   threshold x scale, truncated                        bias              of `MeanOnlyBatchNorm`
    delay     of a dense block's outputs, floored; as in netx, all inputs of the neuron are delayed instead, which is
              equivalent for neurons without a bias
    Recurrent dense synapses from the neurons to themselves, with a delay of one step
    Affine    neurons that never spike, as the last layer: their voltage is the output

The delay of one step between blocks (`delay_shift`) belongs to the pipeline and not to the network: the check runs
without it, each layer from its first input (start "aligned"). With it, biases act on later blocks some steps earlier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bl_neuro.arrays import FloatArray, SpikeArray
from bl_neuro.backends.opening import open_target
from bl_neuro.deploy.loihi_weights import stored_together
from bl_neuro.errors import MissingDependency, NetworkError, Unsupported
from bl_neuro.interop.assembly import assemble
from bl_neuro.interop.checked import LayerTrace, require_same
from bl_neuro.interop.module_copy import Named, in_order, layers_inside, need_plain_layers, private_copy, undisturbed
from bl_neuro.interop.parts import Neurons, Part, Step, Synapse
from bl_neuro.interop.plain_calls import is_plain_container
from bl_neuro.interop.plain_values import values_of
from bl_neuro.interop.plain_weights import computes_weights
from bl_neuro.interop.reading import reading
from bl_neuro.isolation import isolated
from bl_neuro.layers import Flatten
from bl_neuro.loihi_numbers import DECAY_ONE, THRESHOLD_MAX
from bl_neuro.network import Network, Readout, checked_input_shape

SOURCE = "the SLAYER module"
TIES_EXACT = 4095
"""Largest vThMant at which SLAYER's float32 comparison of voltage and threshold is exact."""
SLAYER_UNIT = 64
"""Threshold mantissa of one unit of SLAYER's voltage."""
RunFunction = Callable[[nn.Module, Tensor], Any]


@isolated
def from_slayer(
    module: nn.Module,
    input_shape: Iterable[int],
    *,
    order: Sequence[str] | None = None,
    run: RunFunction | None = None,
    readout: Readout | None = None,
    checked: bool = True,
) -> Network:
    """Converts a sequence of SLAYER's CUBA blocks to a network in Loihi's arithmetic; the module is not modified.

    module: an `nn.Sequential` or `nn.ModuleList` of `block.cuba.Dense`, `Conv`, `Recurrent`, `Flatten`, an `Affine` as
    the last block (and `Input` without neurons), or a module with such a list as attribute `blocks`, as in Lava's
    tutorials. input_shape: shape of one frame, (features,) or (channels, height, width).
    readout: readout of the class; by default "membrane" if the last block is an Affine, else "spikes".
    order: names of the blocks in execution order, for any other module. run: function that runs a copy of the module
    on spikes (B, *input_shape, T), float32, if `copy(spikes)` does not.
    checked: whether to compare module and network, on the substrate `loihi`, for 30 steps of random spikes and refuse
    if any bin differs, or if the module or `run` returns tensors other than those of the last neurons (see
    `interop.own_output`).

    Raises:
        Unsupported: something in the module cannot be expressed exactly, or the check found a difference.
        InputError: an argument is invalid.
        MissingDependency: lava-dl is not installed.
    """
    cuba = cuba_blocks()
    shape = checked_input_shape(input_shape)
    copied = private_copy(module, torch.float32)
    computing = _computing_weights(module, copied)
    layers, listed = _blocks(copied, order)
    parts: list[Part] = []
    problems: list[str] = []
    for name, block in layers:
        if type(block) is cuba.Affine and block is not layers[-1][1]:
            problems.append(f"{name}: Affine: expected as the last block, since it outputs voltages, not spikes")
        try:
            with reading(name):
                parts += _parts(name, block, cuba, computing)
        except NetworkError as error:
            problems += error.problems
    if problems:
        raise Unsupported(f"{SOURCE} cannot be converted to an identical bl_neuro.Network: {'; '.join(problems)}")
    natural: Readout = "membrane" if layers and type(layers[-1][1]) is cuba.Affine else "spikes"
    network = assemble(parts, shape, SOURCE, (), readout or natural, "loihi")
    if checked:
        with undisturbed():
            runner = _Runner(copied, layers, listed, run, cuba)
            require_same(network, runner, lambda spikes: _traces(network, spikes), SOURCE)
    return network


def cuba_blocks() -> Any:
    """Lava-DL's module of CUBA blocks; MissingDependency if Lava-DL is not installed."""
    try:
        from lava.lib.dl.slayer.block import cuba
    except ImportError as error:
        hint = 'install it with: pip install "bl-neuro[lava]" under Python 3.10'
        raise MissingDependency(f"lava-dl is not installed; {hint}") from error
    return cuba


def _blocks(module: nn.Module, order: Sequence[str] | None) -> tuple[list[Named], bool]:
    """The blocks in execution order, and whether they are a plain list without a custom forward."""
    if order is not None:
        return in_order(module, order, (nn.Sequential,)), False
    for prefix, container in (("", module), ("blocks.", getattr(module, "blocks", None))):
        if isinstance(container, nn.Module) and is_plain_container(container, (nn.Sequential, nn.ModuleList)):
            blocks = layers_inside(prefix, container, (nn.Sequential,))
            need_plain_layers(blocks)
            return blocks, not prefix
    return in_order(module, None, (nn.Sequential,)), False


def _computing_weights(module: nn.Module, copied: nn.Module) -> set[nn.Module]:
    """The modules of the private copy that compute their weights in the original, since they are plain in the copy."""
    copies = dict(copied.named_modules())
    return {copies[name] for name, original in module.named_modules() if computes_weights(original) and name in copies}


def _parts(name: str, block: Any, cuba: Any, computing: set[nn.Module]) -> list[Part]:
    """A block as parts; NetworkError with all reasons if it has no exact counterpart.

    computing: modules of the copy that compute their weights in the original.
    """
    kind = type(block)
    if kind is cuba.Flatten:
        return [Step(name, Flatten())]
    if kind is cuba.Input:
        if block.neuron is None:
            return []
        reason = "SLAYER rounds its input to 1/32, Loihi to whole numbers"
        raise NetworkError([f"{name}: Input with neurons: {reason}; use export_hdf5 and bl_neuro.load instead"])
    if kind not in (cuba.Dense, cuba.Conv, cuba.Recurrent, cuba.Affine):
        expected = "Dense, Conv, Recurrent, Flatten or Affine"
        raise NetworkError([f"{name}: {kind.__module__.rpartition('.')[2]}.{kind.__name__}: expected {expected}"])
    silent = kind is cuba.Affine
    _need_slayers_own(name, block)
    problems = [f"{name}: {problem}" for problem in _block_problems(block, silent, _synapse(block) in computing)]
    if problems:
        raise NetworkError(problems)
    synapse, loops = _synapse(block), None
    weight = _weight(name, block, synapse)
    if kind is cuba.Recurrent:
        loops = _weight(name, block, block.recurrent_synapse)
        _check_encoding(name, [weight, loops])
    elif weight.ndim == 2:
        _check_encoding(name, [weight])
    decays = [values_of(decay, f"{name}: decay") / DECAY_ONE for decay in _decays(block.neuron, weight.ndim)]
    norm = None if silent else block.neuron.norm  # an Affine does not export its norm
    bias = np.zeros(()) if norm is None else values_of(norm.bias, f"{name}: norm")
    if bias.size > 1 and weight.ndim == 4:
        bias = bias.reshape(-1, 1, 1)
    delay = None
    if block.delay is not None:
        delay = np.floor(values_of(block.delay.delay, f"{name}: delay")).reshape(-1, 1)
        delay = delay if delay.any() else None
    if delay is not None and bias.any():
        raise NetworkError([f"{name}: delays with a bias: the bias acts before the delayed inputs arrive"])
    geometry: dict[str, Any] = {}
    if weight.ndim == 4:
        geometry = {key: getattr(synapse, key)[:-1] for key in ("stride", "padding", "dilation")}
        geometry["groups"] = synapse.groups
    threshold = float(THRESHOLD_MAX if silent else block.neuron.v_th_mant)
    neurons = Neurons(name, threshold, decays[0], decays[1], bias)
    return [Synapse(name, weight, None, geometry, delay, loops), neurons]


def _need_slayers_own(name: str, block: Any) -> None:
    """NetworkError if a part of the block is not of the class that SLAYER puts there."""
    from lava.lib.dl.slayer.axon import Delay
    from lava.lib.dl.slayer.neuron.cuba import Neuron
    from lava.lib.dl.slayer.synapse.layer import Conv, Dense

    kinds: dict[str, tuple[type, ...]] = {"neuron": (Neuron,), "delay": (Delay, type(None))}
    if hasattr(block, "recurrent_synapse"):
        kinds |= {"input_synapse": (Dense,), "recurrent_synapse": (Dense,)}
    else:
        kinds["synapse"] = (Dense, Conv)
    for part, expected in kinds.items():
        kind = type(getattr(block, part))
        if kind not in expected:
            names = " or ".join("None" if known is type(None) else known.__name__ for known in expected)
            raise NetworkError([f"{name}: {part}: expected SLAYER's {names}, found {kind.__name__}"])


def _synapse(block: Any) -> Any:
    return block.input_synapse if hasattr(block, "recurrent_synapse") else block.synapse


def _block_problems(block: Any, silent: bool, computes: bool) -> list[str]:
    from lava.lib.dl.slayer.neuron.norm import MeanOnlyBatchNorm

    neuron, problems = block.neuron, []
    recurrent = hasattr(block, "recurrent_synapse")
    if silent and not block.dynamics:
        problems.append("dynamics=False: it outputs currents without neurons")
    if silent and (block.delay is not None or neuron.norm is not None):
        problems.append("Affine: SLAYER itself does not apply its delay or export its norm")
    if recurrent and block.delay is not None:
        problems.append("delay of a Recurrent block: netx, Lava's reader of .net files, ignores its weight exponent")
    if recurrent and neuron.norm is not None:
        problems.append("norm of a Recurrent block: SLAYER applies it separately in every step")
    if neuron.graded_spike:
        problems.append("graded_spike: spikes are 0 or 1")
    if hasattr(neuron, "current_decay_min"):
        problems.append("shared_param=False: its decays are drawn by the first forward pass; run the module once")
    if neuron.norm is not None and type(neuron.norm) is not MeanOnlyBatchNorm:
        problems.append(f"norm {type(neuron.norm).__name__}: expected MeanOnlyBatchNorm, which acts as a bias")
    if not silent and not 0 < neuron.v_th_mant <= TIES_EXACT:
        problems.append(
            f"threshold: expected vThMant in 1..{TIES_EXACT}, where SLAYER's comparison is exact, found "
            f"{neuron.v_th_mant}"
        )
    if block.delay is not None and not block.delay.init:
        problems.append("delay: its delays are drawn by the first forward pass; run the module once before")
    if _synapse(block).pre_hook_fx is None:
        problems.append("pre_hook_fx None: its weights are not quantized")
    if getattr(block, "mask", None) is not None and (computes or _synapse(block).weight_norm_enabled):
        problems.append("mask with weight_norm or other computed weights: SLAYER's forward pass does not apply it")
    return problems


def _weight(name: str, block: Any, synapse: Any) -> FloatArray:
    """Integer weights of `synapse`, (out, in) or (out, in/groups, h, w), as in an export."""
    if getattr(block, "mask", None) is not None:
        if values_of(block.mask, f"{name}: mask").shape != (*synapse.weight.shape[:2], 1, 1, 1):
            raise NetworkError([f"{name}: mask: expected one value per weight, found shape {tuple(block.mask.shape)}"])
        synapse.weight.data *= block.mask
    try:
        quantized = synapse.pre_hook_fx(synapse.weight, descale=True)
    except Exception as error:  # the user's own function may raise anything
        raise NetworkError(
            [
                f"{name}: pre_hook_fx: expected a function of the weights with argument descale=True, which an export "
                f"needs; it failed ({type(error).__name__}: {error})"
            ]
        ) from error
    weight = values_of(quantized, f"{name}: result of pre_hook_fx")
    if weight.shape != synapse.weight.shape:
        expected = tuple(synapse.weight.shape)
        raise NetworkError([f"{name}: pre_hook_fx: expected a result of shape {expected}, found {weight.shape}"])
    weight = weight[..., 0]
    if isinstance(synapse, nn.Conv3d) and type(synapse).__name__ == "Dense":
        if weight.shape[2:] != (1, 1):
            raise NetworkError([f"{name}: weights over an image: put a Flatten before it"])
        weight = weight[:, :, 0, 0]
    return weight


def _check_encoding(name: str, weights: list[FloatArray]) -> None:
    """NetworkError if Loihi's joint encoding of these matrices does not preserve their values."""
    whole = [weight.astype(np.int64) for weight in weights]
    preserved = any(weight.any() for weight in whole)
    if preserved:
        stored, shift = stored_together(whole)
        preserved = shift >= 0 and all(
            (stored_weight == weight << shift).all() for stored_weight, weight in zip(stored, whole)
        )
    if not preserved:
        raise NetworkError([f"{name}: weight: Loihi's encoding of this matrix does not preserve its values"])


def _decays(neuron: Any, dimensions: int) -> list[Any]:
    decays = [np.asarray(decay) for decay in (neuron.cx_current_decay, neuron.cx_voltage_decay)]
    return [decay.reshape(-1, 1, 1) if dimensions == 4 and decay.size > 1 else decay for decay in decays]


class _Runner:
    """Runs a private copy from its initial state, without the pipeline's delay, and records every spiking block."""

    def __init__(
        self, module: nn.Module, blocks: list[Named], listed: bool, run: RunFunction | None, cuba: Any
    ) -> None:
        self._module = module
        self._blocks = [block for _, block in blocks]
        self._listed = listed
        self._run = run
        kinds = (cuba.Dense, cuba.Conv, cuba.Recurrent, cuba.Affine)
        self._spiking = [block for block in self._blocks if isinstance(block, kinds)]
        self._silent = [type(block) is cuba.Affine for block in self._spiking]
        self._recordings: list[list[Tensor]] = [[] for _ in self._spiking]
        for block in self._blocks:
            setattr(block, "delay_shift", False)  # noqa: B010 - torch types attributes of modules as tensors
        for block, recording in zip(self._spiking, self._recordings):
            block.register_forward_hook(_recording_hook(recording))

    def __call__(self, spikes: SpikeArray) -> tuple[list[LayerTrace], Any]:
        inputs = torch.from_numpy(np.moveaxis(spikes, 0, -1).astype(np.float32))
        for block, recording in zip(self._spiking, self._recordings):
            recording.clear()
            for state in ("current_state", "voltage_state"):
                setattr(block.neuron, state, torch.zeros(1))
        output: Any = None
        if self._run is not None:
            output = self._run(self._module, inputs)
        elif self._listed:
            for block in self._blocks:
                result = block(inputs)
                inputs = result[0] if isinstance(result, tuple) else result
        else:
            output = self._module(inputs)
        if any(len(recording) != 1 for recording in self._recordings):
            raise Unsupported(
                f"{SOURCE}: expected its forward to call each block once, found "
                f"{[len(recording) for recording in self._recordings]} calls"
            )
        outputs = [np.moveaxis(values_of(recording[0], "spikes"), -1, 0) for recording in self._recordings]
        traces = [
            LayerTrace(np.zeros_like(values), values * SLAYER_UNIT, values) if silent else LayerTrace(values)
            for values, silent in zip(outputs, self._silent)
        ]
        return traces, output


def _recording_hook(recording: list[Tensor]) -> Callable[[nn.Module, Any, Any], None]:
    def note(_: nn.Module, __: Any, result: Any) -> None:
        recording.append((result[0] if isinstance(result, tuple) else result).clone())

    return note


def _traces(network: Network, spikes: SpikeArray) -> list[LayerTrace]:
    """Traces of the network on the emulator."""
    with open_target(network, "loihi") as target:
        response = target.run(spikes, layers=True)
    traces = [LayerTrace(values_of(layer, "spikes")) for layer in response.layers or []]
    if network.readout == "membrane" and response.membrane is not None:
        traces[-1] = LayerTrace(traces[-1].spikes, values_of(response.membrane, "membrane") * THRESHOLD_MAX)
    return traces
