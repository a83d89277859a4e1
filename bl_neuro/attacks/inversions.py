"""The result of an attack: the reconstructed inputs, the trace of the search, and the number of queries."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bl_neuro.arrays import FloatArray
from bl_neuro.checks import MAX_STEPS
from bl_neuro.errors import InputError, ModelFileError, ReportError
from bl_neuro.files import atomic_path, what_is_at
from bl_neuro.strangers.safetensors_header import tensor_types

if TYPE_CHECKING:
    from bl_neuro.drawing import Animation, Picture

FORMAT = "bl-neuro/inversions/1"


class Status(str, Enum):
    """How an attack ended: as planned, with its budget spent, without further improvement, or stopped by the caller."""

    COMPLETED = "completed"
    BUDGET_SPENT = "budget_spent"
    NO_GAIN = "no_gain"
    STOPPED = "stopped"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Trace:
    """The trace of an attack, with one entry per generation or iteration (G).

    queries: (G,), samples run so far by the whole attack, including shared ones. objective: (G, K), the objective of
    the attacker. rates: (G, K, *input_shape), the reconstruction at that point, spikes per step in 0..1.
    """

    queries: Tensor
    objective: Tensor
    rates: Tensor


@dataclass(frozen=True, repr=False)
class Inversions:
    """K reconstructed inputs.

    spikes: (T, K, *input_shape), uint8, 0 or 1. classes: (K,), the class of each inversion. rates: Bernoulli rates in
    0..1, (K, *input_shape), or (T, K, *input_shape) if they change over time, or None if the attack has none. queries:
    number of samples that the target ran for all inversions together. attacked: number of inversions of the whole
    attack, if these are only a part of them; see `select`.
    """

    spikes: Tensor
    classes: Tensor
    rates: Tensor | None
    queries: int
    trace: Trace
    status: Status
    attack: str
    seed: int
    attacked: int | None = None

    def __repr__(self) -> str:
        return (
            f"<Inversions by {self.attack}: {len(self.classes)} of {tuple(self.spikes.shape[2:])}, "
            f"T={len(self.spikes)}, {self.queries} queries, {self.status}>"
        )

    @property
    def queries_per_class(self) -> float:
        """Queries divided by the number of inversions of the whole attack, including the shared warm start."""
        return self.queries / (self.attacked or len(self.classes))

    @property
    def images(self) -> Tensor:
        """The spikes averaged over time, (K, *input_shape) in 0..1, as evaluators see them."""
        return self.spikes.float().mean(0)

    def select(self, index: int) -> Inversions:
        """Only the inversion at `index`. Queries and trace remain those of the whole attack."""
        if not -len(self.classes) <= index < len(self.classes):
            raise InputError(f"index: expected 0..{len(self.classes) - 1}, found {index}")
        place = index % len(self.classes)
        rates = self.rates
        if rates is not None:
            rates = rates.narrow(rates.dim() - self.spikes.dim() + 1, place, 1)
        trace = Trace(
            self.trace.queries, self.trace.objective.narrow(1, place, 1), self.trace.rates.narrow(1, place, 1)
        )
        return replace(
            self,
            spikes=self.spikes.narrow(1, place, 1),
            classes=self.classes.narrow(0, place, 1),
            rates=rates,
            trace=trace,
            attacked=self.attacked or len(self.classes),
        )

    def show(self, image_shape: Sequence[int] | None = None, columns: int = 10) -> Picture:
        """A grid with one image per inversion. Notebooks display it.

        image_shape: (H, W) or (C, H, W) of flat inputs; by default a square if the number of inputs allows it.
        """
        from bl_neuro.drawing import image_grid

        return image_grid({"": self._pictures(self.images, image_shape)}, self._names(), columns=columns)

    def animate(self, image_shape: Sequence[int] | None = None, columns: int = 5) -> Animation:
        """An animation of the spikes with one tile per inversion. Notebooks display it. image_shape: as in `show`."""
        from bl_neuro.drawing import event_animation

        return event_animation(self._pictures(self.spikes, image_shape), self._names(), columns=columns)

    def _repr_png_(self) -> bytes:
        return self.show().png

    def _names(self) -> list[str]:
        return [f"class {label}" for label in self.classes.tolist()]

    def _pictures(self, values: Tensor, image_shape: Sequence[int] | None) -> FloatArray:
        """Values (..., *input_shape) as pictures (..., C, H, W)."""
        lead, inputs = values.shape[: values.dim() - self.spikes.dim() + 2], tuple(self.spikes.shape[2:])
        shape = tuple(inputs if image_shape is None else image_shape)
        if len(shape) == 1:
            side = math.isqrt(shape[0])
            shape = (side, side) if side * side == shape[0] else (1, shape[0])
        if len(shape) not in (2, 3) or math.prod(shape) != math.prod(inputs):
            raise InputError(f"image_shape: expected (H, W) or (C, H, W) of {math.prod(inputs)} inputs, found {shape}")
        pictures: FloatArray = values.reshape(*lead, *(shape if len(shape) == 3 else (1, *shape))).double().numpy()
        return pictures

    def save(self, path: str | Path) -> None:
        """Writes the inversions to a .safetensors file (atomically), which `load_inversions` reads.

        Raises:
            ReportError: the file cannot be written.
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
            **({} if self.attacked is None else {"attacked": str(self.attacked)}),
        }
        try:
            with atomic_path(path) as temporary:
                # Copies: safetensors refuses tensors that share memory, and an attack may return such.
                copies = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
                save_file(copies, temporary, metadata=facts)
        except (OSError, SafetensorError) as error:
            raise ReportError(f"{path}: the inversions could not be written ({error})") from error


