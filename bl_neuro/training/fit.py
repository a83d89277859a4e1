"""The training loop of all trainings: phases of epochs, validation, early stopping, checkpoints.

The random numbers of an epoch depend only on the seed and its number, and the learning rate only on its position in the
phase, so that a training that continues from a checkpoint gives the same result as an uninterrupted one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from bl_neuro.arrays import IntArray
from bl_neuro.errors import InputError
from bl_neuro.seeding import derived_seed, stream
from bl_neuro.training.checkpoint import Checkpoint, OptimiserState, Score, resume, write_checkpoint

Progress = Callable[[int, int], None]
LOOKS = 180_000
"""Number of samples seen in a training whose number of epochs is not given."""
CLIP = 1.0
"""Maximum norm of gradients."""


def epochs_for(samples: int, fewest: int, most: int) -> int:
    """Number of epochs in which about `LOOKS` samples are seen, within fewest..most."""
    return min(most, max(fewest, math.ceil(LOOKS / samples)))


@dataclass(frozen=True)
class Phase:
    """A phase of training that minimises `loss(index, rng)` of batches of samples for a number of epochs.

    rate: initial learning rate; it follows a cosine schedule to 0.
    """

    epochs: int
    rate: float
    weight_decay: float
    loss: Callable[[IntArray, np.random.Generator], Tensor]


@dataclass(frozen=True, kw_only=True)
class Course:
    """The inputs of a training. samples: their indices. purpose: names the random streams of `seed`.

    validate: score of the current module; None to use the last epoch. patience: number of epochs without improvement
    after which a phase ends. facts: identify the training in its checkpoint.
    """

    samples: IntArray
    batch: int
    seed: int
    purpose: str
    validate: Callable[[], Score] | None = None
    patience: int = 5
    progress: Progress | None = None
    checkpoint: Checkpoint | None = None
    facts: dict[str, str]


def fit(module: nn.Module, phases: Sequence[Phase], course: Course) -> None:
    """Trains `module` in `phases`, each starting from the best weights so far, and leaves the best weights in it."""
    training = Training(module, phases, course)
    while (phase := training.phase) is not None:
        optimiser = torch.optim.AdamW(module.parameters(), lr=phase.rate, weight_decay=phase.weight_decay)
        for name, parameter in module.named_parameters():
            if name in training.kept:
                optimiser.state[parameter] = training.kept[name]
        while training.in_phase:
            _epoch(training, phase, optimiser)
            training.end_epoch(TorchState(module, optimiser))
        training.end_phase()
    training.end()


class Training:
    """The position of a training between epochs: what is left to do, the best weights, the checkpoint.

    module: has the current weights. kept: the optimiser state of a checkpoint for the current phase, or empty.
    """

    def __init__(self, module: nn.Module, phases: Sequence[Phase], course: Course) -> None:
        self.module, self.phases, self.course = module, phases, course
        self.facts = {**course.facts, "seed": str(course.seed), "purpose": course.purpose}
        self.epochs = sum(phase.epochs for phase in phases)
        self.standing, self.kept = resume(course.checkpoint, module, self.facts)
        self.written = time.monotonic()
        self._resumed_at_end = self.phase is None

    @property
    def phase(self) -> Phase | None:
        """The current phase; None if the training is over."""
        return self.phases[self.standing.phase] if self.standing.phase < len(self.phases) else None

    @property
    def in_phase(self) -> bool:
        """Whether the current phase has epochs left."""
        phase, standing = self.phase, self.standing
        return phase is not None and standing.epoch < phase.epochs and standing.stale < self.course.patience

    @property
    def place(self) -> tuple[int, int]:
        """The number of the phase and of the epoch in it, which name the random streams of the epoch."""
        return self.standing.phase, self.standing.epoch

    def draws(self) -> tuple[np.random.Generator, IntArray]:
        """The random numbers of the current epoch, and the order of its samples."""
        rng = stream(self.course.seed, self.course.purpose, *self.place)
        return rng, rng.permutation(self.course.samples)

    def rate(self, number: int, batches: int) -> float:
        """The learning rate of a batch of the current epoch."""
        phase = self.phases[self.standing.phase]
        through = (self.standing.epoch + number / batches) / phase.epochs
        return phase.rate * 0.5 * (1.0 + math.cos(math.pi * through))

    def end_epoch(self, state: OptimiserState) -> None:
        """Validates, writes the checkpoint if it is due, and reports progress."""
        before = sum(done.epochs for done in self.phases[: self.standing.phase])
        self.kept = {}
        self.standing.epoch += 1
        if self.course.validate is not None:
            self._judge(self.course.validate())
        self._keep(state)
        if before + self.standing.epoch < self.epochs:
            self._tell(before + self.standing.epoch)

    def end_phase(self) -> None:
        """Continues from the best weights with the next phase."""
        self.kept = {}
        if self.standing.best is not None:
            self.module.load_state_dict(self.standing.best_weights)
        self.standing.phase, self.standing.epoch, self.standing.stale = self.standing.phase + 1, 0, 0

    def end(self) -> None:
        """Writes the checkpoint of the finished training."""
        if not self._resumed_at_end:
            self._keep(None, last=True)
        self._tell(self.epochs)

    def _judge(self, score: Score) -> None:
        if self.standing.best is not None and score <= self.standing.best:
            self.standing.stale += 1
            return
        self.standing.best, self.standing.stale = score, 0
        self.standing.best_weights = {name: value.clone() for name, value in self.module.state_dict().items()}

    def _keep(self, state: OptimiserState | None, last: bool = False) -> None:
        checkpoint = self.course.checkpoint
        if checkpoint is None or not (last or time.monotonic() - self.written >= checkpoint.every_s):
            return
        write_checkpoint(checkpoint.path, self.module, state, self.standing, self.facts)
        self.written = time.monotonic()

    def _tell(self, done: int) -> None:
        if self.course.progress is not None:
            self.course.progress(done, self.epochs)


def _epoch(training: Training, phase: Phase, optimiser: torch.optim.Optimizer) -> None:
    """Trains on all samples once, with gradients of autograd."""
    course, module = training.course, training.module
    rng, order = training.draws()
    starts = range(0, len(order), course.batch)
    module.train()
    with torch.random.fork_rng():
        torch.manual_seed(derived_seed(course.seed, course.purpose, *training.place))  # for dropout
        for number, start in enumerate(starts):
            for group in optimiser.param_groups:
                group["lr"] = training.rate(number, len(starts))
            optimiser.zero_grad()
            phase.loss(order[start : start + course.batch], rng).backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), CLIP)
            optimiser.step()
    module.eval()


class TorchState(NamedTuple):
    """The state of a PyTorch optimiser for the parameters of a module."""

    module: nn.Module
    optimiser: torch.optim.Optimizer

    def state_of(self, name: str) -> dict[str, Tensor]:
        """See `OptimiserState`."""
        state: dict[str, Tensor] = self.optimiser.state[self.module.get_parameter(name)]
        return state


def find_device(name: str = "auto") -> torch.device:
    """The device `name`: "cpu", "cuda", or "auto" for a GPU if torch finds one.

    Results are reproducible on one machine and device; those of a GPU and a CPU differ in their last digits.

    Raises:
        InputError: the device is unknown or not available.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"device: expected auto, cpu or cuda, found {name!r}")
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise InputError("device: torch finds no GPU; use auto or cpu")
    return torch.device("cuda" if has_gpu and name != "cpu" else "cpu")
