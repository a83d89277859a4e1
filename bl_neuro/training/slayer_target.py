"""Quantisation-aware training of a target with SLAYER's blocks, in Loihi's integers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bl_neuro.data.samples import Samples
from bl_neuro.errors import InputError
from bl_neuro.interop.slayer_modules import cuba_blocks, from_slayer
from bl_neuro.isolation import isolated
from bl_neuro.network import Network
from bl_neuro.seeding import stream
from bl_neuro.training.checkpoint import Checkpoint
from bl_neuro.training.fit import Progress, fit
from bl_neuro.training.plans import TargetPlan, plan_for
from bl_neuro.training.stack import Stack
from bl_neuro.training.stack_training import stack_training

PURPOSE = "train slayer target"
THRESHOLD = 4.0
"""SLAYER's threshold for a threshold of 1: vThMant 256, weights up to 1 threshold in steps of 1/128 of one."""


@isolated
def train_slayer_target(
    data: Samples,
    plan: TargetPlan | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> Network:
    """Trains a target like `train_target`, but through time with SLAYER's quantised CUBA blocks, on the CPU.

    The forward pass is SLAYER's, with weights rounded to even values in -256..254. The backward pass uses its surrogate
    gradient and passes straight through the rounding. The result is in Loihi's arithmetic: it produces the same spikes
    on `slayer`, `loihi` and `lava` as in training, and `bl.save(network, "model.net")` writes the integers of the
    training.

    Raises:
        InputError: as in `train_target`, or the neuron of the plan is not canonical. MissingDependency: lava-dl is not
            installed.
    """
    plan = plan or plan_for(data)
    if plan.neuron != "canonical":
        raise InputError(f"neuron: expected canonical, the only neuron that Loihi supports, found {plan.neuron!r}")
    row = _Row(Stack(data.input_shape, data.classes, plan, stream(seed, PURPOSE, 0)))
    _, phases, course = stack_training(
        row.stack, plan, row.run, data, seed=seed, purpose=PURPOSE, progress=progress, checkpoint=checkpoint
    )
    fit(row.stack, phases, course)
    return from_slayer(row.blocks(), data.input_shape)


class _Row:
    """SLAYER's blocks for a stack, which use the weights of the stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self._cuba = stack, cuba_blocks()
        self._blocks = self._make_blocks()

    def run(self, spikes: Tensor) -> tuple[Tensor, Tensor]:
        """Spikes and membrane (T, B, classes) of the output, computed by SLAYER."""
        values = membrane = spikes.movedim(0, -1).contiguous()
        for block, synapse in zip(self._blocks, self.stack.synapses):
            if isinstance(synapse, nn.Linear) and values.ndim > 3:
                values = values.flatten(1, -2)
            block.synapse.weight = _in_units(synapse.weight)
            _, voltage = block.neuron.dynamics(block.synapse(values))
            values, membrane = block.neuron.spike(voltage), voltage / THRESHOLD
        return values.movedim(-1, 0), membrane.movedim(-1, 0)

    def blocks(self) -> nn.Sequential:
        """The blocks with the weights of the stack."""
        made: list[Any] = []
        flat = len(self.stack.input_shape) == 1
        for block, synapse in zip(self._make_blocks(), self.stack.synapses):
            if isinstance(synapse, nn.Linear) and not flat:
                made.append(self._cuba.Flatten())
                flat = True
            block.synapse.weight = nn.Parameter(_in_units(synapse.weight.detach()))
            made.append(block)
        return nn.Sequential(*made)

    def _make_blocks(self) -> list[Any]:
        decays = {"current_decay": 1.0, "voltage_decay": self.stack.plan.voltage_decay}
        with torch.random.fork_rng(devices=[]):  # SLAYER draws weights, which are never used
            return [_block(self._cuba, {"threshold": THRESHOLD, **decays}, synapse) for synapse in self.stack.synapses]


def _in_units(weight: Tensor) -> Tensor:
    """Weights in thresholds, converted to the units of a block's synapse."""
    shape = (*weight.shape, *[1] * (5 - weight.ndim))
    return (weight * THRESHOLD).reshape(shape)


def _block(cuba: Any, neuron: dict[str, Any], synapse: Any) -> Any:
    if isinstance(synapse, nn.Linear):
        made = cuba.Dense(neuron, synapse.in_features, synapse.out_features, delay_shift=False)
    else:
        sizes = synapse.in_channels, synapse.out_channels, synapse.kernel_size
        made = cuba.Conv(neuron, *sizes, synapse.stride, synapse.padding, delay_shift=False)
    del made.synapse.weight  # its place is for the stack's weights, which are no parameters of the block
    return made