def joined(parts: list[Inversions]) -> Inversions:
    """Joins several runs of one attack with different seeds: concatenates inversions and adds up queries.

    A run that ended early repeats its last entry in the trace. If a run has no entry, the result has no trace.
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


MAX_BYTES = 2**33
"""Size limit of files in bytes."""
MOST_AXES = 8
MOST_DIGITS = 100
MOST_NAME = 100
DTYPES = {
    "spikes": ("U8",),
    "classes": ("I64",),
    "rates": ("F32", "F64"),
    "trace.queries": ("I64",),
    "trace.objective": ("F32", "F64"),
    "trace.rates": ("F32", "F64"),
}
"""The tensors of a file and their possible types. All except "rates" are required."""


def load_inversions(path: str | Path) -> Inversions:
    """Reads and checks a file written by `Inversions.save`.

    Raises:
        ModelFileError: the file is missing, damaged, larger than 8 GiB, of another kind, or has invalid contents.
    """
    from safetensors import SafetensorError, safe_open

    source = Path(path)
    kind = what_is_at(source)
    if kind != "a file":
        raise ModelFileError(f"{source}: expected a file of inversions, found {kind}")
    try:
        size = source.stat().st_size
        if size > MAX_BYTES:
            raise ModelFileError(f"{source}: expected at most {MAX_BYTES} bytes, found {size}")
        tensor_types(source)
        with safe_open(str(source), framework="pt") as file:
            facts = file.metadata() or {}
            if facts.get("format") != FORMAT:
                raise ModelFileError(
                    f"{source}: expected inversions ({FORMAT}), found {str(facts.get('format'))[:80]!r}"
                )
            _need_tensors(file)
            return _inversions(facts, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 - no dict
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise ModelFileError(f"{source}: cannot be read as inversions ({error})") from error


def _need_tensors(file: Any) -> None:
    """Raises ValueError unless the names and types of a file's tensors are those of inversions. Reads no values."""
    names = set(file.keys())
    if not set(DTYPES) - {"rates"} <= names <= set(DTYPES):
        raise ValueError(f"expected the tensors {', '.join(DTYPES)}, found {', '.join(sorted(names))[:200]}")
    for name in sorted(names):
        part = file.get_slice(name)
        if part.get_dtype() not in DTYPES[name]:
            raise ValueError(f"{name}: expected {' or '.join(DTYPES[name])}, found {part.get_dtype()}")
        if len(part.get_shape()) > MOST_AXES:
            raise ValueError(f"{name}: expected at most {MOST_AXES} axes, found {len(part.get_shape())}")


