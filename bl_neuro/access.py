"""The attacker's view of a target: `WhiteBox` runs and differentiates, `BlackBox` answers metered queries only."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from bl_neuro.backends.base import Response, Target, as_float, checked_input
from bl_neuro.backends.registry import substrates_with
from bl_neuro.checks import whole_number
from bl_neuro.errors import BudgetExceeded, InputError, NotDifferentiable, NotRevealed
from bl_neuro.mitigations.base import Mitigation
from bl_neuro.reveals import REVEALS as REVEALS
from bl_neuro.reveals import Reveals as Reveals
from bl_neuro.seeding import stream

if TYPE_CHECKING:
    from bl_neuro.network import Network, Readout


class WhiteBox:
    """A target whose attacker holds the model: answers and gradients. `queries` counts the samples it ran.

    Raises:
        NotDifferentiable: the substrate gives no gradients, as a chip or its simulator does not.
    """

    def __init__(self, target: Target) -> None:
        _need_target(target, "white box")
        if not target.differentiable:
            differentiable = ", ".join(substrates_with("differentiable"))
            raise NotDifferentiable(
                f"white box: expected a differentiable target ({differentiable}), found {target.substrate}; "
                "query it through a BlackBox"
            )
        self.target = target
        self.queries = 0

    @property
    def network(self) -> Network:
        """The network under attack, weights and all."""
        return self.target.network

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one frame of input spikes."""
        return self.target.network.input_shape

    @property
    def classes(self) -> int:
        """How many classes the target tells apart."""
        return self.target.network.classes

    def __repr__(self) -> str:
        return f"<WhiteBox of {self.target!r}, {self.queries} queries>"

    def run(self, spikes: Any) -> Response:
        """The target's answer to `spikes` (T, B, *input_shape), without gradient."""
        self.queries += checked_input(spikes, self.network).shape[1]
        with torch.no_grad():
            return self.target.run(spikes)

    def gradient(self, spikes: Tensor, objective: Callable[[Response], Tensor]) -> tuple[Tensor, Tensor]:
        """Value (B,) of `objective(response)` at `spikes`, and its gradient in the input, (T, B, *input_shape)."""
        inputs = as_float(checked_input(spikes, self.network)).detach().clone()
        self.queries += inputs.shape[1]
        with torch.enable_grad():
            inputs.requires_grad_()
            values = objective(self.target.run(inputs))
            (gradient,) = torch.autograd.grad(values.sum(), inputs)
        return values.detach(), gradient


