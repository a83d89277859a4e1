"""What the emulator hands back of one layer."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class LayerTrace(NamedTuple):
    """spikes: (T, B, N) uint8. voltage: (T, B, N) int32, before the reset, or None where it was not asked for.

    current, final_voltage: (B, N) int32 after the last step, the voltage after the reset.
    """

    spikes: Tensor
    voltage: Tensor | None
    current: Tensor
    final_voltage: Tensor