def _inversions(facts: dict[str, str], tensors: dict[str, Tensor]) -> Inversions:
    """The inversions with these tensors and facts. Raises ValueError if they are inconsistent."""
    spikes, classes, rates = tensors["spikes"], tensors["classes"], tensors.get("rates")
    trace = Trace(*(tensors[f"trace.{name}"] for name in ("queries", "objective", "rates")))
    if spikes.dim() < 3 or not spikes.numel() or len(spikes) > MAX_STEPS:
        raise ValueError(f"spikes: expected (T, K, *input_shape), T at most {MAX_STEPS}, found {tuple(spikes.shape)}")
    if int(spikes.max()) > 1:
        raise ValueError(f"spikes: expected only 0 and 1, found {int(spikes.max())}")
    count, inputs, entries = spikes.shape[1], tuple(spikes.shape[2:]), len(trace.queries) if trace.queries.dim() else 0
    _need_shape("classes", classes, (count,))
    if int(classes.min()) < 0:
        raise ValueError(f"classes: expected class numbers of at least 0, found {int(classes.min())}")
    if rates is not None:
        _need_rates("rates", rates, (count, *inputs), tuple(spikes.shape))
    _need_shape("trace.queries", trace.queries, (entries,))
    _need_shape("trace.objective", trace.objective, (entries, count))
    if bool(trace.objective.isnan().any()):
        raise ValueError("trace.objective: expected numbers, found NaN")
    _need_rates("trace.rates", trace.rates, (entries, count, *inputs))
    queries = _whole(facts, "queries")
    course = [0, *trace.queries.tolist(), queries]
    if course != sorted(course):
        raise ValueError(f"trace.queries: expected increasing numbers in 0..{queries}, the queries of the whole attack")
    seed, attacked = _whole(facts, "seed"), _whole(facts, "attacked") if "attacked" in facts else None
    if attacked is not None and attacked < count:
        raise ValueError(f"attacked: expected at least the {count} inversions of the file, found {attacked}")
    return Inversions(spikes, classes, rates, queries, trace, _status(facts), _name(facts), seed, attacked)


def _need_shape(name: str, values: Tensor, *shapes: tuple[int, ...]) -> None:
    if tuple(values.shape) not in shapes:
        raise ValueError(f"{name}: expected shape {' or '.join(map(str, shapes))}, found {tuple(values.shape)}")


def _need_rates(name: str, values: Tensor, *shapes: tuple[int, ...]) -> None:
    _need_shape(name, values, *shapes)
    if not bool(((values >= 0) & (values <= 1)).all()):  # NaN is neither
        raise ValueError(f"{name}: expected values in 0..1")


def _whole(facts: dict[str, str], name: str) -> int:
    text = facts.get(name, "")
    if not re.fullmatch(rf"[0-9]{{1,{MOST_DIGITS}}}", text):
        raise ValueError(f"{name}: expected a whole number of at least 0, found {text[:80]!r}")
    return int(text)


def _status(facts: dict[str, str]) -> Status:
    text = facts.get("status", "")
    if text not in {status.value for status in Status}:
        raise ValueError(f"status: expected one of {', '.join(Status)}, found {text[:80]!r}")
    return Status(text)


def _name(facts: dict[str, str]) -> str:
    text = facts.get("attack", "")
    if not 0 < len(text) <= MOST_NAME or not text.isprintable():
        raise ValueError(f"attack: expected a name, found {text[:80]!r}")
    return text
