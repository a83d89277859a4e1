"""Inversions as a judge needs them, read back from the file that `Inversions.save` wrote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from bl_neuro.errors import ModelFileError


@dataclass(frozen=True)
class KeptInversions:
    """spikes (T, K, *input_shape), 0/1; along the attack's course (G,) queries spent and rates (G, K, *input_shape)."""

    spikes: Tensor
    queries: Tensor
    rates: Tensor

    @property
    def images(self) -> Tensor:
        """Time-averaged spikes (K, *input_shape), 0..1."""
        return self.spikes.float().mean(0)


def read_inversions(path: Path) -> KeptInversions:
    """The inversions in a file.

    Raises:
        ModelFileError: it is missing, damaged or of another kind.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            return KeptInversions(*(file.get_tensor(name) for name in ("spikes", "trace.queries", "trace.rates")))
    except (OSError, SafetensorError) as error:
        raise ModelFileError(f"{path}: not readable inversions ({error})") from error
