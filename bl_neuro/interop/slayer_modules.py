"""SLAYER (Lava-DL) blocks as networks in Loihi's arithmetic, with the integers that their `export_hdf5` writes.

    weight    the block's quantised weight, even, -256..254       iDecay, vDecay    rounded, over 4096
    vThMant   threshold x scale, cut off                          bias              of `MeanOnlyBatchNorm`
    delay     of a dense block's outputs, floored: as in netx, every input of that neuron comes later instead, which
              is the same for neurons without a bias
    Recurrent dense synapses from the neurons to themselves, one step later
    Affine    neurons that never fire, last of all: their voltage is the answer

The step of delay between blocks (`delay_shift`) is the pipeline's, not the network's: the check runs without it,
each layer from its first input on (start "aligned"). With it, biases act on later blocks some steps earlier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bl_neuro.arrays import FloatArray, SpikeArray
from bl_neuro.backends.registry import open_target
from bl_neuro.deploy.loihi_weights import stored_together
from bl_neuro.errors import MissingDependency, NetworkError, Unsupported
from bl_neuro.interop.checked import Trace, require_same
from bl_neuro.interop.module_copy import Named, in_order, private_copy, undisturbed, values_of
from bl_neuro.interop.parts import Neurons, Part, Step, Synapse, assemble
from bl_neuro.layers import Flatten
from bl_neuro.loihi_numbers import DECAY_ONE, THRESHOLD_MAX
from bl_neuro.network import Network, Readout, checked_input_shape

SOURCE = "the SLAYER module"
TIES_EXACT = 4095
"""Largest vThMant at which SLAYER, in float32, sees that a voltage equals it."""
SLAYER_UNIT = 64
"""Steps of a threshold's mantissa in one unit of SLAYER's voltage."""
Own = Callable[[nn.Module, Tensor], Any]


def from_slayer(
    module: nn.Module,
    input_shape: Iterable[int],
    *,
    order: Sequence[str] | None = None,
    run: Own | None = None,
    readout: Readout | None = None,
    checked: bool = True,
) -> Network:
    """The network, in Loihi's arithmetic, that a row of SLAYER's CUBA blocks is; the module is left as it was.

    module: an `nn.Sequential` or `nn.ModuleList` of `block.cuba.Dense`, `Conv`, `Recurrent`, `Flatten`, an `Affine` as
    the last one (and `Input` without neurons), or a module that holds such a list as `blocks`, as Lava's tutorials do.
    input_shape: of one frame, (features,) or (channels, height, width).
    readout: how the network names its class; by default the membrane where it ends in an Affine, else spikes.
    order: names of its blocks in the order they run, for any other module. run: runs a copy of the module on spikes
    (B, *input_shape, T), float32, where `copy(spikes)` does not.
    checked: run module and network on 30 steps of random spikes and refuse where a bin of any layer differs. The
    network runs on the substrate `loihi`.

    Raises:
        Unsupported: something of the module cannot be expressed exactly, or the check found a difference.
        InputError: an argument is not what was expected. MissingDependency: lava-dl is not installed.
    """
    cuba = cuba_blocks()
    shape = checked_input_shape(input_shape)
    copied = private_copy(module, torch.float32)
    layers, listed = _blocks(copied, order)
    parts: list[Part] = []
    problems: list[str] = []
    for name, block in layers:
        if type(block) is cuba.Affine and block is not layers[-1][1]:
            problems.append(f"{name}: Affine: expected as the last block, since it puts out voltages, not spikes")
        try:
            parts += _parts(name, block, cuba)
        except NetworkError as error:
            problems += error.problems
    if problems:
        raise Unsupported(f"{SOURCE} has no exact network: {'; '.join(problems)}")
    natural: Readout = "membrane" if layers and type(layers[-1][1]) is cuba.Affine else "spikes"
    network = assemble(parts, shape, SOURCE, (), readout or natural, "loihi")
    if checked:
        with undisturbed():
            own = _Runner(copied, layers, listed, run, cuba)
            require_same(network, own, lambda spikes: _traces(network, spikes), SOURCE)
    return network


def cuba_blocks() -> Any:
    """Lava-DL's module of CUBA blocks; MissingDependency without Lava-DL."""
    try:
        from lava.lib.dl.slayer.block import cuba
    except ImportError as error:
        hint = 'install it with: pip install "bl-neuro[lava]" under Python 3.10'
        raise MissingDependency(f"lava-dl is not installed; {hint}") from error
    return cuba


