"""How samples are laid out in the simulation: replicas side by side, images as width, height, channels."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from bl_neuro.arrays import IntArray
from bl_neuro.deploy.quantize import FixedPointNetwork
from bl_neuro.layers import Conv, Input, Shape
from bl_neuro.loihi_numbers import input_drive


class Layout:
    """Turns inputs (T, B, *input_shape) into rounds of `replicas` samples each, and answers back."""

    def __init__(self, fixed: FixedPointNetwork, replicas: int) -> None:
        first = fixed.layers[0].source
        self.replicas = replicas
        self._input = first if isinstance(first, Input) else None
        self._images = isinstance(first, (Conv, Input)) and len(fixed.network.input_shape) == 3

    def rounds(self, batch: int) -> int:
        """How many samples of the simulation answer `batch` of ours."""
        return -(-batch // self.replicas)

    def frames(self, inputs: Tensor, number: int) -> bytes:
        """What the simulation is sent for round `number`: (T, *lava input shape), uint8 spikes or int32 currents."""
        chosen = inputs[:, number * self.replicas : (number + 1) * self.replicas].detach().cpu().numpy()
        values = chosen.astype(np.uint8) if self._input is None else input_drive(self._input, chosen).astype(np.int32)
        if self._images:
            return np.ascontiguousarray(values[:, 0].transpose(0, 3, 2, 1)).tobytes()
        steps, samples = values.shape[:2]
        padded = np.zeros((steps, self.replicas, int(np.prod(values.shape[2:]))), values.dtype)
        padded[:, :samples] = values.reshape(steps, samples, -1)
        return padded.tobytes()

    def apart(self, values: IntArray, shape: Shape) -> IntArray:
        """What neurons `shape` of all replicas show, (N, *lava shape), as (N, replicas, *shape)."""
        if len(shape) == 3:
            return values.transpose(0, 3, 2, 1)[:, None]
        return values.reshape(len(values), self.replicas, *shape)