class BlackBox:
    """A target behind a meter: only `query` reaches it, and only what `reveals` allows comes back.

    reveals: "membrane" (T, B, C); "scores" (B, C), the mean over time of softmax(membrane), what a served classifier
    returns; "spikes" (T, B, C), what a chip's output shows; "counts" (B, C), their sum over time; "label" (B,).
    budget: queries that may be spent, one a sample; None for no limit. mitigation: what the deployment does about
    inversion, see `bl_neuro.mitigations`: to its inputs, to what it shows, or to the budget; its randomness comes from
    `seed`. A mitigation of the network itself takes effect where `mitigation.network(network)` is what was opened.

    It holds no weights and no gradients, and the target cannot be reached through it.

    Raises:
        NotRevealed: the substrate does not put that out. InputError: an unknown `reveals`, a budget below 1, or a
        mitigation that does nothing to what is revealed.
    """

    __slots__ = ("_budget", "_classes", "_gate", "_input_shape", "_lock", "_reveals", "_spent")

    def __init__(
        self,
        target: Target,
        reveals: Reveals = "counts",
        budget: int | None = None,
        mitigation: Mitigation | None = None,
        seed: int = 0,
    ) -> None:
        _need_target(target, "black box")
        if reveals not in REVEALS:
            raise InputError(f"reveals: expected one of {', '.join(REVEALS)}, found {reveals!r}")
        if _needs_membrane(target, reveals) and not target.reveals_membrane:
            raise NotRevealed(
                f"reveals: {reveals} takes a membrane, and substrate {target.substrate} shows none; "
                f"expected spikes{', counts or label' if target.network.readout == 'spikes' else ' or counts'}"
            )
        if mitigation is not None:
            mitigation.check(reveals)
            reveals, budget = mitigation.reveals(reveals), mitigation.budget(budget)
        gate = _gate(target, reveals, mitigation, seed)
        self._set_up(reveals, budget, target.network.input_shape, target.network.classes, gate)

    def _set_up(
        self, reveals: Reveals, budget: int | None, input_shape: tuple[int, ...], classes: int, gate: Gate
    ) -> None:
        """The meter, before whatever `gate` leads to."""
        limit = whole_number(budget)
        if budget is not None and (limit is None or limit < 1):
            raise InputError(f"budget: expected a whole number of at least 1 query, found {budget!r}")
        self._reveals = reveals
        self._budget = limit
        self._spent = 0
        self._lock = threading.Lock()
        self._input_shape = input_shape
        self._classes = classes
        self._gate = gate

    @property
    def reveals(self) -> str:
        """What an answer shows."""
        return self._reveals

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one frame of input spikes."""
        return self._input_shape

    @property
    def classes(self) -> int:
        """How many classes the target tells apart."""
        return self._classes

    @property
    def budget(self) -> int | None:
        """Queries that could be spent in all, or None for no limit."""
        return self._budget

    @property
    def spent(self) -> int:
        """Queries spent so far: the samples that the substrate was asked to run."""
        return self._spent

    @property
    def remaining(self) -> int | None:
        """Queries still to be spent, or None for no limit."""
        return None if self._budget is None else self._budget - self._spent

    def query(self, spikes: Any) -> Tensor:
        """The answer to `spikes` (T, B, *input_shape), 0/1; costs B queries, also where the substrate then fails.

        Raises:
            BudgetExceeded: B is more than what remains; nothing runs and nothing is spent. Where an endpoint's own
            budget ends midway, what it ran is spent. InputError: bad spikes, which cost nothing.
        """
        inputs = self._gate.check(spikes)
        cost = inputs.shape[1]
        with self._lock:
            if self._budget is not None and cost > self._budget - self._spent:
                raise BudgetExceeded(
                    f"this query costs {cost}, and {self._budget - self._spent} of the budget of {self._budget} remain"
                )
            self._spent += cost
        try:
            return self._gate.ask(inputs)
        except BudgetExceeded as error:  # a meter further on refused it, or what was left of it
            with self._lock:
                self._spent -= cost - error.ran
            raise

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._about()}>"

    def _about(self) -> str:
        limit = "no limit" if self._budget is None else f"budget {self._budget}"
        return (
            f"takes {self._input_shape}, reveals {self._reveals} of {self._classes} classes, "
            f"{self._spent} queries spent, {limit}"
        )


class Gate(NamedTuple):
    """The way through to what answers: two closures, so that no public attribute leads to what they close over.

    It keeps an honest attack honest. Code that means to cheat inside one Python process can; an endpoint of another
    process is the boundary there.
    """

    check: Callable[[Any], Tensor]
    ask: Callable[[Tensor], Tensor]


def _gate(target: Target, reveals: Reveals, mitigation: Mitigation | None, seed: int) -> Gate:
    rng, turn = stream(seed, "mitigation"), threading.Lock()

    def check(spikes: Any) -> Tensor:
        return checked_input(spikes, target.network).detach()

    def ask(spikes: Tensor) -> Tensor:
        readout = target.network.readout
        with torch.no_grad():
            if mitigation is None or not mitigation.changes("inputs", "output"):
                return reveal(target.run(spikes), reveals, readout)
            with turn:
                response = target.run(mitigation.inputs(spikes, rng))
                seen: Reveals = _named_by(readout) if reveals == "label" else reveals
                shown = mitigation.output(reveal(response, seen, readout), seen, rng)
                return shown.argmax(1) if reveals == "label" else shown

    return Gate(check, ask)


def _named_by(readout: Readout) -> Reveals:
    """What a label is the largest of."""
    return "scores" if readout == "membrane" else "counts"


def named(shown: Tensor, reveals: Reveals) -> Tensor:
    """The class that an honest user reads from what a box reveals, (B,): the largest, and of equals the lowest.

    From counts and spikes that are all zero nobody reads one: -1.
    """
    if reveals == "label":
        return shown
    if reveals == "membrane":
        return scores(shown).argmax(1)
    totals = shown.sum(0) if reveals == "spikes" else shown
    best = totals.argmax(1)
    return best if reveals == "scores" else best.masked_fill(totals.sum(1) == 0, -1)


def _need_target(target: Any, what: str) -> None:
    if not isinstance(target, Target):
        raise InputError(f"{what}: expected a target from bl.open_target, found {type(target).__name__}")


def _needs_membrane(target: Target, reveals: Reveals) -> bool:
    return reveals in ("membrane", "scores") or (reveals == "label" and target.network.readout == "membrane")


def reveal(response: Response, reveals: Reveals, readout: Readout = "spikes") -> Tensor:
    """What of a response an attacker is shown, see `BlackBox`. A label is read out as the network says.

    Equal counts are decided towards the lower class, silence too: a classifier always has a label.

    Raises:
        NotRevealed: it takes a membrane, and the substrate shows none.
    """
    if reveals == "spikes":
        return response.spikes
    if reveals == "counts":
        return response.spikes.sum(0)
    if reveals == "label" and readout == "spikes":
        return response.spikes.sum(0).argmax(1)
    if response.membrane is None:
        raise NotRevealed(f"reveals: this substrate shows no membrane, so no {reveals}")
    if reveals == "membrane":
        return response.membrane
    return scores(response.membrane) if reveals == "scores" else scores(response.membrane).argmax(1)


def answered(response: Response, readout: Readout = "spikes") -> Tensor:
    """The class each sample is answered with, (B,), as the label is, but -1 where no output neuron spoke at all.

    For judging: a deployed network that stays silent still has a label, its lowest class, and is not right with it.
    """
    label = reveal(response, "label", readout)
    return label if readout == "membrane" else label.masked_fill(~response.spikes.flatten(2).any(0).any(1), -1)


def scores(membrane: Tensor) -> Tensor:
    """Mean over time of softmax(membrane), (B, C): what a served classifier returns."""
    return torch.softmax(membrane, dim=2).mean(0)
