"""What an attack returns: the reconstructed inputs, how it got there and what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import torch
from torch import Tensor

from bl_neuro.errors import ReportError
from bl_neuro.files import atomic_path

FORMAT = "bl-neuro/inversions/1"


class Status(str, Enum):
    """How an attack ended: as planned, its budget spent, without further gain, or told to stop."""

    COMPLETED = "completed"
    BUDGET_SPENT = "budget_spent"
    NO_GAIN = "no_gain"
    STOPPED = "stopped"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Trace:
    """The course of an attack, one entry a generation or iteration (G).

    queries: (G,), samples run so far by the whole attack, shared ones included. objective: (G, K), the attacker's
    own objective. rates: (G, K, *input_shape), the reconstruction as it stood, spikes a step in 0..1.
    """

    queries: Tensor
    objective: Tensor
    rates: Tensor


@dataclass(frozen=True, repr=False)
class Inversions:
    """K reconstructed inputs.

    spikes: (T, K, *input_shape), uint8, 0/1. classes: (K,), which class each inverts. rates: Bernoulli rates in 0..1,
    (K, *input_shape), or (T, K, *input_shape) where each step has its own, or None for an attack that has none.
    queries: samples the target ran for all of them.
    """

    spikes: Tensor
    classes: Tensor
    rates: Tensor | None
    queries: int
    trace: Trace
    status: Status
    attack: str
    seed: int

    def __repr__(self) -> str:
        return (
            f"<Inversions by {self.attack}: {len(self.classes)} of {tuple(self.spikes.shape[2:])}, "
            f"T={len(self.spikes)}, {self.queries} queries, {self.status}>"
        )

    @property
    def queries_per_class(self) -> float:
        """Queries divided by the inversions made with them, shared warm start included."""
        return self.queries / len(self.classes)

    @property
    def images(self) -> Tensor:
        """Time-averaged spikes, (K, *input_shape), 0..1: what an evaluator is shown."""
        return self.spikes.float().mean(0)

    def save(self, path: str | Path) -> None:
        """Writes everything to a .safetensors file, atomically, for `load_inversions` to read.

        Raises:
            ReportError: it cannot be written.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        tensors = {
            "spikes": self.spikes,
            "classes": self.classes,
            "trace.queries": self.trace.queries,
            "trace.objective": self.trace.objective,
            "trace.rates": self.trace.rates,
        }
        if self.rates is not None:
            tensors["rates"] = self.rates
        facts = {
            "format": FORMAT,
            "attack": self.attack,
            "status": self.status.value,
            "queries": str(self.queries),
            "seed": str(self.seed),
        }
        try:
            with atomic_path(path) as temporary:
                save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary, metadata=facts)
        except (OSError, SafetensorError) as error:
            raise ReportError(f"{path}: the inversions could not be written ({error})") from error


def joined(parts: list[Inversions]) -> Inversions:
    """Several runs of one attack, with seeds of their own, as one: inversions side by side, queries added up.

    A run that ended before others stands still in the trace from there on. (One without any entry leaves none.)
    """
    first = parts[0]
    lengths = [len(part.trace.queries) for part in parts]
    longest = max(lengths) if min(lengths) else 0
    entries = [torch.arange(longest).clamp(max=max(length - 1, 0)) for length in lengths]
    rates = [part.rates for part in parts if part.rates is not None]
    cut = [part.status for part in parts if part.status is not Status.COMPLETED]
    return Inversions(
        spikes=torch.cat([part.spikes for part in parts], dim=1),
        classes=torch.cat([part.classes for part in parts]),
        rates=torch.cat(rates, dim=rates[0].dim() - first.spikes.dim() + 1) if rates else None,
        queries=sum(part.queries for part in parts),
        trace=Trace(
            torch.stack([part.trace.queries[at] for part, at in zip(parts, entries)]).sum(0),
            torch.cat([part.trace.objective[at] for part, at in zip(parts, entries)], dim=1),
            torch.cat([part.trace.rates[at] for part, at in zip(parts, entries)], dim=1),
        ),
        status=cut[0] if cut else Status.COMPLETED,
        attack=first.attack,
        seed=first.seed,
    )