def _blocks(module: nn.Module, order: Sequence[str] | None) -> tuple[list[Named], bool]:
    """The blocks in the order they run, and whether they are a mere list, without a forward around them."""
    if order is None:
        if isinstance(module, nn.ModuleList) or type(module).forward is nn.Sequential.forward:
            return list(module.named_children()), True
        inside = getattr(module, "blocks", None)
        if isinstance(inside, (nn.ModuleList, nn.Sequential)):
            return [(f"blocks.{name}", block) for name, block in inside.named_children()], False
    return in_order(module, order, (nn.Sequential,)), False


def _parts(name: str, block: Any, cuba: Any) -> list[Part]:
    """The parts that a block is; NetworkError with all that keeps it from being ours."""
    kind = type(block)
    if kind is cuba.Flatten:
        return [Step(name, Flatten())]
    if kind is cuba.Input:
        if block.neuron is None:
            return []
        reason = "SLAYER rounds what it takes to 1/32, Loihi to whole numbers"
        raise NetworkError(
            [f"{name}: Input with neurons: {reason}; export_hdf5 and bl_neuro.load make a network of it"]
        )
    if kind not in (cuba.Dense, cuba.Conv, cuba.Recurrent, cuba.Affine):
        expected = "Dense, Conv, Recurrent, Flatten or Affine"
        raise NetworkError([f"{name}: {kind.__module__.rpartition('.')[2]}.{kind.__name__}: expected {expected}"])
    silent = kind is cuba.Affine
    problems = [f"{name}: {problem}" for problem in _block_problems(block, silent)]
    if problems:
        raise NetworkError(problems)
    synapse, loops = _synapse(block), None
    weight = _weight(name, block, synapse)
    if kind is cuba.Recurrent:
        loops = _weight(name, block, block.recurrent_synapse)
        _need_encoding(name, [weight, loops])
    elif weight.ndim == 2:
        _need_encoding(name, [weight])
    decays = [values_of(np.asarray(each)) / DECAY_ONE for each in _decays(block.neuron, weight.ndim)]
    norm = None if silent else block.neuron.norm  # an Affine does not export its own
    bias = np.zeros(()) if norm is None else values_of(norm.bias)
    if bias.size > 1 and weight.ndim == 4:
        bias = bias.reshape(-1, 1, 1)
    delay = None if block.delay is None else np.floor(values_of(block.delay.delay)).reshape(-1, 1)
    if delay is not None and not delay.any():
        delay = None
    if delay is not None and bias.any():
        raise NetworkError([f"{name}: delays with a bias: the bias acts before the delayed inputs come"])
    geometry: dict[str, Any] = {}
    if weight.ndim == 4:
        geometry = {key: getattr(synapse, key)[:-1] for key in ("stride", "padding", "dilation")}
        geometry["groups"] = synapse.groups
    threshold = float(THRESHOLD_MAX if silent else block.neuron.v_th_mant)
    neurons = Neurons(name, threshold, decays[0], decays[1], bias)
    return [Synapse(name, weight, None, geometry, delay, loops), neurons]


def _synapse(block: Any) -> Any:
    return block.input_synapse if hasattr(block, "recurrent_synapse") else block.synapse


def _block_problems(block: Any, silent: bool) -> list[str]:
    from lava.lib.dl.slayer.neuron.norm import MeanOnlyBatchNorm

    neuron, problems = block.neuron, []
    recurrent = hasattr(block, "recurrent_synapse")
    if silent and not block.dynamics:
        problems.append("dynamics=False: it puts out currents without neurons")
    if silent and (block.delay is not None or neuron.norm is not None):
        problems.append("Affine: SLAYER itself does not apply its delay, nor export its norm")
    if recurrent and block.delay is not None:
        problems.append("delay of a Recurrent block: netx drops the weights' exponent with it")
    if recurrent and neuron.norm is not None:
        problems.append("norm of a Recurrent block: it acts step by step in SLAYER")
    if neuron.graded_spike:
        problems.append("graded_spike: spikes are 0 or 1")
    if hasattr(neuron, "current_decay_min"):
        problems.append("shared_param=False: its decays are drawn when it first runs; run the module once before")
    if neuron.norm is not None and type(neuron.norm) is not MeanOnlyBatchNorm:
        problems.append(f"norm {type(neuron.norm).__name__}: MeanOnlyBatchNorm alone is a bias")
    if not silent and not 0 < neuron.v_th_mant <= TIES_EXACT:
        problems.append(
            f"threshold: expected vThMant in 1..{TIES_EXACT}, above which SLAYER decides ties by rounding, found "
            f"{neuron.v_th_mant}"
        )
    if block.delay is not None and not block.delay.init:
        problems.append("delay: its delays are drawn when it first runs; run the module once before")
    if _synapse(block).pre_hook_fx is None:
        problems.append("pre_hook_fx None: its weights are not quantised")
    if getattr(block, "mask", None) is not None and _synapse(block).weight_norm_enabled:
        problems.append("mask with weight_norm: SLAYER's own runs do not apply it")
    return problems


