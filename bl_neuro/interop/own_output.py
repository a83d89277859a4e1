"""What the forward pass of a model returns, compared with its last neurons, at which the network ends.

A network leaves out what a custom forward does after them, such as a permutation or a sum over groups of neurons, which
would change its classes. Accepted are the spikes or the membrane potentials of the last neurons, in every step, in the
last one, or their sum, mean or maximum over time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import Unsupported
from bl_neuro.interop.plain_values import tensor_kind, values_of


def need_own_output(output: Any, layers: Sequence[Sequence[FloatArray]], source: str) -> None:
    """Checks that one of the tensors in `output` is that of the last neurons, and that none shows other spikes.

    output: what a forward pass returned: a tensor or an array, or several in tuples, lists and dicts, which may be
    nested and may contain one member for every step. Anything else is not compared.
    layers: spikes, and membrane potentials if known, of each layer of neurons, (T, B, *shape).

    Raises:
        Unsupported: the output differs.
    """
    last = layers[-1]
    tensors = _tensors(output, len(last[0]))
    of_last = [any(_equals(tensor, recording) for recording in last) for tensor in tensors]
    other = [
        tensor
        for tensor, is_last in zip(tensors, of_last)
        if not is_last and _shows_spikes(tensor, last[0]) and not any(_equals(tensor, spikes) for spikes, *_ in layers)
    ]
    if tensors and (other or not any(of_last)):
        shapes = ", ".join("nested" if tensor.is_nested else str(tuple(tensor.shape)) for tensor in other or tensors)
        raise Unsupported(
            f"{source}: its forward returns something else than the spikes of its last neurons (shape {shapes}), which "
            "a network cannot express. To leave out what follows the neurons, pass run=, a function of (copy, spikes) "
            "that runs the module and returns None"
        )


def _shows_spikes(tensor: Tensor, spikes: FloatArray) -> bool:
    """Whether `tensor` could be the spikes of the last neurons, by its size and values."""
    if tensor_kind(tensor):
        return False
    return tensor.numel() in (spikes.size, spikes[0].size) and bool(((tensor == 0) | (tensor == 1)).all())


def _tensors(output: Any, steps: int) -> list[Tensor]:
    """The tensors in `output`, at any depth; a list with one value for every step is a recording of that value."""
    if isinstance(output, Tensor):
        return [output]
    if isinstance(output, np.ndarray) and output.dtype.kind in "biuf":
        return [torch.from_numpy(output.astype(np.float64, order="C"))]
    if not isinstance(output, (tuple, list, dict)):
        return []
    values = list(output.values()) if isinstance(output, dict) else list(output)
    if len(values) == steps:
        if all(isinstance(value, (Tensor, np.ndarray)) for value in values):
            return _joined([tensor for value in values for tensor in _tensors(value, steps)])
        if all(isinstance(value, (tuple, list, dict)) for value in values):
            values = _by_member(values)
    return [tensor for value in values for tensor in _tensors(value, steps)]


def _joined(tensors: list[Tensor]) -> list[Tensor]:
    """The tensors of all steps as one tensor, or as they are if they have no values or differ in shape."""
    if any(tensor_kind(tensor) for tensor in tensors) or len({tensor.shape for tensor in tensors}) != 1:
        return tensors
    return [torch.stack(tensors)]


def _by_member(steps: list[Any]) -> list[Any]:
    """One list over time for every member of the tuples, lists or dicts `steps`."""
    members: dict[Any, list[Any]] = {}
    for step in steps:
        for key, value in step.items() if isinstance(step, dict) else enumerate(step):
            members.setdefault(key, []).append(value)
    return list(members.values())


def _equals(tensor: Tensor, recording: FloatArray) -> bool:
    """Whether `tensor` is the recording (T, B, *shape) in some order of its axes, or what remains of it over time."""
    if tensor_kind(tensor):
        return False
    values = values_of(tensor, "output")
    in_time = (recording, np.swapaxes(recording, 0, 1), np.moveaxis(recording, 0, -1))
    over_time = (recording[-1], recording.sum(0), recording.mean(0), recording.max(0))
    return any(
        values.size == expected.size
        and values.shape[0] == expected.shape[0]
        and np.allclose(values.reshape(expected.shape), expected, rtol=1e-5, atol=1e-6)
        for expected in (*in_time, *over_time)
        if values.ndim
    )
