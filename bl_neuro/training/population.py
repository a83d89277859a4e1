"""Trains several fully connected targets at once, each with its own seed, samples and order of batches.

Each member becomes the same network, bit for bit, as if it were trained alone with one thread: all random numbers are
drawn per member, and `StackedSteps` computes the same sums. Members are trained epoch by epoch, with checkpoints of
their own, so that a group that is interrupted continues from them, in any other group or alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from itertools import groupby
from threading import Event
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bl_neuro.isolation import isolated
from bl_neuro.training.checkpoint import OPTIMISER_STATE
from bl_neuro.training.fit import Training
from bl_neuro.training.lessons import Lessons
from bl_neuro.training.stack import Stack
from bl_neuro.training.stacked_steps import StackedSteps

TOGETHER = 2**19
"""Number of activations that members have in total at one time: what processors keep in their caches."""


class Member(NamedTuple):
    """A member of a population. training: of `stack`, first as a rate proxy and then through time, with `lessons`."""

    stack: Stack
    lessons: Lessons
    training: Training


class Moments(NamedTuple):
    """The state of AdamW for each parameter of a stack, as PyTorch has it."""

    state: dict[str, dict[str, Tensor]]

    def state_of(self, name: str) -> dict[str, Tensor]:
        """See `OptimiserState`."""
        return self.state[name]


def can_stack(stack: Stack) -> bool:
    """Whether `fit_population` supports a stack: fully connected, on the CPU, with the canonical neuron."""
    on_cpu = all(synapse.weight.device.type == "cpu" for synapse in stack.synapses)
    dense = all(isinstance(synapse, nn.Linear) and synapse.bias is None for synapse in stack.synapses)
    return on_cpu and dense and stack.plan.cuba_lif().reset == "zero"


def fit_population(members: Sequence[Member], threads: int = 1) -> None:
    """Trains all members as `fit` would, those with the same design together, and leaves the best weights in them.

    Members that differ in their number of samples, or that continue from different epochs, are trained one after
    another until they are alike. threads: number of shares of the members that are trained at the same time. With more
    than one, PyTorch must be set to one thread.
    """
    shares = [members[number::threads] for number in range(min(threads, len(members)))]
    ended = Event()
    if len(shares) == 1:
        _fit_share(shares[0], ended)
    elif shares:
        with ThreadPoolExecutor(len(shares)) as pool:
            try:
                running = [pool.submit(_fit_share, share, ended) for share in shares]
                wait(running, return_when=FIRST_EXCEPTION)
            finally:
                ended.set()  # after an error or Ctrl-C, the others stop at the end of their epochs
            for share in running:
                share.result()


@isolated
def _fit_share(members: Sequence[Member], ended: Event) -> None:
    """Trains members on this thread, until `ended` is set."""
    for member in members:
        _end_phases(member.training)
    while unfinished := [member for member in members if member.training.phase is not None]:
        first = min(member.training.place for member in unfinished)
        ready = sorted((member for member in unfinished if member.training.place == first), key=_likeness)
        for _, alike in groupby(ready, _likeness):
            group = list(alike)
            size = _members_at_once(group[0])
            for start in range(0, len(group), size):
                if ended.is_set():
                    return
                _epoch(group[start : start + size])


def _end_phases(training: Training) -> None:
    """Ends the current phase, and those after it, if they have no epochs left; ends the training after the last."""
    while training.phase is not None and not training.in_phase:
        training.end_phase()
    if training.phase is None:
        training.end()


def _likeness(member: Member) -> tuple[object, ...]:
    """Members with the same value can be trained together."""
    steps = next((float(state["step"]) for state in member.training.kept.values()), 0.0)
    course = member.training.course
    return repr(member.stack.plan), math.prod(member.stack.input_shape), len(course.samples), course.batch, steps


def _members_at_once(member: Member) -> int:
    """The number of members whose activations stay in cache."""
    steps = member.stack.plan.steps if _through_time(member) else 1
    samples = min(member.training.course.batch, len(member.training.course.samples))
    neurons = sum(sum(synapse.weight.shape) for synapse in member.stack.synapses)
    return max(1, TOGETHER // (steps * samples * neurons))


def _through_time(member: Member) -> bool:
    return member.training.standing.phase == 1


def _epoch(members: Sequence[Member]) -> None:
    """Trains members on all of their samples once, and validates and keeps each of them."""
    trainings = [member.training for member in members]
    first, phase = trainings[0], trainings[0].phases[trainings[0].standing.phase]
    steps = _stacked(members)
    draws = [training.draws() for training in trainings]
    starts = range(0, len(first.course.samples), first.course.batch)
    for number, start in enumerate(starts):
        parts = [(order[start : start + first.course.batch], rng) for rng, order in draws]
        labels = torch.stack([member.lessons.labels(index) for member, (index, _) in zip(members, parts)])
        lessons = [(member.lessons, index, rng) for member, (index, rng) in zip(members, parts)]
        if _through_time(members[0]):
            spikes = torch.stack([lesson.spikes(index, rng, noisy=True) for lesson, index, rng in lessons])
            steps.spiking_gradients(spikes, labels, members[0].lessons.membrane_loss)
        else:
            values = [torch.from_numpy(lesson.proxy_values(index, rng)).flatten(1) for lesson, index, rng in lessons]
            steps.proxy_gradients(torch.stack(values), labels)
        steps.update(first.rate(number, len(starts)), phase.weight_decay)
    for number, member in enumerate(members):
        moments = _unstack(steps, number, member.stack)
        member.training.end_epoch(moments)
        member.training.kept = moments.state
        if not member.training.in_phase:
            _end_phases(member.training)


def _stacked(members: Sequence[Member]) -> StackedSteps:
    """The weights and moments of members, stacked."""
    names = [name for name, _ in members[0].stack.named_parameters()]
    weights = [torch.stack([member.stack.get_parameter(name).detach() for member in members]) for name in names]
    kept = [member.training.kept for member in members]
    _, mean, square = OPTIMISER_STATE
    if kept[0]:
        moments = [tuple(torch.stack([own[name][key] for own in kept]) for key in (mean, square)) for name in names]
    else:
        moments = [(torch.zeros_like(weight), torch.zeros_like(weight)) for weight in weights]
    step = int(kept[0][names[0]]["step"]) if kept[0] else 0
    pairs = [(first, second) for first, second in moments]
    return StackedSteps(weights, pairs, step, members[0].stack.plan)


def _unstack(steps: StackedSteps, number: int, stack: Stack) -> Moments:
    """Writes the weights of a member into its stack. Returns its moments."""
    state = {}
    for (name, parameter), weight, moments in zip(stack.named_parameters(), steps.weights, steps.moments):
        with torch.no_grad():
            parameter.copy_(weight[number])
        values = (torch.tensor(float(steps.step)), *(moment[number].clone() for moment in moments))
        state[name] = dict(zip(OPTIMISER_STATE, values))
    return Moments(state)