def _weight(name: str, block: Any, synapse: Any) -> FloatArray:
    """Integer weights of `synapse`, (out, in) or (out, in/groups, h, w), as exporting makes them."""
    if synapse.weight_norm_enabled:
        synapse.disable_weight_norm()  # as exporting does
        synapse.weight.requires_grad_(False)
    if getattr(block, "mask", None) is not None:
        synapse.weight.data *= block.mask
    try:
        weight = values_of(synapse.pre_hook_fx(synapse.weight, descale=True))[..., 0]
    except TypeError as error:
        raise NetworkError(
            [f"{name}: pre_hook_fx: expected one that takes descale=True, as exporting needs"]
        ) from error
    if isinstance(synapse, nn.Conv3d) and type(synapse).__name__ == "Dense":
        if weight.shape[2:] != (1, 1):
            raise NetworkError([f"{name}: weights over an image: put a Flatten before it"])
        weight = weight[:, :, 0, 0]
    return weight


def _need_encoding(name: str, weights: list[FloatArray]) -> None:
    """NetworkError where Loihi, which encodes these matrices together, does not keep their values."""
    whole = [weight.astype(np.int64) for weight in weights]
    kept = any(weight.any() for weight in whole)
    if kept:
        stored, shift = stored_together(whole)
        kept = shift >= 0 and all((each == weight << shift).all() for each, weight in zip(stored, whole))
    if not kept:
        raise NetworkError([f"{name}: weight: Loihi's encoding of this matrix does not keep its values"])


def _decays(neuron: Any, dimensions: int) -> list[Any]:
    decays = [np.asarray(each) for each in (neuron.cx_current_decay, neuron.cx_voltage_decay)]
    return [each.reshape(-1, 1, 1) if dimensions == 4 and each.size > 1 else each for each in decays]


class _Runner:
    """Runs a private copy from rest and notes what every spiking block puts out, without the pipeline's delay."""

    def __init__(self, module: nn.Module, blocks: list[Named], listed: bool, run: Own | None, cuba: Any) -> None:
        self._module = module
        self._blocks = [block for _, block in blocks]
        self._listed = listed
        self._run = run
        kinds = (cuba.Dense, cuba.Conv, cuba.Recurrent, cuba.Affine)
        self._spiking = [block for block in self._blocks if isinstance(block, kinds)]
        self._silent = [type(block) is cuba.Affine for block in self._spiking]
        self._said: list[list[Tensor]] = [[] for _ in self._spiking]
        for block in self._blocks:
            setattr(block, "delay_shift", False)  # noqa: B010 - torch types attributes of modules as tensors
        for block, said in zip(self._spiking, self._said):
            block.register_forward_hook(_noting(said))

    def __call__(self, spikes: SpikeArray) -> list[Trace]:
        inputs = torch.from_numpy(np.moveaxis(spikes, 0, -1).astype(np.float32))
        for block, said in zip(self._spiking, self._said):
            said.clear()
            for state in ("current_state", "voltage_state"):
                setattr(block.neuron, state, torch.zeros(1))
        if self._run is not None:
            self._run(self._module, inputs)
        elif self._listed:
            for block in self._blocks:
                result = block(inputs)
                inputs = result[0] if isinstance(result, tuple) else result
        else:
            self._module(inputs)
        if any(len(said) != 1 for said in self._said):
            raise Unsupported(
                f"{SOURCE}: its forward ran its blocks {[len(said) for said in self._said]} times, not once"
            )
        found = [np.moveaxis(values_of(said[0]), -1, 0) for said in self._said]
        return [
            Trace(np.zeros_like(values), values * SLAYER_UNIT) if silent else Trace(values)
            for values, silent in zip(found, self._silent)
        ]


def _noting(said: list[Tensor]) -> Callable[[nn.Module, Any, Any], None]:
    def note(_: nn.Module, __: Any, result: Any) -> None:
        said.append((result[0] if isinstance(result, tuple) else result).clone())

    return note


def _traces(network: Network, spikes: SpikeArray) -> list[Trace]:
    """What the emulator makes of the network, layer by layer."""
    with open_target(network, "loihi") as target:
        response = target.run(spikes, layers=True)
    traces = [Trace(values_of(layer)) for layer in response.layers or []]
    if network.readout == "membrane" and response.membrane is not None:
        traces[-1] = Trace(traces[-1].spikes, values_of(response.membrane) * THRESHOLD_MAX)
    return traces
